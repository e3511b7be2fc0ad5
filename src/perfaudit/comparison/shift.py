"""By how much does B differ from A, is that real, and does it matter? One metric of two samples at a time.

Percentiles and error ratios: the interval of the difference from both intervals (MOVER, Zou & Donner 2008), on the log scale for durations.
Typical durations: the geometric mean, whose log is a mean.
Arms that run at the same time share their load: what their time bins have in common is taken out (MOVER with correlation, Zou 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from perfaudit.comparison.sample import Estimate, Mean, Sample, normal, uncertainty
from perfaudit.model import Measurement
from perfaudit.stats.lowfrequency import Uncertainty

WORSE, BETTER, SAME, OPEN = "worse", "better", "no practical difference", "inconclusive"
#: The chance of finding a difference of the stated size, for sample sizes (Cohen 1988).
POWER = 0.8
#: A mean averages rounding out where the middle 80 % of durations spread over this many steps: a normal spread has a standard deviation of
#: 1.6 steps then, and Sheppard's correction leaves less than e^(−2π²·1.6²) of a step.
AVERAGED = 4
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
    def _typical_error(self) -> Uncertainty:
        a, b = self.a.log_mean.influence, self.b.log_mean.influence
        return uncertainty(b - a) if self.together else uncertainty(a, b)

    @property
    def _independent_error(self) -> float:
        """Standard error of the log ratio if requests were independent: no interval is narrower, unless the arms are paired."""
        return 0.0 if self.together else math.sqrt(self.a.log_mean.plain + self.b.log_mean.plain)

    def _typical(self, level: float) -> tuple[float, float | None, float | None]:
        effect = self.b.log_mean.value - self.a.log_mean.value
        half = max(self._typical_error.half(level), normal(level) * self._independent_error)
        return effect, effect - half, effect + half

    def _mover(self, level: float) -> tuple[float, float | None, float | None]:
        a, b = self.estimates(level)
        if self.metric != "errors":
            a, b = (_log(e, s.least) for e, s in ((a, self.a), (b, self.b)))
        effect, r = b.value - a.value, self._correlation
        low = None if b.low is None or a.high is None else effect - _root(b.value - b.low, a.high - a.value, r)
        high = None if b.high is None or a.low is None else effect + _root(b.high - b.value, a.value - a.low, r)
        return effect, low, high

    def estimates(self, level: float = 0.95) -> tuple[Estimate, Estimate]:
        """The metric in A and in B with their own intervals; µs or a share."""
        if self.metric == "typical":
            out = []
            for sample in (self.a, self.b):
                mean, influence, plain = sample.log_mean
                half = max(uncertainty(influence).half(level), normal(level) * math.sqrt(plain))
                out.append(Estimate(math.exp(mean), math.exp(mean - half), math.exp(mean + half)))
            return out[0], out[1]
        get: Callable[[Sample], Estimate] = (lambda s: s.error_ratio(level)) if self.metric == "errors" else (lambda s: s.percentile(QUANTILES[self.metric], level))
        return get(self.a), get(self.b)

    @cached_property
    def _correlation(self) -> float:
        """Correlation of both estimates over the shared time bins, its lower one-standard-error end, at least 0; 0 for arms that follow each other."""
        if not self.together or self.metric == "errors":
            return 0.0
        x, y = (s.tail(QUANTILES[self.metric])[1].influence for s in (self.a, self.b))
        if len(x) < 8 or not x.any() or not y.any():
            return 0.0
        r = float(x @ y) / math.sqrt(float(x @ x) * float(y @ y))
        return max(0.0, math.tanh(math.atanh(max(-0.99, min(0.99, r))) - 1 / math.sqrt(len(x) - 3)))

    # ---------------------------------------------------------------- what it means

    @cached_property
    def p(self) -> float:
        """The two-sided p-value of no difference at all.

        Typical durations are tested by their ranks in both arms together (Wilcoxon 1945): a few requests that wait for
        seconds do not hide that all have become slower. Percentiles are tested by the shares of both arms above their common percentile,
        which needs no density and no large sample. The larger of the p-values with and without regard to autocorrelation counts.
        """
        a, b, n = self._tested
        difference = b.value - a.value
        if difference * self.effect < 0:
            return 1.0
        error = uncertainty(b.influence - a.influence) if self.together and self.metric != "errors" else uncertainty(a.influence, b.influence)
        if len(self.a.parts) == 1 and self.metric != "typical":
            plain = exact(round(a.value * n[0]), n[0], round(b.value * n[1]), n[1])
        else:
            plain = _tail(difference, math.sqrt(a.plain + b.plain))
        return min(1.0, max(plain if not self.together or self.metric == "errors" else 0.0, error.tail(abs(difference))))

    @property
    def _tested(self) -> tuple[Mean, Mean, tuple[int, int]]:
        """The means whose difference is tested, and the sample sizes."""
        a, b = self.a, self.b
        if self.metric == "errors":
            return a.failed, b.failed, (a.requests, b.requests)
        if self.metric == "typical":
            first, second = _ranks(a, b)
            return a.mean(first), b.mean(second), (a.n, b.n)
        bound = _both(a, b).quantile(QUANTILES[self.metric])
        return a.above(bound), b.above(bound), (a.n, b.n)

    @cached_property
    def quantum(self) -> int:
        """The coarser of the steps in which both arms logged durations, µs."""
        return max(self.a.quantum, self.b.quantum)

    @cached_property
    def _shorter(self) -> float:
        """The shorter of both figures, µs; at least half a step."""
        return max(min(e.value for e in self.estimates()), self.quantum / 2)

    @cached_property
    def bound(self) -> float:
        """The least practical effect, on the scale of the effect: no less than one step of the durations."""
        if self.metric == "errors":
            return self.least.errors
        return math.log(replace(self.least, micros=max(self.least.micros, self.quantum)).factor(self._shorter))

    @cached_property
    def hidden(self) -> float:
        """How large an effect the steps can hide: one step for a percentile, and for a mean where durations spread over too few of them to average it out."""
        if self.metric == "errors" or (self.metric == "typical" and min(s.quantile(0.9) - s.quantile(0.1) for s in (self.a, self.b)) >= AVERAGED * self.quantum):
            return 0.0
        return math.log1p(self.quantum / self._shorter)

    @property
    def practical(self) -> bool:
        """Whether the estimate is beyond the least practical difference: a single step is not."""
        return abs(self.effect) > self.bound + 1e-9

    @cached_property
    def same(self) -> bool:
        """Whether the whole 95 % interval, with what the steps hide, lies within the least practical difference (equivalence; Schuirmann 1987, at half its error rate)."""
        _, low, high = self.interval(0.95)
        return low is not None and high is not None and max(-low, high) + self.hidden < self.bound - 1e-9

    @cached_property
    def detectable(self) -> float | None:
        """The effect that this much evidence finds with :data:`POWER`; None where even the interval has no bound."""
        effect, low, high = self.interval(0.95)
        ends = [abs(e - effect) for e in (low, high) if e is not None]
        if not ends:
            return None
        return max(self.hidden, max(ends) * (1 + normal(2 * POWER - 1) / normal(0.95)))

    @cached_property
    def times_longer(self) -> float | None:
        """How many times the evidence would find the least practical difference with :data:`POWER`; None where that cannot be said, or no length helps."""
        return None if self.detectable is None or self.bound <= max(0.0, self.hidden + 1e-9) else max(1.0, (self.detectable / self.bound) ** 2)

    def measurement(self, level: float = 0.95, method: str = "") -> Measurement:
        """The effect as people read it: B over A less 1 (durations), or B − A (errors)."""
        effect, low, high = self.interval(level)
        n = min(self.a.n, self.b.n) if self.metric != "errors" else min(self.a.requests, self.b.requests)
        if self.metric == "errors":
            return Measurement(effect, "share of requests", (low, high), level, n, method or "difference of shares, Wilson intervals combined (MOVER)")
        ratio = [None if x is None else math.expm1(min(x, 50.0)) for x in (effect, low, high)]
        said = "ratio of geometric means, long-run variance" if self.metric == "typical" else "quantile shift, order statistics combined (MOVER)"
        return Measurement(ratio[0], "share of A", (ratio[1], ratio[2]), level, n, method or said + (", paired in time" if self.together else ""))


def exact(ka: int, na: int, kb: int, nb: int) -> float:
    """Two-sided p-value of equal shares ka/na and kb/nb: Fisher's exact test, twice the smaller tail."""
    k = ka + kb
    low, high = max(0, k - na), min(k, nb)
    at = np.arange(low, high + 1)
    from scipy.special import gammaln

    weight = -(gammaln(at + 1) + gammaln(nb - at + 1) + gammaln(k - at + 1) + gammaln(na - k + at + 1))
    weight = np.exp(weight - weight.max())
    below = np.cumsum(weight) / weight.sum()
    mine = kb - low
    return float(min(1.0, 2 * min(below[mine], 1 - below[mine] + weight[mine] / weight.sum())))


