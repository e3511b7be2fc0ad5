"""Are the durations of both arms in the same unit? A log in milliseconds that was read as seconds makes every route a thousand times slower."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfaudit.comparison.compare import Compared

#: Every route's median must lie within this factor of the same power of a thousand: real changes of that size do not agree so closely.
CLOSE = 2.0


def suspicious(compared: Compared) -> str:
    """Why the units cannot be trusted; "" where nothing speaks against them."""
    ratios = [b / a for p in compared.found if p.a.n and p.b.n and (a := p.a.quantile(0.5)) > 0 and (b := p.b.quantile(0.5)) > 0]
    for power in (1000.0, 1_000_000.0):
        for factor in (power, 1 / power):
            if ratios and all(abs(math.log(r / factor)) < math.log(CLOSE) for r in ratios):
                slower = compared.b.name if factor > 1 else compared.a.name
                return f"every route of {slower} takes about {power:,.0f} times as long: the arms were logged in different units (check --log-format)"
    return ""
