"""Do two series move together, and does one follow the other? Called association, never cause.

Two series that wander independently look related: at some lag within ± 10, a naive search calls 88 % of independent AR(1) pairs with φ = 0.7
correlated. :func:`lagged` therefore asks whether what is *new* in one series goes with what is new in the other. Trend, season and
whatever is slower than :data:`SLOW` points leave both series; ranks become normal scores (heavy tails); each is regressed on its own past, and on
the load with its past when that is given (order by Hannan & Quinn 1979); the residuals are cross-correlated (Haugh 1976) with standard errors that hold
when both become noisy at the same time (White 1980); the lags are one family of questions (Holm 1979). Over many pairs, adjust the p-values
with :func:`perfaudit.stats.multiple.false_discovery`.

:func:`spearman` is the plain question without a lag.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from perfaudit.stats.multiple import holm
from perfaudit.stats.scores import normal_scores
from perfaudit.stats.season import candidates, fitted

#: Waves longer than this many points (and than six times the longest lag) are no evidence: any two slow shapes resemble each other. With
#: a straight trend removed only, two series sharing a curved one were called associated in up to 60 % (n 1,000), with this in 2–7 % (n 60–1,000).
SLOW = 64
#: Harmonics of a given period that are removed: features of a twelfth of it. Of a long one that was found, as many
#: as the data support: slow waves leave anyway.
HARMONICS = 12
#: Of a longer series the last so many points are used: they show correlations of 0.02, and cost a second.
LONGEST = 50_000
#: Degrees of freedom left at the longest lag, below which nothing is said.
LEAST = 20
#: A residual this small beside its series is rounding: nothing was left to explain.
NOTHING = 1e-9
#: Most lags of its own past in a regression: AR(1) to ARMA(.6, .4) need 1–4, long memory more.
MOST_ORDER = 40
#: Columns of a regression that differ from others by less than this share of the largest are the same (a season found twice).
DISTINCT = 1e-6
_NORMAL = NormalDist()


class Association(NamedTuple):
    """Spearman's coefficient, its two-sided p-value and the effective sample size."""

    r: float
    p: float
    n_eff: float


class Lagged(NamedTuple):
    """Association of the innovations of two series at the lag where it is strongest.

    ``r``: correlation of what is new in each, with its interval ``low``–``high`` at ``level``; ``lag``: points by which the second series follows the
    first (negative: it leads); ``p``: two-sided, Holm-adjusted over all lags; ``n``: pairs behind ``r``. With a ``reason`` nothing could be
    said: ``r`` 0, ``p`` 1, no lag.
    """

    r: float
    low: float
    high: float
    level: float
    lag: int | None
    p: float
    n: int
    reason: str | None = None


def lagged(x: Any, y: Any, *, most: int = 10, period: float | None = None, load: Any = None, level: float = 0.95) -> Lagged:
    """Does the series ``y`` go with ``x`` at a lag within ± ``most`` points?

    ``x``, ``y``, ``load``: shape (n,) each, equally spaced, in time order, any unit. ``period``: points in a season that is known beside those that
    either spectrum shows; all are removed when two cycles are there. ``load``: what may move both (arrivals); its values now and up to ``most`` points ago are partialled out.
    Raises ``ValueError`` when the shapes differ. Constant, damaged or too short series give a result with a ``reason``.
    """
    given = {"x": x, "y": y} | ({} if load is None else {"load": load})
    series = {name: np.asarray(values, np.float64) for name, values in given.items()}
    n = len(series["x"])
    for name, values in series.items():
        if values.shape != (n,):
            raise ValueError(f"{name}: shape {values.shape} is not ({n},)")
    for name, values in series.items():
        if not np.isfinite(values).all():
            return _nothing(f"{name} holds values that are not finite ({int((~np.isfinite(values)).sum())} of {n})", level)
        if n and values.min() == values.max():
            return _nothing(f"{name} is constant", level)
    if n > LONGEST:
        cut = {name: values[-LONGEST:] for name, values in series.items()}
        return lagged(cut["x"], cut["y"], most=most, period=period, load=cut.get("load"), level=level)
    order = min(int(math.sqrt(n) / 2), MOST_ORDER)
    start = max(order, most if load is not None else 0)
    if n - start - most - order - _slow(n, most) - (most + 1 if load is not None else 0) < LEAST:
        return _nothing(f"{n} points are too few for lags to ± {most}", level)
    cycles, seasonal = _cycles(n, [series["x"], series["y"]], period)
    quick = {name: _scores(values, cycles, most) for name, values in series.items()}
    for name, values in quick.items():
        if values is None:
            return _nothing(f"{name} is nothing but its own trend and season", level)
    driver = np.empty((n - start, 0)) if load is None else _past(quick["load"], range(most + 1), start)
    (a, lost), (b, other) = (_innovations(quick[name], driver, order, start) for name in ("x", "y"))
    if min(a.var(), b.var()) < NOTHING:
        return _nothing("one series follows from its own past or from the load", level)
    lost = max(lost, other) + _slow(n, most) + seasonal
    if len(a) - most - lost < LEAST:
        return _nothing(f"{n} points are too few for lags to ± {most} without their seasons", level)
    found = [_at(a, b, lag, lost) for lag in range(-most, most + 1)]
    p = holm([2 * _NORMAL.cdf(-_as_normal(r / error, pairs - lost)) for r, error, pairs in found])
    best = int(np.argmax([abs(r / error) for r, error, _ in found]))
    r, error, pairs = found[best]
    half = _NORMAL.inv_cdf(0.5 + level / 2) * error
    return Lagged(r, max(-1.0, r - half), min(1.0, r + half), level, best - most, float(p[best]), pairs)


