"""Two arms compared: better, worse, no practical difference, or inconclusive with the n that would decide.

``a`` is the control (before), ``b`` the experiment (after); effect = b − a. The rule, everywhere:

- ``worse`` or ``better``: the interval excludes 0 (the difference is there) *and* the estimate is at least ``least`` (it matters). Asking
  the whole interval to lie beyond ``least`` would find an effect of twice its size no better than by chance; asking only for an
  interval without 0 would call trifles in long recordings. Where nothing changed, at most 1 − level are called.
- ``no practical difference``: the whole interval lies within ± ``least``.
- ``inconclusive`` otherwise, with the effect that would have been called in 80 % of cases (``mde``) and the n per arm at which arms that are
  alike would be called so in 80 % (``needed``); an effect of 1.3 × ``least`` is then called as often.

Intervals hold for autocorrelated series: :mod:`perfaudit.stats.lowfrequency`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.lowfrequency import LEAST, Uncertainty, constant, mean_uncertainty

Floats = NDArray[np.float64]
Result = Literal["better", "worse", "no practical difference", "inconclusive"]
Scale = Literal["difference", "ratio"]
Worse = Literal["higher", "lower"]

POWER = 0.8
#: Values beyond this overflow when squared; no duration, size or count comes near.
LARGEST = 1e150
#: With ``needed`` beyond this many times what is there, more of the same is no advice.
LONGEST = 1e6
METHOD = "difference of means, low-frequency t mixture"
PAIRED = "mean of paired differences, low-frequency t mixture"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One question answered. ``effect``, ``low``, ``high``, ``mde`` in ``unit``: "difference" in the values' unit, or "relative change" (0.03 is +3 %).

    ``n_a``, ``n_b``: values used. ``needed``: n per arm that would decide. ``reason``: why inconclusive, or what to know of the answer.
    ``why``: "location" or "tail" where :func:`perfaudit.stats.judge.judge` says which. ``p``: two-sided p value of no difference.
    """

    result: Result
    effect: float | None
    low: float | None
    high: float | None
    level: float
    n_a: int
    n_b: int
    mde: float | None = None
    needed: int | None = None
    method: str = METHOD
    reason: str = ""
    why: str = ""
    unit: str = "difference"
    p: float | None = None


def two_sample(a: Any, b: Any, *, least: float, level: float = 0.95, worse: Worse = "higher", scale: Scale = "difference") -> Comparison:
    """Compare the means of two arms that did not run together: series in time order, shapes (n_a,) and (n_b,), any lengths.

    ``scale="ratio"`` compares geometric means (positive values; ``least`` 0.05 is ± 5 %), "difference" the means as they are (or of logs).
    Missing values (NaN) are left out and told. Raises ``ValueError`` naming the argument for infinities and, in a ratio, negative values.
    """
    least = _least(least, scale)
    (x, lost_a), (y, lost_b) = _values(a, "a", scale), _values(b, "b", scale)
    asked = _Question(least, level, worse, scale, METHOD, (len(x), len(y)), _missing(lost_a + lost_b))
    refused = _too_little(x, y, scale)
    if refused:
        return asked.refuse(refused)
    if constant(x) and constant(y):
        return asked.refuse("neither arm varies: nothing to measure a difference against", float(y.mean() - x.mean()))
    return asked.answer(float(y.mean() - x.mean()), mean_uncertainty(x, y))


