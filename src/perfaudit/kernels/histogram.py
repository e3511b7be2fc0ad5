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
    """The bucket of a value ≥ 0; ``bits`` ≥ 4 (what remains of the value must fit into 32 bits)."""
    if value < 1 << bits:
        return value
    if value >= 1 << TOP:
        return ((TOP - bits + 2) << (bits - 1)) - 1
    shift, rest = 1, value >> bits  # the length of a number in bits, by halves
    if rest >= 1 << 16:
        shift += 16
        rest >>= 16
    if rest >= 1 << 8:
        shift += 8
        rest >>= 8
    if rest >= 1 << 4:
        shift += 4
        rest >>= 4
    if rest >= 1 << 2:
        shift += 2
        rest >>= 2
    if rest >= 1 << 1:
        shift += 1
    return (shift << (bits - 1)) + (value >> shift)


@kernel
def accumulate(
    time: Any, duration: Any, status: Any, method: Any, route: Any, key_of: Any, start: Any, step: Any, bins: Any, count: Any, errors: Any, hist: Any, whole: Any, bits: int, whole_bits: int
) -> None:
    """Add a batch of requests to the cube.

    ``time``, ``duration`` (−1: unknown): µs, ``status``, and the codes ``method`` and ``route``: shape (n,). ``key_of``: shape (methods,
    routes), the key of each pair. ``start``, ``step``, ``bins``: shape (grids,), µs and counts; grid g owns the bins that
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


@kernel
def divide(time: Any, duration: Any, status: Any, method: Any, route: Any, slot_of: Any, edges: Any, place: Any, tally: Any, spent: Any) -> None:
    """Sort a batch of requests into slots (routes) and zones (0 affected, 1 reference, 2 the rest).

    ``slot_of``: as ``key_of`` above. ``edges``: shape (4,), µs: start and end of affected and reference. ``place``: shape (n,), int64, out:
    slot · 3 + zone. ``tally``: shape (slots · 3, 7): status 2xx, 3xx, 4xx, ≥ 500, other; 499; all. ``spent``: shape (slots · 3,), µs.
    """
    for i in range(time.shape[0]):
        t = time[i]
        zone = 0 if edges[0] <= t < edges[1] else (1 if edges[2] <= t < edges[3] else 2)
        at = slot_of[method[i], route[i]] * 3 + zone
        place[i] = at
        s = status[i]
        tally[at, 0 if 200 <= s < 300 else (1 if 300 <= s < 400 else (2 if 400 <= s < 500 else (3 if s >= 500 else 4)))] += 1
        tally[at, 5] += s == 499
        tally[at, 6] += 1
        if duration[i] > 0:
            spent[at] += duration[i]


@kernel
def fill(place: Any, duration: Any, hist: Any, bits: int) -> None:
    """Add ``duration`` (shape (n,), µs; −1: unknown) to the histogram of its place: ``hist`` has shape (places, size(bits))."""
    for i in range(place.shape[0]):
        if duration[i] >= 0:
            hist[place[i], bucket(duration[i], bits)] += 1
