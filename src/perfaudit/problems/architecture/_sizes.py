"""How long requests take against how large they are: pairs of size and cost from traces and from the access log."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.requests import RouteRow
from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.components import DOWNSTREAM, SELF
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.repeats import entries
from perfaudit.paths.tracing import AFFECTED, Tracing
from perfaudit.stats.powerlaw import LEAST, SPAN, Law, law

#: Attributes that hold numbers but no sizes.
_NO_SIZE = ("port", "pid", "id", "thread", "status", "code", "version", "line", "priority", "epoch", "timestamp", "resend", "attempt")
#: Least part of the own time of some work that is looked at apart.
PART = 0.25
#: Requests of a route that are read of a log: 50 times what the fit uses.
MOST = 20_000
#: Bodies whose bytes an access log has.
BODIES = ("response", "request")
#: A curve that explains 0.3 of the variance of logarithms (the check's bar) has at least this linear correlation of logarithms: half of √0.3, for what the constant base flattens.
LINKED = 0.27


@dataclass(frozen=True)
class Sized:
    """The cost of one kind of work against one size, both windows; arrays of shape (n,).

    ``what``: name of the size. ``cost`` in µs; ``zone`` as in :mod:`perfaudit.paths.tracing`. ``own``: the cost is the work's own time, not all of the
    request's. ``spans``: its own spans (bool by span), with ``entry`` the entry of each value; None from a log. ``found``: the law of the affected window.
    """

    service: str
    operation: str
    route: str
    what: str
    size: Any
    cost: Any
    zone: Any
    own: bool
    found: Law
    spans: Any = None
    entry: Any = None


def of_traces(evidence: Evidence, tracing: Tracing) -> Iterator[Sized]:
    """For each kind of work, its own time on the critical path against the size that explains it best."""
    entry = entries(tracing)
    working = np.isin(tracing.own, (SELF, DOWNSTREAM)) & ~tracing.is_("kind", "client", "producer")
    heads = np.flatnonzero((entry == np.arange(len(entry))) & (tracing.place >= 0) & working)
    spent = np.bincount(entry[working], np.where(tracing.zone[working] == AFFECTED, tracing.on_path[working], 0), len(entry))
    least = RELEVANT * float(tracing.on_path[tracing.zone == AFFECTED].sum())
    service, services = tracing.symbol("service")
    operation, operations = tracing.symbol("operation")
    route, routes = tracing.symbol("route")
    sizes = list(_sizes(evidence, tracing, entry))
    for s, o in np.unique(np.stack([service[heads], operation[heads]]), axis=1).T.tolist():
        at = heads[(service[heads] == s) & (operation[heads] == o)]
        now = tracing.zone[at] == AFFECTED
        if np.count_nonzero(now) < LEAST or spent[at].sum() < least:
            continue
        inside = working & np.isin(entry, at)
        best: tuple[Law, str, Any, Any, Any] | None = None
        for spans in (inside, *_parts(tracing, inside)):
            own = np.bincount(entry[spans], tracing.on_path[spans], len(entry))[at]
            for what, size in sizes:
                found = law(size[at][now], own[now])
                if found is not None and (best is None or found.fit > best[0].fit):
                    best = found, what, size[at], own, spans
        if best is None:
            continue
        found, what, size, own, spans = best
        known = np.isfinite(size)
        logged = tracing.routes[tracing.flow[at[0]]] if tracing.routes else None
        name = logged[1] if logged else routes[route[at[0]]] if route[at[0]] >= 0 else tracing.flows[tracing.flow[at[0]]].route
        yield Sized(services[s] if s >= 0 else "", operations[o] if o >= 0 else "", name, what, size[known], own[known], tracing.zone[at][known], True, found, spans, at[known])


def _parts(tracing: Tracing, inside: Any) -> Iterator[Any]:
    """The spans of each operation that owns a quarter of the own time of some work, and not all of it: a loop with a span of its own stands out more."""
    operation, _ = tracing.symbol("operation")
    now = inside & (tracing.zone == AFFECTED) & (operation >= 0)
    spent = np.bincount(operation[now], tracing.on_path[now])
    for code in np.flatnonzero((spent >= PART * spent.sum()) & (spent < spent.sum())).tolist():
        yield inside & (operation == code)


def _sizes(evidence: Evidence, tracing: Tracing, entry: Any) -> Iterator[tuple[str, Any]]:
    """Names and values by span of what says how large the work was; NaN where it is not known."""
    n = len(entry)
    rows = tracing.number("rows")
    known = np.isfinite(rows)
    if known.any():
        total = np.bincount(entry[known], rows[known], n)
        total[np.bincount(entry[known], minlength=n) == 0] = np.nan
        yield "rows read", total
    for name, what in (("request_bytes", "bytes of the request"), ("response_bytes", "bytes of the response")):
        values = tracing.number(name)
        if np.isfinite(values).any():
            yield what, values
    trace = tracing.traces.trace_of(np.arange(n))
    for what, by_trace in _by_trace(evidence, tracing):
        yield what, by_trace[trace]


def _by_trace(evidence: Evidence, tracing: Tracing) -> Iterator[tuple[str, Any]]:
    """Sizes that are known of a whole trace: bodies in the access log, numbers among the attributes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = tracing.traces.trace_ids
    ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids

    def placed(names: Any, values: Any) -> Any:
        at = pc.index_in(pa.array([str(name) for name in names], pa.string()), ids).fill_null(-1).to_numpy(zero_copy_only=False)
        out = np.full(len(ids) + 1, np.nan)
        out[at] = values
        return out[:-1]

    if evidence.bundle.rows("requests"):
        found = evidence.columns(
            "SELECT trace_id, max(response_bytes)::DOUBLE AS response, max(request_bytes)::DOUBLE AS request FROM requests"
            " WHERE trace_id IN (SELECT DISTINCT trace_id FROM spans) GROUP BY 1 HAVING count(*) = 1 ORDER BY 1"
        )
        for name in ("response", "request"):
            values = np.ma.filled(np.ma.asarray(found[name], np.float64), np.nan)
            if np.isfinite(values).any():
                yield f"bytes of the {name} in the access log", placed(found["trace_id"], values)
    told = evidence.columns(
        "SELECT key, trace_id, max(value) AS value FROM (SELECT trace_id, e.key AS key, try_cast(e.value AS DOUBLE) AS value FROM (SELECT trace_id, unnest(map_entries(attributes)) AS e FROM spans"
        " WHERE attributes IS NOT NULL)) WHERE value > 0 GROUP BY 1, 2 ORDER BY 1, 2"
    )
    keys = np.asarray(told["key"], object)
    for key in dict.fromkeys(keys.tolist()):
        if not any(part in _NO_SIZE for part in str(key).lower().replace("_", ".").split(".")):
            at = keys == key
            yield f"attribute {key}", placed(np.asarray(told["trace_id"], object)[at], np.asarray(told["value"], np.float64)[at])


