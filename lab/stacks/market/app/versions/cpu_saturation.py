"""Every answer with prices carries a figure for risk, simulated anew for each request in plain Python."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

HANDLERS = ("page", "watchlist", "portfolio", "search", "history")


def simulate(draws: int, start: float = 100.0, drift: float = 0.0002, spread: float = 0.011) -> float:
    """The value at risk after so many steps of a random walk."""
    value = worst = start
    gauss = random.gauss
    for _ in range(draws):
        value *= 1 + gauss(drift, spread)
        worst = min(worst, value)
    return round(worst, 4)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`draws`: steps of one simulation."""

    def with_risk(handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def handle(request: Any) -> Any:
            return {"answer": await handler(request), "risk": simulate(parameters["draws"])}

        return handle

    for name in HANDLERS:
        setattr(app.handlers, name, with_risk(getattr(app.handlers, name)))
