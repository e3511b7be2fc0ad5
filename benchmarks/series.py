"""Series with known truth: seeded, of marginal standard deviation 1 (where it exists) and mean level 0 unless said otherwise.

:data:`UNCHANGED` are families in which no level changes. Whatever a detector reports there is false. The others hold a change at a
known place. Linear processes are started in their stationary state by a burn-in; fractional noise is exact (Davies & Harte 1987).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

#: Values thrown away before a linear process is used: φ = 0.97 has forgotten its start to 1e-13.
BURN = 1000
#: Points a day of the season: ten-minute bins.
DAY = 144

Generator = np.random.Generator


def seeded(*key: object) -> Generator:
    """A generator of its own for each key: adding a family or a cell moves no other numbers."""
    return np.random.default_rng([zlib.crc32(repr(part).encode()) for part in key])


def impulse(ar: tuple[float, ...], ma: tuple[float, ...] = (), length: int = 20_000) -> Any:
    """The weights ψ of x = Σ ψ_j ε_{t−j}, shape (length,). Marginal variance Σψ², long-run variance (Σψ)²."""
    from scipy.signal import lfilter

    return lfilter([1.0, *ma], [1.0, *(-a for a in ar)], np.r_[1.0, np.zeros(length - 1)])


def arma(rng: Generator, n: int, ar: tuple[float, ...], ma: tuple[float, ...] = ()) -> Any:
    """x_t = Σ ar_i x_{t−i} + ε_t + Σ ma_j ε_{t−j}, Gaussian, shape (n,), standard deviation 1."""
    from scipy.signal import lfilter

    x = lfilter([1.0, *ma], [1.0, *(-a for a in ar)], rng.normal(size=n + BURN))[BURN:]
    return x / np.sqrt(np.square(impulse(ar, ma, 2000)).sum())


def ratio(ar: tuple[float, ...], ma: tuple[float, ...] = ()) -> float:
    """Long-run over marginal variance of :func:`arma`, in closed form."""
    psi = impulse(ar, ma)
    return float(psi.sum() ** 2 / np.square(psi).sum())


def fractional(rng: Generator, n: int, d: float) -> Any:
    """Fractional noise ARFIMA(0, d, 0), 0 < d < ½: correlations fall as lag^(2d−1). Shape (n,), standard deviation 1, exact."""
    lag = np.arange(1, n + 1)
    rho = np.r_[1.0, np.cumprod((lag - 1 + d) / (lag - d))]
    spectrum = np.fft.fft(np.r_[rho, rho[-2:0:-1]]).real
    size = len(spectrum)
    noise = rng.normal(size=size) + 1j * rng.normal(size=size)
    return np.fft.fft(np.sqrt(np.maximum(spectrum, 0) / size) * noise).real[:n]


def lognormal(rng: Generator, n: int, phi: float) -> Any:
    """exp of an AR(1) with standard deviation 1, divided by its own (2.16)."""
    return np.exp(arma(rng, n, (phi,))) / np.sqrt((np.e - 1) * np.e)


def pareto(rng: Generator, n: int, index: float) -> Any:
    """Independent Pareto (Lomax) values with tail ``index`` > 2."""
    return rng.pareto(index, n) / np.sqrt(index / ((index - 1) ** 2 * (index - 2)))


def spikes(rng: Generator, n: int, share: float = 0.01) -> Any:
    """White noise in which ``share`` of the points are 8 to 15 standard deviations up."""
    return rng.normal(size=n) + np.where(rng.random(n) < share, rng.uniform(8, 15, n), 0.0)


def season(rng: Generator, n: int, phi: float = 0.0) -> Any:
    """A daily sine of amplitude 2 with a random phase, over AR(1) noise of standard deviation 1."""
    return arma(rng, n, (phi,)) + 2 * np.sin(2 * np.pi * (np.arange(n) / DAY + rng.random()))


def louder(rng: Generator, n: int) -> Any:
    """The standard deviation triples in the middle; the mean stays."""
    return rng.normal(size=n) * np.where(np.arange(n) < n // 2, 1.0, 3.0)


#: name → (rng, n) → series in which no level changes.
UNCHANGED: dict[str, Callable[[Generator, int], Any]] = {
    "iid": lambda rng, n: rng.normal(size=n),
    "AR(1) .3": lambda rng, n: arma(rng, n, (0.3,)),
    "AR(1) .7": lambda rng, n: arma(rng, n, (0.7,)),
    "AR(1) .9": lambda rng, n: arma(rng, n, (0.9,)),
    "AR(2) (.5, .3)": lambda rng, n: arma(rng, n, (0.5, 0.3)),
    "ARMA(.6, .4)": lambda rng, n: arma(rng, n, (0.6,), (0.4,)),
    "lognormal AR .7": lambda rng, n: lognormal(rng, n, 0.7),
    "Pareto 2.5": lambda rng, n: pareto(rng, n, 2.5),
    "t₃": lambda rng, n: rng.standard_t(3, n) / np.sqrt(3),
    "1 % spikes": spikes,
    "season 144": season,
    "season 144, AR .7": lambda rng, n: season(rng, n, 0.7),
    "variance step ×3": louder,
    "long memory .3": lambda rng, n: fractional(rng, n, 0.3),
}


def step(rng: Generator, n: int, size: float, family: str = "iid") -> Any:
    """One of :data:`UNCHANGED`, and ``size`` marginal standard deviations more from the middle, index n // 2, on."""
    return UNCHANGED[family](rng, n) + size * (np.arange(n) >= n // 2)


def staircase(rng: Generator, n: int = 1000, size: float = 1.6, width: int = 200, phi: float = 0.7) -> Any:
    """A step up of ``size`` every ``width`` points over AR(1) noise: n / width − 1 of them."""
    return arma(rng, n, (phi,)) + size * (np.arange(n) // width)


def drift(rng: Generator, n: int, size: float, phi: float = 0.0) -> Any:
    """A straight rise by ``size`` over the whole series: no step anywhere."""
    return arma(rng, n, (phi,)) + size * np.arange(n) / n


def spike(rng: Generator, n: int, size: float, width: int = 1, phi: float = 0.0) -> Any:
    """``width`` points ``size`` up in the middle, and back."""
    at = np.arange(n) - n // 2
    return arma(rng, n, (phi,)) + size * ((at >= 0) & (at < width))
