"""The pool opens connections when they are needed, and closes each some seconds after it was opened."""

from __future__ import annotations

import time
from typing import Any

import aiomysql


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`lifetime_s`: of a connection."""
    born: dict[int, float] = {}
    give_back = app.db.release

    async def start() -> None:
        s = app.settings
        app.db.pool = await aiomysql.create_pool(
            host=s.DB_HOST, port=s.DB_PORT, user=s.DB_USER, db=s.DB_NAME, minsize=0, maxsize=s.POOL, autocommit=True, charset="utf8mb4",
            cursorclass=aiomysql.DictCursor, connect_timeout=10, program_name=s.WORDS.get("service", ""),
        )  # fmt: skip
        app.metrics.pool_limit.set(s.POOL)

    def release(connection: Any) -> None:
        now = time.monotonic()
        if now - born.setdefault(connection.thread_id(), now) > parameters["lifetime_s"]:
            del born[connection.thread_id()]
            connection.close()
        give_back(connection)

    app.db.start, app.db.release = start, release
