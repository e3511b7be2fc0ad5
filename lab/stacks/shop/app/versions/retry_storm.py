"""The partner's client became impatient: it gives up on a call early, and calls again at once, several times."""

from __future__ import annotations

from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`timeout_s`: for one call; `retries`: attempts after the first."""
    app.settings.PARTNER_TIMEOUT_S = parameters["timeout_s"]
    app.settings.PARTNER_RETRIES = parameters["retries"]
