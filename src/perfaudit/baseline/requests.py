"""How long requests take: exact distributions per route and window, and series over time, straight from the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.baseline.levels import design_effect
from perfaudit.baseline.stream import Key, Stream, Total
from perfaudit.evidence.store import quote, within
from perfaudit.model import Measurement, Window, Windows
from perfaudit.stats.percentile import Distribution, wilson

#: Up to this many requests every duration is kept to the microsecond; above, to 13 significant bits (error ≤ 0.0123 %).
EXACT = 1_000_000
#: Routes beyond these are folded into ``other``: more rows than a person reads.
MOST_ROUTES = 200
#: With more than FEW routes, one below this share of both requests and time is rare and folds into ``other``.
FEW, RARE = 20, 0.0005
OTHER = "other"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
#: Fewer values than this have no two-sided bound for p95: nothing to widen.
LEAST = 72
ZONES = ("affected", "reference", "rest")


@dataclass
class Slice:
    """Requests of one route (or all) in one zone: counts by status class and the distribution of durations in µs."""

    count: int = 0
    errors: int = 0
    aborts: int = 0
    status: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    durations: Distribution = field(default_factory=lambda: Distribution(np.empty(0, np.int64), np.empty(0, np.int64)))

    def plus(self, other: Slice) -> Slice:
        """Both together."""
        return Slice(
            self.count + other.count,
            self.errors + other.errors,
            self.aborts + other.aborts,
            {k: self.status.get(k, 0) + other.status.get(k, 0) for k in sorted({*self.status, *other.status})},
            self.seconds + other.seconds,
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
    apart: bool = False

    @cached_property
    def all(self) -> Slice:
        """The whole recording; its reference too, unless that is separate evidence (``apart``)."""
        total = Slice()
        for zone in ZONES:
            if zone in self.zones and not (self.apart and zone == "reference"):
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

    def __init__(self, stream: Stream, condition: str, windows: Windows, cube: Cube) -> None:
        self.windows = windows
        self._cube = cube
        self._effects: dict[tuple[Key | None, str, float], float] = {}
        self.condition = condition
        self.routes = _read(stream, windows)
        self.total = _merge(self.routes, "", "")
        self.total.apart = windows.source == "baseline"

    def query(self, q: float, zone: str = "", route: Key | None = None) -> str:
        """SQL for ``perfaudit query`` that gives a percentile again, in ms."""
        window = {"affected": self.windows.affected, "reference": self.windows.reference}.get(zone, self.windows.whole if self.windows.source == "baseline" else None)
        parts = [self.condition, within(window), *(of_route(route) if route else ())]
        return f"SELECT quantile_disc(duration_us, {q}) / 1e3 AS ms FROM requests WHERE {' AND '.join(p for p in parts if p != 'true') or 'true'}"

    def measured(self, part: Slice, q: float, zone: str = "", route: Key | None = None) -> Measurement | None:
        """A percentile in ms with its interval; None when no durations were logged."""
        if not part.durations.n:
            return None
        n = part.durations.n
        effective = n / self._effect(zone, route, min(q, 0.99), n)
        value, low, high = part.durations.percentile(q, effective=effective)
        exact = "order statistics" if self.total.all.count <= EXACT else "order statistics on 13-bit durations (± 0.012 %)"
        if effective < 0.99 * n:
            exact += f", {n:,} requests in clumps worth {effective:,.0f} independent ones"
        return Measurement(value / 1e3, "ms", (None if low is None else low / 1e3, None if high is None else high / 1e3), n=n, method=exact, query=self.query(q, zone, route))

    def _effect(self, zone: str, route: Key | None, q: float, n: int) -> float:
        """How many times fewer independent requests there are; 1 where too few to tell, or where the stretch holds a change, which is no clump."""
        window = {"affected": self.windows.affected, "reference": self.windows.reference}.get(zone, self.windows.whole if self.windows.source in ("none", "baseline") else None)
        k = None if route is None else self._cube.place.get(route, -1)
        if window is None or n < LEAST or k == -1:
            return 1.0
        if (route, zone, q) not in self._effects:
            self._effects[route, zone, q] = design_effect(self._cube, k, window, q)[0]
        return self._effects[route, zone, q]


def error_measurement(part: Slice) -> Measurement:
    """The error ratio with a Wilson interval."""
    return Measurement(part.error_ratio, "share", wilson(part.errors, part.count), n=part.count, method="Wilson")


def of_route(key: Key) -> list[str]:
    """The SQL conditions for the requests of one route."""
    return [f"method = {quote(key[0])}" if key[0] else "method IS NULL", f"route = {quote(key[1])}" if key[1] else "route IS NULL"]


def _read(stream: Stream, windows: Windows) -> list[RouteRow]:
    from perfaudit.kernels import histogram

    kept = _kept(list(stream.totals.values()))
    slot_of = stream.numbered({key: i for i, key in enumerate(kept)}, len(kept))
    reference = windows.reference or Window(0, 0)
    edges = np.array([windows.affected.start, windows.affected.end, reference.start, reference.end], np.int64)
    places = 3 * (len(kept) + 1)
    tally, spent = np.zeros((places, 7), np.int64), np.zeros(places, np.int64)
    durations = _Exact() if sum(t.count for t in stream.totals.values()) <= EXACT else _Rounded(places)
    for batch in stream.batches():
        place = np.empty(len(batch[0]), np.int64)
        histogram.divide(*batch, slot_of, edges, place, tally, spent)
        durations.add(place, batch[1])
    found = durations.distributions()
    rows = []
    for i, key in enumerate([*kept, ("*", OTHER)]):
        services = [t.service for k, t in stream.totals.items() if k == key] or [", ".join(sorted({t.service for t in stream.totals.values()}))]
        zones = {zone: _slice(tally[p], spent[p], found.get(p)) for z, zone in enumerate(ZONES) if tally[p := 3 * i + z, 6]}
        if zones:
            rows.append(RouteRow(*key, services[0], zones, windows.source == "baseline"))
    return rows


def _slice(tally: Any, micros: Any, durations: Distribution | None) -> Slice:
    names = ("2xx", "3xx", "4xx", "5xx", "other")
    status = {name: int(n) for name, n in zip(names, tally, strict=False) if n}
    return Slice(int(tally[6]), int(tally[3]), int(tally[5]), status, float(micros) / 1e6, durations or Slice().durations)


class _Exact:
    """Durations of every place, to the microsecond: equal ones are counted by sorting."""

    def __init__(self) -> None:
        self._codes: list[Any] = []

    def add(self, place: Any, duration: Any) -> None:
        known = duration >= 0
        self._codes.append((place[known] << 44) | np.minimum(duration[known], (1 << 44) - 1))

    def distributions(self) -> dict[int, Distribution]:
        if not any(map(len, self._codes)):
            return {}
        code, count = np.unique(np.concatenate(self._codes), return_counts=True)
        place, value = code >> 44, code & ((1 << 44) - 1)
        starts: Any = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
        return {int(place[a]): Distribution(value[a:b], count[a:b]) for a, b in zip(starts, [*starts[1:], len(place)], strict=True)}


class _Rounded:
    """Durations of every place to 13 bits; pages of the histogram that no duration touches cost no memory."""

    BITS = 13

    def __init__(self, places: int) -> None:
        from perfaudit.kernels import histogram

        self._hist = np.zeros((places, histogram.size(self.BITS)), np.uint32)
        self._seen = np.zeros(places, bool)

    def add(self, place: Any, duration: Any) -> None:
        from perfaudit.kernels import histogram

        histogram.fill(place, duration, self._hist, self.BITS)
        self._seen[np.unique(place)] = True

    def distributions(self) -> dict[int, Distribution]:
        from perfaudit.kernels import histogram

        values = histogram.middles(self.BITS)
        return {int(p): Distribution(values[used], self._hist[p, used]) for p in np.flatnonzero(self._seen) if len(used := np.flatnonzero(self._hist[p]))}


def _kept(rows: list[Total]) -> list[Key]:
    """Routes with a row of their own, the most costly first; the rest folds into :data:`OTHER`."""
    count, micros = sum(t.count for t in rows), sum(t.micros for t in rows)
    rows = sorted(rows, key=lambda t: (-t.micros, -t.count, t.key))
    kept = [
        t for t in rows if t.route != OTHER and (len(rows) <= FEW or t.count >= RARE * count or t.micros > RARE * micros)
    ][:MOST_ROUTES]
    folded = [t for t in rows if t not in kept]
    if len(folded) == 1 and folded[0].route != OTHER:
        kept.append(folded[0])
    return [t.key for t in kept]


def _merge(rows: list[RouteRow], method: str, route: str) -> RouteRow:
    zones: dict[str, Slice] = {}
    for row in rows:
        for zone, part in row.zones.items():
            zones[zone] = zones[zone].plus(part) if zone in zones else part
    return RouteRow(method, route, ", ".join(sorted({r.service for r in rows})), zones)
