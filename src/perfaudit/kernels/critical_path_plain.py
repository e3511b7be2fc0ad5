"""The sections of :mod:`perfaudit.kernels.critical_path` without a compiler: NumPy over all spans at once, no loop but over the levels of a tree.

What a loop would follow step by step (ancestors, the next child) is followed by pointer doubling (Wyllie 1979): in ⌈log₂ length⌉ rounds.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


class Sections(NamedTuple):
    """As :class:`perfaudit.kernels.critical_path.Sections`."""

    span: Any
    start: Any
    end: Any


def sections(start: Any, end: Any, parent: Any, late: Any, completion: bool = False) -> Sections:
    """As :func:`perfaudit.kernels.critical_path.sections`, and the same sections."""
    depth, root, left_out = _ancestors(parent, late & (not completion))
    lo, hi = _intervals(start, end, parent, late, depth, left_out, completion)
    child = np.flatnonzero((parent >= 0) & ~left_out)
    child = child[np.lexsort((-hi[child], parent[child]))]
    of, begins, ends = parent[child], lo[child], hi[child]
    following = _following(of, begins, ends)
    chosen = _reached(of, following)
    on_path = np.zeros(len(start), bool)
    on_path[child] = chosen[:-1]
    on_path |= (parent < 0) & ~left_out
    on_path &= _all_above(on_path, parent)
    # Each child on the path leaves a gap behind it, up to where the one before it (later in time) begins; each span on the path one before its first child.
    kept = np.flatnonzero(chosen[:-1] & on_path[of])
    then = hi.copy()
    until = hi[of]
    before = following[kept]
    has = before < len(child)
    until[before[has]] = begins[kept[has]]
    then[of[kept[~has]]] = begins[kept[~has]]
    own = np.flatnonzero(on_path)
    span = np.concatenate([of[kept], own])
    low, high = np.concatenate([ends[kept], lo[own]]), np.concatenate([until[kept], then[own]])
    order = np.flatnonzero(low < high)
    order = order[np.lexsort((low[order], root[span[order]]))]
    return Sections(span[order].astype(np.int32), low[order], high[order])


def _ancestors(parent: Any, cut: Any) -> tuple[Any, Any, Any]:
    """Of each span: its depth, its root, and whether it or a span above it is ``cut``."""
    above = np.where(parent < 0, np.arange(len(parent), dtype=parent.dtype), parent)
    depth, left_out = (parent >= 0).astype(np.int64), cut & (parent >= 0)
    while True:
        further = above[above]
        depth += depth[above]
        left_out = left_out | left_out[above]
        if np.array_equal(further, above):
            return depth, above, left_out
        above = further


def _all_above(holds: Any, parent: Any) -> Any:
    above = np.where(parent < 0, np.arange(len(parent), dtype=parent.dtype), parent)
    while True:
        holds = holds & holds[above]
        further = above[above]
        if np.array_equal(further, above):
            return holds
        above = further


def _intervals(start: Any, end: Any, parent: Any, late: Any, depth: Any, left_out: Any, completion: bool) -> tuple[Any, Any]:
    """From when to when each span counts: clamped from the top down, with ``completion`` stretched from the leaves up."""
    lo, hi = start.copy(), end.copy()
    order = np.flatnonzero(~left_out)
    order = order[np.argsort(depth[order], kind="stable")]
    bounds = np.searchsorted(depth[order], np.arange(1, depth.max(initial=0) + 2))
    levels = [order[a:b] for a, b in pairwise(bounds)]
    for level in levels:
        above = parent[level]
        low, high = lo[above], np.where(late[level], np.iinfo(np.int64).max, hi[above])
        lo[level], hi[level] = np.clip(start[level], low, high), np.clip(end[level], low, high)
    if completion:
        for level in reversed(levels):
            np.maximum.at(hi, parent[level], hi[level])
    return lo, hi


def _following(of: Any, begins: Any, ends: Any) -> Any:
    """Of each child (sorted by parent, then latest end first): the first after it that had ended when it began; ``len(of)`` for none."""
    n = len(of)
    instants = np.unique(-ends)
    key = of.astype(np.int64) * (len(instants) + 1)
    found = np.searchsorted(key + np.searchsorted(instants, -ends), key + np.searchsorted(instants, -begins))
    found = np.maximum(found, np.arange(1, n + 1))
    inside = found < n
    inside[inside] = of[found[inside]] == of[inside]
    return np.where(inside, found, n)


def _reached(of: Any, following: Any) -> Any:
    """Which children are met when following from the first of each parent; one more entry, for the end."""
    n = len(of)
    met = np.ones(n + 1, bool)
    met[1:n] = of[1:] != of[:-1]
    jump = np.append(following, n)
    while (jump < n).any():
        met[jump[met]] = True
        jump = jump[jump]
    return met
