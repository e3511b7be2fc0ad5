"""The pool keeps one connection, opens others when they are needed, and replaces each after some seconds."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`lifetime_s`: of a connection; `idle_s`: after which one that is not needed is closed."""

    def start() -> None:
        s = app.settings
        app.db.pool = ConnectionPool(
            app.db.where(), min_size=1, max_size=s.POOL, timeout=s.POOL_TIMEOUT_S, max_lifetime=parameters["lifetime_s"], max_idle=parameters["idle_s"],
            kwargs={"row_factory": dict_row, "autocommit": True}, reconnect_timeout=6.0, open=False,
        )  # fmt: skip
        app.db.pool.open(wait=True, timeout=15)
        app.metrics.watch_pool(app.db.told)

    app.db.start = start
