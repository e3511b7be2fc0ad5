"""Are the durations of both arms in the same unit? A log in milliseconds that was read as seconds makes every route a thousand times slower."""

from __future__ import annotations

import math

from perfaudit.comparison.compare import LEAST_REQUESTS, Compared

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
