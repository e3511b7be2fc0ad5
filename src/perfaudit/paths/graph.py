"""Who calls whom: services, databases, caches and others as nodes, calls between them as edges, in the affected window beside the reference.

A call is a span of kind client or producer, or one that speaks to a database or cache. Where instrumentation records none, a span whose parent belongs to
another service stands for the call. A call around another call of the same two (a client library around a driver) is counted once, as the outer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, DATABASE, QUEUE
from perfaudit.model import Measurement
from perfaudit.paths.hot import requests, share_of, total, weights
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing

_KINDS = {DATABASE: "database", CACHE: "cache", QUEUE: "queue"}


@dataclass(frozen=True)
class Node:
    """A service (``kind`` service), what it calls (database, cache, queue), or something without spans of its own (external). ``own``: share of request-seconds that it owns."""

    name: str
    kind: str
    root: bool
    own: float


@dataclass(frozen=True)
class Side:
    """Calls of an edge in one window: how many, per request, p50 and p95 in ms, shares that failed and that repeated a failed one."""

    calls: int
    per_request: float
    p50: float
    p95: float
    failed: float
    again: float


@dataclass(frozen=True)
class Edge:
    """``caller`` calls ``callee``. ``share``: of the request-seconds, what passes through these calls, everything below them included."""

    caller: str
    callee: str
    share: Measurement
    affected: Side | None
    reference: Side | None


@dataclass(frozen=True)
class Graph:
    """The graph, the edge with the most time first; ``left_out`` counts edges that are not listed."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Calls:
    """Spans that are calls (indices), and codes of who calls whom, with their names. Shape (calls,)."""

    span: Any
    caller: Any
    callee: Any
    names: list[str]
    kinds: dict[int, str]


def calls(tracing: Tracing) -> Calls:
    """All calls, without those inside another call of the same two."""
    n, parent = len(tracing.traces), tracing.traces.parent
    service, services = tracing.symbol("service")
    names = {text: i for i, text in enumerate(services)}
    callee, kinds = np.full(n, -1, np.int64), dict.fromkeys(range(len(services)), "service")

    def placed(texts: list[str]) -> Any:
        return np.array([*(names.setdefault(text, len(names)) for text in texts), -1], np.int64)

    whom, called = tracing.dependency
    callee[whom >= 0] = placed(called)[whom[whom >= 0]]
    peer, system = tracing.symbol("peer"), tracing.symbol("system")
    stores = np.isin(tracing.own, (DATABASE, CACHE))
    for codes, texts in (system, peer):
        at = stores & (codes >= 0)
        callee[at] = placed(texts)[codes[at]]
    is_call = callee >= 0
    for component, kind in _KINDS.items():
        for code in np.unique(callee[is_call & (tracing.own == component)]).tolist():
            kinds.setdefault(code, kind)
    above = np.where(parent >= 0, parent, 0)
    crossing = (parent >= 0) & ~is_call & (service >= 0) & (service[above] != service) & ~is_call[above]
    caller = np.where(crossing, service[above], service)
    callee[crossing] = service[crossing]
    is_call |= crossing
    is_call &= (tracing.place >= 0) & (caller != callee)
    within = (parent >= 0) & is_call & is_call[above] & (caller[above] == caller) & (callee[above] == callee)
    span = np.flatnonzero(is_call & ~within)
    return Calls(span, caller[span].astype(np.int64), callee[span], list(names), kinds)


def graph(tracing: Tracing, again: Any, most: int) -> Graph:
    """The graph of both windows with the ``most`` edges that carry the most time; ``again``: spans that repeat a failed call (bool)."""
    found = calls(tracing)
    size = len(found.names) + 1
    distinct, place = np.unique((found.caller + 1) * size + found.callee, return_inverse=True)
    sides = [_sides(tracing, found.span, place, len(distinct), zone, again) for zone in (AFFECTED, REFERENCE)]
    under = np.bincount(place, (weights(tracing, AFFECTED)[found.span] * tracing.under[found.span]), len(distinct))
    seen = [i for i in range(len(distinct)) if sides[0][i] or sides[1][i]]
    order = sorted(seen, key=lambda i: (-under[i], -(sides[0][i].calls if sides[0][i] else 0), i))  # type: ignore[union-attr]
    everything, edges = total(tracing, AFFECTED), []
    for i in order[:most]:
        caller, callee = divmod(int(distinct[i]), size)
        where = np.zeros(len(tracing.traces), bool)
        where[found.span[place == i]] = True
        share = share_of(tracing.seconds(tracing.under, AFFECTED, where), everything, tracing.count(AFFECTED))
        edges.append(Edge(found.names[caller - 1] if caller else "", found.names[callee], share, sides[0][i], sides[1][i]))
    return Graph(tuple(_nodes(tracing, found, edges, everything)), tuple(edges), max(0, len(order) - most))


def _nodes(tracing: Tracing, found: Calls, edges: list[Edge], everything: float) -> list[Node]:
    """Roots' services and all that stands at an edge; what a store or an external callee owns is what its calls own."""
    service, services = tracing.symbol("service")
    spent = weights(tracing, AFFECTED) * tracing.on_path
    leaves = np.zeros(len(service), bool)
    kinds = np.array([found.kinds.get(code, "external") != "service" for code in range(len(found.names))], bool)
    leaves[found.span[kinds[found.callee]]] = True
    inside = (service >= 0) & ~leaves
    own = np.bincount(service[inside], spent[inside], len(found.names)).astype(np.float64)  # of nothing: integers
    away = kinds[found.callee]
    own += np.bincount(found.callee[away], spent[found.span[away]], len(found.names))
    roots = {services[code] for code in np.unique(service[tracing.roots]).tolist() if code >= 0}
    wanted = roots | {e.caller for e in edges} | {e.callee for e in edges}
    codes = {text: code for code, text in enumerate(found.names)}
    return [Node(text, found.kinds.get(codes[text], "external"), text in roots, float(own[codes[text]]) / 1e6 / everything if everything else 0.0) for text in sorted(wanted) if text in codes]


def _sides(tracing: Tracing, span: Any, place: Any, n: int, zone: int, repeats: Any) -> list[Side | None]:
    """Each edge's calls in a zone; None where it has none."""
    here = np.flatnonzero(tracing.zone[span] == zone)
    span, place = span[here], place[here]
    took = tracing.took[span]
    order = np.lexsort((took, place))
    took, count = took[order], np.bincount(place, minlength=n)
    end = np.cumsum(count)
    each = requests(tracing, zone)[span]
    per_request = np.bincount(place, each, n) / max(tracing.total_requests[zone], 1e-9)
    failed, again = (np.bincount(place, column[span], n) / np.maximum(count, 1) for column in (tracing.failed, repeats))

    def quantile(i: int, q: float) -> float:
        return float(took[end[i] - count[i] + max(0, int(np.ceil(q * count[i])) - 1)]) / 1e3

    return [Side(int(count[i]), float(per_request[i]), quantile(i, 0.5), quantile(i, 0.95), float(failed[i]), float(again[i])) if count[i] else None for i in range(n)]
