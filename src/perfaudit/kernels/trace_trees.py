"""Spans to trees, compiled: group by trace, drop duplicates, find parents, break cycles, undo clock shifts."""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import numpy as np

from perfaudit.kernels.jit import inlined, kernel

#: What is odd about a span (bits of ``flags``).
ORPHAN, SELF_PARENT, CYCLE, SHARED, NEGATIVE, OUTSIDE, SKEWED = (1 << i for i in range(7))
#: Instead of a parent: a root, and a span that was there already.
ROOT, DUPLICATE = -1, -2
#: Codes of kinds, as :mod:`perfaudit.evidence.traces` reads them; 0 is anything else.
SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4

_FIRST, _NEXT = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15)


@kernel
def hash_ids(data, ends, begin, out):
    """A 64-bit hash of each string: ``data`` (bytes) from ``ends[i]`` to ``ends[i + 1]``, ``out`` from ``begin`` on. Compared only within a trace, where
    even a million spans collide with a probability of 3·10⁻⁸ (birthday bound)."""
    for i in range(ends.shape[0] - 1):
        h = _FIRST
        for at in range(ends[i], ends[i + 1]):
            h = (h ^ np.uint64(data[at])) * _NEXT
            h ^= h >> np.uint64(29)
        out[begin + i] = h


@kernel
def intern(hashed, hashes, slots, count, codes):
    """Codes of hashed texts in an open-addressing table: ``hashes`` by code, ``count`` so far, ``slots`` (a power of two) at most half full. Gives the new count."""
    mask = slots.shape[0] - 1
    for i in range(hashed.shape[0]):
        at = _slot(hashed[i], hashes, slots, mask)
        if slots[at] < 0:
            hashes[count] = hashed[i]
            slots[at] = count
            count += 1
        codes[i] = slots[at]
    return count


@kernel
def group(trace, ends, order):
    """A stable counting sort: ``order`` lists the spans by ``trace``; ``ends`` (in: counts + 1 shifted by one, i.e. where each trace begins)."""
    for i in range(trace.shape[0]):
        t = trace[i]
        order[ends[t]] = i
        ends[t] += 1


@kernel
def link(offsets, span, above, has_parent, kind, slots, twin, state, parent, flags):
    """Find each span's parent within its trace.

    ``offsets``: where each trace begins, shape (traces + 1,). ``span``, ``above``: hashed ids of the span and its parent. ``kind``: codes. Work space:
    ``slots`` (a power of two of at least twice the largest trace), ``twin`` and ``state`` (zeros), shape (n,). Out: ``parent``, :data:`ROOT` or
    :data:`DUPLICATE`, and ``flags``. A client and a server with one id are the two halves of a shared span (Zipkin): the server becomes the client's child,
    and children go to the server.
    """
    for trace in range(offsets.shape[0] - 1):
        a, b = offsets[trace], offsets[trace + 1]
        size = 2
        while size < 2 * (b - a):
            size *= 2
        mask = size - 1
        for i in range(size):
            slots[i] = -1
        for i in range(a, b):
            twin[i] = -1
            at = _slot(span[i], span, slots, mask)
            j = slots[at]
            if j < 0:
                slots[at] = i
                parent[i] = -1
            elif twin[j] < 0 and ((kind[i] == 1 and kind[j] == 2) or (kind[i] == 2 and kind[j] == 1)):
                twin[j] = i
                parent[i] = -1
            else:
                parent[i] = -2
        for i in range(a, b):
            j = slots[_slot(span[i], span, slots, mask)]
            if parent[i] == -2:
                continue
            other = i
            if twin[j] >= 0:
                other = twin[j] if j == i else j
                if kind[i] == 1:
                    parent[i] = other
                    flags[i] |= 8
                    continue
            if not has_parent[i]:
                continue
            if above[i] == span[i]:
                flags[i] |= 2
                continue
            p = slots[_slot(above[i], span, slots, mask)]
            if p < 0:
                flags[i] |= 1
            else:
                parent[i] = twin[p] if twin[p] >= 0 and kind[p] != 1 else p
        _break_cycles(a, b, state, parent, flags)


@inlined
def _slot(key, span, slots, mask):
    at = (key ^ (key >> np.uint64(32))) & np.uint64(mask)
    while slots[at] >= 0 and span[slots[at]] != key:
        at = (at + np.uint64(1)) & np.uint64(mask)
    return at


@inlined
def _break_cycles(a, b, state, parent, flags):
    """The span of each cycle that came first becomes a root."""
    for i in range(a, b):
        j = i
        while j >= 0 and state[j] == 0:
            state[j] = i + 1
            j = parent[j]
        if j >= 0 and state[j] == i + 1:
            first, k = j, parent[j]
            while k != j:
                first = min(first, k)
                k = parent[k]
            parent[first] = -1
            flags[first] |= 4


@kernel
def subtree_sums(parent, values, pending, stack):
    """Add to each span's value those of all spans below it, in place. ``pending`` (zeros) and ``stack``: work space, int32, shape (n,)."""
    n = parent.shape[0]
    for i in range(n):
        if parent[i] >= 0:
            pending[parent[i]] += 1
    top = 0
    for i in range(n):
        if pending[i] == 0:
            stack[top] = i
            top += 1
    while top > 0:
        top -= 1
        i = stack[top]
        p = parent[i]
        if p >= 0:
            values[p] += values[i]
            pending[p] -= 1
            if pending[p] == 0:
                stack[top] = p
                top += 1


@kernel
def unskew(start, end, parent, apart, path, shift, known):
    """The shift (µs) that puts each span of another clock into its parent; spans below move along.

    Where it fits, into the middle (half of what is left for each way, as NTP assumes: RFC 5905, section 8); a longer one to the parent's start, unless it
    begins later. ``apart``: true where the parent is of another service and waits. ``path``, ``known`` (false): work space, shape (n,). Out: ``shift``.
    """
    for i in range(start.shape[0]):
        depth, j = 0, i
        while j >= 0 and not known[j]:
            path[depth] = j
            depth += 1
            j = parent[j]
        while depth > 0:
            depth -= 1
            c = path[depth]
            p = parent[c]
            shift[c] = 0
            known[c] = True
            if p < 0:
                continue
            moved = shift[p]
            if apart[c]:
                low, high = start[p] + shift[p], end[p] + shift[p]
                s, e = start[c] + moved, end[c] + moved
                if e - s <= high - low:
                    if s < low or e > high:
                        moved += low + (high - low - (e - s)) // 2 - s
                elif s < low:
                    moved += low - s
            shift[c] = moved
