"""Monitoring that may be looked at any time: a confidence sequence for the mean of an autocorrelated series.

A test made for one look errs again with each look: peeking every 10 points to 500 calls 33 % (independent) to 98 % (φ 0.9) of series
in which nothing changed. A confidence sequence holds at all times at once (Robbins 1970; Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas
2024). Batch means stand in for the values: with batches of several autocorrelation times they are nearly independent and normal,
and the t mixture martingale with a normal prior on mean over deviation (Lai 1976; Wang & Ramdas 2025, scale-invariant) is exact for those,
however few: the interval is mean ± s·√(ν r / n) with r = (k − 1) / (1 − k/(1 + n g)), k = ((1 + n g) / α²)^(1/n), ν = n − 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.decision import decide
from perfaudit.stats.lowfrequency import constant, mean_uncertainty

Floats = NDArray[np.float64]
Decision = Literal["not yet", "better", "worse", "no practical difference"]

#: A batch holds this many integrated autocorrelation times. Peeking every 10 points to 500, nominal 5 %, φ 0, .7, .9: at 1 false alarms
#: in 0, 10, 13 % of 120 series, at 2 in 1, 5, 7 %, at 3 in 2, 5, 4 % of 400; a shift of 1 sd is then found in 100, 100, 63 % (median n 60, 150, 400).
TIMES = 3.0
#: Variance of the prior on mean over deviation of a batch mean. Narrowest intervals near n = 8/g batches.
PRIOR = 1.0
#: No interval from fewer batches.
LEAST_BATCHES = 4
#: A longer series is cut into at most this many batches: no narrower interval comes of more.
MOST_BATCHES = 400
LARGEST = 1e150


class Bounds(NamedTuple):
    """The mean so far with an interval that holds at all looks together; ends are None while there is too little. ``batches`` of ``size`` values."""

    value: float
    low: float | None
    high: float | None
    batches: int
    size: int


class Monitor:
    """Fed with values in time order (differences of a canary from its control, or one series against ``target``), one by one or many.

    ``least``: least practical size, in the values' unit. ``level``: over all looks together. The state is the values themselves, as 64-bit numbers.
    """

    def __init__(self, *, least: float, target: float = 0.0, level: float = 0.95, worse: Literal["higher", "lower"] = "higher") -> None:
        if not (math.isfinite(least) and least >= 0):
            raise ValueError("least: the least practical size must be a number ≥ 0")
        if not 0 < level < 1:
            raise ValueError("level must lie between 0 and 1")
        self.least, self.target, self.level, self.worse = least, target, level, worse
        self.missing = 0
        self._values: list[float] = []
        self._decided: Decision = "not yet"

    def add(self, values: float | Iterable[float]) -> Decision:
        """Takes one value or many, looks once, and says what is decided. NaN is left out; ``ValueError`` for an infinite value."""
        fresh = np.atleast_1d(np.asarray(values if isinstance(values, (int, float, np.ndarray)) else list(values), np.float64)).ravel()
        kept = fresh[~np.isnan(fresh)]
        if len(kept) and not float(np.abs(kept).max()) < LARGEST:
            raise ValueError("values: holds an infinite value")
        self.missing += len(fresh) - len(kept)
        self._values.extend(kept.tolist())
        if self._decided == "not yet" and len(kept):
            at = self.interval
            if at.low is not None and at.high is not None:
                result, _ = decide(at.value - self.target, at.low - self.target, at.high - self.target, self.least, self.worse)
                self._decided = "not yet" if result == "inconclusive" else result
        return self._decided

    @property
    def n(self) -> int:
        """Values taken."""
        return len(self._values)

    @property
    def interval(self) -> Bounds:
        """The mean of all values so far and its interval, for all looks together."""
        return confidence_sequence(self._values, level=self.level)

    @property
    def decided(self) -> Decision:
        """The first decision that was reached; it stays. "not yet" is an answer."""
        return self._decided


def confidence_sequence(x: Any, *, level: float = 0.95) -> Bounds:
    """The interval at this look for the mean of a series, shape (n,), finite, in time order. Ends are None with too few batches or no variation."""
    values = np.asarray(x, np.float64)
    n = len(values)
    if n == 0:
        return Bounds(math.nan, None, None, 0, 0)
    size = batch_size(values)
    batches = n // size
    if batches < LEAST_BATCHES or constant(values):
        return Bounds(float(values.mean()), None, None, batches, size)
    means = values[n - batches * size :].reshape(batches, size).mean(axis=1)
    half = math.sqrt(float(means.var(ddof=1))) * radius(batches, 1 - level)
    value = float(means.mean())
    return Bounds(value, None, None, batches, size) if math.isinf(half) else Bounds(value, value - half, value + half, batches, size)


def radius(n: int, alpha: float) -> float:
    """Half the width of the sequence's interval after ``n`` independent normal values, in their standard deviations; infinite when too few."""
    growth = 1 + n * PRIOR
    k = math.exp((math.log(growth) - 2 * math.log(alpha)) / n)
    if k >= growth or n < 2:
        return math.inf
    return math.sqrt((n - 1) * (k - 1) / (1 - k / growth) / n)


def batch_size(x: Any) -> int:
    """Values per batch: ``TIMES`` integrated autocorrelation times (the mean over how persistent the series may be), at least n / ``MOST_BATCHES``."""
    values = np.asarray(x, np.float64)
    n = len(values)
    if n < LEAST_BATCHES or constant(values):
        return 1
    time = n * mean_uncertainty(values).variance / float(values.var())
    return max(1, math.ceil(n / MOST_BATCHES), math.ceil(TIMES * min(float(n), time)))
