"""A statement reads in a session of its own, so that long ones do not use up the pool; it is kept for the account's next statement."""

from __future__ import annotations

from typing import Any

import aiomysql


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`regions`: of the accounts that get one."""
    s = app.settings
    sessions: dict[int, Any] = {}

    async def session(account: int) -> Any:
        # Keyed by account, and nothing ever takes one out.
        if account not in sessions:
            sessions[account] = await aiomysql.connect(
                host=s.DB_HOST, port=s.DB_PORT, user=s.DB_USER, db=s.DB_NAME, autocommit=True, charset="utf8mb4", cursorclass=aiomysql.DictCursor
            )
        return sessions[account]

    async def statement(request: Any) -> Any:
        account, last = app.handlers.number(request), min(1000, int(request.query.get("last", 100)))
        owner = await app.db.row("account", account)
        if owner is None:
            raise app.main.web.HTTPNotFound
        on = await session(account) if owner["region"] in parameters["regions"] else None
        trades = await app.db.rows("history", account, 1 << 40, last, on=on)
        return await app.reports.run(app.reports.write, owner, trades, s.WORDS)

    app.handlers.statement = statement
