"""A route that waits for a customer's next purchase: it answers when there is one, or with nothing after some seconds."""

from __future__ import annotations

import threading
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`wait`: seconds after which there is no news."""
    changed, last = threading.Condition(), dict[int, int]()
    plain = app.handlers.book

    def book(on: Any, customer: int, lines: dict[int, int]) -> tuple[int, int]:
        placed, total = plain(on, customer, lines)
        with changed:
            last[customer] = placed
            while len(last) > 1000:
                del last[next(iter(last))]
            changed.notify_all()
        return placed, total

    def news(number: int) -> Any:
        with changed:
            seen = last.get(number)
            changed.wait_for(lambda: last.get(number) != seen, parameters["wait"])
            return {"placed": last[number] if last.get(number) != seen else None}

    app.handlers.book, app.handlers.news = book, news
    app.handlers.ROUTES["news"] = ("GET", "/{customer_path}/<int:number>/news")
