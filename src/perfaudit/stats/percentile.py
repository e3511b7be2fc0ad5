"""Percentiles of weighted values and of series, with intervals from order statistics.

A percentile is the value of rank ⌈q·n⌉ (NumPy's ``inverted_cdf``, Hyndman & Fan 1996, type 1): always a value that was seen.
Values in time order depend on each other; their interval takes the *effective* sample size, that of the exceedances.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.variance import long_run_variance

Values = NDArray[Any]


class Interval(NamedTuple):
    """An estimate with a two-sided interval; an end is None where the sample is too small for a finite bound."""

    value: float
    low: float | None
    high: float | None


class Distribution:
    """Distinct ``values`` (ascending) and how often each was seen: percentiles of any size sample in one pass.

    ``values``: shape (k,), any unit, ``counts``: shape (k,), integers ≥ 1. Merging is addition.
    """

    def __init__(self, values: Values, counts: Values) -> None:
        order = np.argsort(values, kind="stable")
        self.values = np.asarray(values)[order]
        self.counts = np.asarray(counts)[order].astype(np.int64)
        self._ranks = np.cumsum(self.counts)

    @property
    def n(self) -> int:
        """Sample size."""
        return int(self._ranks[-1]) if len(self._ranks) else 0

    @property
    def total(self) -> float:
        """Sum of all values."""
        return float(np.dot(self.values.astype(np.float64), self.counts))

    def at_rank(self, rank: int) -> float:
        """The value of 1-based ``rank``."""
        return float(self.values[int(np.searchsorted(self._ranks, rank, side="left"))])

    def percentile(self, q: float, level: float = 0.95, effective: float | None = None) -> Interval:
        """The ``q``-quantile (0 < q ≤ 1) with its two-sided order-statistic interval, for as many ``effective`` values as are told
        (default: all are independent). Raises ``ValueError`` when empty."""
        if self.n == 0:
            raise ValueError("no values")
        low, high = scaled_bounds(self.n, self.n if effective is None else effective, q, level)
        value = self.at_rank(max(1, math.ceil(q * self.n - 1e-9)))
        return Interval(value, None if low is None else self.at_rank(low), None if high is None else self.at_rank(high))

    def share_above(self, bound: float) -> float:
        """The share of values greater than ``bound``."""
        return 0.0 if self.n == 0 else float(self.counts[self.values > bound].sum()) / self.n

    def plus(self, other: Distribution) -> Distribution:
        """Both samples together."""
        return Distribution(np.concatenate([self.values, other.values]), np.concatenate([self.counts, other.counts]))


def effective_size(exceeds: Any) -> float:
    """Independent observations that an indicator in time order, shape (n,), is worth: n · variance / long-run variance, at most n.

    The larger of two long-run variances counts, since exceedances come in clusters and each estimate misses some: the prewhitened
    one, and that of batch means with √n batches (Law & Kelton 2000, §9.5.3). An indicator that never changes is worth what it is.
    """
    x = np.asarray(exceeds, np.float64).ravel()
    n = len(x)
    variance = float(x.var()) if n else 0.0
    if variance <= 0 or n < 4:
        return float(n)
    longrun = long_run_variance(x)
    length = max(2, round(math.sqrt(n)))
    batches = n // length
    if batches >= 2:
        means = x[n - batches * length :].reshape(batches, length).mean(axis=1)
        longrun = max(longrun, length * float(means.var(ddof=1)))
    return min(float(n), max(1.0, n * variance / longrun)) if longrun > 0 else float(n)


def percentile_interval(x: Any, q: float, level: float = 0.95) -> Interval:
    """The ``q``-quantile (0 < q < 1) of a series in time order, shape (n,), with an interval on its effective sample size.

    The binomial ranks of :func:`rank_bounds` for n_eff values, as shares of n. An end is None where n_eff is too small for a finite
    bound: p99 needs 368, p99.9 3,688 for both. NaN is left out. Raises ``ValueError`` for an empty series or an infinite value.
    """
    values = np.asarray(x, np.float64).ravel()
    values = values[~np.isnan(values)]
    n = len(values)
    if n == 0:
        raise ValueError("no values")
    if np.isinf(values).any():
        raise ValueError("x: holds an infinite value")
    if not 0 < q < 1:
        raise ValueError("q must lie between 0 and 1")
    ordered = np.sort(values)
    value = float(ordered[max(1, math.ceil(q * n - 1e-9)) - 1])
    reaches = values >= value  # with ties nothing may lie above
    low, high = scaled_bounds(n, effective_size(values > value if reaches.all() else reaches), q, level)
    return Interval(value, None if low is None else float(ordered[low - 1]), None if high is None else float(ordered[high - 1]))


def scaled_bounds(n: int, effective: float, q: float, level: float = 0.95) -> tuple[int | None, int | None]:
    """1-based ranks among ``n`` values that are worth ``effective`` independent ones: :func:`rank_bounds` of those, as shares of n."""
    worth = min(n, math.floor(effective + 1e-9))
    low, high = rank_bounds(worth, q, level)
    times = n / max(1, worth)
    first = None if low is None else max(1, math.floor((low - 1) * times) + 1)
    last = None if high is None else math.ceil((high - 1) * times) + 1
    return first, None if last is None or last > n else last


@lru_cache(maxsize=4096)
def rank_bounds(n: int, q: float, level: float = 0.95) -> tuple[int | None, int | None]:
    """1-based ranks whose order statistics bound the ``q``-quantile of ``n`` independent values with at least ``level``.

    Exact binomial (Hahn & Meeker 1991, §5.2). None where no finite bound exists: p99 needs n ≥ 368 for both at 95 %.
    """
    if q >= 1 or n <= 0:
        return None, None
    tail = (1 - level) / 2
    spread = math.sqrt(n * q * (1 - q))
    first = max(0, math.floor(n * q - 12 * spread - 40))
    last = min(n, math.ceil(n * q + 12 * spread + 40))
    k = np.arange(first, last + 1, dtype=np.float64)
    start = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1) + first * math.log(q) + (n - first) * math.log1p(-q)
    steps = np.log((n - k[:-1]) / (k[:-1] + 1)) + math.log(q) - math.log1p(-q)
    below = np.cumsum(np.exp(start + np.concatenate([[0.0], np.cumsum(steps)])))  # P(X <= k)
    # Lower rank l: P(X < l) <= tail, that is P(X <= l - 1) <= tail.
    under = np.flatnonzero(below <= tail)
    low = int(k[under[-1]]) + 1 if len(under) else (first if first > 0 else None)
    # Upper rank u: P(X >= u) <= tail, that is P(X <= u - 1) >= 1 - tail.
    over = np.flatnonzero(below >= 1 - tail)
    high = int(k[over[0]]) + 1 if len(over) else None
    return low, high if high is not None and high <= n else None


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a proportion (Wilson 1927). ``(0, 1)`` for n = 0."""
    if n == 0:
        return 0.0, 1.0
    from statistics import NormalDist

    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = successes / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
    return 0.0 if successes == 0 else max(0.0, low), 1.0 if successes == n else min(1.0, high)
