"""Which steps a series of normal scores has: descriptions that compete, and steps that are tested again.

For every number of steps the exact least-squares segmentation is found; steps, a drift, a slow wave and a cycle compete as descriptions, each with
autoregressive noise of its own (BIC; Yao 1988 for the number of steps). Each step is then tested against the long-run variance of what is left, without
assuming equal variances. Long memory, which makes steps out of nothing (Granger & Hyung 2004), is a rival too: where it explains the series as well, only
a step beyond its own wandering counts.

The constants were set on series with known truth (benchmarks/figures.py prints the error rates; tests/stats/test_changepoint.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats import season as seasons
from perfaudit.stats.scores import normal_scores, trend
from perfaudit.stats.variance import autoregression, memory

Series = NDArray[np.float64]

#: The first step costs this many times ln n (a place and a level are two parameters; Yao 1988, Zhang & Siegmund 2007), each further one ``MORE`` · ln n more:
#: many steps whiten the noise that they are judged by.
STEP, MORE = 1.6, 0.8
#: Squared difference of two levels over its variance, at the least, if the variance were known; :func:`_bound` raises it for the points that are left,
#: and never goes below ``FLOOR`` (the supremum over all places of an independent series exceeds 10.6 in 4 %: :func:`perfaudit.stats.changepoint._chance`).
LEAST_SCORE, FLOOR = 9.4, 10.6
#: The best step in a series with long memory d = 0.3 is ``WANDERS`` · n^(d − 1/2) sd in 19 of 20, n 200–1,000 (simulated); no step below that, unless long memory is refuted
#: by ``REFUTED`` in the criterion.
WANDERS, MEMORY_EXPONENT, REFUTED = 4.3, 0.2, 3.0
#: A drift of a short series has a slope of this many standard errors: 1 in 30,000 by chance if normal, rarer than 1 in 100 on AR(1) to φ 0.8 (tests/stats).
DRIFT = 4.0
#: A drift has to beat each step beyond the first by this many ln n: a staircase of releases is itself almost a drift.
DRIFT_MARGIN = 1.5
#: A cycle and steps are fitted in turn at most this often.
ROUNDS = 4
#: Most steps, fewest points for each, and the shortest segment as a share of the series: shorter ones are spikes or episodes.
MOST_STEPS, POINTS_PER_STEP, SHORTEST, LEAST_POINTS = 8, 25, 1 / 25, 3
#: A series shorter than this is too short for orders, waves and memory: there one autoregressive coefficient, corrected for its bias, and this many ln n · LRV a step
#: (n 20–100, φ 0–0.7: fewer false alarms and more steps found than by the competition of the longer ones).
SHORT, SHORT_STEP = 120, 3.0


@dataclass
class Found:
    """Cuts (first points of new levels) in scores, with the noise that is left: variance, LRV over variance, score of each cut."""

    x: Series
    cuts: list[int]
    left: Series
    ratio: float = 1.0
    scores: tuple[tuple[float, float], ...] = ()
    can_tell: bool = True
    reason: str = ""
    season: float | None = None
    drift: float | None = None
    variance: tuple[int, ...] = ()


def search(x: Series, periods: tuple[float, ...]) -> Found:
    """Let the descriptions compete; ``x``: normal scores, at most :data:`LONGEST` points."""
    n = len(x)
    flat = np.ones(n)
    if n < SHORT:
        return _short(x)
    cuts, steps_cost = _choose(x, flat)
    cycle = None
    for period in seasons.candidates(x - _levels(x, flat, cuts), periods):
        candidate, other, cost = _with_cycle(x, flat, cuts, period, refine=period not in periods)
        if cost < steps_cost:
            cuts, steps_cost, cycle = other, cost, candidate
    if cycle is not None:
        x = x - cycle.shape
    smooth, smooth_cost = _smooth(x)
    variance = _variance_steps(x - _levels(x, flat, cuts))
    found = Found(x, cuts, x - _levels(x, flat, cuts), season=cycle.period if cycle else None, variance=tuple(variance))
    margin = 0.0 if smooth.kind == "wave" else DRIFT_MARGIN * max(0, len(cuts) - 1) * math.log(n)
    if smooth_cost + (cycle.parameters * math.log(n) if cycle else 0.0) < steps_cost - margin:
        if smooth.kind == "drift" and abs(trend(x)) >= DRIFT:
            found.cuts, found.left, found.drift, found.reason = [], smooth.left, smooth.size, "a steady drift describes the series better than steps"
            return found
        if smooth.kind == "wave" and cuts:
            found.cuts, found.left, found.can_tell = [], smooth.left, False
            found.reason = f"one slow wave of about {smooth.size:.0f} points describes the series as well as steps: fewer than two cycles tell no season from a change"
            return found
    if not cuts:
        return found
    weights = flat
    if variance:
        weights = _weights(found.left, variance)
        cuts, _ = _choose(x, weights)
    return _tested(found, cuts, weights)


def _price(steps: int) -> float:
    """What so many steps cost, in ln n."""
    return STEP * steps + MORE * max(0, steps - 1)


def _short(x: Series) -> Found:
    """A short series: as many steps as their own residual noise confirms, few first."""
    n, flat = len(x), np.ones(len(x))
    options = _segmentations(x, flat)
    error = np.array([float(((x - _levels(x, flat, cuts)) ** 2).sum()) for cuts in options])
    cuts: list[int] = []
    for k in range(1, len(options)):
        noise = _first_order(x - _levels(x, flat, options[k]), 2 * k + 1)
        best = int(np.argmin(error + SHORT_STEP * math.log(n) * max(noise, 1e-12) * np.arange(len(options))))
        if best >= k:
            cuts = options[best]
            if best == k:
                break
    left = x - _levels(x, flat, cuts)
    found = Found(x, cuts, left)
    if not cuts:
        slope = trend(x)
        if slope >= DRIFT or slope <= -DRIFT:
            found.drift, found.reason = slope / math.sqrt(n), "a steady drift"
        return found
    variance = max(float(left.var()), 1e-12)
    ratio = max(_first_order(left, 2 * len(cuts) + 1), 1e-12) / variance
    judged = [_judge(x, flat, left, a, c, b, ratio, variance, LEAST_SCORE, True) for a, c, b in zip([0, *cuts[:-1]], cuts, [*cuts[1:], n], strict=True)]
    return _with(found, cuts, left, ratio, tuple((score, size) for _, score, size in judged))


def _first_order(x: Series, lost: int) -> float:
    """Long-run variance by one autoregressive coefficient, raised by its bias, (1 + 3φ)/n for each parameter lost (Marriott & Pope 1954), 0 ≤ φ ≤ 0.95."""
    n = len(x)
    energy = float(x @ x)
    if energy <= 0:
        return 0.0
    phi = float(x[1:] @ x[:-1]) / energy
    phi = min(max(phi + lost * (1 + 3 * max(phi, 0.0)) / n, 0.0), 0.95)
    innovation = x[1:] - phi * x[:-1]
    return float(innovation @ innovation) / max(1, n - 1 - lost) / (1 - phi) ** 2


def _with_cycle(x: Series, flat: Series, cuts: list[int], period: float, *, refine: bool) -> tuple[seasons.Season, list[int], float]:
    """A cycle and steps together, each fitted to what the other leaves until the steps stay where they are: ``(cycle, cuts, criterion)``."""
    best: tuple[seasons.Season, list[int], float] | None = None
    seen: list[list[int]] = []
    while cuts not in seen and len(seen) < ROUNDS:
        seen.append(cuts)
        cycle = seasons.fitted(x - _levels(x, flat, cuts), period, refine=refine)
        cuts, cost = _choose(x - cycle.shape, flat)
        cost += cycle.parameters * math.log(len(x))
        if best is None or cost < best[2]:
            best = (cycle, cuts, cost)
    assert best is not None
    return best


def _choose(x: Series, w: Series) -> tuple[list[int], float]:
    """The number and places of steps with the least criterion, and that criterion."""
    n = len(x)
    best: tuple[float, list[int]] = (math.inf, [])
    for k, cuts in enumerate(_segmentations(x, w)):
        cost = autoregression((x - _levels(x, w, cuts)) * np.sqrt(w)).criterion + math.log(n) * _price(k)
        if cost < best[0]:
            best = (cost, cuts)
    return best[1], best[0]


def _segmentations(x: Series, w: Series) -> list[list[int]]:
    """The exact least-squares segmentation with 0, 1, … steps."""
    from perfaudit.kernels.partition import partitions

    n = len(x)
    least = max(LEAST_POINTS, int(n * SHORTEST))
    most = max(0, min(MOST_STEPS, max(2, n // POINTS_PER_STEP), n // least - 1))
    sums = [np.concatenate([[0.0], np.cumsum(v)]) for v in (w, w * x, w * x * x)]
    previous = np.zeros((most + 1, n + 1), np.int64)
    partitions(*sums, most, least, np.empty((most + 1, n + 1)), previous)
    out = []
    for k in range(most + 1):
        end, cuts = n, []
        for j in range(k, 0, -1):
            end = int(previous[j, end])
            cuts.append(end)
        out.append(cuts[::-1])
    return out


def _levels(x: Series, w: Series, cuts: list[int]) -> Series:
    out = np.empty_like(x)
    for a, b in zip([0, *cuts], [*cuts, len(x)], strict=True):
        out[a:b] = float(w[a:b] @ x[a:b]) / float(w[a:b].sum())
    return out


@dataclass(frozen=True)
class _Smooth:
    """A description without steps: ``kind`` drift or wave, what it leaves, its ``size`` (slope in sd over the whole series, or period in points)."""

    kind: str
    left: Series
    size: float


def _smooth(x: Series) -> tuple[_Smooth, float]:
    """The better of a straight line and one slow wave, and its criterion."""
    n = len(x)
    t = np.linspace(-0.5, 0.5, n)
    slope = float(t @ x) / float(t @ t)
    left = x - x.mean() - slope * t
    best = _Smooth("drift", left, slope / max(float(x.std()), 1e-12)), autoregression(left).criterion + STEP * math.log(n)
    for cycles in np.arange(0.5, 2.0, 0.1):
        angle = 2 * np.pi * cycles * np.arange(n) / n
        design = np.stack([np.ones(n), np.cos(angle), np.sin(angle)], axis=1)
        left = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
        cost = autoregression(left).criterion + 2 * STEP * math.log(n)
        if cost < best[1]:
            best = _Smooth("wave", left, n / float(cycles)), cost
    return best


def _variance_steps(left: Series) -> list[int]:
    """Where the spread of what is left changes: steps in the normal scores of its size, tested like any other."""
    size = normal_scores(np.abs(left))
    if float(np.ptp(size)) == 0:
        return []
    flat = np.ones(len(size))
    cuts, _ = _choose(size, flat)
    return _tested(Found(size, cuts, size - _levels(size, flat, cuts)), cuts, flat).cuts if cuts else []


def _weights(left: Series, cuts: list[int]) -> Series:
    out = np.empty_like(left)
    for a, b in zip([0, *cuts], [*cuts, len(left)], strict=True):
        out[a:b] = 1 / (float(np.mean(left[a:b] ** 2)) + 1e-4)
    return np.asarray(out / out.mean())


def _tested(found: Found, cuts: list[int], w: Series) -> Found:
    """Drop the weakest step until each that stays exceeds what noise, and where it is not refuted long memory, would show."""
    x, n = found.x, len(found.x)
    _, wandering = memory((x - x.mean()) * np.sqrt(w))
    dropped = False
    while cuts:
        left = (x - _levels(x, w, cuts)) * np.sqrt(w)
        fit = autoregression(left)
        variance = float(left.var())
        if variance <= 1e-12:  # the steps explain everything
            return _with(found, cuts, left, 1.0, tuple((math.inf, math.inf) for _ in cuts))
        free = n * variance / fit.long_run
        k = len(cuts)
        lost = 2 * k + max(1, 3 * fit.order - 2)  # places, levels and coefficients, out of so many effective points
        ratio = fit.long_run / variance * free / max(1.0, free - lost)
        refuted = wandering - fit.criterion - math.log(n) * _price(k) > REFUTED
        bound = _bound(free - lost)
        judged = [_judge(x, w, left, a, c, b, ratio, variance, bound, refuted) for a, c, b in zip([0, *cuts[:-1]], cuts, [*cuts[1:], n], strict=True)]
        weakest = min(range(k), key=lambda i: judged[i][0])
        if judged[weakest][0] >= 1:
            return _with(found, cuts, left, ratio, tuple((score, size) for _, score, size in judged))
        dropped = dropped or judged[weakest][1] >= bound
        cuts = cuts[:weakest] + cuts[weakest + 1 :]
    found.cuts, found.left = [], x - x.mean()
    if dropped:
        found.can_tell, found.reason = False, "the series wanders as one with long memory does: no step beyond that"
    return found


def _with(found: Found, cuts: list[int], left: Series, ratio: float, scores: tuple[tuple[float, float], ...]) -> Found:
    found.cuts, found.left, found.ratio, found.scores = cuts, left, ratio, scores
    return found


def _bound(free: float) -> float:
    """The squared t quantile with ``free`` degrees of freedom at the level at which the squared normal one is :data:`LEAST_SCORE` (Wallace 1959)."""
    free = max(2.0, free)
    return max(FLOOR, free * math.expm1(LEAST_SCORE / free))


def _judge(x: Series, w: Series, left: Series, a: int, c: int, b: int, ratio: float, variance: float, bound: float, refuted: bool) -> tuple[float, float, float]:
    """``(how far above its bounds, squared step over its variance, step in sd)`` of the step at ``c`` between ``a`` and ``b`` (Welch's denominator)."""
    before, after = float(w[a:c].sum()), float(w[c:b].sum())
    step = float(w[c:b] @ x[c:b]) / after - float(w[a:c] @ x[a:c]) / before
    score = step * step / (ratio * (max(variance, float(left[a:c].var())) / before + max(variance, float(left[c:b].var())) / after))
    size = abs(step) / math.sqrt(variance * (b - a) / (before + after))
    beyond = math.inf if refuted else (size / (WANDERS * (b - a) ** -MEMORY_EXPONENT)) ** 2
    return min(score / bound, beyond), score, size