def _both(a: Sample, b: Sample) -> Sample:
    """Both samples together, each with half the weight."""
    return Sample((*a.parts, *b.parts), tuple(w / 2 for s in (a, b) for w in s.weights))


def _ranks(a: Sample, b: Sample) -> tuple[list[Any], list[Any]]:
    """The middle rank (0–1) of every cell of both samples in both together."""
    value, share = _both(a, b).distribution
    distinct, last = np.unique(value), np.append(np.flatnonzero(np.diff(value)), len(value) - 1)
    up_to = share[last] / share[-1]
    score = (up_to + np.concatenate([[0.0], up_to[:-1]])) / 2
    return [score[np.searchsorted(distinct, p.value)] for p in a.parts], [score[np.searchsorted(distinct, p.value)] for p in b.parts]


def _tail(distance: float, error: float) -> float:
    """Two-sided normal p-value; 0 where the figure has no error at all."""
    if error <= 0:
        return 1.0 if distance == 0 else 0.0
    return math.erfc(abs(distance) / error / math.sqrt(2))


def _log(e: Estimate, least: float) -> Estimate:
    return Estimate(*(None if x is None else math.log(max(x, least)) for x in e))  # type: ignore[arg-type]


def _root(x: float, y: float, r: float) -> float:
    return math.sqrt(max(0.0, x * x + y * y - 2 * r * x * y))
