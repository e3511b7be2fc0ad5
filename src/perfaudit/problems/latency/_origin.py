"""Which dependency is the origin of a delay, and where in it the time went."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, DATABASE, POOL
from perfaudit.paths.attempts import below
from perfaudit.paths.hops import Hops, per_request
from perfaudit.paths.tracing import AFFECTED, REFERENCE
from perfaudit.problems._calls import WAITS, Calls, Picture, calls_to

#: The calls must carry most of what was added outside of queues, or the origin is elsewhere.
CARRIES = 0.5
#: A service below the slowest one is the origin when its own time rose by this share of the other's, and the other's growth is mostly waits.
DEEPER = 0.2


def origins(seen: Picture) -> list[tuple[int, float]]:
    """The callees whose own time rose and by how many seconds, the likeliest origin first: what grew most, or the service below it that made it wait."""
    tracing, found = seen.tracing, seen.hops
    grew: dict[int, tuple[float, float]] = {}
    for code in np.unique(found.callee).tolist():
        if code in found.front:
            continue
        here = found.site == code
        added = tracing.added(tracing.on_path, here)
        if added.low > 0:
            queued = tracing.added(tracing.on_path, here & np.isin(tracing.own, WAITS) | found.spans(found.callee == code, len(here)))
            grew[code] = added.seconds, queued.seconds
    out = []
    while grew:
        at = max(grew, key=lambda c: (grew[c][0], -c))
        while (deeper := _deeper(found, grew, at)) is not None:
            grew.pop(at)
            at = deeper
        out.append((at, grew.pop(at)[0]))
    return out


def _deeper(found: Hops, grew: dict[int, tuple[float, float]], at: int) -> int | None:
    """The callee of ``at`` that made it wait, if its own growth is mostly waits."""
    if grew[at][1] < CARRIES * grew[at][0]:
        return None
    called = {int(c) for c in np.unique(found.callee[found.caller == at]).tolist()} & grew.keys() - {at}
    return max((c for c in called if grew[c][0] >= DEEPER * grew[at][0]), key=lambda c: (grew[c][0], -c), default=None)


def main_endpoint(seen: Picture, slow: Calls) -> Calls:
    """The calls to the endpoint that carries most of what was added; all calls where none carries half, or where the reference has too few of its calls."""
    tracing, found = seen.tracing, seen.hops
    here = np.isin(found.call, np.flatnonzero(slow.calls))
    scale = tracing.count(AFFECTED) / max(1, tracing.count(REFERENCE))
    zone = tracing.zone[found.call]
    weight = tracing.under[found.call] * np.where(zone == AFFECTED, 1.0, np.where(zone == REFERENCE, -scale, 0.0))
    grew = np.bincount(found.endpoint[here], weight[here], len(found.endpoints))
    at = int(np.argmax(grew))
    if grew[at] < CARRIES * float(np.maximum(grew, 0).sum()):
        return slow
    chosen = calls_to(seen, here & (found.endpoint == at), slow.name)
    return slow if chosen.became_slow is None and min(chosen.per_request) > 0 else chosen


def others(seen: Picture, queued: Any) -> float:
    """Work that lies below no call to a dependency: mean per request in the affected window over the reference, flows weighing alike in both."""
    tracing, found = seen.tracing, seen.hops
    away = below(tracing, found.spans(~np.isin(found.callee, sorted(found.front)), len(tracing.traces)))
    now, before = per_request(tracing, tracing.on_path, ~away & ~queued)
    return now / before if before > 0 else math.nan


def store(seen: Picture, slow: Calls) -> str:
    """Says that the origin's own database or cache is where its time rose, "" otherwise."""
    tracing, found = seen.tracing, seen.hops
    here = found.site == found.names.index(slow.name)
    rose = {word: tracing.added(tracing.on_path, here & (tracing.own == part)).seconds for word, part in (("database", DATABASE), ("cache", CACHE), ("connection pool", POOL))}
    word = max(rose, key=lambda w: rose[w])
    return f"its {word} is where the time went" if rose[word] >= CARRIES * slow.added.seconds else ""
