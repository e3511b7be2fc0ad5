"""Optimal partitioning of a series, O(n²) (Jackson et al. 2005)."""

from __future__ import annotations

from typing import Any

from perfaudit.kernels.jit import kernel


@kernel
def partition(w: Any, wx: Any, wxx: Any, beta: float, least: int, best: Any, previous: Any) -> None:
    """The cheapest segmentation: weighted squared error plus ``beta`` a segment, each of at least ``least`` points.

    ``w``, ``wx``, ``wxx``: cumulative sums of weights, weighted values and weighted squares, shape (n + 1,). ``best`` (work space) and
    ``previous`` (out: where the last segment before each end begins): shape (n + 1,).
    """
    n = w.shape[0] - 1
    best[0] = -beta
    for end in range(1, n + 1):
        best[end] = 1e300
        for begin in range(end - least + 1):
            mass = w[end] - w[begin]
            sum_x = wx[end] - wx[begin]
            cost = wxx[end] - wxx[begin]
            if mass > 0:
                cost -= sum_x * sum_x / mass
            total = best[begin] + cost + beta
            if total < best[end]:
                best[end] = total
                previous[end] = begin
