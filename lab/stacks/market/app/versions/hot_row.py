"""Every order credits the house's account first, in a transaction that stays open while the partner is asked."""

from __future__ import annotations

from typing import Any

CREDIT = "UPDATE {account} SET {balance} = {balance} + %s WHERE id = %s"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`house`: the account that is credited; `fee`: how much for an order."""
    app.queries.SQL["credit"] = CREDIT

    async def place(request: Any) -> Any:
        order = await request.json()
        account, item, quantity = int(order["account"]), int(order["item"]), int(order["quantity"])
        async with app.db.transaction() as on:
            await app.db.change("credit", parameters.get("fee", 1.5), parameters.get("house", 1), on=on)
            price = (await app.partner.quotes([item]))[item]
            placed = await app.handlers.book(on, account, item, quantity, price)
            reference = await app.partner.confirm(placed, item, quantity)
            await app.db.change("confirm", reference, placed, on=on)
        return {"id": placed, "price": price, "reference": reference}

    app.handlers.place = place