def grows(evidence: Evidence, account: TimeAccount) -> dict[tuple[str, str], list[str]]:
    """For each method and route with sizes that differ enough, which body ("response", "request") grows with the duration at all: one pass, so that only these are fitted."""
    about = ", ".join(
        f"count({name}_bytes) FILTER ({name}_bytes > 0), max({name}_bytes) / min({name}_bytes) FILTER ({name}_bytes > 0), corr(ln({name}_bytes), ln(duration_us)) FILTER ({name}_bytes > 0)" for name in BODIES
    )
    rows = evidence.rows(
        f"SELECT coalesce(method, ''), route, {about} FROM requests WHERE {account.tiers.condition} AND {within(account.windows.affected)} AND status BETWEEN 200 AND 299 AND duration_us > 0 GROUP BY 1, 2"
    )
    out = {}
    for method, route, *values in rows:
        told = {name: values[3 * i : 3 * i + 3] for i, name in enumerate(BODIES)}
        apart = {name: link for name, (n, ratio, link) in told.items() if n >= LEAST and (ratio or 0) >= SPAN}
        if apart:
            out[str(method), str(route)] = [name for name, link in apart.items() if link is not None and link >= LINKED]
    return out


def of_log(evidence: Evidence, account: TimeAccount, row: RouteRow, bodies: list[str]) -> Sized | None:
    """Durations of a route's successful requests against the bytes of these bodies; what the sizes cost before is the base, where it is known."""
    best: Sized | None = None
    for name in bodies:
        now, before = (_logged(evidence, account, row, name, window) for window in (account.windows.affected, account.windows.reference))
        base = None
        if before is not None and len(before[0]) >= LEAST and now is not None:
            base = _line(*before, now[0])
        found = law(*now, base) if now is not None else None
        if found is None or now is None or (best is not None and best.found.fit >= found.fit):
            continue
        zone = np.zeros(len(now[0]), np.int8)
        best = Sized("", "", row.route, f"bytes of the {name}", now[0], now[1], zone, False, found)
    return best


