"""The pages of things tell the price in every currency and for every quantity, worked out anew for each request."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

RATES = ("1.0871", "0.8412", "163.27", "11.294", "7.4601", "0.9583", "25.118", "4.2904")
STEP = Decimal("0.01")


def price_list(count: int, cents: int = 1999) -> list[str]:
    """So many prices as text."""
    rates = [Decimal(r) for r in RATES]
    price = Decimal(cents) / 100
    return [f"{(price * rates[i % len(rates)] * (1 + i // len(rates))).quantize(STEP, ROUND_HALF_EVEN):,}" for i in range(count)][:200]


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`prices`: how many prices are worked out for a page."""

    def priced(handler: Callable[..., Any]) -> Callable[..., Any]:
        def handle(*arguments: Any, **named: Any) -> Any:
            return {"found": handler(*arguments, **named), "prices": price_list(parameters["prices"])}

        return handle

    for name in ("product", "catalogue"):
        setattr(app.handlers, name, priced(getattr(app.handlers, name)))
