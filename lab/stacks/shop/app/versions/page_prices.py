"""A product's page has the course of its price: what was paid in each line of late, kept with the page as plain JSON."""

from __future__ import annotations

from typing import Any

COURSE = (
    "SELECT o.placed_at, l.price_cents, l.{quantity}, o.state FROM (SELECT * FROM {line} WHERE {product_id} = %s ORDER BY id DESC LIMIT %s) l "
    "JOIN {purchase} o ON o.id = l.{purchase_id} ORDER BY l.id DESC"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`points`: of a course, at most; `ttl_s`: seconds for which a page is kept. The answer has every tenth point."""
    app.queries.SQL["course"] = COURSE
    app.settings.TTL_S = parameters["ttl_s"]
    plain, product = app.handlers.load_product, app.handlers.product

    def load_product(number: int) -> dict[str, Any] | None:
        found = plain(number)
        return None if found is None else {**found, "course": app.db.rows("course", number, parameters["points"])}

    def thinned(number: int) -> Any:
        found = product(number)
        return {**found, "course": found["course"][::10]}

    app.handlers.load_product, app.handlers.product = load_product, thinned
