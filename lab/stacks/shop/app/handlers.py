"""One plain function a route. The server looks each up by its name at every call, so that a version of the code can replace it."""

from __future__ import annotations

from typing import Any

from app import cache, db, partner
from flask import abort, request

#: handler → method and path; words in braces are path segments of this installation, ``<int:number>`` is the variable part.
ROUTES = {
    "catalogue": ("GET", "/{product_path}"),
    "search": ("GET", "/{product_path}/search"),
    "product": ("GET", "/{product_path}/<int:number>"),
    "customer": ("GET", "/{customer_path}/<int:number>"),
    "purchases": ("GET", "/{customer_path}/<int:number>/{purchase_segment}"),
    "checkout": ("POST", "/{purchase_path}"),
    "report": ("GET", "/{report_path}"),
}


def catalogue() -> Any:
    """A page of a category; the next page begins after the last id of this one."""
    return db.rows("catalogue", request.args.get("in", ""), request.args.get("after", 0, type=int))


def search() -> Any:
    """Things whose title begins with the text asked for."""
    return db.rows("search", request.args.get("q", "").replace("%", "").replace("_", "") + "%")


def product(number: int) -> Any:
    """A thing with who bought it last, through the cache."""
    found = cache.through("product", number, lambda: load_product(number))
    return abort(404) if found is None else found


def load_product(number: int) -> dict[str, Any] | None:
    """A product's page from the database."""
    with db.connection() as on:
        found = db.row("product", number, on=on)
        return None if found is None else {**found, "bought": db.rows("bought", number, on=on)}


def customer(number: int) -> Any:
    """A customer's data."""
    found = db.row("customer", number)
    return abort(404) if found is None else found


def purchases(number: int) -> Any:
    """The last purchases of a customer with their lines: one joined query."""
    return grouped(db.rows("purchases", number))


def grouped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Joined rows as purchases with their lines."""
    found: dict[int, dict[str, Any]] = {}
    for r in rows:
        one = found.setdefault(r["id"], {**{k: r[k] for k in ("id", "state", "total_cents", "placed_at")}, "lines": []})
        one["lines"].append({k: v for k, v in r.items() if k not in one})
    return list(found.values())


def checkout() -> Any:
    """A purchase: a short transaction takes the stock and writes it, the payment comes after, outside of it."""
    basket = request.get_json()
    lines = {int(line["id"]): int(line["quantity"]) for line in basket["lines"]}
    with db.transaction() as on:
        placed, total = book(on, int(basket["customer"]), lines)
    reference = partner.charge(placed, total)
    db.change("paid", reference, placed)
    return {"id": placed, "total_cents": total, "reference": reference}


def book(on: db.Connection, customer: int, lines: dict[int, int]) -> tuple[int, int]:
    """What a purchase writes: stock (in order of id, so that two baskets never wait for each other in a circle), purchase, lines."""
    prices = {r["id"]: r["price_cents"] for r in db.rows("prices", list(lines), on=on)}
    total = sum(prices[i] * n for i, n in lines.items() if i in prices)
    for item in sorted(prices):
        db.change("take", lines[item], item, lines[item], on=on)
    placed = db.rows("place", customer, total, on=on)[0]["id"]
    for item in sorted(prices):
        db.change("add", placed, item, lines[item], prices[item], on=on)
    return placed, total


def report() -> Any:
    """What was sold lately, by category."""
    return db.rows("report")
