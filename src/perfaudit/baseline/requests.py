"""How long requests take: exact distributions per route and window, and series over time, straight from the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Measurement, Windows
from perfaudit.stats.percentile import Distribution, wilson

#: Up to this many requests every duration is kept to the microsecond; above, to 13 significant bits (error ≤ 0.0123 %).
EXACT = 1_000_000
#: Routes beyond these are folded into ``other``: more rows than a person reads.
MOST_ROUTES = 200
#: With more than FEW routes, one below this share of both requests and time is rare and folds into ``other``.
FEW, RARE = 20, 0.0005
OTHER = "other"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
ZONES = ("affected", "reference", "rest")

Key = tuple[str, str]
"""``(method, route)``."""


@dataclass
class Slice:
    """Requests of one route (or all) in one zone: counts by status class and the distribution of durations in µs."""

    count: int = 0
    errors: int = 0
    aborts: int = 0
    status: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    upstream_seconds: float = 0.0
    connect_seconds: float = 0.0
    upstream_known: int = 0
    durations: Distribution = field(default_factory=lambda: Distribution(np.empty(0, np.int64), np.empty(0, np.int64)))

    def plus(self, other: Slice) -> Slice:
        """Both together."""
        return Slice(
            self.count + other.count,
            self.errors + other.errors,
            self.aborts + other.aborts,
            {k: self.status.get(k, 0) + other.status.get(k, 0) for k in sorted({*self.status, *other.status})},
            self.seconds + other.seconds,
            self.upstream_seconds + other.upstream_seconds,
            self.connect_seconds + other.connect_seconds,
            self.upstream_known + other.upstream_known,
            self.durations.plus(other.durations),
        )

    @property
    def error_ratio(self) -> float:
        """Responses with status ≥ 500 over all."""
        return self.errors / self.count if self.count else 0.0

    @property
    def mean(self) -> float:
        """Mean duration in seconds."""
        return self.seconds / self.durations.n if self.durations.n else 0.0

    def quantile(self, q: float) -> float | None:
        """A percentile in µs, None when there are no durations."""
        return self.durations.percentile(q).value if self.durations.n else None


@dataclass
class RouteRow:
    """One route in every zone."""

    method: str
    route: str
    service: str
    zones: dict[str, Slice]

    @cached_property
    def all(self) -> Slice:
        """Affected, reference and the rest together."""
        total = Slice()
        for zone in ZONES:
            if zone in self.zones:
                total = total.plus(self.zones[zone])
        return total

    @property
    def affected(self) -> Slice:
        """In the affected window."""
        return self.zones.get("affected") or Slice()

    @property
    def reference(self) -> Slice:
        """In the reference window."""
        return self.zones.get("reference") or Slice()


class Requests:
    """The outermost tier's requests of an audit: per-route rows, totals, and the query that gives each number again."""

    def __init__(self, evidence: Evidence, condition: str, windows: Windows) -> None:
        self.windows = windows
        self.condition = condition
        self.routes = _fold(_read(evidence, condition, windows))
        self.total = _sum(self.routes)

    def query(self, q: float, zone: str = "", route: Key | None = None) -> str:
        """SQL for ``perfaudit query`` that gives a percentile again, in ms."""
        window = {"affected": self.windows.affected, "reference": self.windows.reference}.get(zone)
        parts = [self.condition, within(window), *(_is(route) if route else ())]
        return f"SELECT quantile_disc(duration_us, {q}) / 1e3 AS ms FROM requests WHERE {' AND '.join(p for p in parts if p != 'true') or 'true'}"

    def measured(self, part: Slice, q: float, zone: str = "", route: Key | None = None) -> Measurement | None:
        """A percentile in ms with its interval; None when no durations were logged."""
        if not part.durations.n:
            return None
        value, low, high = part.durations.percentile(q)
        exact = "order statistics" if self.total.all.count <= EXACT else "order statistics on 13-bit durations (± 0.012 %)"
        return Measurement(value / 1e3, "ms", (None if low is None else low / 1e3, None if high is None else high / 1e3), n=part.durations.n, method=exact, query=self.query(q, zone, route))


def error_measurement(part: Slice) -> Measurement:
    """The error ratio with a Wilson interval."""
    return Measurement(part.error_ratio, "share", wilson(part.errors, part.count), n=part.count, method="Wilson")


def _is(key: Key) -> list[str]:
    return [f"method = {quote(key[0])}" if key[0] else "method IS NULL", f"route = {quote(key[1])}" if key[1] else "route IS NULL"]


def zone_sql(windows: Windows) -> str:
    """A SQL expression that gives 0 (affected), 1 (reference) or 2 (the rest) for a request."""
    reference = f" WHEN {within(windows.reference)} THEN 1" if windows.reference else ""
    return f"CASE WHEN {within(windows.affected)} THEN 0{reference} ELSE 2 END"


