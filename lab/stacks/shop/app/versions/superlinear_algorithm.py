"""The list of purchases is as long as the client asks for, and tells of each line how much of that thing was bought before."""

from __future__ import annotations

from collections import Counter
from typing import Any

ASKED = (
    "SELECT o.id, o.state, o.total_cents, o.placed_at, l.{product_id}, l.{quantity}, l.price_cents, p.{title} "
    "FROM (SELECT * FROM {purchase} WHERE {customer_id} = %s ORDER BY id DESC LIMIT %s) o "
    "JOIN {line} l ON l.{purchase_id} = o.id JOIN {product} p ON p.id = l.{product_id} ORDER BY o.id DESC, l.id"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`most`: purchases at most; `looking`: what was bought before is found by looking through all lines, for each line."""
    app.queries.SQL["asked"] = ASKED
    thing, many = app.settings.WORDS["product_id"], app.settings.WORDS["quantity"]

    def running(rows: list[dict[str, Any]]) -> None:
        before: Counter[int] = Counter()
        for row in reversed(rows):
            row["before"] = before[row[thing]]
            before[row[thing]] += row[many]

    def looking(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["before"] = sum(other[many] for other in rows if other["placed_at"] < row["placed_at"] and other[thing] == row[thing])

    def purchases(number: int) -> Any:
        rows = app.db.rows("asked", number, min(parameters["most"], app.handlers.request.args.get("last", 15, type=int)))
        (looking if parameters.get("looking") else running)(rows)
        return app.handlers.grouped(rows)

    app.handlers.purchases = purchases