def paired(a: Any, b: Any, *, least: float, level: float = 0.95, worse: Worse = "higher", scale: Scale = "ratio") -> Comparison:
    """Compare arms that ran together: ``a[i]`` and ``b[i]`` are of the same interval, shapes (n,); what both share cancels.

    Pairs with a missing value are left out. Raises ``ValueError`` as :func:`two_sample` does, and for arms of different lengths.
    """
    least = _least(least, scale)
    x, y = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if len(x) != len(y):
        raise ValueError(f"a and b: {len(x)} and {len(y)} values cannot be paired")
    kept = ~(np.isnan(x) | np.isnan(y))
    (u, _), (v, _) = _values(x[kept], "a", scale), _values(y[kept], "b", scale)
    asked = _Question(least, level, worse, scale, PAIRED, (len(u), len(v)), _missing(len(x) - int(kept.sum())))
    if len(x) and not len(u):
        return asked.refuse("the arms have no interval in common")
    refused = _too_little(u, v, scale)
    if refused:
        return asked.refuse(refused)
    difference = v - u
    if constant(difference) or float(np.ptp(difference)) <= 1e-9 * float(np.abs(u).max() + np.abs(v).max()):
        return asked.refuse("the arms differ by a constant: nothing to measure it against", float(difference.mean()))
    return asked.answer(float(difference.mean()), mean_uncertainty(difference))


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked, on the working scale: logs for a ratio."""

    least: float
    level: float
    worse: Worse
    scale: Scale
    method: str
    n: tuple[int, int]
    note: str

    def refuse(self, reason: str, effect: float | None = None) -> Comparison:
        shown = None if effect is None else shown_as(effect, self.scale)
        return Comparison("inconclusive", shown, None, None, self.level, *self.n, method=self.method, reason=reason, unit=unit_of(self.scale))

    def answer(self, effect: float, error: Uncertainty) -> Comparison:
        half = error.half(self.level)
        result, reason = decide(effect, effect - half, effect + half, self.least, self.worse)
        bounds = [shown_as(x, self.scale) for x in (effect, effect - half, effect + half)]
        found = Comparison(
            result, bounds[0], bounds[1], bounds[2], self.level, *self.n, method=self.method, reason="; ".join(filter(None, (reason, self.note))), unit=unit_of(self.scale), p=error.tail(effect)
        )
        mde = max(half, self.least) + error.half(2 * POWER - 1)
        found = replace(found, mde=shown_as(mde, self.scale))
        return replace(found, needed=_needed(error, self.least, self.level, min(self.n))) if result == "inconclusive" else found


def decide(effect: float, low: float, high: float, least: float, worse: Worse = "higher") -> tuple[Result, str]:
    """The rule of this module on one scale, and a reason where it is inconclusive."""
    if -least <= low and high <= least:
        return "no practical difference", ""
    if low <= 0 <= high:
        return "inconclusive", "the interval holds both no difference and one that matters"
    if abs(effect) < least:
        return "inconclusive", "there is a difference, but whether it is large enough to matter cannot be told"
    return ("worse" if (effect > 0) == (worse == "higher") else "better"), ""


def shown_as(effect: float, scale: Scale) -> float:
    """From the working scale to the unit of :class:`Comparison`."""
    return effect if scale == "difference" else math.expm1(min(effect, 700.0))


def unit_of(scale: Scale) -> str:
    """The unit of an effect."""
    return "difference" if scale == "difference" else "relative change"


def _needed(error: Uncertainty, least: float, level: float, n: int) -> int | None:
    """The n per arm at which an interval around no difference lies within ± ``least`` in ``POWER`` of cases."""

    def decides(times: float) -> bool:
        longer = error.longer(times)
        return longer.half(level) + longer.half(POWER) <= least

    if least <= 0 or not decides(LONGEST):
        return None
    low, high = 1.0, LONGEST
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if decides(middle) else (middle, high)
    return math.ceil(n * high)


def _least(least: float, scale: Scale) -> float:
    if not (math.isfinite(least) and least >= 0):
        raise ValueError("least: the least practical size must be a number ≥ 0")
    return math.log1p(least) if scale == "ratio" else float(least)


def _values(x: Any, name: str, scale: Scale) -> tuple[Floats, int]:
    """Finite values on the working scale, and how many were missing."""
    values = np.asarray(x, np.float64).ravel()
    kept = values[~np.isnan(values)]
    if len(kept) and not float(np.abs(kept).max()) < LARGEST:
        raise ValueError(f"{name}: holds an infinite value")
    if scale == "ratio" and len(kept):
        if kept.min() < 0:
            raise ValueError(f"{name}: holds a negative value, which a ratio cannot have")
        if kept.min() > 0:
            kept = np.log(kept)
        else:
            kept = np.full(len(kept), -math.inf)
    return kept, len(values) - len(kept)


def _too_little(x: Floats, y: Floats, scale: Scale) -> str:
    for name, values in (("a", x), ("b", y)):
        if not len(values):
            return f"arm {name} is empty"
        if len(values) < LEAST:
            return f"arm {name} has {len(values)} values; at least {LEAST} are needed"
        if scale == "ratio" and values[0] == -math.inf:
            return f"arm {name} holds zeros, of which there is no ratio"
    return ""


def _missing(lost: int) -> str:
    return f"{lost} missing values left out" if lost else ""
