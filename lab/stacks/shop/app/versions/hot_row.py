"""Every purchase counts itself in the day's row first, in a transaction that stays open while the payment is taken."""

from __future__ import annotations

from typing import Any

COUNT = "UPDATE {counter} SET value = value + 1 WHERE name = %s"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`row`: the name of the counter."""
    app.queries.SQL["count"] = COUNT

    def checkout() -> Any:
        basket = app.handlers.request.get_json()
        lines = {int(line["id"]): int(line["quantity"]) for line in basket["lines"]}
        with app.db.transaction() as on:
            app.db.change("count", parameters.get("row", "day-1"), on=on)
            placed, total = app.handlers.book(on, int(basket["customer"]), lines)
            reference = app.partner.charge(placed, total)
            app.db.change("paid", reference, placed, on=on)
        return {"id": placed, "total_cents": total, "reference": reference}

    app.handlers.checkout = checkout
