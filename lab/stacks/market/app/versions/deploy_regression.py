"""A portfolio's worth is stated with a range: a year is played through many times over, and the outcomes are ordered."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any


def outcomes(worth: float, days: int, times: int, swing: float, chance: random.Random) -> list[float]:
    """What it may be worth after so many days, in ascending order."""
    found = []
    for _ in range(times):
        drift = 0.0
        for _ in range(days):
            drift += chance.gauss(0, swing)
        found.append(worth * math.exp(drift))
    return sorted(found)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`days` of a year, `times` that it is played, `swing` of a day."""
    value = app.handlers.value

    async def portfolio(request: Any) -> Any:
        held = value(await app.handlers.holdings(app.handlers.number(request)))
        found = await asyncio.to_thread(outcomes, held["worth"], parameters["days"], parameters["times"], parameters["swing"], random.Random())
        return {**held, "range": [round(found[len(found) // 20], 2), round(found[-1 - len(found) // 20], 2)]}

    app.handlers.portfolio = portfolio
