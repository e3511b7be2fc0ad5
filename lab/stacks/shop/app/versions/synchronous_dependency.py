"""Whoever looks at a customer is entered in the partner's journal, as the auditors asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`routes`: handlers whose requests are entered; `beside`: so many threads do it, and the answer does not wait for the entry."""
    beside = ThreadPoolExecutor(parameters["beside"]) if parameters.get("beside") else None

    def entered(customer: int, what: int) -> None:
        app.partner.call("POST", "/entries", {"customer": customer, "what": what})

    def audited(handler: Callable[..., Any], what: int) -> Callable[..., Any]:
        def wrapped(number: int) -> Any:
            if beside:
                beside.submit(entered, number, what)
            else:
                entered(number, what)
            return handler(number)

        return wrapped

    for what, name in enumerate(parameters["routes"]):
        setattr(app.handlers, name, audited(getattr(app.handlers, name), what))
