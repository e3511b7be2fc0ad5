"""What a comparison can and cannot see: the minimum detectable effect, and the sample size that would see an effect.

Closed forms for a two-sided test (Cohen 1988, §2; Bloom 1995): mde = (z₁₋α/₂ + z_power) · standard error, with the t of ``freedom``
degrees instead of z where the variance is estimated from few. All are for two arms of the same kind; standard errors rest on the
long-run variance, so that autocorrelated intervals count for what they are worth.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from perfaudit.stats.lowfrequency import mean_uncertainty
from perfaudit.stats.percentile import effective_size

LEVEL = 0.95
POWER = 0.8
#: Standard errors from the middle to the end of a 95 % interval.
ENDS = 1.96


class Detectable(NamedTuple):
    """The least ``effect`` found with ``power`` at ``level``, in the values' unit; ``n`` values per arm, worth ``effective`` independent ones."""

    effect: float
    n: int
    effective: float
    level: float
    power: float


def quantiles_needed(level: float = LEVEL, power: float = POWER, freedom: float = math.inf) -> float:
    """Standard errors that an effect must measure: 2.80 at 95 % and 80 %."""
    _check(level, power)
    if freedom == math.inf:
        from statistics import NormalDist

        return NormalDist().inv_cdf((1 + level) / 2) + NormalDist().inv_cdf(power)
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2) + stdtrit(freedom, power))


def mean_effect(variance: float, n_a: int, n_b: int, *, level: float = LEVEL, power: float = POWER, freedom: float = math.inf) -> float:
    """Least difference of two means that is found; ``variance``: long-run variance of one value. Of logs: a log ratio."""
    if variance < 0 or min(n_a, n_b) < 1:
        raise ValueError("variance must not be negative, and both arms need values")
    return quantiles_needed(level, power, freedom) * math.sqrt(variance / n_a + variance / n_b)


def mean_size(variance: float, effect: float, *, level: float = LEVEL, power: float = POWER) -> int:
    """Values per arm that find a difference ``effect`` of two means, as :func:`mean_effect` does."""
    if variance < 0 or not effect > 0:
        raise ValueError("variance must not be negative, and the effect must be positive")
    return max(2, math.ceil(2 * variance * (quantiles_needed(level, power) / effect) ** 2))


def series_effect(x: Any, *, n: int | None = None, level: float = LEVEL, power: float = POWER) -> Detectable | None:
    """What two arms like this series, shape (n ≥ 4,) in time order, could tell apart with :func:`perfaudit.stats.compare.two_sample`.

    ``n``: length of each arm (default: that of the series). None for fewer than four values or a constant series.
    """
    values = _finite(x)
    if len(values) < 4 or np.ptp(values) <= 1e-12 * np.abs(values).max():
        return None
    _check(level, power)
    size = n or len(values)
    error = mean_uncertainty(values).longer(size / len(values))
    effect = math.sqrt(2) * (error.half(level) + error.half(2 * power - 1))
    return Detectable(effect, size, min(float(size), float(values.var()) / error.variance), level, power)


def percentile_effect(x: Any, q: float, *, n: int | None = None, level: float = LEVEL, power: float = POWER) -> Detectable | None:
    """Least rise of the ``q``-quantile that two arms like this sample, shape (n,) in time order, could tell apart, in its unit.

    c·√2 standard errors, c = :func:`quantiles_needed`. The standard error is the sample's own quantile function between the ends of its
    95 % interval, q ± 1.96·√(q(1−q)/n_eff), over 2 · 1.96 (Maritz & Jarrett 1978 compare such estimates). None where that leaves the sample.
    """
    values = _finite(x)
    if not 0 < q < 1:
        raise ValueError("q must lie between 0 and 1")
    if len(values) < 4:
        return None
    size = n or len(values)
    kept = np.sort(values)
    effective = effective_size(values >= np.quantile(kept, q, method="inverted_cdf")) * size / len(values)
    if effective <= 0:
        return None
    step = ENDS * math.sqrt(q * (1 - q) / effective)
    if not 0.5 / len(values) < q - step < q + step < 1 - 0.5 / len(values):
        return None
    low, high = np.quantile(kept, [q - step, q + step])
    return Detectable(quantiles_needed(level, power) * math.sqrt(2) * float(high - low) / (2 * ENDS), size, effective, level, power)


def percentile_size(q: float, share: float, *, level: float = LEVEL, power: float = POWER) -> int:
    """Independent values per arm that find that the share above the control's ``q``-quantile rose from 1 − q to ``share`` (> 1 − q)."""
    if not 0 < 1 - q < share < 1:
        raise ValueError("share must lie between 1 − q and 1")
    from statistics import NormalDist

    _check(level, power)
    mean, before = (share + 1 - q) / 2, 1 - q
    at_level = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(2 * mean * (1 - mean))
    at_power = NormalDist().inv_cdf(power) * math.sqrt(before * q + share * (1 - share))
    return math.ceil(((at_level + at_power) / (share - before)) ** 2)


def _check(level: float, power: float) -> None:
    if not (0 < level < 1 and 0 < power < 1):
        raise ValueError("level and power must lie between 0 and 1")


def _finite(x: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The values without missing ones. Raises ``ValueError`` for infinities."""
    values = np.asarray(x, np.float64).ravel()
    values = values[~np.isnan(values)]
    if len(values) and not float(np.abs(values).max()) < 1e150:
        raise ValueError("x: holds an infinite value")
    return values
