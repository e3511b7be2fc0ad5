"""How a stretch of a recording runs over time, with the mix of routes held constant: what tests of steadiness look at.

Every request is compared with its own route, so that a change of the mix is no change of the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.model import Window
from perfaudit.stats.variance import long_run_variance

#: Requests that a bin holds on average at least, so that its mean is near normal (central limit), and bins that are kept at most.
PER_BIN, MOST_BINS = 6, 360


@dataclass(frozen=True)
class Course:
    """A stretch in ``n`` bins of equal length; bins without requests are left out.

    ``start``: µs, ``seconds``: length of a bin. ``count``: requests per bin. ``rank``: mean normal score of a request among its route's.
    ``log``: mean of ln(duration / geometric mean of its route). ``spent``: request-seconds over what the route means make expected,
    durations cut at the route's p99. All of shape (n,).
    """

    start: Any
    seconds: float
    count: Any
    rank: Any
    log: Any
    spent: Any

    def __len__(self) -> int:
        return len(self.start)


def inside(cube: Cube, window: Window) -> Any:
    """Indices of the cube's bins that lie within ``window`` for the most part, in time order."""
    begin, end = cube.bins, cube.bins + cube.steps * 1_000_000
    shared = np.minimum(end, window.end) - np.maximum(begin, window.start)
    found = np.flatnonzero(2 * shared >= end - begin)
    return found[np.argsort(cube.bins[found], kind="stable")]


def course(cube: Cube, window: Window) -> Course:
    """The course of ``window``; an empty one where it holds no durations."""
    at = inside(cube, window)
    every = cube.count[:, at].sum(axis=0)
    size = max(1, math.ceil(PER_BIN * len(at) / max(1, every.sum())), math.ceil(len(at) / MOST_BINS))
    begin = np.arange(0, len(at) - len(at) % size, size)
    n, rank, log, spent, expected = (np.zeros(len(at)) for _ in range(5))
    seconds, logs = cube.values / 1e6, np.log(np.maximum(cube.values, 1) / 1e6)
    for k in range(len(cube.keys)):
        hist = cube.hist[k][at]
        total = hist.sum(axis=0, dtype=np.int64)
        if not total.any():
            continue
        used = np.flatnonzero(total)
        weight = total[used] / total.sum()
        part = hist[:, used].astype(np.float64)
        here = part.sum(axis=1)
        cut = np.minimum(seconds[used], seconds[used][min(len(used) - 1, int(np.searchsorted(np.cumsum(weight), 0.99)))])
        n += here
        rank += part @ _scores(total[used])
        log += part @ (logs[used] - weight @ logs[used])
        spent += part @ cut
        expected += here * (weight @ cut)
    if not len(begin):
        return Course(np.empty(0), 0.0, *(np.empty(0),) * 4)
    count, n, rank, log, spent, expected = (np.add.reduceat(x[: len(begin) * size], begin) for x in (every, n, rank, log, spent, expected))
    filled = n > 0
    step = float(cube.steps[at[0]]) * size
    return Course(cube.bins[at][begin][filled], step, count[filled], rank[filled] / n[filled], log[filled] / n[filled], spent[filled] / np.maximum(expected[filled], 1e-12))


def _scores(count: Any) -> Any:
    """A monotone, symmetric score of each bucket's mid-rank, near the normal score: logit / 1.702, shape (buckets,)."""
    middle = (np.cumsum(count) - count / 2) / count.sum()
    middle = np.clip(middle, 1e-9, 1 - 1e-9)
    return np.log(middle / (1 - middle)) / 1.702


def design_effect(cube: Cube, k: int | None, window: Window, q: float) -> tuple[float, int]:
    """How many times fewer independent requests route ``k`` (None: all) counts for its ``q``-quantile than it has, and how many it has.

    The slow ones come in clumps: the long-run variance of the number beyond the quantile per bin, over what independence would give.
    At least 1; 1 where the stretch has too few bins (20) to tell.
    """
    at = inside(cube, window)
    hist = cube.whole[at] if k is None else cube.hist[k][at]
    total = hist.sum(axis=0, dtype=np.int64)
    n = int(total.sum())
    if n < 20 or len(at) < 20:
        return 1.0, n
    bar = int(np.searchsorted(np.cumsum(total), q * n))
    beyond, count = hist[:, bar + 1 :].sum(axis=1).astype(np.float64), hist.sum(axis=1).astype(np.float64)
    share = beyond.sum() / n
    if not 0 < share < 1:
        return 1.0, n
    independent = n / len(at) * share * (1 - share)
    return max(1.0, long_run_variance(beyond - share * count) / independent), n
