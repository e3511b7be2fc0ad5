"""A purchase and its payment are one transaction, so that nothing is ever written that was not paid."""

from __future__ import annotations

from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Takes no parameters."""

    def checkout() -> Any:
        basket = app.handlers.request.get_json()
        lines = {int(line["id"]): int(line["quantity"]) for line in basket["lines"]}
        with app.db.transaction() as on:
            placed, total = app.handlers.book(on, int(basket["customer"]), lines)
            reference = app.partner.charge(placed, total)
            app.db.change("paid", reference, placed, on=on)
        return {"id": placed, "total_cents": total, "reference": reference}

    app.handlers.checkout = checkout
