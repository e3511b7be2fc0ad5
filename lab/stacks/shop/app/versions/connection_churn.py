"""The pool is gone, since a pooler in front of the database was to pool for all: each use opens a connection and closes it."""

from __future__ import annotations

import time
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`timeout_s`: for opening a connection."""
    import psycopg
    from psycopg.rows import dict_row

    tracing, metrics = app.tracing, app.metrics

    def start() -> None:
        pass

    def acquire() -> Any:
        began = time.perf_counter()
        with tracing.tracer.start_as_current_span("connect", kind=tracing.CLIENT, attributes={"db.system": "postgresql", "server.port": app.settings.DB_PORT}):
            opened = psycopg.connect(app.db.where(), autocommit=True, row_factory=dict_row, connect_timeout=parameters["timeout_s"])
        metrics.pool_wait.record(time.perf_counter() - began)
        return opened

    def release(connection: Any) -> None:
        connection.close()

    app.db.start, app.db.acquire, app.db.release = start, acquire, release
