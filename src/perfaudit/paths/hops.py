"""Calls from one service to another in traces: which span makes the call, which answers it, and at whom the time of every span is spent.

A call is the outermost client (or producer) span of a request to another service or to a peer that is not traced; where a service records no client spans,
the span that answers stands for the call. The time between a call and its answer (network, accept queue, connection set-up) is spent at the callee:
nobody else can shorten it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, DATABASE, POOL
from perfaudit.kernels.trace_trees import CYCLE, ORPHAN, SELF_PARENT
from perfaudit.paths.tracing import AFFECTED, LEAST_ADDED, LEAST_TRACES, REFERENCE, Tracing

#: A service that hands nearly every request on to one other, has no store of its own and next to no work is an entrance, not the application:
#: what stands behind it is no dependency of the system but the system.
HANDS_ON, OWN_WORK = 0.95, 0.10
#: Wrappers of a client span nest a few deep at most (RPC over HTTP over a socket).
NESTED = 8


@dataclass(frozen=True)
class Hops:
    """``call``, ``entry``: index of the calling and of the answering span (−1: none), shape (calls,). ``caller``, ``callee``, ``site``: codes in ``names``.

    ``site`` has shape (spans,): at whom a span's own time is spent. ``endpoint``: codes in ``endpoints``, what is asked of the callee.
    ``front``: the services that users reach first, entrances and what stands behind them.
    """

    call: Any
    entry: Any
    caller: Any
    callee: Any
    names: list[str]
    endpoint: Any
    endpoints: list[str]
    site: Any
    front: frozenset[int]

    def spans(self, calls: Any, size: int) -> Any:
        """The calling spans of some calls (indices or bool) as a mask over all spans."""
        out = np.zeros(size, bool)
        out[self.call[calls]] = True
        return out


def hops(tracing: Tracing) -> Hops:
    """All calls of the traces."""
    parent, n = tracing.traces.parent, len(tracing.traces)
    service, _ = tracing.symbol("service")
    whom, known = tracing.dependency
    names = list(known)
    calling = (whom >= 0) & tracing.is_("kind", "client", "producer")
    wraps = (parent >= 0) & calling & calling[parent] & (service == service[parent])
    outer = np.arange(n, dtype=np.int32)
    for _ in range(NESTED):
        outer = np.where(wraps[outer], parent[outer], outer)
    entry = np.flatnonzero((parent >= 0) & (service >= 0) & (service[parent] >= 0) & (service != service[parent]) & ~tracing.traces.late & ~np.isin(tracing.own[parent], (DATABASE, CACHE)))
    above = parent[entry]
    call = np.where(calling[above], outer[above], entry)
    first = np.unique(call, return_index=True)[1]
    entry, call = entry[first], call[first]
    silent = np.flatnonzero(calling & ~wraps & (parent >= 0))
    silent = np.setdiff1d(silent, call, assume_unique=True)
    callee = np.concatenate([service[entry], whom[silent]])
    call, entry = np.concatenate([call, entry[:0], silent]), np.concatenate([entry, np.full(len(silent), -1, np.int64)])
    caller = np.where(call == entry, service[parent[call]], service[call])
    order = np.argsort(call, kind="stable")
    call, entry, caller, callee = (column[order] for column in (call, entry, caller, callee))
    endpoint, endpoints = _endpoints(tracing, call, entry)
    site = _sites(tracing, call, callee)
    return Hops(call, entry, caller, callee, names, endpoint, endpoints, site, _front(tracing, call, caller, callee))


def _endpoints(tracing: Tracing, call: Any, entry: Any) -> tuple[Any, list[str]]:
    """What is asked: the name of the answering span, else that of the call, with its route where the name is only a method."""
    operation, names = tracing.symbol("operation")
    route, routes = tracing.symbol("route")
    told = np.where(entry >= 0, operation[entry], operation[call])
    way = np.where(entry >= 0, route[entry], route[call])
    key = told.astype(np.int64) << 32 | (way.astype(np.int64) + 1)
    distinct, place = np.unique(key, return_inverse=True)
    codes: dict[str, int] = {}
    table = []
    for value in distinct.tolist():
        name, path = value >> 32, (value & 0xFFFFFFFF) - 1
        text = names[name] if name >= 0 else ""
        if path >= 0 and " " not in text and "/" not in text:
            text = f"{text} {routes[path]}".strip()
        table.append(codes.setdefault(text, len(codes)))
    return np.array(table, np.int32)[place] if len(table) else np.zeros(0, np.int32), list(codes)


def _sites(tracing: Tracing, call: Any, callee: Any) -> Any:
    """At whom each span's own time is spent: at its service, and from a call on at the callee, but for the wait for a connection of the caller's pool."""
    parent, (service, _) = tracing.traces.parent, tracing.symbol("service")
    site = service.astype(np.int32).copy()
    inside = np.zeros(len(site), bool)
    site[call], inside[call] = callee, True
    for _ in range(NESTED):
        more = (parent >= 0) & ~inside & inside[parent] & (service == service[parent]) & (tracing.own != POOL)
        if not more.any():
            break
        site[more], inside[more] = site[parent[more]], True
    return site


def _front(tracing: Tracing, call: Any, caller: Any, callee: Any) -> frozenset[int]:
    """Root services, and whatever an entrance hands its requests on to."""
    service, _ = tracing.symbol("service")
    roots = tracing.roots
    whole = tracing.traces.flags[roots] & (ORPHAN | SELF_PARENT | CYCLE) == 0
    front = {int(code) for code in np.unique(service[roots[whole] if whole.any() else roots]).tolist() if code >= 0}
    stores = {int(code) for code in np.unique(service[np.isin(tracing.own, (DATABASE, CACHE, POOL))]).tolist()}
    at = tracing.place[call]
    todo = sorted(front - stores)
    while todo:
        code = todo.pop()
        serves = np.unique(at[(callee == code) & (at >= 0)]) if len(at) else at
        serves = np.union1d(serves, np.flatnonzero(service[roots] == code))
        calm = serves[tracing.zone[roots[serves]] == REFERENCE]
        serves = calm if len(calm) >= LEAST_TRACES else serves
        made = at[(caller == code) & (at >= 0)]
        times = np.bincount(made, minlength=len(roots))[serves]
        own = float(tracing.per_trace(tracing.on_path, service == code)[serves].sum())
        if len(serves) < LEAST_TRACES or np.mean(times == 1) < HANDS_ON or own > OWN_WORK * float(tracing.whole[serves].sum()):
            continue
        behind = {int(c) for c in np.unique(callee[(caller == code) & (at >= 0)]).tolist()} - front
        front |= behind
        todo += sorted(behind - stores)
    return frozenset(front)


def per_request(tracing: Tracing, values: Any, where: Any) -> tuple[float, float]:
    """Mean of ``values`` (by span) per request in the affected window and in the reference, over the flows that have any, requests weighing as in the affected one.

    NaN where no such flow has :data:`LEAST_ADDED` traces in both.
    """
    per_trace = tracing.per_trace(values, where)
    flow, zone, n = tracing.flow[tracing.roots], tracing.zone[tracing.roots], len(tracing.flows)
    counts = [np.bincount(flow[zone == z], minlength=n) for z in (AFFECTED, REFERENCE)]
    sums = [np.bincount(flow[zone == z], per_trace[zone == z], n) for z in (AFFECTED, REFERENCE)]
    used = (np.minimum(*counts) >= LEAST_ADDED) & (sums[0] + sums[1] > 0)
    weight = np.where(used, tracing.requests[:, AFFECTED], 0.0)
    if weight.sum() <= 0:
        return float("nan"), float("nan")
    affected, reference = (float(np.sum(weight * s / np.maximum(c, 1)) / weight.sum()) for s, c in zip(sums, counts, strict=True))
    return affected, reference
