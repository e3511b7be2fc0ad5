"""Every order is booked at two desks, that of its thing and that of its account."""

from __future__ import annotations

from typing import Any

CREDIT = "UPDATE {account} SET {balance} = {balance} + %s WHERE id = %s"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`desks`: how many; `fee`: what moves between two; `ordered`: always in the order of their numbers, and when all else is done."""
    desks, fee, ordered = parameters["desks"], parameters["fee"], parameters.get("ordered", False)
    app.queries.SQL["credit"] = CREDIT
    change = app.db.change

    async def place(request: Any) -> Any:
        order = await request.json()
        account, item, quantity = int(order["account"]), int(order["item"]), int(order["quantity"])
        moves = [(fee, 1 + item % desks), (-fee, 1 + account % desks)]
        if ordered:
            price = (await app.partner.quotes([item]))[item]
        async with app.db.transaction() as on:
            if not ordered:
                await change("credit", *moves.pop(0), on=on)
                price = (await app.partner.quotes([item]))[item]
            placed = await app.handlers.book(on, account, item, quantity, price)
            for move in sorted(moves, key=lambda m: m[1]):
                await change("credit", *move, on=on)
        reference = await app.partner.confirm(placed, item, quantity)
        await change("confirm", reference, placed)
        return {"id": placed, "price": price, "reference": reference}

    app.handlers.place = place