def _nothing(reason: str, level: float) -> Lagged:
    return Lagged(0.0, -1.0, 1.0, level, None, 1.0, 0, reason)


def _slow(n: int, most: int) -> int:
    """Half-waves in ``n`` points that are longer than what counts as slow."""
    return 2 * n // max(SLOW, 6 * most)


def _cycles(n: int, series: list[Any], period: float | None) -> tuple[Any, int]:
    """Mean, straight trend and the harmonics of every season that is given or found, columns of shape (n, k), and how many are seasonal."""
    t = np.arange(n) - (n - 1) / 2
    terms = [np.ones(n), t / n]
    seasons = [(period, HARMONICS)] if period and n >= 2 * period else []
    for shape in (fitted(x, line) for x in series for line in candidates(x)):
        seasons.append((shape.period, HARMONICS if shape.period <= SLOW else shape.parameters // 2))
    for length, harmonics in seasons:
        for harmonic in range(1, min(harmonics, int(length // 2)) + 1):
            angle = 2 * np.pi * harmonic * t / length
            terms += [np.cos(angle), np.sin(angle)]
    basis, sizes, _ = np.linalg.svd(np.column_stack(terms), full_matrices=False)
    basis = basis[:, sizes > DISTINCT * sizes[0]]
    return basis, basis.shape[1] - 2


def _scores(x: Any, cycles: Any, most: int) -> Any:
    """The quick part of a series as normal scores, shape (n,), variance about 1; None where there is none."""
    spread = x.std()
    x = _quick((x - x.mean()) / spread, cycles, most) if spread > 0 else x
    if x.var() < NOTHING:
        return None
    return _quick(normal_scores(x), cycles, most)


def _quick(x: Any, cycles: Any, most: int) -> Any:
    """Without trend, seasons and slow waves (the cosines of the DCT-II, by a Fourier transform of the mirrored series)."""
    n = len(x)
    x = x - cycles @ (cycles.T @ x)
    waves = np.fft.rfft(np.concatenate([x, x[::-1]]))
    waves[: _slow(n, most) + 1] = 0
    return np.fft.irfft(waves, 2 * n)[:n]


def _past(x: Any, lags: range, start: int) -> Any:
    """Columns x_{t−lag} for t ≥ ``start``, shape (n − start, lags)."""
    return np.column_stack([x[start - lag : len(x) - lag] for lag in lags])


def _innovations(x: Any, driver: Any, most: int, start: int) -> tuple[Any, int]:
    """What neither its own past nor ``driver`` explains, shape (n − start,), and the number of coefficients fitted.

    One QR decomposition gives the residuals of all orders 0 … ``most``; the least of Hannan and Quinn's criterion is used.
    """
    past = _past(x, range(1, most + 1), start)
    now, m, fixed = x[start:], len(x) - start, 1 + driver.shape[1]
    basis, _ = np.linalg.qr(np.column_stack([np.ones(m), driver, past]))
    weight = basis.T @ now
    left = np.maximum(float(now @ now) - np.cumsum(weight**2)[fixed - 1 :], 1e-12 * m)
    order = int((m * np.log(left / m) + 2 * math.log(math.log(m)) * np.arange(most + 1)).argmin())
    used = fixed + order
    return now - basis[:, :used] @ weight[:used], used


def _at(a: Any, b: Any, lag: int, lost: int) -> tuple[float, float, int]:
    """Correlation of a_t with b_{t+lag}, its standard error (from the products themselves), and the number of pairs."""
    first, second = (a[: len(a) - lag], b[lag:]) if lag >= 0 else (a[-lag:], b[:lag])
    pairs, scale = len(first), math.sqrt(float(a @ a) * float(b @ b)) / len(a)
    products = first * second / scale
    return float(products.mean()), float(products.std()) / math.sqrt(pairs - lost) + 1e-12, pairs


def _as_normal(t: float, freedom: int) -> float:
    """|t| of Student's distribution as an equally unlikely normal value (Wallace 1959, within 0.2 % from 20 degrees of freedom on)."""
    return math.sqrt(freedom * math.log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)


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
