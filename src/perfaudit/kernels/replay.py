"""How long traces would take if some spans' own time were shorter, or calls began together, compiled.

What happened before stays before: within a parent, a child begins after all siblings that had ended before it began, and after the parent's own time since
the last of them; the parent ends likewise. So a sibling that ran in parallel takes over when the longest gets shorter. Children are clamped to their
parent first, as for the critical path; what nobody waits for (late spans) has no effect.
"""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.kernels.jit import kernel


def replay(start: Any, end: Any, parent: Any, late: Any, factor: Any, together: Any = None) -> Any:
    """The new duration of each span in µs, float64, shape (n,); 0 for what nobody waits for.

    ``start`` ≤ ``end``: µs, int64, shape (n,). ``parent``: index, −1 for a root, without cycles. ``late``: bool. ``factor``: what becomes of each span's own
    time (1: unchanged, 0: gone). ``together``: index of the sibling with which a span begins, if that is earlier, −1 for none (int32).
    """
    n = len(start)
    lo, hi = start.astype(np.int64), end.astype(np.int64)
    waits = (parent >= 0) & ~late
    first = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(parent[waits], minlength=n), out=first[1:])
    child = np.flatnonzero(waits).astype(np.int32)
    child = child[np.argsort(parent[child], kind="stable")]
    order = np.empty(n, np.int32)
    found = _clamp(parent, first, child, lo, hi, order)
    by_start = child[np.lexsort((hi[child], lo[child], parent[child]))]
    by_end = child[np.lexsort((lo[child], hi[child], parent[child]))]
    beside = np.full(n, -1, np.int32) if together is None else together.astype(np.int32)
    out = np.zeros(n)
    _durations(order[:found], first, by_start, by_end, lo, hi, np.ascontiguousarray(factor, np.float64), beside, np.zeros(n), np.zeros(n, bool), out)
    return out


@kernel
def _clamp(parent, first, child, lo, hi, order):
    """Clamp all waited children into their parents, from the roots down; ``order`` lists parents before children. Gives how many were reached."""
    found = 0
    for i in range(parent.shape[0]):
        if parent[i] < 0:
            order[found] = i
            found += 1
    done = 0
    while done < found:
        i = order[done]
        done += 1
        for at in range(first[i], first[i + 1]):
            c = child[at]
            lo[c] = min(max(lo[c], lo[i]), hi[i])
            hi[c] = min(max(hi[c], lo[c]), hi[i])
            order[found] = c
            found += 1
    return found


@kernel
def _durations(order, first, by_start, by_end, lo, hi, factor, beside, begin, known, out):
    """From the leaves up. ``begin``: new start of each span after its parent's new start; ``known`` (false): work space."""
    for place in range(order.shape[0] - 1, -1, -1):
        i = order[place]
        p, b = first[i], first[i + 1]
        old, new = lo[i], 0.0
        for at in range(first[i], b):
            c = by_start[at]
            while p < b and hi[by_end[p]] <= lo[c] and known[by_end[p]]:
                old = max(old, hi[by_end[p]])
                new = max(new, begin[by_end[p]] + out[by_end[p]])
                p += 1
            begin[c] = new + factor[i] * (lo[c] - old)
            if beside[c] >= 0 and known[beside[c]]:
                begin[c] = min(begin[c], begin[beside[c]])
            known[c] = True
        while p < b:
            old = max(old, hi[by_end[p]])
            new = max(new, begin[by_end[p]] + out[by_end[p]])
            p += 1
        out[i] = new + factor[i] * (hi[i] - old)
