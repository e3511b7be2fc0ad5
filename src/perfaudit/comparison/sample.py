"""A sample of requests in time bins, of one route or of several with fixed weights, and what can be estimated from it.

Weights make direct standardisation (Keiding & Clayton 2014): with the same weights in both arms a change of mix is no change of the
figures. Every estimate comes with its influence per time bin, so that autocorrelation widens its interval: the long-run variance by equally
weighted cosines, whose few degrees of freedom are told (Lazarus, Lewis, Stock & Watson 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from perfaudit.comparison.arms import Part
from perfaudit.stats.percentile import rank_bounds

#: Cosines as a share of n^(2/3): 0.4 (Lazarus et al. 2018, eq. 3); at least 4, so that a level of 95 % stays within 2.8 standard errors.
COSINES, LEAST_COSINES = 0.4, 4


class Spread(NamedTuple):
    """The variance of an estimate that respects autocorrelation, the one that does not, and the degrees of freedom of the first."""

    variance: float
    plain: float
    freedom: float


class Estimate(NamedTuple):
    """A figure, its interval at the level that was asked for (an end is None without a finite bound), and its spread."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Sample:
    """Routes with weights that sum to 1, merged to ``bins`` time bins; ``size``: bins of the arm that make one of these."""

    parts: Sequence[Part]
    weights: Sequence[float]
    size: int = 1

    @cached_property
    def bins(self) -> int:
        """Time bins, at least 1."""
        return max(1, math.ceil(len(self.parts[0].count) / self.size))

    @cached_property
    def requests(self) -> int:
        """Requests, with or without a duration."""
        return sum(p.requests for p in self.parts)

    @cached_property
    def n(self) -> int:
        """Durations."""
        return sum(p.durations for p in self.parts)

    @cached_property
    def _sorted(self) -> tuple[Any, Any]:
        """Values ascending, and the share of the weighted sample up to and with each."""
        value = np.concatenate([p.value for p in self.parts])
        mass = np.concatenate([p.n * (w / max(1, p.durations)) for p, w in zip(self.parts, self.weights, strict=True)])
        order = np.argsort(value, kind="stable")
        return value[order], np.cumsum(mass[order])

    def quantile(self, q: float) -> float:
        """The ``q``-quantile of the weighted sample in µs (inverse of its distribution function)."""
        value, share = self._sorted
        return float(value[min(int(np.searchsorted(share, q * share[-1] - 1e-9)), len(value) - 1)])

    def _per_bin(self, part: Part, weight: Any) -> Any:
        return np.bincount(part.bin // self.size, weight, self.bins)

    def _counts(self, series: Any) -> Any:
        return np.bincount(np.arange(len(series)) // self.size, series, self.bins)

    def mean_influence(self, values: Sequence[Any]) -> tuple[float, Any, float]:
        """Weighted mean over routes of one value per cell, its influence per bin, shape (bins,), and its variance if requests were independent."""
        mean, influence, plain = 0.0, np.zeros(self.bins), 0.0
        for part, weight, x in zip(self.parts, self.weights, values, strict=True):
            n = part.durations
            if not n:
                continue
            own = float(part.n @ x) / n
            mean += weight * own
            influence += weight * self.bins / n * self._per_bin(part, part.n * (x - own))
            plain += weight**2 * float(part.n @ (x - own) ** 2) / n / max(1, n - 1)
        return mean, influence, plain

    def above(self, bound: float) -> tuple[float, Any, float]:
        """The weighted share of durations above ``bound`` (µs), with influence and plain variance as :meth:`mean_influence`."""
        return self.mean_influence([(p.value > bound).astype(np.float64) for p in self.parts])

    def failed(self) -> tuple[float, Any, float]:
        """The weighted error ratio, with influence and plain variance; requests without a duration count too."""
        mean, influence, plain = 0.0, np.zeros(self.bins), 0.0
        for part, weight in zip(self.parts, self.weights, strict=True):
            n = part.requests
            if not n:
                continue
            own = float(part.errors.sum()) / n
            mean += weight * own
            influence += weight * self.bins / n * self._counts(part.errors - own * part.count)
            plain += weight**2 * own * (1 - own) / n
        return mean, influence, plain

    def percentile(self, q: float, level: float) -> Estimate:
        """The ``q``-quantile in µs with the order-statistic interval on the effective sample size."""
        value = self.quantile(q)
        n = _effective(*self.above(value), self.n, level)
        low, high = rank_bounds(n, q, level)
        return Estimate(value, None if low is None else self.quantile(low / n), None if high is None else self.quantile(high / n))

    def tail_influence(self, q: float) -> Any:
        """Influence per bin of the share above the ``q``-quantile, shape (bins,)."""
        return self.above(self.quantile(q))[1]

    def error_ratio(self, level: float) -> Estimate:
        """The weighted error ratio with a Wilson interval on the effective sample size."""
        share, influence, plain = self.failed()
        n = _effective(share, influence, plain, self.requests, level)
        low, high = _wilson(share, n, level)
        return Estimate(share, low, high)


def _effective(share: float, influence: Any, plain: float, n: int, level: float) -> int:
    """Independent requests that would tell a share as well as these do, never more than there are; few degrees of freedom cost some."""
    if not 0 < share < 1:
        return n
    spread = spread_of(influence, plain)
    return max(1, min(n, int(share * (1 - share) / (spread.variance * (student(level, spread.freedom) / student(level, math.inf)) ** 2) + 1e-9)))


def _wilson(share: float, n: int, level: float) -> tuple[float, float]:
    """Wilson (1927) for a share of an effective sample size: no count need be whole."""
    z = student(level, math.inf)
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def spread_of(influence: Any, plain: float) -> Spread:
    """The variance of an estimate from its influence per bin, shape (bins,), never below ``plain``."""
    n = len(influence)
    cosines = max(LEAST_COSINES, round(COSINES * n ** (2 / 3)))
    if n < 2 * cosines:
        return Spread(plain, plain, math.inf)
    at = np.arange(n) + 0.5
    waves = np.cos(np.pi * np.outer(np.arange(1, cosines + 1), at) / n) * math.sqrt(2 / n)
    long_run = float(np.mean((waves @ influence) ** 2)) / n
    return Spread(max(long_run, plain), plain, cosines) if long_run > plain else Spread(plain, plain, math.inf)


def student(level: float, freedom: float) -> float:
    """The two-sided critical value of Student's t (normal for infinite ``freedom``)."""
    if math.isinf(freedom):
        from statistics import NormalDist

        return NormalDist().inv_cdf(0.5 + level / 2)
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))
