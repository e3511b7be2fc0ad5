"""A sample of requests in time bins, of one route or of several with fixed weights, and what can be estimated from it.

Weights make direct standardisation (Keiding & Clayton 2014): with the same weights in both arms a change of mix is no change of the
figures. Every estimate comes with its influence per time bin, so that autocorrelation widens its interval
(:mod:`perfaudit.stats.lowfrequency`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from perfaudit.comparison.arms import Part
from perfaudit.stats.lowfrequency import LEAST, Uncertainty, constant, mean_uncertainty
from perfaudit.stats.percentile import rank_bounds


class Estimate(NamedTuple):
    """A figure and its interval at the level that was asked for; an end is None without a finite bound."""

    value: float
    low: float | None
    high: float | None


class Mean(NamedTuple):
    """A weighted mean, its influence per time bin, shape (bins,), and its variance if requests were independent."""

    value: float
    influence: Any
    plain: float


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
    def quantum(self) -> int:
        """The step in which durations were logged, µs."""
        return max(p.quantum for p in self.parts)

    @property
    def least(self) -> float:
        """What a duration of 0 counts as: half a step, at least a microsecond."""
        return max(1.0, self.quantum / 2)

    @cached_property
    def distribution(self) -> tuple[Any, Any]:
        """Values ascending, and the share of the weighted sample up to and with each."""
        value = np.concatenate([p.value for p in self.parts])
        mass = np.concatenate([p.n * (w / max(1, p.durations)) for p, w in zip(self.parts, self.weights, strict=True)])
        order = np.argsort(value, kind="stable")
        return value[order], np.cumsum(mass[order])

    def quantile(self, q: float) -> float:
        """The ``q``-quantile of the weighted sample in µs (inverse of its distribution function)."""
        value, share = self.distribution
        return float(value[min(int(np.searchsorted(share, q * share[-1] - 1e-9)), len(value) - 1)])

    def _per_bin(self, part: Part, weight: Any) -> Any:
        return np.bincount(part.bin // self.size, weight, self.bins)

    def _counts(self, series: Any) -> Any:
        return np.bincount(np.arange(len(series)) // self.size, series, self.bins)

    def mean(self, values: Sequence[Any]) -> Mean:
        """The weighted mean over routes of one value per cell."""
        mean, influence, plain = 0.0, np.zeros(self.bins), 0.0
        for part, weight, x in zip(self.parts, self.weights, values, strict=True):
            n = part.durations
            if not n:
                continue
            own = float(part.n @ x) / n
            mean += weight * own
            influence += weight * self.bins / n * self._per_bin(part, part.n * (x - own))
            plain += weight**2 * float(part.n @ (x - own) ** 2) / n / max(1, n - 1)
        return Mean(mean, influence, plain)

    @cached_property
    def log_mean(self) -> Mean:
        """The mean of the logarithm of the durations in µs."""
        return self.mean([np.log(np.maximum(p.value, self.least)) for p in self.parts])

    def above(self, bound: float) -> Mean:
        """The weighted share of durations above ``bound`` (µs)."""
        return self.mean([(p.value > bound).astype(np.float64) for p in self.parts])

    @cached_property
    def failed(self) -> Mean:
        """The weighted error ratio; requests without a duration count too."""
        mean, influence, plain = 0.0, np.zeros(self.bins), 0.0
        for part, weight in zip(self.parts, self.weights, strict=True):
            n = part.requests
            if not n:
                continue
            own = float(part.errors.sum()) / n
            mean += weight * own
            influence += weight * self.bins / n * self._counts(part.errors - own * part.count)
            plain += weight**2 * own * (1 - own) / n
        return Mean(mean, influence, plain)

    @cached_property
    def _tails(self) -> dict[float, tuple[float, Mean, Uncertainty]]:
        return {}

    def tail(self, q: float) -> tuple[float, Mean, Uncertainty]:
        """The ``q``-quantile, the share of durations above it, and the error of that share."""
        if q not in self._tails:
            value = self.quantile(q)
            share = self.above(value)
            self._tails[q] = value, share, uncertainty(share.influence)
        return self._tails[q]

    def percentile(self, q: float, level: float) -> Estimate:
        """The ``q``-quantile in µs with the order-statistic interval on the effective sample size."""
        value, share, error = self.tail(q)
        n = effective(share, error, self.n, level)
        low, high = rank_bounds(n, q, level)
        return Estimate(value, None if low is None else self.quantile(low / n), None if high is None else self.quantile(high / n))

    def error_ratio(self, level: float) -> Estimate:
        """The weighted error ratio with a Wilson interval on the effective sample size."""
        share = self.failed
        low, high = _wilson(share.value, effective(share, uncertainty(share.influence), self.requests, level), level)
        return Estimate(share.value, low, high)


def uncertainty(*influences: Any) -> Uncertainty:
    """The error of an estimate from its influence per bin, shape (bins,), in each independent arm; none for fewer than four bins."""
    return mean_uncertainty(*(x for x in influences if len(x) >= LEAST and not constant(x)))


def effective(share: Mean, error: Uncertainty, n: int, level: float) -> int:
    """Independent requests that would tell a share as well at ``level`` as these do, never more than there are."""
    half = error.half(level)
    if not 0 < share.value < 1 or half <= 0:
        return n
    return max(1, min(n, int(share.value * (1 - share.value) * (normal(level) / half) ** 2 + 1e-9)))


def _wilson(share: float, n: int, level: float) -> tuple[float, float]:
    """Wilson (1927) for a share of an effective sample size: no count need be whole."""
    z = normal(level)
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def normal(level: float) -> float:
    """The two-sided critical value of the normal distribution."""
    return NormalDist().inv_cdf(0.5 + level / 2)
