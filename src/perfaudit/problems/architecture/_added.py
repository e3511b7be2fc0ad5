"""Calls that requests wait for now and did not in the reference."""

from __future__ import annotations

import math

import numpy as np

from perfaudit.paths.tracing import AFFECTED
from perfaudit.problems._calls import Calls, Picture, calls_to
from perfaudit.problems.architecture._in_line import keys

#: A call is new where the reference made at most this share of the calls, and then at least so many per request (or it is a rare branch).
NEW, OFTEN = 0.5, 0.1
#: Requests wait for this share of a call's time, at least, where it is in line; a call that was made beside other work has half of it or less.
IN_LINE, BESIDE = 0.5, 0.5
#: Endpoints that are looked at, the most costly first.
MOST = 20


def new_calls(seen: Picture) -> Calls | None:
    """The endpoint whose calls requests wait for now and did not in the reference; that with the most added time."""
    found, best = seen.hops, None
    first = ~seen.again[found.call] & (seen.tracing.zone[found.call] == AFFECTED)
    owned = np.bincount(keys(seen)[first], seen.tracing.under[found.call[first]])
    for key in sorted(np.argsort(-owned, kind="stable")[:MOST].tolist()):
        callee, endpoint = divmod(key, len(found.endpoints))
        if callee in found.front or not owned[key]:
            continue
        calls = calls_to(seen, (found.callee == callee) & (found.endpoint == endpoint), found.names[callee])
        now, before = calls.per_request
        more = now >= OFTEN and before <= NEW * now
        in_line = calls.waiting[0] >= IN_LINE and (calls.waiting[1] or 0.0) <= BESIDE * calls.waiting[0]
        if (more or in_line) and calls.added.low > 0 and (best is None or calls.added.seconds > best.added.seconds):
            best = calls
    return best


def times(seen: Picture, new: Calls) -> float:
    """Calls in a request that makes any, affected window."""
    tracing = seen.tracing
    count = tracing.per_trace(np.ones(len(new.first)), new.first & (tracing.zone == AFFECTED))
    return float(count[count > 0].mean()) if (count > 0).any() else math.nan
