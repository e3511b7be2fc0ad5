"""A route that waits for news of an account: it answers when an order of the account is placed, or with nothing after some seconds."""

from __future__ import annotations

import asyncio
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`wait`: seconds after which there is no news."""
    listeners: dict[int, set[asyncio.Future[int]]] = {}
    plain = app.handlers.book

    async def book(on: Any, account: int, *more: Any) -> int:
        placed = await plain(on, account, *more)
        for one in listeners.get(account, ()):
            if not one.done():
                one.set_result(placed)
        return placed

    async def news(request: Any) -> dict[str, Any]:
        account = app.handlers.number(request)
        one: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        listeners.setdefault(account, set()).add(one)
        try:
            return {"placed": await asyncio.wait_for(one, parameters["wait"])}
        except TimeoutError:
            return {"placed": None}
        finally:
            listeners[account].discard(one)
            if not listeners[account]:
                del listeners[account]

    app.handlers.book, app.handlers.news = book, news
    app.handlers.ROUTES["news"] = ("GET", "/{account_path}/{{id}}/news")
