"""How long requests hold a connection of a pool, as traces tell it: from the end of the acquisition to the end of the last database span that follows.

A hold is known from below only: who gives a connection back leaves no span. What is held after the last statement is not in it (pool metrics tell it).
By Little's law connections in use = acquisitions per second × hold (Little 1961, "A proof for the queuing formula L = λW").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, DATABASE, DOWNSTREAM, POOL, QUEUE
from perfaudit.paths.tracing import Tracing


@dataclass(frozen=True)
class Holds:
    """One row per acquisition, in order of its end. Shape (acquisitions,).

    ``span``: the span that waits for the connection; ``got``: it was given one; ``held``: µs to the end of the last statement, −1 where none follows;
    ``statements``: their number; ``database``: µs of them within the hold; ``calls``: µs of calls to other services and caches within it.
    """

    span: Any
    got: Any
    held: Any
    statements: Any
    database: Any
    calls: Any

    @property
    def known(self) -> Any:
        """Acquisitions that a statement follows (bool)."""
        return self.got & (self.held >= 0)

    @property
    def other(self) -> Any:
        """µs of each known hold in which neither a statement ran nor a call was waited for."""
        return np.maximum(0, self.held - self.database - self.calls)


def holds(tracing: Tracing, service: int = -1) -> Holds:
    """The acquisitions of all services, or of the one with this code.

    What follows an acquisition in the same service and request, up to the next acquisition there, happens while the connection is held.
    """
    own, start, end = tracing.own, tracing.traces.start, tracing.traces.end
    who = tracing.symbol("service")[0]
    calls = np.isin(own, (DOWNSTREAM, QUEUE, CACHE)) & tracing.is_("kind", "client", "producer")
    waits = own == POOL
    wraps = np.zeros(len(own), bool)
    above = tracing.traces.parent
    nested = np.flatnonzero(waits & (above >= 0))
    wraps[nested[waits[above[nested]]]] = True  # a wait inside a wait is the same one
    use = np.flatnonzero((waits & ~wraps) | (own == DATABASE) | calls)
    if service >= 0:
        use = use[who[use] == service]
    at = np.where(waits[use], end[use], start[use])
    order = np.lexsort((~waits[use], at, who[use], tracing.root[use]))
    use = use[order]
    acquire = waits[use]
    place = np.cumsum(acquire) - 1
    first = use[acquire]
    if not len(first):
        empty = np.zeros(0, np.int64)
        return Holds(empty, empty.astype(bool), empty, empty, empty, empty)
    follows = (~acquire) & (place >= 0)
    use, place = use[follows], place[follows]
    same = (tracing.root[use] == tracing.root[first[place]]) & (who[use] == who[first[place]])
    use, place = use[same], place[same]
    n = len(first)
    statement = own[use] == DATABASE
    last = np.full(n, -1, np.int64)
    np.maximum.at(last, place[statement], end[use[statement]])
    released = np.where(last >= 0, last, 0)
    within = np.clip(np.minimum(end[use], released[place]) - start[use], 0, None)
    database = np.bincount(place[statement], within[statement], n)
    elsewhere = np.bincount(place[~statement], within[~statement], n)
    held = np.where(last >= 0, np.maximum(0, last - end[first]), -1)
    got = ~tracing.failed[first]
    count = np.bincount(place[statement], minlength=n)
    by_time = np.argsort(end[first], kind="stable")
    columns = (first, got, held, count, np.minimum(database, np.maximum(held, 0)), elsewhere)
    return Holds(*(column[by_time] for column in columns))
