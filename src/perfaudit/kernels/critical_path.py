"""The critical path of traces as a partition of each root's interval into sections, compiled.

A section is a piece of a root's time and the one span that the root waited for then. The sections of a root are disjoint, contiguous and sum exactly to
it. Walking back from a span's end t, the next child is the one with the latest end ≤ t (ties: input order), then t is its start; what lies between is the
span's own; a child still running at t is not waited for. Children are clamped to their parent first, from the root down. Rules after Zhang et al., "CRISP"
(USENIX ATC 2022), section 4, with its overlapping children (left out there) clamped.

:mod:`perfaudit.kernels.critical_path_plain` gives the same sections in NumPy.
"""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from perfaudit.kernels.jit import inlined, kernel

#: More children than these are merged, fewer are inserted (the usual crossing of the two, e.g. CPython's listsort.txt: 32 to 64).
_FEW = 32


class Sections(NamedTuple):
    """Sections by root (in the order of the spans), then by time: the span's index (int32), and from when to when it owns the time (µs, int64)."""

    span: Any
    start: Any
    end: Any


def sections(start: Any, end: Any, parent: Any, late: Any, completion: bool = False) -> Sections:
    """The critical paths of all roots of a forest.

    ``start`` ≤ ``end``: µs, int64, shape (n,). ``parent``: index of the parent, −1 for a root, int32, without cycles. ``late``: true where the parent does
    not wait for the span (bool). The response horizon leaves out late spans and all below them. The ``completion`` horizon ends when the last of them has
    ended: they are clamped to begin no earlier than their parent, and what passes between the parent's end and their start is the parent's.
    """
    n = len(start)
    completion = completion and bool(late.any())
    wide, narrow = [np.empty(n, np.int64) for _ in range(3)], [np.empty(n, np.int32) for _ in range(4)]
    out = Sections(np.empty(2 * n, np.int32), np.empty(2 * n, np.int64), np.empty(2 * n, np.int64))
    count = _partition(start, end, parent, late, completion, np.zeros(n + 2, np.int32), *narrow, *wide, *out)
    return Sections(*(column[:count].copy() for column in out))


@kernel
def _partition(start, end, parent, late, completion, first, child, order, cursor, scratch, lo, hi, reached, span, begin, until):
    """``first`` (zeros, shape (n + 2,)), ``child`` … ``reached``: work space. Gives the number of sections written to the last three, shape (2n,)."""
    n = start.shape[0]
    for i in range(n):
        if parent[i] >= 0 and (completion or not late[i]):
            first[parent[i] + 2] += 1
    for i in range(n):
        first[i + 2] += first[i + 1]
    for i in range(n):
        if parent[i] >= 0 and (completion or not late[i]):
            child[first[parent[i] + 1]] = i
            first[parent[i] + 1] += 1
    written = 0
    for root in range(n):
        if parent[root] < 0:
            if first[root] == first[root + 1]:
                if start[root] < end[root]:
                    span[written], begin[written], until[written] = root, start[root], end[root]
                    written += 1
                continue
            lo[root], hi[root] = start[root], end[root]
            if completion:
                _stretch(root, start, end, parent, late, first, child, order, lo, hi)
            written = _walk(root, start, end, parent, completion, first, child, cursor, scratch, lo, hi, reached, span, begin, until, written)
    return written


@inlined
def _stretch(root, start, end, parent, late, first, child, order, lo, hi):
    """Clamp the tree of ``root`` from its top down into ``lo`` and ``hi``, and stretch it from its leaves up to what they set off."""
    order[0] = root
    done, found = 0, 1
    while done < found:
        i = order[done]
        done += 1
        low, high = lo[i], hi[i]
        for at in range(first[i], first[i + 1]):
            c = child[at]
            lo[c] = max(start[c], low)
            hi[c] = max(end[c], low)
            if not late[c]:
                lo[c] = min(lo[c], high)
                hi[c] = min(hi[c], high)
            order[found] = c
            found += 1
    for at in range(found - 1, 0, -1):
        i = order[at]
        hi[parent[i]] = max(hi[parent[i]], hi[i])


@inlined
def _enter(node, start, end, completion, first, child, cursor, scratch, lo, hi, reached):
    """Begin at the end of ``node``, with its children clamped (only those that are looked at) and in order."""
    a, b = first[node], first[node + 1]
    cursor[node], reached[node] = a, hi[node]
    if not completion:
        low, high = lo[node], hi[node]
        for at in range(a, b):
            c = child[at]
            lo[c] = min(max(start[c], low), high)
            hi[c] = min(max(end[c], low), high)
    _latest_first(child, a, b, hi, scratch)


@inlined
def _walk(root, start, end, parent, completion, first, child, cursor, scratch, lo, hi, reached, span, begin, until, written):
    """Write the sections of ``root`` from ``written`` on; the way back up is the parent, so depth costs no stack."""
    kept = written
    node = root
    _enter(node, start, end, completion, first, child, cursor, scratch, lo, hi, reached)
    while True:
        t = reached[node]
        if cursor[node] < first[node + 1] and lo[node] < t:
            c = child[cursor[node]]
            cursor[node] += 1
            if hi[c] > t:
                continue
            if hi[c] < t:
                span[written], begin[written], until[written] = node, hi[c], t
                written += 1
            reached[node] = lo[c]
            if lo[c] == hi[c]:
                continue
            if first[c] == first[c + 1]:
                span[written], begin[written], until[written] = c, lo[c], hi[c]
                written += 1
                continue
            node = c
            _enter(node, start, end, completion, first, child, cursor, scratch, lo, hi, reached)
            continue
        if lo[node] < t:
            span[written], begin[written], until[written] = node, lo[node], t
            written += 1
        if node == root:
            break
        node = parent[node]
    a, b = kept, written - 1
    while a < b:
        span[a], span[b] = span[b], span[a]
        begin[a], begin[b] = begin[b], begin[a]
        until[a], until[b] = until[b], until[a]
        a += 1
        b -= 1
    return written


@inlined
def _latest_first(child, a, b, hi, scratch):
    """Sort ``child[a:b]`` by ``hi`` descending, stable. Spans that came in the order of their ends are only turned around."""
    if b - a < 2:
        return
    rising = True
    for i in range(a + 1, b):
        if hi[child[i]] <= hi[child[i - 1]]:
            rising = False
            break
    if rising:
        i, j = a, b - 1
        while i < j:
            child[i], child[j] = child[j], child[i]
            i += 1
            j -= 1
        return
    for run in range(a, b, _FEW):
        for i in range(run + 1, min(run + _FEW, b)):
            c = child[i]
            key = hi[c]
            j = i - 1
            while j >= run and hi[child[j]] < key:
                child[j + 1] = child[j]
                j -= 1
            child[j + 1] = c
    width = _FEW
    while width < b - a:
        for left in range(a, b - width, 2 * width):
            middle, right = left + width, min(left + 2 * width, b)
            if hi[child[middle - 1]] >= hi[child[middle]]:
                continue
            for i in range(left, middle):
                scratch[i] = child[i]
            i, j, k = left, middle, left
            while i < middle:
                if j < right and hi[child[j]] > hi[scratch[i]]:
                    child[k] = child[j]
                    j += 1
                else:
                    child[k] = scratch[i]
                    i += 1
                k += 1
        width *= 2
