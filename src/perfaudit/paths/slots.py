"""Where in a request a service's own time passes: the pauses between two calls, each with what comes next.

A *slot* is a place in the code as traces show it: own time of one operation of a service before one call (or before its end), or a span that an application gave a
wait. Only what the root waits for is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import SELF, WAIT
from perfaudit.paths.tracing import FRAGMENT, Tracing


@dataclass(frozen=True)
class Slot:
    """Pauses at one place. Arrays of shape (n,), one value a span, sorted by ``until``.

    ``span`` that owns it; ``since`` and ``until`` µs of its longest pause there; ``spent`` µs of all its pauses there; ``following``: the call that comes next, −1 for none.
    ``said``: an application's own span for a wait. ``before``: name of the next call, "" at the end of the work.
    """

    service: str
    operation: str
    before: str
    said: bool
    span: Any
    since: Any
    until: Any
    spent: Any
    following: Any


def slots(tracing: Tracing, least: float = 0.0) -> list[Slot]:
    """The slots of all services that own at least ``least`` µs on critical paths, the largest first."""
    own = tracing.own
    mine = ((own == SELF) & ~tracing.is_("kind", "client")) | (own == WAIT) | ((own != SELF) & tracing.is_("kind", "server", "consumer"))
    found = [part for sections in tracing.traces.sections() for part in [_pauses(tracing, sections, mine)] if len(part[0])]
    if not found:
        return []
    span, start, end, after = (np.concatenate(column) for column in zip(*found, strict=True))
    service, services = tracing.symbol("service")
    operation, operations = tracing.symbol("operation")
    said = own[span] == WAIT
    next_call = np.where((after >= 0) & ~said, operation[after], -1)
    key = np.stack([service[span], operation[span], next_call])
    order = np.lexsort((end - start, span, *key))
    span, start, end, after, key = span[order], start[order], end[order], after[order], key[:, order]
    new = np.concatenate([[True], np.any(np.diff(key, axis=1) != 0, axis=0)])
    cuts = np.append(np.flatnonzero(new), len(span))
    out = []
    for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        spent = end[a:b] - start[a:b]
        if spent.sum() < least:
            continue
        last = np.append(np.diff(span[a:b]) != 0, True)
        total = np.add.reduceat(spent, np.append(0, np.flatnonzero(last)[:-1] + 1))
        at = np.flatnonzero(last) + a
        at, total = (column[np.argsort(end[at], kind="stable")] for column in (at, total))
        s, o, n = key[:, a].tolist()
        out.append(Slot(services[s] if s >= 0 else "", operations[o] if o >= 0 else "", operations[n] if n >= 0 else "", bool(own[span[a]] == WAIT), span[at], start[at], end[at], total, after[at]))
    return sorted(out, key=lambda s: (-int(s.spent.sum()), s.service, s.operation, s.before))


def _pauses(tracing: Tracing, sections: Any, mine: Any) -> tuple[Any, Any, Any, Any]:
    """Sections that are own time of a service or a wait: span, start, end, and the call that begins where they end (−1)."""
    parent = tracing.traces.parent
    span, start, end = sections
    at = np.flatnonzero(mine[span] & (tracing.zone[span] != FRAGMENT))
    follower = np.append(span[1:], -1)[at]
    up = np.where(np.append(start[1:], -1)[at] == end[at], follower, -1)
    while True:  # climb from the next section's span to the child that it lies in
        inside = np.flatnonzero(up >= 0)
        inside = inside[parent[up[inside]] != span[at[inside]]]
        if not len(inside):
            break
        up[inside] = parent[up[inside]]
    waits = np.flatnonzero(tracing.own[span[at]] == WAIT)
    up[waits] = _next_sibling(tracing)[span[at[waits]]]
    return span[at], start[at], end[at], up


def _next_sibling(tracing: Tracing) -> Any:
    """The sibling that begins next after each span's end, where it is the next to begin; −1 for none."""
    order, parent, start, end = tracing.order, tracing.traces.parent, tracing.traces.start, tracing.traces.end
    first, second = order[:-1], order[1:]
    follows = (parent[first] == parent[second]) & (parent[first] >= 0) & (start[second] >= end[first])
    out = np.full(len(parent), -1, np.int32)
    out[first[follows]] = second[follows]
    return out