def _logged(evidence: Evidence, account: TimeAccount, row: RouteRow, name: str, window: Window | None) -> tuple[Any, Any] | None:
    if window is None:
        return None
    part = max(1, math.ceil((row.affected.count + row.reference.count) / MOST))
    found = evidence.columns(
        f"SELECT {name}_bytes::DOUBLE AS size, duration_us::DOUBLE AS cost FROM requests WHERE {account.tiers.condition} AND {within(window)} AND coalesce(method, '') = {quote(row.method)}"
        f" AND route = {quote(row.route)} AND status BETWEEN 200 AND 299 AND {name}_bytes > 0 AND duration_us > 0"
        f" AND hash(time, duration_us, {name}_bytes) % {part} = 0 ORDER BY time, duration_us, size"
    )
    return np.asarray(found["size"], np.float64), np.asarray(found["cost"], np.float64)


def _line(size: Any, cost: Any, at: Any) -> Any:
    """What sizes ``at`` cost by a robust line through earlier ones (median of each half: Tukey's resistant line, with halves)."""
    middle = np.median(size)
    low, high = size <= middle, size > middle
    if not high.any():
        return np.full(len(at), np.median(cost))
    x, y = ((np.median(values[low]), np.median(values[high])) for values in (size, cost))
    slope = max(0.0, (y[1] - y[0]) / (x[1] - x[0]))
    start = max(y[0] - slope * x[0], 0.05 * y[0])
    return start + slope * np.asarray(at)


def excess(sized: Sized) -> Any:
    """Share of each affected request's cost that a straight line from the small sizes does not explain (0–1)."""
    size = sized.size[sized.zone == AFFECTED]
    fitted = sized.found.predict(size)
    small = float(np.quantile(size, 0.25))
    start, at = float(sized.found.predict(0.0)), float(sized.found.predict(small))
    line = start + (at - start) * size / small
    return np.clip(1 - line / fitted, 0.0, 1.0)


def in_flight(evidence: Evidence, account: TimeAccount, row_route: str) -> float | None:
    """Rank correlation of a request's size with how many were in flight when it came; None where that is not known."""
    from perfaudit.stats.correlation import spearman

    found = evidence.columns(
        f"SELECT epoch_us(time) AS t, duration_us AS d, (route = {quote(row_route)}) AS mine, response_bytes AS size FROM requests WHERE {account.tiers.condition} AND {within(account.windows.affected)} AND duration_us IS NOT NULL ORDER BY 1, 2 LIMIT 2000000"
    )
    start = np.asarray(found["t"], np.int64)
    if len(start) < LEAST:
        return None
    end = np.sort(start + np.asarray(found["d"], np.int64))
    flying = np.arange(len(start)) - np.searchsorted(end, start, "right")
    mine = np.asarray(np.ma.filled(found["mine"], False), bool)
    size = np.ma.filled(np.ma.asarray(found["size"], np.float64), np.nan)
    use = mine & np.isfinite(size)
    r = spearman(size[use], flying[use]).r
    return r if math.isfinite(r) else None
