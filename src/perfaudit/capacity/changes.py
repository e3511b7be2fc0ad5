"""Where a series changes its level: the one place in this room that asks for change points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats import changepoint


def segments(series: NDArray[np.float64], *, periods: tuple[float, ...] = (), least: float = 0.0) -> list[int]:
    """The starts of the stretches of one level (always begins with 0).

    ``series``: shape (n,), finite, in order of time; ``periods``: known cycles in points; ``least``: the least step of interest.
    """
    return changepoint.changes(series, periods=periods, least=least).starts
