"""What a comparison answers: better, worse, no practical difference, or inconclusive with the n that would decide.

``a`` is the control (before), ``b`` the experiment (after); effect = b − a. The rule, everywhere:

- ``worse`` or ``better``: the interval excludes 0 (the difference is there) *and* the estimate is at least ``least`` (it matters). Asking
  the whole interval to lie beyond ``least`` would find an effect of twice its size no better than by chance; asking only for an
  interval without 0 would call trifles in long recordings. Where nothing changed, at most 1 − level are called.
- ``no practical difference``: the whole interval lies within ± ``least``.
- ``inconclusive`` otherwise, with the effect that would have been called in 80 % of cases (``mde``) and the n per arm that would decide
  in 80 % (``needed``) if the truth is what the estimate says: an effect that matters, or, with an estimate under ``least``, none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.lowfrequency import LEAST, Uncertainty

Floats = NDArray[np.float64]
Result = Literal["better", "worse", "no practical difference", "inconclusive"]
Scale = Literal["difference", "ratio"]
Worse = Literal["higher", "lower"]

POWER = 0.8
#: Values beyond this overflow when squared; no duration, size or count comes near.
LARGEST = 1e150
#: With ``needed`` beyond this many times what is there, more of the same is no advice.
LONGEST = 1e6


@dataclass(frozen=True, slots=True)
class Comparison:
    """One question answered. ``effect``, ``low``, ``high``, ``mde`` in ``unit``: "difference" (in the values' unit), "relative change" (0.03 is +3 %), …

    ``n_a``, ``n_b``: values used. ``needed``: n per arm that would decide. ``reason``: why inconclusive, or what to know of the answer.
    ``why``: "location" or "tail" where :func:`perfaudit.stats.compare.judge` says which. ``p``: two-sided p value of no difference.
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
    method: str = ""
    reason: str = ""
    why: str = ""
    unit: str = "difference"
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, on the working scale: logs for a ratio."""

    least: float
    level: float
    worse: Worse
    scale: Scale
    method: str
    n: tuple[int, int]
    note: str

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError("level: must lie between 0 and 1")
        if self.worse not in ("higher", "lower"):
            raise ValueError('worse: must be "higher" or "lower"')

    def refuse(self, reason: str, effect: float | None = None) -> Comparison:
        """Inconclusive, and why: no interval can be given."""
        shown = None if effect is None else shown_as(effect, self.scale)
        return Comparison("inconclusive", shown, None, None, self.level, *self.n, method=self.method, reason=reason, unit=unit_of(self.scale))

    def answer(self, effect: float, error: Uncertainty) -> Comparison:
        """The rule applied to an estimate and its uncertainty."""
        half = error.half(self.level)
        result, reason = decide(effect, effect - half, effect + half, self.least, self.worse)
        bounds = (shown_as(effect, self.scale), shown_as(effect - half, self.scale), shown_as(effect + half, self.scale))
        reason, p = "; ".join(filter(None, (reason, self.note))), error.tail(effect)
        found = Comparison(result, *bounds, self.level, *self.n, method=self.method, reason=reason, unit=unit_of(self.scale), p=p)
        mde = max(half, self.least) + error.half(2 * POWER - 1)
        found = replace(found, mde=shown_as(mde, self.scale))
        return replace(found, needed=needed(error, effect, self.least, self.level, min(self.n))) if result == "inconclusive" else found


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


def needed(error: Uncertainty, effect: float, least: float, level: float, n: int) -> int | None:
    """The n per arm that decides in ``POWER`` of cases: on ``effect`` if it is large enough to matter, else that there is none."""

    def alike(times: float) -> bool:
        longer = error.longer(times)
        return longer.half(level) + longer.half(POWER) <= least

    def found(times: float) -> bool:
        longer = error.longer(times)
        return max(longer.half(level), least) + longer.half(2 * POWER - 1) <= abs(effect)

    times = min(least_times(alike), least_times(found))
    return math.ceil(n * times) if math.isfinite(times) else None


def least_times(decides: Callable[[float], bool]) -> float:
    """The least multiple from 1 to ``LONGEST`` for which ``decides`` holds, to 3 %; infinite when none does."""
    if not decides(LONGEST):
        return math.inf
    low, high = 1.0, LONGEST
    while high / low > 1.03:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def practical(least: float, scale: Scale) -> float:
    """The least practical size on the working scale. Raises ``ValueError`` naming what is wrong."""
    if scale not in ("difference", "ratio"):
        raise ValueError('scale: must be "difference" or "ratio"')
    if not (math.isfinite(least) and least >= 0):
        raise ValueError("least: the least practical size must be a number ≥ 0")
    return math.log1p(least) if scale == "ratio" else float(least)


def values_of(x: Any, name: str, scale: Scale) -> tuple[Floats, int]:
    """Finite values on the working scale, and how many were missing."""
    values = np.asarray(x, np.float64).ravel()
    kept = values[~np.isnan(values)]
    if len(kept) and not float(np.abs(kept).max()) < LARGEST:
        raise ValueError(f"{name}: holds an infinite value")
    if scale == "ratio" and len(kept):
        if kept.min() < 0:
            raise ValueError(f"{name}: holds a negative value, which a ratio cannot have")
        kept = np.log(kept) if kept.min() > 0 else np.full(len(kept), -math.inf)
    return kept, len(values) - len(kept)


def too_little(x: Floats, y: Floats, scale: Scale) -> str:
    """Why these arms cannot be compared; empty when they can."""
    for name, values in (("a", x), ("b", y)):
        if not len(values):
            return f"arm {name} is empty"
        if len(values) < LEAST:
            return f"arm {name} has only {len(values)} of the {LEAST} values needed"
        if scale == "ratio" and values[0] == -math.inf:
            return f"arm {name} holds zeros, of which there is no ratio"
    return ""


def missing(lost: int) -> str:
    """What to tell of missing values."""
    return f"{lost} missing values left out" if lost else ""
