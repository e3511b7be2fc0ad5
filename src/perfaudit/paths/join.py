"""What traces stand for: the log's requests of the same route, joined by trace id where the log has it, else by route.

Sets :attr:`Tracing.weight` and :attr:`Tracing.requests`, and gives the time between the edge's upstream time and the root span: the wait for a worker.
Where it can be joined, it is measured request by request. Where only distributions are known, it is the difference of two means, and counts only where it
is larger than their error: otherwise the traces of a route are scaled to its requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.tiers import Tiers
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing

#: A gap between two independent means counts from this many standard errors on, and from this share of the time on (a finding needs 1 %, an account rounds to it).
SURE, LEAST = 3.0, 0.02
#: Cuts of the log's durations into strata for traces that were not kept at random: body, tail, far tail (a tail sampler keeps those above a bar).
STRATA = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Gap:
    """Seconds between upstream time and root spans in a window, their standard error, and how they were joined."""

    seconds: float = 0.0
    error: float = 0.0
    method: str = ""


@dataclass
class _Route:
    count: int = 0
    inside: float = 0.0
    squares: float = 0.0


def join(evidence: Evidence, tiers: Tiers, tracing: Tracing) -> dict[int, Gap]:
    """Weigh the traces by the log's requests; gives the wait for a worker in the affected window and in the reference."""
    windows = tracing.windows
    gaps = {}
    pairs = _pairs(evidence, tiers, tracing)
    for zone, window in ((AFFECTED, windows.affected), (REFERENCE, windows.reference)):
        if window is None:
            continue
        routes = _routes(evidence, tiers, window)
        if tracing.biased and evidence.bundle.rows("requests"):
            _restrata(evidence, tiers, tracing, zone, window, pairs)
        gaps[zone] = _weigh(tracing, zone, routes, pairs) if routes else Gap()
    return gaps


def _routes(evidence: Evidence, tiers: Tiers, window: Window) -> dict[tuple[str, str], _Route]:
    """Requests and the seconds behind the edge of each method and route; the whole duration where no upstream was logged."""
    rows = evidence.rows(
        "SELECT coalesce(method, ''), coalesce(route, ''), count(*), sum(u), sum(u::HUGEINT * u) FROM (SELECT method, route, coalesce(upstream_us - coalesce(upstream_connect_us, 0), duration_us) AS u"
        f" FROM requests WHERE {tiers.condition} AND {within(window)}) GROUP BY 1, 2"
    )
    return {(m, r): _Route(int(n), int(s or 0) / 1e6, int(q or 0) / 1e12) for m, r, n, s, q in rows}  # sums of integers: the same in any order


@dataclass(frozen=True)
class _Pairs:
    """Requests of the log and the roots of their traces: position in ``Tracing.roots``, seconds behind the edge, method and route."""

    root: Any
    inside: Any
    key: list[tuple[str, str]]


