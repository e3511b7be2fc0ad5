"""The account of time: the request-seconds of the affected window, split exclusively over what can own them.

Shares sum to 1; what no evidence splits is ``unexplained``, a row of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.baseline.requests import Requests, RouteRow
from perfaudit.baseline.tiers import Tiers
from perfaudit.baseline.windows import ERRORS, practical
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Measurement, Window, Windows
from perfaudit.paths import traced
from perfaudit.paths.join import Gap, join
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing
from perfaudit.stats.longer import longer

#: A reference of fewer requests of a route says nothing about its mean.
LEAST_REFERENCE = 20
#: A rest of this share is what floating point leaves of nothing.
_ROUNDING = 1e-9
#: A route is longer than in the reference from this many standard errors on (0.1 % by chance for each route; healthy recordings of five minutes to half a minute gave up to 2.0, real faults 3.1 and more on at least one route).
SURE = 3.0


@dataclass(frozen=True)
class Component:
    """A part of the account: seconds it owns in the affected window, and which evidence split it off."""

    name: str
    seconds: float
    evidence: str
    error: float = 0.0
    query: str = ""


@dataclass(frozen=True)
class TimeAccount:
    """Where the outermost tier's request-seconds of the affected window went, and what was added to the reference.

    ``requests`` holds exact distributions per route and window, ``cube`` their histograms over time, ``tracing`` the traces.
    ``gaps``: seconds between the edge's upstream time and the root spans, in the affected window and in the reference.
    """

    windows: Windows
    requests: Requests | None
    tiers: Tiers
    seconds: float = 0.0
    components: tuple[Component, ...] = ()
    cube: Cube | None = None
    tracing: Tracing | None = None
    gaps: tuple[Gap, Gap] = (Gap(), Gap())
    _added: dict[int, float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def routes(self) -> list[RouteRow]:
        """The routes of the outermost tier, the most costly first."""
        return self.requests.routes if self.requests else []

    def added(self, row: RouteRow) -> float:
        """Request-seconds of a route that the reference's mean would not have cost; 0 without a reference or a difference that is practical and sure.

        Differences of means without one are noise, and the positive ones of many routes would add up.
        """
        if id(row) not in self._added:
            self._added[id(row)] = self._beyond(row)
        return self._added[id(row)]

    def _beyond(self, row: RouteRow) -> float:
        affected, reference = row.affected, row.reference
        if min(reference.durations.n, affected.durations.n) < LEAST_REFERENCE or not any(
            practical(q, affected.quantile(q) or 0.0, reference.quantile(q) or 0.0) for q in (0.5, 0.95)
        ):
            return 0.0
        if longer(affected.durations, reference.durations) < SURE:
            return 0.0
        return max(0.0, (affected.mean - reference.mean) * affected.durations.n)

    def added_errors(self, row: RouteRow) -> float:
        """Failed requests of a route beyond the reference's ratio; 0 without a reference or a practical difference."""
        if row.reference.count < LEAST_REFERENCE or row.affected.error_ratio < row.reference.error_ratio + ERRORS:
            return 0.0
        return row.affected.errors - row.reference.error_ratio * row.affected.count

    @property
    def added_seconds(self) -> float:
        """Request-seconds that were added to what the reference would have cost, all routes."""
        return sum(self.added(row) for row in self.routes)

    @property
    def failed_beyond(self) -> float:
        """Failed requests beyond the reference's ratio, all routes."""
        return sum(self.added_errors(row) for row in self.routes)

    @property
    def count(self) -> int:
        """Requests in the affected window."""
        return self.requests.total.affected.count if self.requests else 0

    def rate(self, window: Window | None, count: int) -> float:
        """Arrivals per second."""
        return count / window.seconds if window and window.seconds > 0 else 0.0

    def shares(self) -> list[tuple[Component, Measurement]]:
        """Every component with its share of the request-seconds; sums to 1."""
        out = []
        for part in self.components:
            share = part.seconds / self.seconds if self.seconds else 0.0
            spread = 1.96 * part.error / self.seconds if self.seconds and part.error else None
            interval = None if spread is None else (max(0.0, share - spread), min(1.0, share + spread))
            out.append((part, Measurement(share, "share of request-seconds", interval, method=part.evidence, query=part.query)))
        return out


