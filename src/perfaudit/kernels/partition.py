"""Exact least-squares segmentation for every number of steps at once, O(steps · n²) (Auger & Lawrence 1989)."""

from __future__ import annotations

from typing import Any

from perfaudit.kernels.jit import kernel


@kernel
def partitions(w: Any, wx: Any, wxx: Any, most: int, least: int, cost: Any, previous: Any) -> None:
    """The cheapest segmentation with 0 … ``most`` steps by weighted squared error, each segment of at least ``least`` points.

    ``w``, ``wx``, ``wxx``: cumulative sums of weights (> 0), weighted values and weighted squares, shape (n + 1,). ``cost`` (work space) and
    ``previous`` (out: where the last segment of the best segmentation before each end begins): shape (most + 1, n + 1).
    """
    n = w.shape[0] - 1
    for end in range(n + 1):
        cost[0, end] = 1e300
        if end >= least:
            cost[0, end] = wxx[end] - wx[end] * wx[end] / w[end]
    for steps in range(1, most + 1):
        for end in range(n + 1):
            best, at = 1e300, 0
            for begin in range(steps * least, end - least + 1):
                sum_x = wx[end] - wx[begin]
                total = cost[steps - 1, begin] + (wxx[end] - wxx[begin]) - sum_x * sum_x / (w[end] - w[begin])
                if total < best:
                    best, at = total, begin
            cost[steps, end] = best
            previous[steps, end] = at
