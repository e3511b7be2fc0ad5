"""Are the durations of both arms in the same unit, and in which steps were they logged?

A log in milliseconds that was read as seconds makes every route a thousand times slower; whole seconds hide whatever is shorter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfaudit.comparison.arms import Arm
from perfaudit.comparison.compare import LEAST_REQUESTS, Compared
from perfaudit.comparison.shift import Least

#: Deciles and median of every route must lie within this factor of the same power of a thousand. Requests behind one lock, the nearest
#: look-alike (tests/cases 002: medians 1,000 times as long on both routes), do not agree so closely.
CLOSE = 1.5
_AT = (0.1, 0.5, 0.9)


def suspicious(compared: Compared) -> str:
    """Why the units cannot be trusted; "" where nothing speaks against them."""
    ratios = [b / a for p in compared.found if p.relevant and min(p.a.n, p.b.n) >= LEAST_REQUESTS for q in _AT if (a := p.a.quantile(q)) > 0 and (b := p.b.quantile(q)) > 0]
    for power in (1000.0, 1_000_000.0):
        for factor in (power, 1 / power):
            if ratios and all(abs(math.log(r / factor)) < math.log(CLOSE) for r in ratios):
                slower = compared.b.name if factor > 1 else compared.a.name
                return f"every route of {slower} takes about {power:,.0f} times as long: the arms were logged in different units (check --log-format)"
    return ""


def coarse(arms: Sequence[Arm], least: Least) -> str:
    """What to know where durations were logged in longer steps than the least difference that was asked for; "" elsewhere."""
    step = max((p.quantum for arm in arms for p in arm.parts.values() if p.durations), default=1)
    if step <= max(1, least.micros):
        return ""
    size = f"{step / 1e6:g} s" if step >= 1e6 else f"{step / 1e3:g} ms" if step >= 1e3 else f"{step} µs"
    return f"durations were logged in steps of {size}: 0 counts as half of one, and a difference of less than one cannot be told, nor be ruled out"