def build(evidence: Evidence, tiers: Tiers, windows: Windows, requests: Requests | None, cube: Cube | None = None, tracing: Tracing | None = None) -> TimeAccount:
    """Split the affected window's request-seconds as far as the evidence allows."""
    if requests is None or requests.total.affected.seconds <= 0:
        return TimeAccount(windows, requests, tiers, cube=cube, tracing=tracing)
    total = requests.total.affected
    parts: list[Component] = []
    edge, connect, known = evidence.one(
        "SELECT sum(greatest(0, duration_us - upstream_us)) / 1e6, sum(least(upstream_us, coalesce(upstream_connect_us, 0))) / 1e6, count(upstream_us)"
        f" FROM requests WHERE {tiers.condition} AND {within(windows.affected)}"
    )
    if known:
        parts.append(Component("edge", float(edge or 0), "access log: request time minus upstream time"))
        parts.append(Component("connection set-up", float(connect or 0), "access log: upstream connect time"))
    database = _database(evidence, windows.affected)
    gaps = (Gap(), Gap())
    if tracing is not None and tracing.count(AFFECTED):
        found = join(evidence, tiers, tracing)
        gaps = found.get(AFFECTED, Gap()), found.get(REFERENCE, Gap())
        parts += _traced(tracing, gaps[0], database, bool(known))
    else:
        parts += _inner(evidence, tiers, windows) + database
    return TimeAccount(windows, requests, tiers, total.seconds, tuple(_exclusive(_merged(parts), total.seconds)), cube, tracing, gaps)


def _traced(tracing: Tracing, gap: Gap, database: list[Component], edge: bool) -> list[Component]:
    """What traces split behind the edge; the database's part is split further where sessions or its log tell who waited."""
    parts = [Component("queue for a worker" if edge else "edge and queue for a worker", gap.seconds, gap.method, gap.error)] if gap.seconds else []
    query = "SELECT component, sum(epoch_us(end_time) - epoch_us(start_time)) / 1e6 AS trace_seconds FROM critical_path"
    query += f" WHERE NOT fragment AND {within(tracing.windows.affected, 'root_time')} GROUP BY 1 ORDER BY 2 DESC"
    waited = next((p for p in database if p.name == "database lock wait"), None)
    for name, owned in traced.split(tracing).items():
        if name != "database":
            parts.append(Component(name, owned.seconds, traced.METHOD, owned.error, query))
        elif waited is None:
            parts.append(Component("database: executing and waiting", owned.seconds, traced.METHOD, owned.error, query))
        else:
            ran = next((p for p in database if p.name == "database executing"), None)
            both = waited.seconds + (ran.seconds if ran else 0.0)
            # Snapshots tell the parts, traces the whole: both count the same seconds, and a sample of each second errs more.
            lock = owned.seconds * waited.seconds / both if ran and both else min(waited.seconds, owned.seconds)
            parts.append(Component("database lock wait", lock, f"{traced.METHOD}; {waited.evidence}", waited.error * lock / max(waited.seconds, 1e-9), waited.query))
            parts.append(Component("database executing", owned.seconds - lock, f"{traced.METHOD}, less the lock waits", math.hypot(owned.error, waited.error), query))
    return parts


def _merged(parts: list[Component]) -> list[Component]:
    """Parts of one name as one, in order of their first."""
    out: dict[str, Component] = {}
    for part in parts:
        old = out.get(part.name)
        if old is not None:
            part = Component(part.name, old.seconds + part.seconds, f"{old.evidence}; {part.evidence}", math.hypot(old.error, part.error), old.query or part.query)
        out[part.name] = part
    return list(out.values())


