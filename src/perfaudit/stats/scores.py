"""Ranks as normal scores, and the trend of a series."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.variance import long_run_variance

Series = NDArray[np.float64]

#: Fewest points that have a trend.
FEWEST = 12
#: A series that goes up and down in turn has almost no long-run variance, but ends somewhere: its noise counts as a tenth of its variance at least.
ALTERNATES = 0.1


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
    left = x - x.mean() - slope * t
    noise = max(long_run_variance(left, lost=2), ALTERNATES * float(left.var()))
    return slope / math.sqrt(noise / spread) if noise > 0 else 0.0
