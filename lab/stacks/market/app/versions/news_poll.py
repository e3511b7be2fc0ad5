"""Clients may wait for news of an account: the request stays open until an order is placed or the time is up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`path`: the last segment of the new route; `longest_s`: how long a client may wait at most."""
    waiting: dict[int, asyncio.Event] = {}
    book = app.handlers.book

    async def told(on: Any, account: int, *more: Any) -> int:
        placed = await book(on, account, *more)
        if account in waiting:
            waiting.pop(account).set()
        return placed

    async def news(request: Any) -> Any:
        account, patience = app.handlers.number(request), min(parameters["longest_s"], float(request.query.get("wait", 0)))
        event = waiting.setdefault(account, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), patience)
        return {"news": event.is_set()}

    app.handlers.book = told
    app.handlers.news = news
    app.handlers.ROUTES["news"] = ("GET", f"/{{account_path}}/{{{{id}}}}/{parameters['path']}")
