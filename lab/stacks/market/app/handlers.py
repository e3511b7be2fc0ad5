"""One plain function a route. The server looks each up by its name at every call, so that a version of the code can replace it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aiohttp import web
from app import cache, db, partner, reports, settings

#: handler → method and path; words in double braces are path segments of this installation, ``{id}`` is the variable part.
ROUTES = {
    "watchlist": ("GET", "/{account_path}/{{id}}/{watch_path}"),
    "page": ("GET", "/{item_path}/{{id}}"),
    "search": ("GET", "/{item_path}"),
    "place": ("POST", "/{trade_path}"),
    "portfolio": ("GET", "/{account_path}/{{id}}/{portfolio_path}"),
    "history": ("GET", "/{account_path}/{{id}}/{trade_path}"),
    "statement": ("GET", "/{account_path}/{{id}}/{statement_path}"),
}

FEE = Decimal("0.0025")


def number(request: web.Request) -> int:
    """The ``{id}`` of the path."""
    try:
        return int(request.match_info["id"])
    except ValueError:
        raise web.HTTPNotFound from None


async def watchlist(request: web.Request) -> Any:
    """What an account watches, at the prices of this moment: one query, one call of the partner for all of them."""
    found = await db.rows("watchlist", number(request))
    prices = await partner.quotes([row["id"] for row in found]) if found else {}
    return [{**row, "now": prices.get(row["id"])} for row in found]


async def page(request: web.Request) -> Any:
    """A thing with its latest orders, through the cache."""
    item = number(request)
    found = await cache.through("page", item, lambda: load_page(item))
    if found is None:
        raise web.HTTPNotFound
    return found


async def load_page(item: int) -> dict[str, Any] | None:
    """A page from the database."""
    async with db.connection() as on:
        found = await db.row("page", item, on=on)
        return None if found is None else {**found, "recent": await db.rows("recent", item, on=on)}


async def search(request: web.Request) -> Any:
    """Things whose title begins with the text asked for."""
    text = request.query.get("q", "").replace("%", "").replace("_", "")
    return await db.rows("search", text + "%")


async def place(request: web.Request) -> Any:
    """An order: the price is asked for first, the transaction is short, and the partner is told after it."""
    order = await request.json()
    account, item, quantity = int(order["account"]), int(order["item"]), int(order["quantity"])
    price = (await partner.quotes([item]))[item]
    async with db.transaction() as on:
        placed = await book(on, account, item, quantity, price)
    reference = await partner.confirm(placed, item, quantity)
    await db.change("confirm", reference, placed)
    return {"id": placed, "price": price, "reference": reference}


async def book(on: Any, account: int, item: int, quantity: int, price: float) -> int:
    """What an order writes: the balance of its account, the order, the holding. Returns the order's number."""
    total = round(Decimal(str(price)) * quantity, 2)
    fee = round(total * FEE, 2)
    if await db.row("lock_account", account, on=on) is None:
        raise web.HTTPNotFound
    await db.change("charge", total + fee, account, on=on)
    placed = await db.change("place", account, item, "buy", quantity, price, fee, on=on)
    await db.change("hold", account, item, quantity, total, on=on)
    return placed


async def portfolio(request: web.Request) -> Any:
    """What an account holds and what it is worth: one joined query."""
    return value(await holdings(number(request)))


async def holdings(account: int) -> list[dict[str, Any]]:
    """The holdings of an account with what is known of each thing."""
    return await db.rows("portfolio", account)


def value(held: list[dict[str, Any]]) -> dict[str, Any]:
    """Holdings with their worth, and sums by sector."""
    w, sums = settings.WORDS, {}
    for row in held:
        row["worth"] = round(float(row[w["price"]]) * int(row[w["quantity"]]), 2)
        sums[row[w["sector"]]] = sums.get(row[w["sector"]], 0.0) + row["worth"]
    return {"holdings": held, "sectors": {k: round(v, 2) for k, v in sorted(sums.items())}, "worth": round(sum(sums.values()), 2)}


async def history(request: web.Request) -> Any:
    """A page of orders, newest first; the next page begins before the last key of this one."""
    before, size = int(request.query.get("before", 1 << 40)), min(100, int(request.query.get("size", 25)))
    found = await db.rows("history", number(request), before, size)
    return {"orders": found, "before": found[-1]["id"] if len(found) == size else None}


async def statement(request: web.Request) -> Any:
    """A statement over an account's last orders, written in a thread."""
    account, last = number(request), min(1000, int(request.query.get("last", 100)))
    async with db.connection() as on:
        owner = await db.row("account", account, on=on)
        if owner is None:
            raise web.HTTPNotFound
        trades = await db.rows("history", account, 1 << 40, last, on=on)
    return await reports.run(reports.write, owner, trades, settings.WORDS)
