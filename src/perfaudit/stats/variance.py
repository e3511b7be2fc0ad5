"""How much the mean of an autocorrelated series varies: long-run variance and effective sample size."""

from __future__ import annotations

from typing import Any

import numpy as np


def long_run_variance(x: Any, *, lost: int = 1) -> float:
    """Long-run variance of a series, shape (n,): AR(1) prewhitening, then recoloured (Andrews & Monahan 1992).

    ``lost``: parameters fitted before (levels, places of steps). The autocorrelation is corrected for its bias,
    (1 + 3φ)/n for a fitted mean (Marriott & Pope 1954) and as much again for each further level, and limited to
    0 ≤ φ ≤ 0.95, so that the answer never falls below white noise or explodes.
    """
    x = np.asarray(x, np.float64)
    n = len(x)
    if n < 4:
        return float(x.var()) if n else 0.0
    x = x - x.mean()
    energy = float(np.dot(x, x))
    if energy <= 0:
        return 0.0
    phi = float(np.dot(x[1:], x[:-1])) / energy
    phi = min(max(phi + lost * (1 + 3 * max(phi, 0.0)) / n, 0.0), 0.95)
    innovation = x[1:] - phi * x[:-1]
    return float(np.dot(innovation, innovation)) / max(1, n - 1 - lost) / (1 - phi) ** 2
