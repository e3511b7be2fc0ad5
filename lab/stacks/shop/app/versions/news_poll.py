"""Clients may wait for news of a customer: the request keeps its thread until a purchase is placed or the time is up."""

from __future__ import annotations

import threading
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`path`: the last segment of the new route; `longest_s`: how long a client may wait at most."""
    waiting: dict[int, threading.Event] = {}
    book = app.handlers.book

    def told(on: Any, customer: int, lines: dict[int, int]) -> Any:
        placed = book(on, customer, lines)
        if customer in waiting:
            waiting.pop(customer).set()
        return placed

    def news(number: int) -> Any:
        event = waiting.setdefault(number, threading.Event())
        event.wait(min(parameters["longest_s"], app.handlers.request.args.get("wait", 0, type=float)))
        return {"news": event.is_set()}

    app.handlers.book = told
    app.handlers.news = news
    app.handlers.ROUTES["news"] = ("GET", f"/{{customer_path}}/<int:number>/{parameters['path']}")
