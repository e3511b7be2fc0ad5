"""The exponent of a cost: y = m · (base + β · sizeᵏ), with an interval for k.

``base`` is a constant, or what the same sizes cost before. A line through logarithms would give a smaller exponent wherever there is a base (Goldsmith, Aiken,
Wilkerson, *Measuring empirical computational complexity*, ESEC/FSE 2007, §3, discuss both). Errors of durations are multiplicative, so that the
squares of the logarithms' residuals are least: on a grid over k and β with m free, which has no local minimum to fall into and gives the same answer always.
Values far off are left out (three scaled median deviations), the interval comes from resampling (Efron 1979).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: The exponents that are tried: from "size does not matter" to beyond a cube, in steps of half the least error met with 50 values.
EXPONENTS = np.arange(0.0, 4.01, 0.05)
#: β at the median size, in units of the base there: from a thousandth to a thousand times.
WEIGHTS = np.concatenate([[0.0], np.logspace(-3, 3, 37)])
#: Sizes must span this factor (5th to 95th percentile) and take this many values, or no curve can be told from a line.
SPAN, DISTINCT = 4.0, 6
#: Least values: three parameters, and five to spare.
LEAST = 8
#: Values that are used at most, spread over the sizes; the interval of 400 is under ± 0.1 at a noise of 30 %.
MOST = 400
REPLICATES, _SEED = 300, 20_071
#: Scaled median deviations beyond which a value is left out.
FAR = 3.0


class Law(NamedTuple):
    """Exponent with its 95 % interval, n used, share of the variance of ln y explained; ``predict`` gives y for sizes (and their base)."""

    k: float
    low: float
    high: float
    n: int
    fit: float
    scale: float
    weight: float
    median: float

    def predict(self, size: Any, base: Any = 1.0) -> Any:
        """y at these sizes, in its unit."""
        return self.scale * (base + self.weight * (np.asarray(size) / self.median) ** self.k)


def spans(size: Any) -> float:
    """How far sizes reach: 95th over 5th percentile; 0 where they take too few values."""
    size = np.asarray(size, np.float64)
    if len(np.unique(size)) < DISTINCT:
        return 0.0
    low, high = np.quantile(size, (0.05, 0.95))
    return float(high / low) if low > 0 else 0.0


def law(size: Any, y: Any, base: Any = None) -> Law | None:
    """Fit sizes and costs, shape (n,), both above 0 (others are left out); ``base`` in the unit of y. None where there are too few or they span too little."""
    size, y = np.asarray(size, np.float64), np.asarray(y, np.float64)
    base = np.ones(len(y)) if base is None else np.asarray(base, np.float64)
    use = np.isfinite(size + y + base) & (size > 0) & (y > 0) & (base > 0)
    size, y, base = size[use], y[use], base[use]
    if len(size) < LEAST or spans(size) < SPAN:
        return None
    if len(size) > MOST:
        at = np.argsort(size, kind="stable")[np.linspace(0, len(size) - 1, MOST).astype(np.int64)]
        size, y, base = size[at], y[at], base[at]
    median = float(np.median(size))
    unit = float(np.median(base))
    powers = (size / median) ** EXPONENTS[:, None]
    left = np.log(y) - np.log(base / unit + WEIGHTS[None, :, None] * powers[:, None, :])
    left = left.reshape(-1, len(y))
    best = int(np.argmin(left.var(axis=1)))
    off = left[best] - np.median(left[best])
    keep = np.abs(off) <= FAR * 1.4826 * max(float(np.median(np.abs(off))), 1e-6)
    if keep.sum() < LEAST:
        keep[:] = True
    left, size, y = left[:, keep], size[keep], y[keep]
    n = len(y)
    picks = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), REPLICATES).T.astype(np.float64)
    centred = left - left.mean(axis=1, keepdims=True)
    spread = (centred**2) @ picks / n - (centred @ picks / n) ** 2
    low, high = np.quantile(EXPONENTS[np.argmin(spread, axis=0) // len(WEIGHTS)], (0.025, 0.975))
    best = int(np.argmin(left.var(axis=1)))
    total = float(np.log(y).var())
    return Law(
        float(EXPONENTS[best // len(WEIGHTS)]), float(low), float(high), n, 1 - float(left[best].var()) / total if total > 0 else 0.0,
        float(np.exp(left[best].mean())) / unit, float(WEIGHTS[best % len(WEIGHTS)]) * unit, median,
    )  # fmt: skip
