"""How far the quantiles of one sample lie from another's, with intervals by moving-block bootstrap (Künsch 1989).

Requests in time order depend on each other, so whole stretches of them are drawn. The length of the blocks comes from the data, from the
indicator of each quantile (Politis & White 2004, as corrected by Patton, Politis & White 2009). Blocks vary too little where dependence
reaches beyond them and where they are few: draws are spread by the root of long-run variance over block variance, and by the t
quantile for the number of blocks. Requests are first cut into at most ``PIECES`` successive pieces with a histogram each, so that a
draw is a sum of histograms; histograms per interval go the same way. Seeds are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.decision import (
    POWER,
    Comparison,
    Question,
    Scale,
    Worse,
    decide,
    missing,
    needed,
    practical,
    shown_as,
    unit_of,
    values_of,
)
from perfaudit.stats.lowfrequency import Uncertainty
from perfaudit.stats.variance import long_run_variance

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Draws: the ends of a 95 % interval then rest on 25 draws each (Davison & Hinkley 1997, §5.2.1 asks for 999).
DRAWS = 999
#: More pieces than this change no interval by 1 %, but cost time.
PIECES = 600
#: Thresholds per quantile and arm, on which draws are told apart: fine against their spread, which 4 standard errors to each side hold.
THRESHOLDS = 101
SEED = 20041
#: Fewer blocks than this in an arm, and what they vary by is not known.
LEAST_BLOCKS = 8
#: Fewer values beyond a quantile than this, and its draws are hardly more than the largest value.
LEAST_BEYOND = 5
METHOD = "moving-block bootstrap"


def quantile_shift(x: Any, y: Any, qs: Sequence[float], *, least: float, level: float = 0.95, worse: Worse = "higher", scale: Scale = "ratio") -> tuple[Comparison, ...]:
    """For each of ``qs`` (0 < q < 1), the shift of the quantile from ``x`` to ``y``: requests in time order, shapes (n_x,) and (n_y,).

    ``scale="ratio"`` (positive values): relative change, ``least`` 0.05 is ± 5 %. Each interval has ``level`` for itself. A quantile with fewer
    than five values beyond it, or an arm worth fewer than ``LEAST_BLOCKS`` blocks, is inconclusive. Raises ``ValueError`` as ``two_sample`` does.
    """
    least = practical(least, scale)
    (a, lost_a), (b, lost_b) = values_of(x, "x", scale), values_of(y, "y", scale)
    asked = Question(least, level, worse, scale, METHOD, (len(a), len(b)), missing(lost_a + lost_b))
    return tuple(_shift(_of_requests(a), _of_requests(b), q, asked) for q in qs)


def histogram_shift(values: Any, x: Any, y: Any, qs: Sequence[float], *, least: float, level: float = 0.95, worse: Worse = "higher", scale: Scale = "ratio") -> tuple[Comparison, ...]:
    """The same from histograms per interval: ``values``, shape (k,), ascending; counts ``x``, ``y``, shapes (intervals, k), in time order."""
    least = practical(least, scale)
    places, _ = values_of(values, "values", scale)
    arms = []
    for name, counts in (("x", np.asarray(x, np.float64)), ("y", np.asarray(y, np.float64))):
        if counts.ndim != 2 or counts.shape[1] != len(places) or not np.isfinite(counts).all() or (counts < 0).any():
            raise ValueError(f"{name}: counts must be finite, not negative, and of shape (intervals, {len(places)})")
        arms.append(_Arm(places, counts.sum(axis=0), counts.sum(axis=1), partial(_columns, np.cumsum(counts, axis=1))))
    asked = Question(least, level, worse, scale, METHOD, (int(arms[0].sizes.sum()), int(arms[1].sizes.sum())), "")
    return tuple(_shift(arms[0], arms[1], q, asked) for q in qs)


class _Arm(NamedTuple):
    """Distinct values (k,), how often each was seen (k,), sizes of the pieces (p,), and values ≤ the i-th distinct one per piece: (p, len(i))."""

    values: Floats
    counts: Floats
    sizes: Floats
    below: Callable[[Indices], Floats]


def _columns(table: Floats, chosen: Indices) -> Floats:
    return table[:, chosen]


def _of_requests(x: Floats) -> _Arm:
    values, rank, counts = np.unique(x, return_inverse=True, return_counts=True)
    pieces = min(len(x), PIECES)
    piece = np.arange(len(x)) * pieces // max(1, len(x))

    def below(chosen: Indices) -> Floats:
        place = np.searchsorted(chosen, rank.ravel())
        table = np.bincount(piece * (len(chosen) + 1) + place, minlength=pieces * (len(chosen) + 1)).reshape(pieces, -1)
        return np.cumsum(table[:, :-1], axis=1).astype(np.float64)

    return _Arm(values, counts.astype(np.float64), np.bincount(piece, minlength=pieces).astype(np.float64), below)


def _shift(x: _Arm, y: _Arm, q: float, asked: Question) -> Comparison:
    """The shift of one quantile. On the working scale: logs for a ratio."""
    if not 0 < q < 1:
        raise ValueError("qs: each must lie between 0 and 1")
    for name, arm, n in (("x", x, asked.n[0]), ("y", y, asked.n[1])):
        if not n:
            return asked.refuse(f"arm {name} is empty")
        if arm.values[0] == -math.inf:
            return asked.refuse(f"arm {name} holds zeros, of which there is no ratio")
    estimates = [_quantile(arm, q) for arm in (x, y)]
    effect = estimates[1] - estimates[0]
    for name, arm, n in (("x", x, asked.n[0]), ("y", y, asked.n[1])):
        if n * min(q, 1 - q) < LEAST_BEYOND:
            return asked.refuse(f"arm {name} has fewer than {LEAST_BEYOND} values beyond this quantile: it needs {math.ceil(LEAST_BEYOND / min(q, 1 - q))}", effect)
        if len(arm.sizes) < LEAST_BLOCKS:
            return asked.refuse(f"arm {name} has {len(arm.sizes)} intervals; at least {LEAST_BLOCKS} are needed", effect)
    if len(x.values) == 1 and len(y.values) == 1:
        return asked.refuse("neither arm varies: nothing to measure a difference against", effect)
    draws = [_draws(arm, q, np.random.default_rng((SEED, which))) for which, arm in enumerate((x, y))]
    ends = np.quantile(draws[1] - draws[0], [(1 - asked.level) / 2, (1 + asked.level) / 2])
    low, high = min(float(ends[0]), effect), max(float(ends[1]), effect)
    result, reason = decide(effect, low, high, asked.least, asked.worse)
    error = (high - low) / (2 * quantile_of_normal((1 + asked.level) / 2))
    normal = Uncertainty(np.ones(1), np.array([error]), np.array([1e6]))
    mde = max((high - low) / 2, asked.least) + normal.half(2 * POWER - 1)
    more = needed(normal, effect, asked.least, asked.level, min(asked.n)) if result == "inconclusive" else None
    shown = tuple(shown_as(value, asked.scale) for value in (effect, low, high, mde))
    reason = "; ".join(filter(None, (reason, asked.note)))
    return Comparison(result, shown[0], shown[1], shown[2], asked.level, *asked.n, mde=shown[3], needed=more, method=METHOD, reason=reason, unit=unit_of(asked.scale))


def quantile_of_normal(p: float) -> float:
    """Of the standard normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def _quantile(arm: _Arm, q: float) -> float:
    total = np.cumsum(arm.counts)
    return float(arm.values[np.searchsorted(total, q * total[-1] - 1e-9)])


