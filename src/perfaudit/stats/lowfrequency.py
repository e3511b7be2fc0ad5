"""How far the mean of an autocorrelated series may be from the truth: a mixture of t distributions over its persistence.

A short series cannot tell how persistent it is, so no single long-run variance is right: with 60 points of an AR(1) with φ = 0.9
plug-in estimates (Newey–West, prewhitened, equal-weighted cosines) reject a true hypothesis in 10–40 % of cases. Here the squared
cosine transforms of the series, Λ_j² = (2/n)(Σ x_t cos(πj(t−½)/n))² ~ s(πj/n)·χ²₁ (Müller & Watson 2008; Lazarus, Lewis, Stock &
Watson 2018), weigh a grid of spectra s: an AR(1) of each integrated autocorrelation time, alone or with white noise on top. Each
spectrum gives a variance of the mean and, its scale unknown, a t distribution; their mixture is the answer, in the spirit of
Müller (2014), "HAC corrections for strongly autocorrelated time series". The arms of a comparison share the spectrum's shape, not its scale.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Integrated autocorrelation times from 1 (white) to this many series lengths. Two independent arms of 60, no change, 400 pairs, nominal 5 %:
#: with 0.5 lengths φ .9 errs 10 %, with 1 4 % but φ .95 10 %, with 1.5 and more both under 5 %.
LONGEST = 1.5
TIMES = 24
#: White noise on top, as a multiple of the AR(1) variance, and what each weighs beforehand. Without it AR(1) .95 + noise (what a percentile
#: per minute may be) errs 33 % at n = 60 and an independent series' interval is 25 % too wide; equal weights: 10 %, 63 %; these: 15 %, 44 %.
NOISE = ((0.0, 0.6), (1.0, 0.2), (4.0, 0.2))
#: Transforms used: the lower half of the frequencies, at most this many (more degrees of freedom change no t quantile by 2 %).
MOST = 120
#: Spectra this much less likely than the likeliest are left out.
NEGLIGIBLE = 1e-5
#: Rounding of a series as a whole, as a share of its range squared; keeps a scale from being 0.
SMALLEST = 1e-24
#: Below this many values nothing can be said of persistence: two transforms are the least that have a shape.
LEAST = 4


class Uncertainty(NamedTuple):
    """The error of an estimated mean (or difference of means): a mixture of centred t distributions. All arrays of shape (k,)."""

    weights: Floats
    errors: Floats
    freedom: Floats

    def tail(self, distance: float) -> float:
        """Probability that the error exceeds ``distance`` in absolute value: the two-sided p value."""
        from scipy.special import stdtr

        if not len(self.errors) or self.errors.max() <= 0:
            return 1.0 if distance == 0 else 0.0
        return float(np.dot(self.weights, 2 * stdtr(self.freedom, -abs(distance) / self.errors)))

    def half(self, level: float) -> float:
        """Half the width of the interval with ``level``; also, with 2p − 1, the one-sided quantile of p."""
        if not len(self.errors) or self.errors.max() <= 0:
            return 0.0
        low, high = 0.0, float(self.errors.max())
        while self.tail(high) > 1 - level:
            low, high = high, 2 * high
        while high - low > 1e-5 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self.tail(middle) > 1 - level else (low, middle)
        return high

    def longer(self, times: float) -> Uncertainty:
        """The same for a series ``times`` as long: smaller errors, more degrees of freedom."""
        return Uncertainty(self.weights, self.errors / math.sqrt(times), self.freedom * times)

    @property
    def variance(self) -> float:
        """Variance of the estimate: the weighted mean over the spectra."""
        return float(np.dot(self.weights, self.errors**2)) if len(self.errors) else 0.0


@lru_cache(maxsize=64)
def _spectra(n: int, longest: float) -> tuple[Floats, Floats, Floats]:
    """Prior weights (k,), spectra at the cosine frequencies (k, used), and variances of the mean of ``n`` values (k,)."""
    time = np.geomspace(1, max(2.0, longest), TIMES)
    phi = (time - 1) / (time + 1)
    frequency = np.pi * np.arange(1, min(n // 2, MOST) + 1) / n
    persistent = (1 - phi**2)[:, None] / (1 - 2 * phi[:, None] * np.cos(frequency) + (phi**2)[:, None])
    mean = time / n * (1 - 2 * phi * (1 - phi**n) / (n * (1 - phi**2)))
    weights = np.concatenate([np.full(TIMES, weight) for _, weight in NOISE])
    spectra = np.concatenate([persistent + noise for noise, _ in NOISE])
    return weights, spectra, np.concatenate([mean + noise / n for noise, _ in NOISE])


def mean_uncertainty(*arms: Any, longest: float = LONGEST) -> Uncertainty:
    """Uncertainty of the sum or difference of the arms' means: each arm a series in time order, shape (n ≥ 4,), finite, of any unit.

    Constant arms add nothing (nothing is known of how they vary). The arms must not depend on each other.
    ``longest``: the longest autocorrelation time thought possible, in lengths of the shorter arm.
    """
    from scipy.fft import dct

    series = [x for x in (np.asarray(arm, np.float64) for arm in arms) if not constant(x)]
    if not series:
        return Uncertainty(np.empty(0), np.empty(0), np.empty(0))
    steps = longest * min(len(x) for x in series)
    unit = max(float(np.ptp(x)) for x in series)
    likelihood, variance, spread = np.zeros(0), np.zeros(0), np.zeros(0)
    for x in series:
        n = len(x)
        if n < LEAST:
            raise ValueError(f"fewer than {LEAST} values")
        prior, spectra, mean = _spectra(n, steps)
        if not len(likelihood):
            likelihood, variance, spread = np.log(prior), np.zeros(len(prior)), np.zeros(len(prior))
        used = spectra.shape[1]
        energy = (dct(x / unit - (x / unit).mean(), type=2)[1 : used + 1] ** 2) / (2 * n)
        scale = np.maximum((energy / spectra).mean(axis=1), SMALLEST)
        likelihood = likelihood - 0.5 * np.log(spectra).sum(axis=1) - used / 2 * np.log(scale)
        own = scale * mean
        variance, spread = variance + own, spread + own**2 / used
    weights = np.exp(likelihood - likelihood.max())
    kept = weights > NEGLIGIBLE
    return Uncertainty(weights[kept] / weights[kept].sum(), unit * np.sqrt(variance[kept]), variance[kept] ** 2 / spread[kept])


def constant(x: Any) -> bool:
    """Does the series not vary at all (beyond rounding)?"""
    return len(x) == 0 or float(np.max(x) - np.min(x)) <= 1e-12 * float(np.max(np.abs(x)))
