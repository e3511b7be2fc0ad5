"""How much the mean of an autocorrelated series varies: long-run variance, effective sample size, long memory.

The long-run variance LRV = Σ γ(k) over all lags replaces σ² wherever a mean of n successive values is judged: Var(mean) → LRV / n.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

#: Largest autoregressive order that is tried, and how many points each order needs: 20 points an order keep BIC's choice stable at n = 60–200.
MOST_ORDER, POINTS_PER_ORDER = 8, 20
#: Memory parameters that are tried for long memory; from 0.5 on a series has no long-run mean (Hosking 1981).
MEMORY = np.arange(0, 0.5, 0.04)


class Autoregression(NamedTuple):
    """A fitted autoregression of ``order``: x_t + a_1 x_{t-1} + … = e_t, with ``coefficients`` (1, a_1, …).

    ``innovation``: variance of e. ``long_run``: long-run variance (unit²), the largest of this order and the next one. ``criterion``: n ln(innovation) + order · ln n (BIC; smaller is better).
    """

    order: int
    coefficients: Any
    innovation: float
    long_run: float
    criterion: float


def autoregression(x: Any, *, most: int | None = None) -> Autoregression:
    """The autoregression that describes a centred series, shape (n,), best by BIC (Schwarz 1978), fitted by Burg's method (1975).

    Burg's estimate is stable (no root outside) and, unlike Yule–Walker's, not biased by the ends of short series. BIC takes an order too
    few when the next coefficient is small, which makes the long-run variance too small: hence the larger of two orders (on AR(2) (.5, .3)
    and ARMA (.6, .4), n = 200, that keeps a test at its level; benchmarks/figures.py).
    """
    x = np.asarray(x, np.float64)
    n = len(x)
    energy = float(x @ x) / max(n, 1)
    if n < 4 or energy <= 0:
        return Autoregression(0, np.ones(1), energy, energy, -math.inf if energy <= 0 else n * math.log(energy))
    most = max(1, min(MOST_ORDER, n // POINTS_PER_ORDER)) if most is None else most
    fits = [(n * math.log(energy), energy, np.ones(1))]
    forward, backward, a, e = x, x, np.ones(1), energy
    for order in range(1, min(most + 1, n - 2) + 1):
        ahead, behind = forward[1:], backward[:-1]
        spread = float(ahead @ ahead + behind @ behind)
        if spread <= 1e-12 * n * energy:
            break
        k = -2 * float(ahead @ behind) / spread
        if abs(k) >= 1:
            break
        forward, backward = ahead + k * behind, behind + k * ahead
        a = np.append(a, 0.0) + k * np.append(0.0, a[::-1])
        e *= 1 - k * k
        fits.append((n * math.log(e) + order * math.log(n), e, a))
    best = min(range(min(len(fits), most + 1)), key=lambda p: fits[p][0])
    long_run = max(f[1] / float(f[2].sum()) ** 2 for f in fits[best : best + 2])
    return Autoregression(best, fits[best][2], fits[best][1], long_run, fits[best][0])


def long_run_variance(x: Any, *, lost: int = 1) -> float:
    """Long-run variance of a series, shape (n,), unit²: prewhitened by an autoregression and recoloured (Andrews & Monahan 1992).

    ``lost``: parameters fitted before (levels, places of steps). Each takes one of the n · Var / LRV effective points: the estimate is raised
    by as much. Closed forms: AR(1) σ²/(1−φ)², AR(2) σ²/(1−φ₁−φ₂)², ARMA(1,1) σ²(1+θ)²/(1−φ)². Under long memory none exists: see :func:`memory`.
    """
    x = np.asarray(x, np.float64)
    n = len(x)
    if n == 0:
        return 0.0
    x = x - x.mean()
    spread = float(x @ x) / n
    if n < 4 or spread <= 0:
        return spread
    long_run = autoregression(x).long_run
    free = min(float(n), n * spread / long_run) if long_run > 0 else float(n)
    return long_run * free / max(1.0, free - lost)


def effective_size(x: Any) -> float:
    """How many independent values say as much about the mean as a series, shape (n,), does: n · Var / LRV, from 1 to n."""
    x = np.asarray(x, np.float64)
    n = len(x)
    long_run = long_run_variance(x)
    return float(n) if long_run <= 0 else min(float(n), max(1.0, n * float(x.var()) / long_run))


def memory(x: Any) -> tuple[float, float]:
    """``(d, criterion)`` of the fractional noise (1 − B)^−d e that describes a series, shape (n,), best (Whittle likelihood).

    ``criterion`` is comparable with :class:`Autoregression`'s: where it is smaller, long memory explains the series better than an
    autoregression: its mean wanders by n^(d − 1/2) and no long-run variance exists (Hosking 1981; Beran 1994, ch. 6). (0, −inf) for a
    constant or fewer than 8 points.
    """
    x = np.asarray(x, np.float64)
    n = len(x)
    if n < 8 or float(np.ptp(x)) == 0:
        return 0.0, -math.inf
    upto = (n - 1) // 2
    power = np.abs(np.fft.rfft(x - x.mean())[1 : upto + 1]) ** 2 / n
    pole = np.log(2 * np.sin(np.pi * np.arange(1, upto + 1) / n))
    profile = [n * (math.log(max(float(np.mean(power * np.exp(2 * d * pole))), 1e-300)) - 2 * d * float(pole.mean())) for d in MEMORY]
    best = int(np.argmin(profile))
    return float(MEMORY[best]), profile[best]
