"""Log-linear histograms over route and time, filled in one pass.

A value keeps its ``bits`` leading bits: buckets are exact below 2^bits and at most 2^(1−bits) wide above
(HdrHistogram's layout; Tene 2012).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.kernels.jit import inlined, kernel

#: Values from here on share the last bucket: 2^36 µs are 19 hours.
TOP = 36


def size(bits: int) -> int:
    """Number of buckets for values below 2^:data:`TOP`."""
    return (TOP - bits + 2) << (bits - 1)


def middles(bits: int) -> Any:
    """The middle of each bucket, shape (size(bits),), int64."""
    index = np.arange(size(bits), dtype=np.int64)
    half = 1 << (bits - 1)
    shift = np.maximum(index // half - 1, 0)
    lower = np.where(index < 2 * half, index, ((index % half) + half) << shift)
    return lower + ((np.int64(1) << shift) >> 1)


@inlined
def bucket(value: int, bits: int) -> int:
    """The bucket of a value ≥ 0."""
    shift = 0
    limit = 1 << bits
    while value >= limit:
        value >>= 1
        shift += 1
    if shift > TOP - bits:
        return ((TOP - bits + 2) << (bits - 1)) - 1
    return value if shift == 0 else (shift << (bits - 1)) + value


@kernel
def accumulate(time: Any, duration: Any, status: Any, method: Any, route: Any, key_of: Any, start: Any, step: Any, bins: Any, count: Any, errors: Any, hist: Any, whole: Any, bits: int, whole_bits: int) -> None:
    """Add requests to the cube.

    ``time``, ``duration`` (−1: unknown), ``status``: shape (n,), int64 µs; ``method``, ``route``: codes, shape (n,); ``key_of``: shape
    (methods, routes), the key of each pair. ``start``, ``step``, ``bins``: shape (grids,), µs and counts; grid g owns the bins that
    follow those of the grids before it. ``count``, ``errors``: shape (keys, all bins). ``hist``: (keys, all bins, size(bits)).
    ``whole``: (all bins, size(whole_bits)). Requests outside every grid are left out; durations of status 101 too.
    """
    for i in range(time.shape[0]):
        first = 0
        for g in range(start.shape[0]):
            offset = time[i] - start[g]
            if 0 <= offset < step[g] * bins[g]:
                at = first + offset // step[g]
                key = key_of[method[i], route[i]]
                count[key, at] += 1
                if status[i] >= 500:
                    errors[key, at] += 1
                if duration[i] >= 0 and status[i] != 101:
                    hist[key, at, bucket(duration[i], bits)] += 1
                    whole[at, bucket(duration[i], whole_bits)] += 1
                break
            first += bins[g]
