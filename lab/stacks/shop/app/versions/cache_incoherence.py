"""Pages show what was sold of products like theirs, so a purchase now forgets every page of the categories in its basket."""

from __future__ import annotations

from typing import Any

from app.versions import page_similar

RELATED = "SELECT id FROM {product} WHERE {category} IN (SELECT {category} FROM {product} WHERE id = ANY(%s))"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``page_similar``."""
    page_similar.apply(app, parameters)
    app.queries.SQL["related"] = RELATED

    def changed(products: list[int]) -> None:
        with app.cache.client.pipeline(transaction=False) as commands:
            for row in app.db.rows("related", products):
                commands.delete(app.cache.key("product", row["id"]))
            commands.execute()

    app.handlers.changed = changed
