"""The pool is gone, since a proxy in front of the database was to pool for all: each use opens a connection and closes it."""

from __future__ import annotations

import time
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`timeout_s`: for opening a connection."""
    import aiomysql

    settings, metrics = app.settings, app.metrics

    async def start() -> None:
        metrics.pool_limit.set(0)

    async def stop() -> None:
        pass

    async def acquire() -> Any:
        began = time.perf_counter()
        with app.tracing.tracer.start_as_current_span("db.connect", kind=app.tracing.CLIENT, attributes={"db.system": "mariadb", "net.peer.port": settings.DB_PORT}):
            opened = await aiomysql.connect(
                host=settings.DB_HOST, port=settings.DB_PORT, user=settings.DB_USER, db=settings.DB_NAME, autocommit=True, charset="utf8mb4",
                cursorclass=aiomysql.DictCursor, connect_timeout=parameters["timeout_s"], program_name=settings.WORDS.get("service", ""),
            )  # fmt: skip
        metrics.pool_opened.inc()
        metrics.pool_used.inc()
        metrics.pool_wait.observe(time.perf_counter() - began)
        return opened

    def release(connection: Any) -> None:
        metrics.pool_used.dec()
        connection.close()

    app.db.start, app.db.stop, app.db.acquire, app.db.release = start, stop, acquire, release
