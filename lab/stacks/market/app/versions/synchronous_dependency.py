"""Who looked at which account is entered in the partner's journal, as the auditors asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`routes`: handlers whose requests are entered; `beside`: the answer does not wait for the entry."""
    entries: set[asyncio.Task[Any]] = set()

    async def entered(account: int, what: int) -> None:
        try:
            await app.partner.confirm(account, what, 0)
        except app.partner.PartnerError:
            logging.getLogger("app").warning("not entered", extra={"more": {"account": account}})

    def audited(handler: Callable[[Any], Any], what: int) -> Callable[[Any], Any]:
        async def wrapped(request: Any) -> Any:
            entry = entered(app.handlers.number(request), what)
            if parameters.get("beside"):
                task = asyncio.create_task(entry)
                entries.add(task)
                task.add_done_callback(entries.discard)
            else:
                await entry
            return await handler(request)

        return wrapped

    for what, name in enumerate(parameters["routes"]):
        setattr(app.handlers, name, audited(getattr(app.handlers, name), what))
