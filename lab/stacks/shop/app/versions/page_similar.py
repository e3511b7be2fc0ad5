"""A product's page also shows what is like it: others of the category at such a price, by what was sold of them. Costly, so it is kept longer."""

from __future__ import annotations

from typing import Any

SIMILAR = (
    "SELECT p.id, p.sku, p.{title}, p.price_cents, p.about, count(*) AS sales, sum(l.{quantity} * l.price_cents) AS turnover FROM {product} p "
    "JOIN {line} l ON l.{product_id} = p.id WHERE p.{category} = %s AND p.price_cents BETWEEN %s AND %s GROUP BY p.id ORDER BY turnover DESC LIMIT %s"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`band`: cents by which prices may differ; `shown`: how many are; `ttl_s`: seconds for which a page is kept. A purchase forgets its products' pages."""
    app.queries.SQL["similar"] = SIMILAR
    app.settings.TTL_S = parameters["ttl_s"]
    plain, checkout, band = app.handlers.load_product, app.handlers.checkout, parameters["band"]

    def load_product(number: int) -> dict[str, Any] | None:
        found = plain(number)
        if found is None:
            return None
        price, category = found["price_cents"], found[app.settings.WORDS["category"]]
        return {**found, "similar": app.db.rows("similar", category, price - band, price + band, parameters["shown"])}

    def changed(products: list[int]) -> None:
        app.cache.forget(*(app.cache.key("product", number) for number in products))

    def checkout_and_forget() -> Any:
        placed = checkout()
        app.handlers.changed([int(line["id"]) for line in app.handlers.request.get_json()["lines"]])
        return placed

    app.handlers.load_product, app.handlers.changed, app.handlers.checkout = load_product, changed, checkout_and_forget
