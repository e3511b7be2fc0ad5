"""Which routes are asked by a timer? Health checks and synthetic probes, known by how they arrive and not by their name.

A timer's requests come in nearly equal numbers per interval, while those of independent people scatter as a Poisson count does; and a
probe reads no data, so that it is answered before most others are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.baseline.levels import inside
from perfaudit.baseline.stream import Key
from perfaudit.model import Window

#: Variance over mean of the number per bin: 1 for independent arrivals, near 0 for a timer. Of 20 Poisson bins, 1 in 10,000 series falls
#: below 0.3 (chi-square with 19 degrees of freedom: 5.7).
REGULAR = 0.3
#: Answered (95 %) within this share of the time that half of the other requests take.
TINY = 0.5
#: Bins, and requests per bin, that are needed to call arrivals regular; requests that a probe must have made.
BINS, PER_BIN, LEAST = 20, 4, 72


def find(cube: Cube, normal: Window) -> dict[Key, float]:
    """Probes, with their requests per second, as they behave in ``normal``; empty where all routes look alike."""
    at = inside(cube, normal)[1:-1]  # the first and the last bin are cut
    if len(at) < BINS:
        return {}
    hist = cube.hist[:, at].sum(axis=1, dtype=np.int64)
    everything = hist.sum(axis=0)
    found = {}
    for k, key in enumerate(cube.keys[:-1]):
        count, rest = cube.count[k, at], everything - hist[k]
        if count.sum() >= LEAST and rest.any() and hist[k].any() and by_timer(count) and _quantile(cube.values, hist[k], 0.95) <= TINY * _quantile(cube.values, rest, 0.5):
            found[key] = float(count.sum()) / float(cube.steps[at].sum())
    return found


def by_timer(count: Any) -> bool:
    """Whether the number per bin, shape (bins,), scatters less than independent arrivals would."""
    size = max(1, math.ceil(PER_BIN * len(count) / max(1, count.sum())))
    bins = len(count) // size
    if bins < BINS:
        return False
    merged = count[: bins * size].reshape(bins, size).sum(axis=1)
    return float(merged.var(ddof=1)) <= REGULAR * float(merged.mean())


def _quantile(values: Any, count: Any, q: float) -> float:
    ranks = np.cumsum(count)
    return float(values[int(np.searchsorted(ranks, math.ceil(q * ranks[-1] - 1e-9)))])
