"""Calls of the partner are numbered, so that it can tell a repeated one; one lock keeps the numbers in order until the answer is there."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`first`: the number of the first call."""
    numbers = itertools.count(parameters.get("first", 1))
    turn = asyncio.Lock()
    attempt = app.partner.attempt

    async def in_order(call: str, body: dict[str, Any]) -> dict[str, Any]:
        async with turn:
            return await attempt(call, {**body, "number": next(numbers)})

    app.partner.attempt = in_order
