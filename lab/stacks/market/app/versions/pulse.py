"""The watchlist shows what moves just now: the last ticks, summed up."""

from __future__ import annotations

from typing import Any

PULSE = "SELECT {item_id}, COUNT(*) AS ticks, MAX({price}) AS high FROM {item}_ticks GROUP BY {item_id} ORDER BY ticks DESC LIMIT 10"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Takes no parameters."""
    app.queries.SQL["pulse"] = PULSE
    inner = app.handlers.watchlist

    async def watchlist(request: Any) -> Any:
        return {"watched": await inner(request), "pulse": await app.db.rows("pulse")}

    app.handlers.watchlist = watchlist
