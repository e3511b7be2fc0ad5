"""A page also shows what is like its thing: others of the sector at such a price, by what was traded of them. Costly, so it is kept longer."""

from __future__ import annotations

from typing import Any

SIMILAR = (
    "SELECT i.id, i.{code}, i.{title}, i.{price}, COUNT(*) AS orders, SUM(t.{quantity} * t.{price}) AS volume FROM {item} i "
    "JOIN {trade} t ON t.{item_id} = i.id WHERE i.{sector} = %s AND i.{price} BETWEEN %s AND %s GROUP BY i.id ORDER BY volume DESC LIMIT 10"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`band`: how far prices may differ; `ttl_s`: seconds for which a page is kept. An order forgets the page of its thing."""
    app.queries.SQL["similar"] = SIMILAR
    app.settings.TTL_S = parameters["ttl_s"]
    plain, place, band = app.handlers.load_page, app.handlers.place, parameters["band"]

    async def load_page(item: int) -> dict[str, Any] | None:
        found, w = await plain(item), app.settings.WORDS
        if found is None:
            return None
        price = float(found[w["price"]])
        return {**found, "similar": await app.db.rows("similar", found[w["sector"]], price - band, price + band)}

    async def changed(item: int) -> None:
        await app.cache.forget(app.cache.key("page", item))

    async def place_and_forget(request: Any) -> Any:
        placed = await place(request)
        await app.handlers.changed(int((await request.json())["item"]))
        return placed

    app.handlers.load_page, app.handlers.changed, app.handlers.place = load_page, changed, place_and_forget
