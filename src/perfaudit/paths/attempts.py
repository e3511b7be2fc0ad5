"""Which calls are attempts of one logical call: siblings that repeat a call after it failed, and calls that say that they were sent again.

``http.request.resend_count`` (OpenTelemetry semantic conventions, HTTP spans) says it outright. Otherwise a call is another attempt where it stands beside
an earlier one with the same parent, callee, name and statement, which had failed and ended before it began. A span that only wraps one call (a library's
"attempt") is looked through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.paths.tracing import Tracing


@dataclass(frozen=True)
class Attempts:
    """Per span: ``number`` of the attempt (0 the first; int32), ``again`` whether it repeats a failed one, ``retried`` whether it failed and was repeated."""

    number: Any
    again: Any
    retried: Any


def attempts(tracing: Tracing) -> Attempts:
    """The attempts among all client spans that call a service, a database or a cache."""
    n = len(tracing.traces)
    parent, start, end = tracing.traces.parent, tracing.traces.start, tracing.traces.end
    number, again, retried = np.zeros(n, np.int32), np.zeros(n, bool), np.zeros(n, bool)
    client = (parent >= 0) & tracing.is_("kind", "client")
    said = tracing.resent
    beside = np.zeros(n + 1, bool)  # parents of a failed call: only there anything can be repeated
    beside[parent[client & tracing.failed]] = True
    calls = np.flatnonzero(client & beside[parent])
    if not len(calls):
        return Attempts(said, said > 0, retried)
    whom, _ = tracing.dependency
    operation, fingerprint, route = (tracing.symbol(name)[0] for name in ("operation", "fingerprint", "route"))
    key = (route[calls], fingerprint[calls], operation[calls], whom[calls], _unwrapped(tracing, calls))
    order = np.lexsort((start[calls], *key))
    calls = calls[order]
    same = np.logical_and.reduce([column[order][1:] == column[order][:-1] for column in key])
    follows = same & tracing.failed[calls[:-1]] & (start[calls[1:]] >= end[calls[:-1]])
    again[calls[1:][follows]] = True
    retried[calls[:-1][follows]] = True
    run = np.concatenate([[0], np.where(follows, 0, np.arange(1, len(calls)))])
    number[calls] = np.arange(len(calls)) - np.maximum.accumulate(run)
    number, again = np.maximum(number, said), again | (said > 0)
    return Attempts(number, again, retried)


def _unwrapped(tracing: Tracing, calls: Any) -> Any:
    """The parents of calls, looking through internal spans that hold one call only."""
    parent, n = tracing.traces.parent, len(tracing.traces)
    service, _ = tracing.symbol("service")
    holds = np.bincount(parent[calls], minlength=n)
    wraps = (holds == 1) & ~tracing.is_("kind", "server", "consumer", "client", "producer") & (parent >= 0)
    wraps &= service == service[np.maximum(parent, 0)]
    at = parent[calls]
    return np.where(wraps[at], parent[at], at)


def below(tracing: Tracing, chosen: Any) -> Any:
    """Which spans are chosen or have a chosen one above them (bool)."""
    parent = tracing.traces.parent
    out, above = chosen.copy(), np.where(parent < 0, np.arange(len(parent), dtype=np.int32), parent)
    while True:
        out = out | out[above]
        further = above[above]
        if np.array_equal(further, above):
            return out
        above = further
