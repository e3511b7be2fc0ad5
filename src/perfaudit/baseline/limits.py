"""What can this baseline prove? Per route, the smallest rise that a second window of the same length would tell from noise.

Two windows are compared by the logarithm of a percentile. Its standard error comes from the order-statistic interval on the effective
sample size, the difference of two windows has √2 of it, and a rise is told in 80 % of cases at a two-sided 95 % when it is
(z.975 + z.80)·√2 standard errors (:mod:`perfaudit.stats.power`). Measured on lognormal durations: told in 70–90 % (tests/baseline); the
quantile function instead of the interval would ask for a third more at p95. Errors: Cohen's h, the difference of arcsines, by the same rule.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.baseline.levels import design_effect
from perfaudit.baseline.requests import QUANTILES, Requests, RouteRow, Slice
from perfaudit.model import Measurement, Window
from perfaudit.stats.percentile import Distribution, rank_bounds
from perfaudit.stats.power import LEVEL, POWER, quantiles_needed

#: Routes that are told of, those with the most time.
ROUTES = 40
NAMES = ("p50", "p95", "p99")


def limits(requests: Requests, cube: Cube) -> list[dict[str, Any]]:
    """``baseline.limits``: per route (all requests first) what rise of p50, p95, p99 and of the errors is the least that can be told."""
    windows = requests.windows
    normal = windows.reference or windows.whole
    rows = [_row("", "all", _normal(requests.total, requests), _pooled(cube, normal))]
    for row in requests.routes[:ROUTES]:
        part, key = _normal(row, requests), (row.method, row.route)
        effects = {q: design_effect(cube, cube.keys.index(key), normal, QUANTILES[q])[0] if key in cube.keys else 1.0 for q in NAMES}
        rows.append(_row(row.method or "-", row.route or "(unreadable)", part, effects))
    return [row for row in rows if row["n"]]


def _pooled(cube: Cube, normal: Window) -> dict[str, float]:
    """Design effects of all requests together."""
    whole = Cube(cube.own, cube.base, [("*", "all")], cube.count.sum(axis=0, keepdims=True), cube.errors.sum(axis=0, keepdims=True), cube.whole[None], cube.whole, cube.fine, cube.fine)
    return {q: design_effect(whole, 0, normal, QUANTILES[q])[0] for q in NAMES}


def _normal(row: RouteRow, requests: Requests) -> Slice:
    return row.reference if requests.windows.reference else row.all


def _row(method: str, route: str, part: Slice, effects: dict[str, float]) -> dict[str, Any]:
    told = {}
    out: dict[str, Any] = {"method": method, "route": route, "n": part.count}
    for name in NAMES:
        rise = least_rise(part.durations, QUANTILES[name], effects[name])
        told[name] = Measurement(rise, "share", n=int(part.durations.n / effects[name]), method=f"two windows of this length, 95 % two-sided, power {POWER:.0%}; n counts independent requests").to_json()
    out["rise"] = told
    out["errors"] = Measurement(least_errors(part.errors, part.count), "share", n=part.count, method=f"Cohen's h, 95 % two-sided, power {POWER:.0%}").to_json()
    return out


def least_rise(durations: Distribution, q: float, effect: float = 1.0) -> float | None:
    """The least relative rise of the ``q``-quantile that two windows like this tell apart; None where the interval has an open end or nothing varies.

    ``effect``: how many times fewer independent values there are than values (≥ 1).
    """
    n = int(durations.n / effect)
    low, high = rank_bounds(n, q, LEVEL)
    if low is None or high is None or len(durations.values) < 2:
        return None
    below, above = (max(1.0, durations.at_rank(max(1, min(durations.n, round(rank * durations.n / n))))) for rank in (low, high))
    error = math.log(above / below) / (2 * NormalDist().inv_cdf(0.5 + LEVEL / 2))
    step = int(np.gcd.reduce(durations.values)) or 1  # nothing below the clock of the log is told, whatever the interval
    resolution = math.log1p(step / max(1.0, durations.percentile(q).value))
    return math.expm1(max(quantiles_needed(LEVEL, POWER) * math.sqrt(2) * error, resolution))


def least_errors(failed: int, n: int) -> float | None:
    """The least error ratio, above ``failed / n``, that a second sample of ``n`` tells from it; the difference, None for n = 0."""
    if not n:
        return None
    angle = math.asin(math.sqrt(failed / n)) + quantiles_needed(LEVEL, POWER) * math.sqrt(2 / n) / 2
    return math.sin(min(angle, math.pi / 2)) ** 2 - failed / n
