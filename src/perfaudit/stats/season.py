"""A cycle that repeats: found by its line in the spectrum, described by harmonics, taken out before anything else is judged.

A cycle is only known once it was seen twice: with less, nothing tells it from a change. A cycle's line stands out of the spectrum around it
(Thomson 1982: a line is judged against the local background, which is not flat for autocorrelated noise).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

#: Fewest cycles that a series must hold, and fewest points of one.
CYCLES, LEAST_PERIOD = 2, 4
#: A line is a candidate when it exceeds the mean of the spectrum around it by this factor: for exponential ordinates the largest of 500 exceeds 12 in 0.3 % of series.
LINE = 12.0
#: Most harmonics of a cycle: a shape with more detail than an eighth of its period is left in.
HARMONICS = 4
#: Lines that are looked at, the strongest first.
LINES = 3


class Season(NamedTuple):
    """A cycle of ``period`` points with its ``shape`` over the whole series, (n,), mean 0; ``parameters``: how many were fitted."""

    period: float
    shape: Any
    parameters: int


def candidates(x: Any, periods: tuple[float, ...] = ()) -> list[float]:
    """Periods, in points, at which a series, shape (n,), may have a cycle: those given (a day, a week) and the strongest lines found.

    Only periods that fit at least twice into the series.
    """
    x = np.asarray(x, np.float64)
    n = len(x)
    given = [float(p) for p in periods if LEAST_PERIOD <= p <= n / CYCLES]
    if n < 4 * LEAST_PERIOD:
        return given
    power = np.abs(np.fft.rfft((x - x.mean()) * np.hanning(n))) ** 2
    top = n // LEAST_PERIOD
    found = []
    for j in range(CYCLES, top + 1):
        if power[j] < power[j - 1] or (j < len(power) - 1 and power[j] < power[j + 1]):
            continue
        wide = max(3, j // 2)
        around = np.r_[power[max(1, j - 2 - wide) : max(1, j - 2)], power[j + 3 : j + 3 + wide]]
        if len(around) and power[j] > LINE * float(around.mean()):
            found.append((float(power[j]), n / j))
    strongest = [p for _, p in sorted(found, reverse=True)[:LINES]]
    return list(dict.fromkeys([*given, *strongest]))


def fitted(x: Any, period: float, *, refine: bool = True) -> Season:
    """The cycle of ``period`` points in a series, shape (n,): harmonics by least squares, their number by BIC. ``refine``: the period is only near."""
    x = np.asarray(x, np.float64)
    n = len(x)
    if refine:
        near = period * (1 + np.linspace(-0.5, 0.5, 21) * min(0.5, period / n))
        best = min((_harmonic(x, p, 1) for p in near if n / p >= CYCLES * 0.98), key=lambda fit: fit[0], default=None)
        period = best[2] if best else period
    fits = [_harmonic(x, period, h) for h in range(1, min(HARMONICS, int(period // 2)) + 1)]
    _, shape, period, used = min(fits, key=lambda fit: fit[0])
    return Season(period, shape - shape.mean(), 2 * used + 1)


def _harmonic(x: Any, period: float, harmonics: int) -> tuple[float, Any, float, int]:
    """``(BIC, shape, period, harmonics)`` of the fit with a mean and so many harmonics."""
    n = len(x)
    angle = 2 * np.pi * np.arange(n)[:, None] * np.arange(1, harmonics + 1)[None, :] / period
    design = np.hstack([np.ones((n, 1)), np.cos(angle), np.sin(angle)])
    solved = np.linalg.lstsq(design, x, rcond=None)[0]
    shape = design @ solved
    left = float(np.mean((x - shape) ** 2))
    return n * math.log(max(left, 1e-300)) + 2 * harmonics * math.log(n), shape, period, harmonics
