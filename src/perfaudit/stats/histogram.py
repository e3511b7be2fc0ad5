"""A log-linear histogram of non-negative integers, to merge what no longer fits into memory.

2^precision linear buckets in each power of two (HdrHistogram's layout; Tene 2012). A percentile answers with the middle of the
bucket that holds the exact one, so its error is at most 2^−(precision+1): 0.195 % for 8. Merging is addition, in any order. The
arithmetic of the buckets is that of the compiled loops (:mod:`perfaudit.kernels.histogram`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.stats.percentile import Distribution

#: 256 buckets in each power of two: at most 0.195 % off, 60 kB whatever the number of values.
PRECISION = 8


class Histogram:
    """Counts of values in log-linear buckets.

    ``counts``: shape (:func:`perfaudit.kernels.histogram.size`,), int64. Values from 2^36 on (19 hours in µs) share the last bucket: a
    percentile that falls there is a lower bound.
    """

    def __init__(self, precision: int = PRECISION) -> None:
        from perfaudit.kernels import histogram

        if not 3 <= precision <= 16:
            raise ValueError(f"precision: {precision} is not between 3 and 16")
        self.precision = precision
        self.counts = np.zeros(histogram.size(precision + 1), np.int64)

    @property
    def n(self) -> int:
        """Values counted."""
        return int(self.counts.sum())

    def add(self, values: Any) -> None:
        """Count ``values``: shape (n,), integers ≥ 0, any unit. Raises ``ValueError`` for others: round them first."""
        from perfaudit.kernels import histogram

        values = np.asarray(values)
        if values.size == 0:
            return
        if values.ndim != 1 or values.dtype.kind not in "iu" or values.min() < 0:
            raise ValueError("values: a flat array of integers ≥ 0 is needed")
        whole = np.minimum(values.astype(np.uint64), 1 << histogram.TOP).astype(np.int64)
        histogram.fill(np.zeros(len(whole), np.int64), whole, self.counts[np.newaxis], self.precision + 1)

    def plus(self, other: Histogram) -> Histogram:
        """Both together. Raises ``ValueError`` when their precision differs."""
        if other.precision != self.precision:
            raise ValueError(f"precision: {other.precision} cannot be added to {self.precision}")
        merged = Histogram(self.precision)
        merged.counts = self.counts + other.counts
        return merged

    def distribution(self) -> Distribution:
        """The middles of the buckets in use, and their counts: percentiles with intervals."""
        from perfaudit.kernels import histogram

        used = np.flatnonzero(self.counts)
        return Distribution(histogram.middles(self.precision + 1)[used], self.counts[used])

    def quantile(self, q: float) -> float:
        """The ``q``-quantile, 0 < q ≤ 1 (NumPy's ``inverted_cdf``), to half a bucket. Raises ``ValueError`` when empty."""
        return self.distribution().percentile(q).value
