"""The largest load at which an objective is kept, with an interval.

Latency does not fall while load rises: isotonic regression (Barlow et al. 1972; pool adjacent violators) draws the curve, the load at
which it crosses the bound is the capacity. Intervals: moving blocks of intervals (Künsch 1989); with few separate runs the two loads
between which the objective broke.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats import usl
from perfaudit.stats.percentile import Interval

Array = NDArray[np.float64]

#: Below this many points the interval is the pair of loads around the crossing: a bootstrap of fewer repeats few values.
FEW = 30
REPLICATES = 300
LEVEL = 0.95
_SEED = 19_720_101
#: Loads at which the model is asked for, up to its reach.
GRID = 400


@dataclass(frozen=True)
class Capacity:
    """The largest load that keeps a bound. ``kept``: at ``all`` loads seen, at ``some``, at ``none``; ``load`` is None for ``none``."""

    kept: str
    load: Interval | None
    n: int
    method: str


def largest(load: Array, measured: Array, bound: float, *, block: int = 1) -> Capacity | None:
    """``load``: what was imposed, ``measured``: the latency (or error share) there, shape (n,); NaN is left out. None below 3 points."""
    known = np.isfinite(measured) & np.isfinite(load)
    load, measured = load[known], measured[known]
    n = len(load)
    if n < 3:
        return None
    value, below, above = _crossing(load, measured, bound)
    if below is None:
        return Capacity("none", None, n, "broken at every load seen")
    if above is None:
        most = float(load.max())
        return Capacity("all", Interval(most, most, None), n, "kept at every load seen")
    if n < FEW:
        return Capacity("some", Interval(value, below, above), n, "between the largest load that kept it and the next one")
    rng = np.random.default_rng(_SEED)
    starts = rng.integers(0, n - block + 1, (REPLICATES, -(-n // block)))
    picks = (starts[:, :, None] + np.arange(block)).reshape(REPLICATES, -1)[:, :n]
    found = []
    for i in picks:
        crossed, low, high = _crossing(load[i], measured[i], bound)
        found.append(0.0 if low is None else math.inf if high is None else crossed)
    ends = np.quantile(found, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], method="inverted_cdf")
    return Capacity("some", Interval(value, min(float(ends[0]), value), None if math.isinf(ends[1]) else max(float(ends[1]), value)), n, "isotonic regression, moving blocks")


def _crossing(load: Array, measured: Array, bound: float) -> tuple[float, float | None, float | None]:
    """Where the isotonic curve crosses ``bound``; the last load below it (None: none), the first above it (None: none)."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(load, kind="stable")
    x, y = load[order], np.log(np.maximum(measured[order], 1e-12))
    levels, first, count = np.unique(x, return_index=True, return_counts=True)
    fitted = isotonic_regression(np.add.reduceat(y, first) / count, weights=count.astype(float)).x
    over = np.flatnonzero(fitted > math.log(max(bound, 1e-12)))
    if not len(over):
        return float(levels[-1]), float(levels[-1]), None
    k = int(over[0])
    if k == 0:
        return 0.0, None, float(levels[0])
    share = (math.log(max(bound, 1e-12)) - fitted[k - 1]) / (fitted[k] - fitted[k - 1])
    return float(levels[k - 1] + min(1.0, max(0.0, share)) * (levels[k] - levels[k - 1])), float(levels[k - 1]), float(levels[k])


def modelled(law: usl.Scalability, measured: float, at: float, bound: float) -> Interval:
    """Throughput up to which ``bound`` would be kept if latency grew with the mean of the law, N/X(N), from ``measured`` at load ``at``.

    Only within the law's reach: an answer at its edge is a lower bound (no high end).
    """
    grid = np.geomspace(max(law.smallest, 1e-9), law.reach, GRID)
    point = np.array([[law.gamma.value, law.sigma.value, law.kappa.value]])
    found = [_most(grid, p[None], measured, at, bound) for p in (point[0], *law.draws)]
    edge = max(float(usl.law(law.reach, point)[0]), 0.0)
    low, high = np.quantile(found[1:], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Interval(found[0], min(float(low), found[0]), None if found[0] >= edge * (1 - 1e-9) else max(float(high), found[0]))


def _most(grid: Array, p: Array, measured: float, at: float, bound: float) -> float:
    x = usl.law(grid, p)[0]
    latency = measured * (grid / x) / (at / float(usl.law(at, p)[0]))
    kept = latency <= bound
    return float(x[kept].max()) if kept.any() else 0.0
