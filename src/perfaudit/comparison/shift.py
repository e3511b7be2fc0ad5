"""By how much does B differ from A, is that real, and does it matter? One metric of two samples at a time.

Percentiles and error ratios: the interval of the difference from both intervals (MOVER, Zou & Donner 2008), on the log scale for durations.
Arms that run at the same time share their load: what their time bins have in common is taken out (MOVER with correlation, Zou 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from perfaudit.comparison.sample import Estimate, Sample, spread_of, student
from perfaudit.model import Measurement

WORSE, BETTER, SAME, OPEN = "worse", "better", "no practical difference", "inconclusive"
#: The chance of finding a difference of the stated size, for sample sizes (Cohen 1988).
POWER = 0.8
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
#: What a result is decided from, in this order; p50 is shown beside them and moves with ``typical``.
DECIDING = ("typical", "p95", "p99", "errors")
METRICS = ("typical", "p50", "p95", "p99", "errors")
NAMES = {"typical": "typical duration (geometric mean)", "errors": "error ratio"}


@dataclass(frozen=True)
class Least:
    """The least practical difference: ``share`` of the figure *and* ``micros`` for durations, ``errors`` for error ratios (a share)."""

    share: float = 0.05
    micros: float = 2_000.0
    errors: float = 0.001

    def factor(self, low_us: float) -> float:
        """The ratio from which on a duration of ``low_us`` (the shorter of the two, µs) differs practically."""
        return 1 + max(self.share, self.micros / max(low_us, 1.0))


@dataclass(frozen=True)
class Shift:
    """One metric in both samples. ``together``: the arms ran at the same time. Effects are log ratios (durations) or differences (errors)."""

    metric: str
    a: Sample
    b: Sample
    least: Least
    together: bool = False

    @cached_property
    def effect(self) -> float:
        """log(B/A) for durations, B − A for the error ratio."""
        return self.interval(0.95)[0]

    def interval(self, level: float) -> tuple[float, float | None, float | None]:
        """The effect and the ends of its interval."""
        known = self._intervals
        if level not in known:
            known[level] = self._typical(level) if self.metric == "typical" else self._mover(level)
        return known[level]

    @cached_property
    def _intervals(self) -> dict[float, tuple[float, float | None, float | None]]:
        return {}

    @cached_property
    def _logs(self) -> tuple[Any, Any]:
        return self.a.mean_influence(_logs(self.a)), self.b.mean_influence(_logs(self.b))

    @cached_property
    def _typical_error(self) -> tuple[float, float]:
        """Standard error of the log ratio of the typical durations, and its degrees of freedom."""
        (_, ia, va), (_, ib, vb) = self._logs
        if self.together:
            paired = spread_of(ib - ia, 0.0)
            return math.sqrt(paired.variance), paired.freedom
        a, b = spread_of(ia, va), spread_of(ib, vb)
        total = a.variance + b.variance
        freedom = total**2 / (a.variance**2 / a.freedom + b.variance**2 / b.freedom) if total > 0 and not (math.isinf(a.freedom) and math.isinf(b.freedom)) else math.inf
        return math.sqrt(total), freedom

    def _typical(self, level: float) -> tuple[float, float | None, float | None]:
        effect = self._logs[1][0] - self._logs[0][0]
        error, freedom = self._typical_error
        half = student(level, freedom) * error
        return effect, effect - half, effect + half

    def _mover(self, level: float) -> tuple[float, float | None, float | None]:
        a, b = self.estimates(level)
        if self.metric != "errors":
            a, b = _log(a), _log(b)
        effect, r = b.value - a.value, self._correlation
        low = None if b.low is None or a.high is None else effect - _root(b.value - b.low, a.high - a.value, r)
        high = None if b.high is None or a.low is None else effect + _root(b.high - b.value, a.value - a.low, r)
        return effect, low, high

    def estimates(self, level: float = 0.95) -> tuple[Estimate, Estimate]:
        """The metric in A and in B with their own intervals; µs or a share."""
        if self.metric == "typical":
            out = []
            for mean, influence, plain in self._logs:
                spread = spread_of(influence, plain)
                half = student(level, spread.freedom) * math.sqrt(spread.variance)
                out.append(Estimate(math.exp(mean), math.exp(mean - half), math.exp(mean + half)))
            return out[0], out[1]
        get: Callable[[Sample], Estimate] = (lambda s: s.error_ratio(level)) if self.metric == "errors" else (lambda s: s.percentile(QUANTILES[self.metric], level))
        return get(self.a), get(self.b)

    @cached_property
    def _correlation(self) -> float:
        """Correlation of both estimates over the shared time bins, its lower one-standard-error end, at least 0; 0 for arms that follow each other."""
        if not self.together or self.metric == "errors":
            return 0.0
        x, y = (s.tail_influence(QUANTILES[self.metric]) for s in (self.a, self.b))
        if len(x) < 8 or not x.any() or not y.any():
            return 0.0
        r = float(x @ y) / math.sqrt(float(x @ x) * float(y @ y))
        return max(0.0, math.tanh(math.atanh(max(-0.99, min(0.99, r))) - 1 / math.sqrt(len(x) - 3)))

    # ---------------------------------------------------------------- what it means

    @cached_property
    def p(self) -> float:
        """The smallest 1 − level at which the interval leaves 0 out (by bisection); 1.0 when no interval does."""
        if not self._excludes(0.5):
            return 1.0
        low, high = 1e-9, 0.5
        if self._excludes(1 - low):
            return low
        for _ in range(24):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self._excludes(1 - middle) else (middle, high)
        return high

    def _excludes(self, level: float) -> bool:
        effect, low, high = self.interval(level)
        return (low is not None and low > 0 and effect > 0) or (high is not None and high < 0 and effect < 0)

    @cached_property
    def bound(self) -> float:
        """The least practical effect, on the scale of the effect."""
        if self.metric == "errors":
            return self.least.errors
        return math.log(self.least.factor(min(e.value for e in self.estimates())))

    @property
    def practical(self) -> bool:
        """Whether the estimate is at least the least practical difference."""
        return abs(self.effect) >= self.bound

    @cached_property
    def same(self) -> bool:
        """Whether the whole 95 % interval lies within the least practical difference (equivalence; Schuirmann 1987, at half its error rate)."""
        _, low, high = self.interval(0.95)
        return low is not None and high is not None and -self.bound < low and high < self.bound

    @cached_property
    def detectable(self) -> float | None:
        """The effect that this much evidence finds with :data:`POWER`; None where even the interval has no bound."""
        effect, low, high = self.interval(0.95)
        ends = [abs(e - effect) for e in (low, high) if e is not None]
        if not ends:
            return None
        return max(ends) * (1 + student(2 * POWER - 1, math.inf) / student(0.95, math.inf))

    @cached_property
    def times_longer(self) -> float | None:
        """How many times the evidence would find the least practical difference with :data:`POWER`; None where that cannot be said."""
        return None if self.detectable is None or self.bound <= 0 else max(1.0, (self.detectable / self.bound) ** 2)

    def measurement(self, level: float = 0.95, method: str = "") -> Measurement:
        """The effect as people read it: B over A less 1 (durations), or B − A (errors)."""
        effect, low, high = self.interval(level)
        n = min(self.a.n, self.b.n) if self.metric != "errors" else min(self.a.requests, self.b.requests)
        if self.metric == "errors":
            return Measurement(effect, "share of requests", (low, high), level, n, method or "difference of shares, Wilson intervals combined (MOVER)")
        ratio = [None if x is None else math.expm1(min(x, 50.0)) for x in (effect, low, high)]
        said = "ratio of geometric means, long-run variance" if self.metric == "typical" else "quantile shift, order statistics combined (MOVER)"
        return Measurement(ratio[0], "share of A", (ratio[1], ratio[2]), level, n, method or said + (", paired in time" if self.together else ""))


def _logs(sample: Sample) -> list[Any]:
    return [np.log(np.maximum(p.value, 1)) for p in sample.parts]


def _log(e: Estimate) -> Estimate:
    return Estimate(*(None if x is None else math.log(max(x, 1.0)) for x in e))  # type: ignore[arg-type]


def _root(x: float, y: float, r: float) -> float:
    return math.sqrt(max(0.0, x * x + y * y - 2 * r * x * y))