def _pairs(evidence: Evidence, tiers: Tiers, tracing: Tracing) -> _Pairs | None:
    """Requests whose trace is known and has one root, and that are the only ones of their trace."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not evidence.one(f"SELECT count(*) FROM requests WHERE {tiers.condition} AND trace_id IS NOT NULL")[0]:
        return None
    found = evidence.columns(
        "SELECT any_value(trace_id) AS trace_id, any_value(coalesce(method, '')) AS method, any_value(coalesce(route, '')) AS route,"
        " any_value(coalesce(upstream_us - coalesce(upstream_connect_us, 0), duration_us)) / 1e6 AS inside FROM requests"
        f" WHERE {tiers.condition} AND trace_id IN (SELECT DISTINCT trace_id FROM spans) GROUP BY requests.trace_id HAVING count(*) = 1 ORDER BY 1"
    )
    ids = tracing.traces.trace_ids
    of = pc.index_in(pa.array(found["trace_id"].tolist(), pa.string()), ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids)
    trace = of.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    roots = tracing.traces.trace_of(tracing.roots)
    single = np.full(len(ids) + 1, -1, np.int64)
    counts = np.bincount(roots, minlength=len(ids) + 1)
    single[roots] = np.arange(len(roots))
    single[counts != 1] = -1
    root = single[trace]
    keep = np.flatnonzero((root >= 0) & np.isfinite(np.asarray(found["inside"], np.float64)))
    if not len(keep):
        return None
    key = [(str(found["method"][i]), str(found["route"][i])) for i in keep.tolist()]
    return _Pairs(root[keep], np.asarray(found["inside"], np.float64)[keep], key)


def _restrata(evidence: Evidence, tiers: Tiers, tracing: Tracing, zone: int, window: Window, pairs: _Pairs | None) -> None:
    """Let traces that were kept for being slow stand for as many requests as the log has of their duration (post-stratification: Cochran 1977, §5A.9)."""
    roots = tracing.roots
    took = tracing.whole.copy()
    if pairs is not None:
        took[pairs.root] = np.maximum(took[pairs.root], pairs.inside * 1e6)  # the log's own figure, where it is known
    quantiles = ", ".join(str(q) for q in STRATA)
    for flow, key in enumerate(_route_of_flows(tracing, _routes(evidence, tiers, window), pairs)):
        at = np.flatnonzero((tracing.zone[roots] == zone) & (tracing.flow[roots] == flow))
        if key is None or not len(at):
            continue
        where = f"{tiers.condition} AND {within(window)} AND coalesce(method, '') = {quote(key[0])} AND coalesce(route, '') = {quote(key[1])}"
        inside = "coalesce(upstream_us - coalesce(upstream_connect_us, 0), duration_us)"
        (cuts,) = evidence.one(f"SELECT quantile_disc({inside}, [{quantiles}]) FROM requests WHERE {where}")
        if not cuts:
            continue
        share = np.diff([0.0, *STRATA, 1.0])
        stratum = np.searchsorted(np.asarray(cuts, np.float64), took[at], "left")
        kept = np.bincount(stratum, minlength=len(share))
        share = np.where(kept > 0, share, 0.0)  # a stratum without a trace is left to the others
        tracing.stands_for[at] = (share / np.maximum(kept, 1))[stratum] / share.sum() * len(at)


def _weigh(tracing: Tracing, zone: int, routes: dict[tuple[str, str], _Route], pairs: _Pairs | None) -> Gap:
    roots = tracing.roots
    here = tracing.zone[roots] == zone
    flow, took = tracing.flow[roots], tracing.whole / 1e6
    of_flow = _route_of_flows(tracing, routes, pairs)
    tracing.routes = [new or old for new, old in zip(of_flow, tracing.routes or [None] * len(of_flow), strict=True)]
    groups: dict[tuple[str, str] | None, list[int]] = {}
    for number, key in enumerate(of_flow):
        groups.setdefault(key, []).append(number)
    rest = _Route()
    for key, row in routes.items():
        if key not in groups:
            rest = _Route(rest.count + row.count, rest.inside + row.inside, rest.squares + row.squares)
    seconds = variance = 0.0
    joined = False
    for key, flows in sorted(groups.items(), key=lambda g: g[0] or ("", "")):
        row = routes[key] if key is not None else rest
        at = here & np.isin(flow, flows)
        n, whole = int(at.sum()), float((tracing.stands_for * took)[at].sum())
        if not n or not whole or not row.count:
            tracing.weight[flows, zone] = 0.0 if n else tracing.weight[flows, zone]
            tracing.requests[flows, zone] = 0.0
            continue
        gap, error, exact = _gap(row, took[at], None if pairs is None else _joined(pairs, at, took)) if not tracing.biased or pairs is not None else (0.0, 0.0, False)
        joined |= exact
        seconds, variance = seconds + gap, variance + error**2
        tracing.weight[flows, zone] = max(0.0, row.inside - gap) / whole
        tracing.requests[flows, zone] = row.count / n * np.bincount(flow[at], minlength=len(of_flow))[flows]
    how = "upstream time minus root span, joined by trace id" if joined else "mean upstream time minus mean root span, by route"
    return Gap(seconds, math.sqrt(variance), how)


def _joined(pairs: _Pairs, at: Any, took: Any) -> Any:
    """Upstream minus root span, in seconds, of the joined requests among these roots."""
    use = at[pairs.root]
    return (pairs.inside - took[pairs.root])[use]


def _gap(row: _Route, took: Any, joined: Any) -> tuple[float, float, bool]:
    """Seconds of the wait for a worker of all requests of a route, its error, and whether requests were joined."""
    if joined is not None and len(joined) >= 5:
        mean, error = float(joined.mean()), float(joined.std(ddof=1) / math.sqrt(len(joined)))
        return (max(0.0, mean) * row.count, error * row.count, True)
    mean = row.inside / row.count
    variance = max(0.0, row.squares / row.count - mean**2) / row.count + (float(took.var(ddof=1)) / len(took) if len(took) > 1 else float(took[0]) ** 2)
    difference = mean - float(took.mean())
    error = math.sqrt(variance)
    if difference < max(SURE * error, LEAST * mean):
        return 0.0, 0.0, False
    return difference * row.count, error * row.count, False


def _route_of_flows(tracing: Tracing, routes: dict[tuple[str, str], _Route], pairs: _Pairs | None) -> list[tuple[str, str] | None]:
    """The log's method and route of each flow: what most of its joined requests say, else the same route; None: none fits."""
    votes: list[dict[tuple[str, str], int]] = [{} for _ in tracing.flows]
    if pairs is not None:
        for number, key in zip(tracing.flow[tracing.roots[pairs.root]].tolist(), pairs.key, strict=True):
            votes[number][key] = votes[number].get(key, 0) + 1
    by_route: dict[str, list[tuple[str, str]]] = {}
    for m, r in routes:
        by_route.setdefault(r, []).append((m, r))
    out: list[tuple[str, str] | None] = []
    for flow, said in zip(tracing.flows, votes, strict=True):
        best = max(said, key=lambda k: (said[k], k), default=None)
        same = by_route.get(flow.route, [])
        fits = [k for k in same if k[0] == flow.method] or (same if not flow.method and len(same) == 1 else [])
        out.append(best if best in routes else (fits[0] if fits else None))
    return out

