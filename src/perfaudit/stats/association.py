"""Do two series move together? Rank correlation with a sample size that respects autocorrelation."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np


class Association(NamedTuple):
    """Spearman's coefficient, its two-sided p-value and the effective sample size."""

    r: float
    p: float
    n_eff: float


def ranks(x: Any) -> Any:
    """Mid-ranks, 1-based, shape (n,)."""
    x = np.asarray(x, np.float64)
    distinct, position, count = np.unique(x, return_inverse=True, return_counts=True)
    del distinct
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[position]


def spearman(x: Any, y: Any) -> Association:
    """Rank correlation of two series in time order, shape (n,) each.

    The sample size is reduced for autocorrelation in both (Bartlett 1935; Pyper & Peterman 1998, eq. 1, lags to n/4).
    Fewer than 8 points, or a constant series, give ``r = 0, p = 1``.
    """
    n = len(x)
    if n < 8 or len(y) != n:
        return Association(0.0, 1.0, float(n))
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    va, vb = float(a @ a), float(b @ b)
    if va <= 0 or vb <= 0:
        return Association(0.0, 1.0, float(n))
    r = float(a @ b) / math.sqrt(va * vb)
    shared = 0.0
    for lag in range(1, n // 4 + 1):
        ra, rb = float(a[lag:] @ a[:-lag]) / va, float(b[lag:] @ b[:-lag]) / vb
        if ra <= 0 or rb <= 0:
            break
        shared += (n - lag) / n * ra * rb
    n_eff = min(float(n), n / (1 + 2 * shared))
    if n_eff <= 4:
        return Association(r, 1.0, n_eff)
    z = math.atanh(min(max(r, -0.999999), 0.999999)) * math.sqrt(n_eff - 3)
    return Association(r, 2 * (1 - NormalDist().cdf(abs(z))), n_eff)
