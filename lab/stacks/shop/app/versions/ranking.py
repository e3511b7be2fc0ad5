"""The best sellers of late, for everybody's first screen: one key for all, made anew every few seconds."""

from __future__ import annotations

from typing import Any

TOP = (
    "SELECT p.sku, p.{title}, t.sold, t.turnover FROM (SELECT {product_id} AS product, sum({quantity}) AS sold, sum({quantity} * price_cents) AS turnover FROM {line} "
    "WHERE id > (SELECT max(id) FROM {line}) - %s GROUP BY 1 ORDER BY turnover DESC LIMIT 25) t JOIN {product} p ON p.id = t.product ORDER BY t.turnover DESC"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`lines`: how many of the last lines count; `ttl_s`: seconds for which the list is kept."""
    app.queries.SQL["top"] = TOP
    app.handlers.top = lambda: app.cache.through("top", "all", lambda: app.db.rows("top", parameters["lines"]), parameters["ttl_s"])
    app.handlers.ROUTES["top"] = ("GET", "/{report_path}/top")
