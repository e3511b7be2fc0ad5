"""Large orders ask for a price by quantity, with a field that the partner was expected to know by now."""

from __future__ import annotations

from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`above`: the quantity from which on an order is a large one."""
    plain = app.partner.quotes

    async def place(request: Any) -> Any:
        order = await request.json()
        account, item, quantity = int(order["account"]), int(order["item"]), int(order["quantity"])
        price = await tiered(item, quantity) if quantity > parameters["above"] else (await plain([item]))[item]
        async with app.db.transaction() as on:
            placed = await app.handlers.book(on, account, item, quantity, price)
        reference = await app.partner.confirm(placed, item, quantity)
        await app.db.change("confirm", reference, placed)
        return {"id": placed, "price": price, "reference": reference}

    async def tiered(item: int, quantity: int) -> float:
        answer = await app.partner.ask("quotes", {"tiers": [{"item": item, "quantity": quantity}]})
        return float(answer["prices"][str(item)])

    app.handlers.place = place
