"""The most traded things of late, for everybody's first screen: one key for all, made anew every few seconds."""

from __future__ import annotations

from typing import Any

TOP = (
    "SELECT i.{code}, i.{title}, t.orders, t.volume FROM (SELECT {item_id} AS item, COUNT(*) AS orders, SUM({quantity} * {price}) AS volume FROM {trade} "
    "WHERE id > (SELECT MAX(id) FROM {trade}) - %s GROUP BY {item_id} ORDER BY volume DESC LIMIT 20) t JOIN {item} i ON i.id = t.item ORDER BY t.volume DESC"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`orders`: how many of the last orders count; `ttl_s`: seconds for which the list is kept."""
    app.queries.SQL["top"] = TOP

    async def top(request: Any) -> Any:
        return await app.cache.through("top", "all", lambda: app.db.rows("top", parameters["orders"]), parameters["ttl_s"])

    app.handlers.top = top
    app.handlers.ROUTES["top"] = ("GET", "/{trade_path}/top")
