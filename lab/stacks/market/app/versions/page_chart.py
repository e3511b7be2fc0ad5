"""A page brings the points of its chart: price and quantity of each order of the thing, kept with the page as plain JSON."""

from __future__ import annotations

from typing import Any

CHART = "SELECT {placed_at}, {price}, {quantity}, fee FROM {trade} WHERE {item_id} = %s ORDER BY id DESC LIMIT %s"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`points`: of a chart, at most; `ttl_s`: seconds for which a page is kept. The answer has every tenth point."""
    app.queries.SQL["chart"] = CHART
    app.settings.TTL_S = parameters["ttl_s"]
    plain, page = app.handlers.load_page, app.handlers.page

    async def load_page(item: int) -> dict[str, Any] | None:
        found = await plain(item)
        return None if found is None else {**found, "chart": await app.db.rows("chart", item, parameters["points"])}

    async def thinned(request: Any) -> Any:
        found = await page(request)
        return {**found, "chart": found["chart"][::10]}

    app.handlers.load_page, app.handlers.page = load_page, thinned
