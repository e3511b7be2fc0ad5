"""The partner's client: quotes for a list of things, and the confirmation of an order."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from app import metrics, settings

session: aiohttp.ClientSession


class PartnerError(Exception):
    """The partner did not answer as it should."""


async def start() -> None:
    """Opens the session."""
    global session
    session = aiohttp.ClientSession(
        settings.PARTNER_URL,
        connector=aiohttp.TCPConnector(limit=settings.PARTNER_CONNECTIONS, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=settings.PARTNER_TIMEOUT_S),
    )


async def stop() -> None:
    """Closes the session."""
    await session.close()


async def attempt(call: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call. Raises PartnerError where it fails or takes too long."""
    began, outcome = time.perf_counter(), "ok"
    try:
        async with session.post(f"/{call}", json=body) as answer:
            if answer.status >= 500:
                outcome = "error"
                raise PartnerError(f"{call}: status {answer.status}")
            return await answer.json()
    except TimeoutError as error:
        outcome = "timeout"
        raise PartnerError(f"{call}: no answer within {settings.PARTNER_TIMEOUT_S} s") from error
    except aiohttp.ClientError as error:
        outcome = "error"
        raise PartnerError(f"{call}: {error}") from error
    finally:
        metrics.partner_calls.labels(call, outcome).observe(time.perf_counter() - began)


async def ask(call: str, body: dict[str, Any]) -> dict[str, Any]:
    """A call, tried again a little later where it fails."""
    for again in range(settings.PARTNER_RETRIES + 1):
        if again:
            metrics.partner_retries.inc()
            await asyncio.sleep(0.05 * 2**again)
        try:
            return await attempt(call, body)
        except PartnerError:
            if again == settings.PARTNER_RETRIES:
                raise
    raise AssertionError


async def quotes(items: list[int]) -> dict[int, float]:
    """The present price of each."""
    answer = await ask("quotes", {"items": items})
    return {int(item): price for item, price in answer["prices"].items()}


async def confirm(order: int, item: int, quantity: int) -> str:
    """Tells the partner of an order; the reference under which it is kept there."""
    return str((await ask("confirm", {"order": order, "item": item, "quantity": quantity}))["reference"])
