"""Calls that one piece of work repeats: how often per request, one after the other or at once, and with how many rows from an earlier statement.

A *loop* is a statement (or, without one, an operation on a route) that the same work of a service calls more than once. The work is the span where the
request enters the service, so that spans of a framework between it and the calls do not matter. Another attempt of a call that failed is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, DATABASE, DOWNSTREAM
from perfaudit.paths.attempts import attempts
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing

#: A call that begins up to this share of the one before it before that one's end still follows it: clocks that count milliseconds round.
TOUCH = 0.1
#: Loops that are looked at, the most costly first: what stands behind them owns less than the last.
MOST = 20


@dataclass(frozen=True)
class Loop:
    """One statement that one kind of work calls, in the affected window.

    ``spans``: its calls in both windows (indices); ``entries``: the works that were looked at, those without a call included; ``counts``: calls of each; ``drivers``: by
    statement that came before, the rows that it gave each entry (NaN where it did not run). ``before``: calls of each work in the reference. ``in_turn``: share
    of neighbouring calls that follow each other. ``gaps``: µs between neighbours. ``rows``: of each call, NaN where not known; ``paged``: share of the calls
    before the last one of their work that gave as many rows as any. ``seconds``: request-seconds of the calls.
    """

    spans: Any
    entries: Any
    counts: Any
    before: Any
    in_turn: float
    gaps: Any
    rows: Any
    paged: float
    seconds: float
    drivers: dict[int, Any] = field(default_factory=dict)


def entries(tracing: Tracing) -> Any:
    """For each span the one where its request entered its service: the nearest above (or itself) that is a root, serves a call, or has a caller of another service."""
    parent = tracing.traces.parent
    n = len(parent)
    here = np.arange(n, dtype=np.int32)
    service, _ = tracing.symbol("service")
    enters = (parent < 0) | tracing.is_("kind", "server", "consumer") | (service != service[parent])
    above = np.where(enters, here, parent)
    while True:
        further = above[above]
        if np.array_equal(further, above):
            return above
        above = further


def loops(tracing: Tracing) -> tuple[list[Loop], Any]:
    """The loops of the affected window, the most costly first, and the statement of each span as a code (−1: no call)."""
    entry = entries(tracing)
    parent, start = tracing.traces.parent, tracing.traces.start
    again = attempts(tracing).again
    calls = np.isin(tracing.own, (DATABASE, CACHE)) | ((tracing.own == DOWNSTREAM) & tracing.is_("kind", "client"))
    calls &= (parent >= 0) & ~again & (tracing.place >= 0)
    calls[calls] &= ~(calls[parent[calls]] & (entry[parent[calls]] == entry[calls]))
    chosen = np.flatnonzero(calls)
    said = np.full(len(parent), -1, np.int64)
    if not len(chosen):
        return [], said
    whom, _ = tracing.dependency
    peer, fingerprint, statement, operation, route = (tracing.symbol(name)[0] for name in ("peer", "fingerprint", "statement", "operation", "route"))
    text = np.where(fingerprint >= 0, fingerprint, -1)
    rest = np.where(fingerprint >= 0, -1, operation)
    said[chosen] = _numbered(*(c[chosen] for c in (tracing.own, whom, peer, text, np.where(fingerprint >= 0, -1, statement), rest, route)))
    service, _ = tracing.symbol("service")
    work = _numbered(service[entry[chosen]], operation[entry[chosen]])
    order = np.lexsort((start[chosen], entry[chosen], said[chosen], work))
    chosen, work = chosen[order], work[order]
    head = np.flatnonzero(np.concatenate([[True], (np.diff(work) != 0) | (np.diff(said[chosen]) != 0)]))
    tail = np.append(head[1:], len(chosen))
    now = tracing.zone[chosen] == AFFECTED
    cost = np.add.reduceat(np.where(now, tracing.under[chosen], 0), head)
    begins = np.concatenate([[True], np.diff(entry[chosen]) != 0])
    begins[head] = True
    works, size = (np.add.reduceat((now & of).astype(np.int64), head) for of in (begins, np.ones(len(now), bool)))
    several = np.flatnonzero((size >= 2 * works) & (works > 0))
    picked = several[np.lexsort((several, -cost[several]))][:MOST]
    return [_loop(tracing, chosen[head[i] : tail[i]], entry, said) for i in picked.tolist()], said


def _numbered(*columns: Any) -> Any:
    """A number for each distinct row of some columns of codes (−1 and up), int64."""
    out = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        column = column.astype(np.int64)
        out = out * (int(column.max(initial=-1)) + 2) + column + 1
        out = np.unique(out, return_inverse=True)[1]
    return out


def _loop(tracing: Tracing, spans: Any, entry: Any, said: Any) -> Loop:
    """``spans``: calls of one statement by one kind of work, by entry and start."""
    start, end = tracing.traces.start, tracing.traces.end
    service, operation = tracing.symbol("service")[0], tracing.symbol("operation")[0]
    works = np.flatnonzero((entry == np.arange(len(entry))) & (service == service[entry[spans[0]]]) & (operation == operation[entry[spans[0]]]) & (tracing.place >= 0))
    count = np.bincount(np.searchsorted(works, entry[spans]), minlength=len(works))
    now, before = works[tracing.zone[works] == AFFECTED], count[tracing.zone[works] == REFERENCE]
    at = spans[tracing.zone[spans] == AFFECTED]
    same = entry[at[1:]] == entry[at[:-1]] if len(at) else np.zeros(0, bool)
    first, second = at[:-1][same], at[1:][same]
    gap = start[second] - end[first]
    rows = tracing.number("rows")[at]
    largest = np.nanmax(rows) if np.isfinite(rows).any() else np.nan
    inner = tracing.number("rows")[first]
    inner = inner[np.isfinite(inner)]
    seconds = float(tracing.seconds(tracing.under, AFFECTED, _mask(tracing, at)).seconds)
    return Loop(
        spans, now, count[tracing.zone[works] == AFFECTED], before,
        float(np.mean(gap >= -TOUCH * np.maximum(tracing.took[first], 1))) if len(gap) else 0.0,
        gap, rows, float(np.mean(inner == largest)) if len(inner) else 0.0, seconds, _drivers(tracing, now, at, entry, said),
    )  # fmt: skip


def _mask(tracing: Tracing, spans: Any) -> Any:
    out = np.zeros(len(tracing.traces), bool)
    out[spans] = True
    return out


def _drivers(tracing: Tracing, works: Any, spans: Any, entry: Any, said: Any) -> dict[int, Any]:
    """Rows by entry that each other statement gave before the loop began (at any time where the entry has no loop)."""
    if not len(spans):
        return {}
    rows = tracing.number("rows")
    begins = np.full(len(entry), np.iinfo(np.int64).max)
    np.minimum.at(begins, entry[spans], tracing.traces.start[spans])
    possible = np.flatnonzero(np.isfinite(rows) & (said >= 0) & (said != said[spans[0]]) & np.isin(entry, works))
    possible = possible[tracing.traces.end[possible] <= begins[entry[possible]]]
    out = {}
    for code in np.unique(said[possible]).tolist():
        at = possible[said[possible] == code]
        place = np.searchsorted(works, entry[at])
        ran = np.bincount(place, minlength=len(works))
        out[int(code)] = np.where(ran > 0, np.bincount(place, rows[at], len(works)), np.nan)
    return out
