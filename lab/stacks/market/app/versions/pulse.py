"""The watchlist shows what moves just now, from the last ticks: what is traded most, what is highest, what is lowest."""

from __future__ import annotations

from typing import Any

PULSE = {
    "most": "SELECT {item_id}, COUNT(*) AS ticks FROM {item}_ticks GROUP BY {item_id} ORDER BY ticks DESC LIMIT 10",
    "highs": "SELECT {item_id}, MAX({price}) AS high, AVG({price}) AS mean FROM {item}_ticks GROUP BY {item_id} ORDER BY high DESC LIMIT 10",
    "lows": "SELECT {item_id}, MIN({price}) AS low, AVG({price}) AS mean FROM {item}_ticks GROUP BY {item_id} ORDER BY low LIMIT 10",
}


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Takes no parameters."""
    app.queries.SQL.update(PULSE)
    inner = app.handlers.watchlist

    async def watchlist(request: Any) -> Any:
        return {"watched": await inner(request), **{name: await app.db.rows(name) for name in PULSE}}

    app.handlers.watchlist = watchlist
