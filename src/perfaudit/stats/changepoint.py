"""Where does the level of a series change? Steps told from noise that wanders, from cycles, drifts, spikes and changes of variance.

The series goes to normal scores (heavy tails do no harm) and :mod:`perfaudit.stats.segmentation` searches it; what it found is put back into the series'
own terms here, with intervals. What theory and data cannot tell apart is said: ``can_tell`` is False.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.scores import normal_scores
from perfaudit.stats.segmentation import SHORTEST, Found, search

Series = NDArray[np.float64]

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
    found = search(coarse / max(float(coarse.std()), 1e-12), tuple(p / block for p in periods))
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


def _placed(found: Found, x: Series, scores: Series, block: int, least: float) -> list[Change]:
    """Steps at full resolution with intervals, medians and whether they went away; steps below ``least`` are left out."""
    n = len(x)
    cuts = [_refined(scores, max(0, (c - 1) * block), min(n, (c + 1) * block), c * block, block) for c in found.cuts] if block > 1 else list(found.cuts)
    with np.errstate(over="ignore"):
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
        with np.errstate(over="ignore", invalid="ignore"):  # values near the largest number, and infinite ones
            off = np.abs(x[a:b] - np.median(x[a:b]))
            spread = 1.4826 * float(np.median(off))
            out += [a + int(i) for i in np.flatnonzero(off > SPIKE * spread)] if spread > 0 else []
    return out if len(out) <= max(1, n * SHORTEST) else []