def _read(evidence: Evidence, condition: str, windows: Windows) -> list[RouteRow]:
    zone = zone_sql(windows)
    parts: dict[tuple[Any, ...], Slice] = {}
    for service, method, route, z, *numbers in evidence.rows(
        f"SELECT coalesce(service, ''), coalesce(method, ''), coalesce(route, ''), {zone}, count(*), count(*) FILTER (status >= 500), count(*) FILTER (status = 499), count(*) FILTER (status BETWEEN 200 AND 299),"
        " count(*) FILTER (status BETWEEN 300 AND 399), count(*) FILTER (status BETWEEN 400 AND 499), sum(duration_us), sum(upstream_us), sum(upstream_connect_us), count(upstream_us)"
        f" FROM requests WHERE {condition} GROUP BY ALL"
    ):
        count, e5, aborts, s2, s3, s4, spent, upstream, connect, known = (int(v or 0) for v in numbers)
        status = {"2xx": s2, "3xx": s3, "4xx": s4, "5xx": e5, "other": count - s2 - s3 - s4 - e5}
        parts[service, method, route, z] = Slice(count, e5, aborts, {k: v for k, v in status.items() if v}, spent / 1e6, upstream / 1e6, connect / 1e6, known)
    step = "duration_us" if sum(p.count for p in parts.values()) <= EXACT else thirteen_bits("duration_us")
    data = evidence.columns(
        f"SELECT coalesce(service, '') AS service, coalesce(method, '') AS method, coalesce(route, '') AS route, {zone} AS z, {step} AS d, count(*) AS n FROM requests WHERE ({condition}) AND duration_us IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )
    for key, values, counts in _runs(data):
        parts[key].durations = Distribution(values, counts)
    rows: dict[tuple[Any, ...], RouteRow] = {}
    for (service, method, route, z), part in sorted(parts.items(), key=lambda kv: kv[0]):
        row = rows.setdefault((service, method, route), RouteRow(method, route, service, {}))
        row.zones[ZONES[z]] = part
    return _same_route(list(rows.values()))


def _same_route(rows: list[RouteRow]) -> list[RouteRow]:
    """One row a route, whichever peer of the outermost tier logged it."""
    merged: dict[Key, RouteRow] = {}
    for row in rows:
        key = (row.method, row.route)
        merged[key] = _merge([merged[key], row], *key) if key in merged else row
    return list(merged.values())


def thirteen_bits(column: str) -> str:
    """A SQL expression that rounds an integer to 13 significant bits (to the middle of its step)."""
    ladder = [f"WHEN {column} < 8192 THEN {column}"]
    ladder += [f"WHEN {column} < {8192 << s} THEN (({column} >> {s}) << {s}) + {1 << (s - 1)}" for s in range(1, 32)]
    return f"CASE {' '.join(ladder)} ELSE {column} END"


def _runs(data: dict[str, Any]) -> list[tuple[tuple[Any, ...], Any, Any]]:
    n = len(data["n"])
    if not n:
        return []
    keys = [np.asarray(data[c]) for c in ("service", "method", "route", "z")]
    change = np.zeros(n, bool)
    change[0] = True
    for key in keys:
        change[1:] |= key[1:] != key[:-1]
    starts = np.flatnonzero(change)
    values, counts = np.asarray(data["d"], np.int64), np.asarray(data["n"], np.int64)
    return [(tuple(k[a] for k in keys), values[a:b], counts[a:b]) for a, b in zip(starts, [*starts[1:], n], strict=True)]


def _merge(rows: list[RouteRow], method: str, route: str) -> RouteRow:
    zones: dict[str, Slice] = {}
    for row in rows:
        for zone, part in row.zones.items():
            zones[zone] = zones[zone].plus(part) if zone in zones else part
    services = sorted({r.service for r in rows})
    return RouteRow(method, route, services[0] if len(services) == 1 else ", ".join(services), zones)


def _fold(rows: list[RouteRow]) -> list[RouteRow]:
    count, seconds = sum(r.all.count for r in rows), sum(r.all.seconds for r in rows)
    rows = sorted(rows, key=lambda r: (-r.all.seconds, -r.all.count, r.method, r.route))
    kept: list[RouteRow] = []
    folded: list[RouteRow] = []
    for row in rows:
        rare = len(rows) > FEW and row.all.count < RARE * count and row.all.seconds <= RARE * seconds
        (folded if row.route == OTHER or rare or len(kept) >= MOST_ROUTES else kept).append(row)
    if len(folded) == 1 and folded[0].route != OTHER:
        return rows
    return [*kept, _merge(folded, "*", OTHER)] if folded else kept


def _sum(rows: list[RouteRow]) -> RouteRow:
    return _merge(rows, "", "") if rows else RouteRow("", "", "", {})