def _draws(arm: _Arm, q: float, random: np.random.Generator) -> Floats:
    """``DRAWS`` values of the quantile of blocks put together, spread out for the few blocks that there are."""
    total, pieces = np.cumsum(arm.counts), len(arm.sizes)
    middle = int(np.searchsorted(total, q * total[-1] - 1e-9))
    share = (arm.below(np.array([middle]))[:, 0] - q * arm.sizes) / arm.sizes.mean()
    length = block_length(share)
    error = math.sqrt(max(long_run_variance(share), float(share.var())) / pieces) + 2 / total[-1]
    reach = np.clip(np.array([q - 5 * error, q + 5 * error]) * total[-1], 0, total[-1])
    first, last = (int(i) for i in np.searchsorted(total, reach))
    chosen = np.unique(np.linspace(first, min(last, len(total) - 1), THRESHOLDS).round().astype(np.int64))
    table = np.column_stack([arm.below(chosen), arm.sizes])
    sums = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(table, axis=0)])
    blocks = sums[length:] - sums[:-length]
    many = math.ceil(pieces / length)
    starts = random.integers(0, len(blocks), (DRAWS, many)) + len(blocks) * np.arange(DRAWS)[:, None]
    drawn = np.bincount(starts.ravel(), minlength=DRAWS * len(blocks)).reshape(DRAWS, -1) @ blocks
    reached = drawn[:, :-1] >= q * drawn[:, -1:] - 1e-9
    values = arm.values[chosen][np.where(reached.any(axis=1), reached.argmax(axis=1), len(chosen) - 1)]
    from scipy.special import stdtrit

    wider = float(stdtrit(max(1.0, pieces / length - 1), 0.975)) / quantile_of_normal(0.975) * math.sqrt(pieces / max(1, pieces - length))
    path = np.concatenate([[0.0], np.cumsum(share - share.mean())])
    within = float(((path[length:] - path[:-length]) ** 2).mean()) / length
    wider *= math.sqrt(max(1.0, long_run_variance(share) / within)) if within > 0 else 1.0
    centre = float(arm.values[middle])
    return np.asarray(centre + wider * (values - centre))


def block_length(x: Any) -> int:
    """Length of the blocks for the mean of a series, shape (n,): Politis & White (2004) with the correction of 2009; at most n / ``LEAST_BLOCKS``."""
    x = np.asarray(x, np.float64) - np.mean(x)
    n = len(x)
    most = max(1, n // LEAST_BLOCKS)
    energy = float(x @ x) / max(n, 1)
    if energy <= 0 or n < LEAST_BLOCKS:
        return 1
    reach = min(n - 1, 2 * math.ceil(math.sqrt(n)) + 10)
    spectrum = np.abs(np.fft.rfft(x, 2 * n)) ** 2
    covariance = np.fft.irfft(spectrum)[: reach + 1] / n
    bound, run = 2 * math.sqrt(math.log10(n) / n), max(5, math.ceil(math.sqrt(math.log10(n))))
    small = np.abs(covariance[1:]) / energy < bound
    quiet = [lag for lag in range(len(small) - run + 1) if small[lag : lag + run].all()]
    lags = min(reach, 2 * max(1, quiet[0] if quiet else reach // 2))
    k = np.arange(1, lags + 1)
    taper = np.minimum(1.0, 2 * (1 - k / lags)) * covariance[1 : lags + 1]
    density = energy + 2 * float(taper.sum())
    if density <= 0:
        return 1
    return int(min(most, max(1, math.ceil((2 * (2 * float((k * taper).sum())) ** 2 / (4 / 3 * density**2) * n) ** (1 / 3)))))
