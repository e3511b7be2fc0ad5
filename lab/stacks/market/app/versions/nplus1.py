"""The portfolio asks for its holdings first, and then for the thing of each holding."""

from __future__ import annotations

from typing import Any

HELD = "SELECT id, {item_id}, {quantity}, cost FROM {holding} WHERE {account_id} = %s ORDER BY id"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Takes no parameters."""
    app.queries.SQL["held"] = HELD

    async def holdings(account: int) -> list[dict[str, Any]]:
        found = []
        async with app.db.connection() as on:
            for held in await app.db.rows("held", account, on=on):
                thing = await app.db.row("page", held[app.settings.WORDS["item_id"]], on=on)
                found.append({**thing, **held})
        return found

    app.handlers.holdings = holdings
