"""Where does the level of a series change? Steps told from noise that wanders, from cycles, drifts, spikes and changes of variance.

The series goes to normal scores (heavy tails do no harm); for every number of steps the exact least-squares segmentation is found, and
steps, a drift, a slow wave and a cycle compete as descriptions, each with autoregressive noise of its own (BIC; Yao 1988 for the number of
steps). Each step is then tested again against the long-run variance of what is left, without assuming equal variances. Long memory, which
makes steps out of nothing (Granger & Hyung 2004), is a rival too: where it explains the series as well, only a step beyond its own wandering counts.
What theory and data cannot tell apart is said: ``can_tell`` is False.

The constants below were set on series with known truth (benchmarks/statistics.py prints the error rates; tests/stats/test_changepoint.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats import season as seasons
from perfaudit.stats.variance import autoregression, long_run_variance, memory

Series = NDArray[np.float64]

#: Each step costs this many times ln n (a place and a level are two parameters; Yao 1988, Zhang & Siegmund 2007), and each pair of steps ``PAIR`` · 2 ln n more:
#: many steps whiten the noise that they are judged by.
STEP, PAIR = 1.87, 0.12
#: Squared difference of two levels over its variance, at the least, if the variance were known; :func:`_bound` raises it for the points that are left.
LEAST_SCORE, FLOOR = 9.3, 10.4
#: The best step in a series with long memory d = 0.3 is ``WANDERS`` · n^(d − 1/2) sd in 19 of 20, n 200–1,000 (simulated); no step below that, unless long memory is refuted
#: by ``REFUTED`` in the criterion.
WANDERS, MEMORY_EXPONENT, REFUTED = 4.1, 0.2, 3.0
#: A drift of a short series has a slope of this many standard errors: 1 in 30,000 by chance if normal, rarer than 1 in 100 on AR(1) to φ 0.8 (tests/stats).
DRIFT = 4.0
#: A drift has to beat each step beyond the first by this many ln n: a staircase of releases is itself almost a drift.
DRIFT_MARGIN = 1.5
#: Most steps, fewest points for each, and the shortest segment as a share of the series: shorter ones are spikes or episodes.
MOST_STEPS, POINTS_PER_STEP, SHORTEST, LEAST_POINTS = 8, 25, 1 / 25, 3
#: A series shorter than this is too short for orders, waves and memory: there one autoregressive coefficient, corrected for its bias, and this many ln n · LRV a step
#: (n 20–100, φ 0–0.7: fewer false alarms and more steps found than by the competition of the longer ones).
SHORT, SHORT_STEP = 120, 3.0
#: Above this length neighbouring points are averaged first; the place is then refined among the points.
LONGEST = 1000
#: A spike is a point this many robust sd from its level (1 in 500 million if normal), and spikes are fewer than the shortest segment.
SPIKE = 6.0
#: Half width of the 95 % interval of a place: LRV / step² times this (Bai 1997, eq. 16: the 97.5 % point of the argmax of a two-sided Brownian motion with drift).
PLACE = 11.0
#: Fewest points from which a change can be told at all.
FEWEST = 12


class Change(NamedTuple):
    """A step: the first point ``at`` of the new level, with its 95 % interval ``low`` … ``high`` (indices).

    ``before``, ``after``: medians of the two levels, in the unit of the series. ``size``: the step in standard deviations of the noise, in normal
    scores. ``p``: chance of such a step at any place in noise alone. ``returns``: index where the level is back at ``before`` (None: it stays).
    """

    at: int
    low: int
    high: int
    before: float
    after: float
    size: float
    p: float
    returns: int | None


@dataclass(frozen=True)
class Changes:
    """What happened to a series: ``points`` are its steps; empty when there are none, and ``can_tell`` says whether that means anything.

    ``reason``: why not, or what else was seen. ``season``: the period (points) of the cycle that was removed. ``drift``: slope in the series' own standard
    deviations over its whole length, where a drift describes it better than steps. ``spikes``: indices of single points far off. ``variance``: indices where the spread changes.
    ``resolution``: points that were averaged before the search.
    """

    points: tuple[Change, ...] = ()
    can_tell: bool = True
    reason: str = ""
    season: float | None = None
    drift: float | None = None
    spikes: tuple[int, ...] = ()
    variance: tuple[int, ...] = ()
    resolution: int = 1

    @property
    def starts(self) -> list[int]:
        """The first point of every segment (begins with 0)."""
        return [0, *(p.at for p in self.points)]


def changes(x: Any, *, periods: tuple[float, ...] = (), least: float = 0.0) -> Changes:
    """The changes of level of a series in time order, shape (n,), any unit; NaN marks a missing value.

    ``periods``: cycles that are known (a day, a week), in points; others are found. ``least``: least practical size, a difference of medians
    in the unit of the series. Never raises for what a series holds; fewer than 12 values give ``can_tell`` False.
    """
    x = np.asarray(x, np.float64).ravel()
    at = np.flatnonzero(~np.isnan(x))
    known = x[at]
    if len(known) < FEWEST:
        return Changes(can_tell=False, reason=f"{len(known)} values: fewer than {FEWEST} tell no change from noise")
    if np.all(known == known[0]):
        return Changes(reason="the series is constant")
    block = math.ceil(len(known) / LONGEST)
    scores = normal_scores(known)
    whole = len(known) // block * block
    coarse = scores[:whole].reshape(-1, block).mean(axis=1) if block > 1 else scores
    found = _search(coarse / max(float(coarse.std()), 1e-12), tuple(p / block for p in periods))
    points = _placed(found, known, scores, block, least)
    return Changes(
        tuple(p._replace(at=int(at[p.at]), low=int(at[p.low]), high=int(at[min(p.high, len(at) - 1)]), returns=None if p.returns is None else int(at[p.returns])) for p in points),
        found.can_tell,
        found.reason,
        found.season * block if found.season else None,
        found.drift,
        tuple(int(at[i]) for i in _spikes(known, [p.at for p in points])),
        tuple(int(at[min(v * block, len(at) - 1)]) for v in found.variance),
        block,
    )


def normal_scores(x: Any) -> Series:
    """Mid-ranks of a series, shape (n,), as normal scores (van der Waerden): heavy tails and unequal variances do no harm."""
    x = np.asarray(x, np.float64)
    distinct, position, count = np.unique(x, return_inverse=True, return_counts=True)
    middle = (np.cumsum(count) - (count - 1) / 2) / (len(x) + 1)
    normal = NormalDist()
    return np.array([normal.inv_cdf(float(p)) for p in middle])[position] if len(distinct) else x


def trend(x: Any) -> float:
    """Slope of a series, shape (n,), in standard errors that respect autocorrelation of the residuals; 0 below 12 points.

    A drift shows here that no few steps describe.
    """
    x = np.asarray(x, np.float64)
    n = len(x)
    if n < FEWEST:
        return 0.0
    t = np.arange(n) - (n - 1) / 2
    spread = float(t @ t)
    slope = float(t @ x) / spread
    noise = long_run_variance(x - x.mean() - slope * t, lost=2)
    return slope / math.sqrt(noise / spread) if noise > 0 else 0.0


# ---------------------------------------------------------------- search


@dataclass
class _Found:
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


def _search(x: Series, periods: tuple[float, ...]) -> _Found:
    """Let the descriptions compete; ``x``: normal scores, at most :data:`LONGEST` points."""
    n = len(x)
    flat = np.ones(n)
    if n < SHORT:
        return _short(x)
    cuts, steps_cost = _choose(x, flat)
    cycle = None
    for period in seasons.candidates(x - _levels(x, flat, cuts), periods):
        candidate = seasons.fitted(x - _levels(x, flat, cuts), period)
        rest = x - candidate.shape
        other, cost = _choose(rest, flat)
        cost += candidate.parameters * math.log(n)
        if cost < steps_cost:
            cuts, steps_cost, cycle = other, cost, candidate
    if cycle is not None:
        x = x - cycle.shape
    smooth = _smooth(x)
    variance = _variance_steps(x - _levels(x, flat, cuts))
    found = _Found(x, cuts, x - _levels(x, flat, cuts), season=cycle.period if cycle else None, variance=tuple(variance))
    margin = {"drift": DRIFT_MARGIN * (len(cuts) - 1), "wave": 0.0}[smooth[1]] * math.log(n)
    if cuts and smooth[0] + (cycle.parameters * math.log(n) if cycle else 0.0) < steps_cost - margin:
        found.cuts, found.left = [], smooth[2]
        if smooth[1] == "drift":
            found.drift, found.reason = smooth[3], "a steady drift describes the series better than steps"
        else:
            found.can_tell, found.reason = False, f"one slow wave of about {smooth[3]:.0f} points describes the series as well as steps: fewer than two cycles tell no season from a change"
        return found
    if not cuts:
        return found
    weights = flat
    if variance:
        weights = _weights(found.left, variance)
        cuts, _ = _choose(x, weights)
    return _tested(found, cuts, weights)


def _short(x: Series) -> _Found:
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
    found = _Found(x, cuts, left)
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


def _choose(x: Series, w: Series) -> tuple[list[int], float]:
    """The number and places of steps with the least criterion, and that criterion."""
    n = len(x)
    best: tuple[float, list[int]] = (math.inf, [])
    for k, cuts in enumerate(_segmentations(x, w)):
        cost = autoregression((x - _levels(x, w, cuts)) * np.sqrt(w)).criterion + math.log(n) * (STEP * k + PAIR * k * (k - 1))
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


def _smooth(x: Series) -> tuple[float, str, Series, float]:
    """``(criterion, "drift" | "wave", residual, slope in sd over the whole | period)`` of the better smooth description."""
    n = len(x)
    t = np.linspace(-0.5, 0.5, n)
    slope = float(t @ x) / float(t @ t)
    left = x - x.mean() - slope * t
    best = (autoregression(left).criterion + STEP * math.log(n), "drift", left, slope / max(float(x.std()), 1e-12))
    for cycles in np.arange(0.5, 2.0, 0.1):
        angle = 2 * np.pi * cycles * np.arange(n) / n
        design = np.stack([np.ones(n), np.cos(angle), np.sin(angle)], axis=1)
        left = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
        cost = autoregression(left).criterion + 2 * STEP * math.log(n)
        if cost < best[0]:
            best = (cost, "wave", left, n / float(cycles))
    return best


def _variance_steps(left: Series) -> list[int]:
    """Where the spread of what is left changes: steps in the normal scores of its size, tested like any other."""
    size = normal_scores(np.abs(left))
    if float(np.ptp(size)) == 0:
        return []
    flat = np.ones(len(size))
    cuts, _ = _choose(size, flat)
    return _tested(_Found(size, cuts, size - _levels(size, flat, cuts)), cuts, flat).cuts if cuts else []


def _weights(left: Series, cuts: list[int]) -> Series:
    out = np.empty_like(left)
    for a, b in zip([0, *cuts], [*cuts, len(left)], strict=True):
        out[a:b] = 1 / (float(np.mean(left[a:b] ** 2)) + 1e-4)
    return out / out.mean()


def _tested(found: _Found, cuts: list[int], w: Series) -> _Found:
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
        lost = 2 * k + max(1, 2 * fit.order - 1)  # places, levels and coefficients, out of so many effective points
        ratio = fit.long_run / variance * free / max(1.0, free - lost)
        refuted = wandering - fit.criterion - math.log(n) * (STEP * k + PAIR * k * (k - 1)) > REFUTED
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


def _with(found: _Found, cuts: list[int], left: Series, ratio: float, scores: tuple[tuple[float, float], ...]) -> _Found:
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


# ---------------------------------------------------------------- what was found, in the series' own terms


def _placed(found: _Found, x: Series, scores: Series, block: int, least: float) -> list[Change]:
    """Steps at full resolution with intervals, medians and whether they went away; steps below ``least`` are left out."""
    n = len(x)
    cuts = [_refined(scores, max(0, (c - 1) * block), min(n, (c + 1) * block), c * block, block) for c in found.cuts] if block > 1 else list(found.cuts)
    medians = [float(np.median(x[a:b])) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    out = []
    for i, (c, (score, size)) in enumerate(zip(cuts, found.scores, strict=True)):
        if least and abs(medians[i + 1] - medians[i]) < least:
            continue
        half = block * math.ceil(min(n, PLACE * found.ratio / max(size, 1e-9) ** 2)) if math.isfinite(size) else 0
        low, high = max(cuts[i - 1] if i else 0, c - half), min(cuts[i + 1] if i + 1 < len(cuts) else n - 1, c + half)
        back = next((cuts[j - 1] for j in range(i + 2, len(medians)) if abs(medians[j] - medians[i]) <= 0.25 * abs(medians[i + 1] - medians[i])), None)
        out.append(Change(c, low, high, medians[i], medians[i + 1], size, _chance(score), back))
    return out


def _refined(scores: Series, low: int, high: int, near: int, reach: int) -> int:
    """The best place of one step among the points around ``near``, its levels taken from the neighbourhood."""
    a, b = max(0, near - 20 * reach), min(len(scores), near + 20 * reach)
    before, after = float(scores[a:low].mean()) if low > a else 0.0, float(scores[high:b].mean()) if b > high else 0.0
    gain = np.cumsum((scores[low:high] - before) ** 2 - (scores[low:high] - after) ** 2)
    return low + int(np.argmin(np.concatenate([[0.0], gain])))


def _chance(score: float) -> float:
    """P(the largest squared standardised step over all places exceeds ``score``) in noise alone (James, James & Siegmund 1987, 4 % trimmed)."""
    if score <= 4:
        return 1.0
    if score > 1400:
        return 0.0
    x = math.sqrt(score)
    width = 2 * math.log((1 - SHORTEST) / SHORTEST)
    return min(1.0, x * math.exp(-score / 2) / math.sqrt(2 * math.pi) * (width * (1 - 1 / score) + 4 / score))


def _spikes(x: Series, cuts: list[int]) -> list[int]:
    """Points far off their level; none where they are too many or too close together to be single points."""
    n, out = len(x), []
    for a, b in zip([0, *cuts], [*cuts, n], strict=True):
        part = x[a:b]
        middle = float(np.median(part))
        spread = 1.4826 * float(np.median(np.abs(part - middle)))
        if spread > 0:
            out += [a + int(i) for i in np.flatnonzero(np.abs(part - middle) > SPIKE * spread)]
    return out if len(out) <= max(1, n * SHORTEST) else []
