"""The partner's client became impatient: it gives up on a call early, and asks again at once, several times."""

from __future__ import annotations

from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`timeout_s`: for one call; `retries`: attempts after the first."""
    app.settings.PARTNER_TIMEOUT_S = parameters["timeout_s"]
    retries = parameters["retries"]

    async def ask(call: str, body: dict[str, Any]) -> dict[str, Any]:
        for left in range(retries, -1, -1):
            try:
                return await app.partner.attempt(call, body)
            except app.partner.PartnerError:
                if not left:
                    raise
                app.metrics.partner_retries.inc()
        raise AssertionError

    app.partner.ask = ask