def _exclusive(parts: list[Component], seconds: float) -> list[Component]:
    """Cap the parts so that they never exceed the whole, drop what owns nothing, and name the rest."""
    left, out = seconds, []
    for part in parts:
        own = min(part.seconds, left)
        if own > 0:
            out.append(Component(part.name, own, part.evidence, part.error, part.query))
            left -= own
    out.sort(key=lambda c: -c.seconds)
    return [*out, Component("unexplained", left if left > _ROUNDING * seconds else 0.0, "no evidence splits it")]


def _inner(evidence: Evidence, tiers: Tiers, windows: Windows) -> list[Component]:
    """Inner tiers that contain no other tier, as downstream time."""
    around = {t.inside for t in tiers.all}
    parts = []
    for tier in tiers.all:
        if not tier.inside or tier.service in around:
            continue
        outer = sum(t.requests for t in tiers.all if t.service == tier.inside)
        if tier.requests > 0.9 * outer:  # the same requests seen further in: their time is split by what follows
            continue
        query = f"SELECT sum(duration_us) / 1e6 AS seconds FROM requests WHERE coalesce(service, '') = {quote(tier.service)} AND {within(windows.affected)}"
        parts.append(Component("downstream" if tier.service == "downstream" else f"downstream: {tier.service}", float(evidence.one(query)[0] or 0), f"access log of {tier.service}", query=query))
    return parts


def _database(evidence: Evidence, window: Window) -> list[Component]:
    if evidence.has("sessions"):
        waiting = sampled_seconds(evidence, window, "wait_type = 'Lock'")
        running = sampled_seconds(evidence, window, "state = 'active' AND coalesce(wait_type, '') NOT IN ('Lock', 'Client', 'Activity', 'Extension', 'Timeout')")
        return [
            Component("database lock wait", waiting[0], "session snapshots", waiting[1], waiting[2]),
            Component("database executing", running[0], "session snapshots", running[1], running[2]),
        ]
    parts = []
    if evidence.has("lock_events"):
        query = f"SELECT sum(duration_us) / 1e6 AS seconds FROM lock_events WHERE kind IN ('lock-wait', 'lock-timeout') AND {within(window)}"
        seconds = float(evidence.one(query)[0] or 0)
        parts.append(Component("database lock wait", seconds, "database log (waits longer than deadlock_timeout)", query=query))
    if evidence.has("statement_events"):
        query = f"SELECT sum(duration_us) / 1e6 AS seconds FROM statement_events WHERE {within(window)}"
        seconds = float(evidence.one(query)[0] or 0) - (parts[0].seconds if parts else 0.0)
        parts.append(Component("database executing", max(0.0, seconds), "database log (statements longer than log_min_duration_statement)", query=query))
    return parts


def sampled_seconds(evidence: Evidence, window: Window | None, condition: str) -> tuple[float, float, str]:
    """Session-seconds that satisfy ``condition``, from snapshots: ``(seconds, standard error, query)``.

    A snapshot stands for the median time between snapshots (ASH: Beresniewicz, "Average Active Sessions"). What is estimated is
    this window, not the process behind it, so the error is that of systematic sampling, from successive differences of the
    counts (Wolter 1984, estimator v2).
    """
    backends = "coalesce(backend_type, 'client backend') IN ('client backend', 'parallel worker')"
    counts = evidence.columns(
        f"SELECT epoch_us(time) AS t, count(*) FILTER (({condition}) AND {backends}) AS n FROM sessions WHERE {within(window)} GROUP BY 1 ORDER BY 1"
    )
    times, n = np.asarray(counts["t"], np.int64), np.asarray(counts["n"], np.float64)
    if len(n) < 2:
        return 0.0, 0.0, ""
    gap = float(np.median(np.diff(times))) / 1e6
    query = f"SELECT count(*) * {gap:.6g} AS seconds FROM sessions WHERE {within(window)} AND ({condition}) AND {backends}"
    return float(n.sum()) * gap, gap * math.sqrt(len(n) * float(np.mean(np.diff(n) ** 2)) / 2), query
