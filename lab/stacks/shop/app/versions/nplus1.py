"""The list of purchases loads each purchase's lines, and each line's product, by a query of its own."""

from __future__ import annotations

from typing import Any

HEADS = "SELECT id, state, total_cents, placed_at FROM {purchase} WHERE {customer_id} = %s ORDER BY id DESC LIMIT 15"
LINES = "SELECT {product_id}, {quantity}, price_cents FROM {line} WHERE {purchase_id} = %s ORDER BY id"
TITLE = "SELECT {title} FROM {product} WHERE id = %s"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`titles`: whether each line's product is asked for too."""
    app.queries.SQL.update(heads=HEADS, lines=LINES, one_title=TITLE)
    word = app.settings.WORDS["product_id"]

    def purchases(number: int) -> Any:
        with app.db.connection() as on:
            found = app.db.rows("heads", number, on=on)
            for one in found:
                one["lines"] = app.db.rows("lines", one["id"], on=on)
                if parameters.get("titles", True):
                    for line in one["lines"]:
                        line.update(app.db.row("one_title", line[word], on=on) or {})
            return found

    app.handlers.purchases = purchases
