"""How many connections are set up, and what that costs, by whatever evidence tells it; used by ``connection_churn`` only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.components import CONNECT, DATABASE, POOL, SELF
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Wanted, Window
from perfaudit.paths.account import TimeAccount, sampled_seconds
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing
from perfaudit.problems._traced import CARRIES, caller, claim, compared

CONNECTIONS = Wanted(
    "connections opened over time",
    "psql -c \"select now(), sessions, session_time from pg_stat_database where datname = current_database()\"  # twice; or log_connections = on; MySQL: show global status like 'Connections'",
    "tells new connections per request",
)
#: New connections per use from which they are not kept. Pools that breathe, idle timeouts and maximum lifetimes give a few in a hundred.
OFTEN = 0.3
#: At least this share of new connections comes after the first half of the window; evenly spread it is a half, after a burst none.
LASTS = 0.2
#: A set-up takes a round trip and an authentication at least: an acquisition of a free connection took 0.03–0.7 ms on average in the calm times of 43 recordings, so this is none, µs.
SETTING_UP = 1_000
#: Waits in a queue spread widely, set-ups hardly: the lower decile of acquisitions is at least this share of their mean.
EVEN = 0.4
#: Five round trips of 50 ms (TCP 1, TLS 1.3 1, start-up and SCRAM 3, RFC 5802): an acquisition that takes longer on average waits for something else, µs.
LONGEST = 250_000
#: Fewer values tell no share (standard error 0.11 at most from 20).
LEAST = 20
#: Looks at the sessions from which "gone at the next one" says something; kept sessions that fell to this share of the reference's are no longer a pool.
LOOKS, KEPT = 10, 0.5
#: Counters of connections opened, dots as underscores: PostgreSQL exporter, MySQL exporter, HikariCP, OpenTelemetry ``db.client.connection.create_time``, plain words.
OPENED = r"pg_stat_database_sessions(_total)?$|mysql_global_status_connections$|hikaricp_connections_creation_.*count$|connections?_create_time_.*count$|connections?_(opened|created|established|received|accepted)(_total)?$"
#: Seconds that they took to open, where told.
TOOK = r"hikaricp_connections_creation_.*sum$|connections?_create_time_.*sum$|connect_(time|duration)_.*sum$"


@dataclass(frozen=True)
class Churn:
    """``each``, ``before``: connections per use in the affected window and the reference (None: no reference), in ``unit``. ``added``: request-seconds, ``share`` of all, ``low`` its lower end.

    ``measured``: the set-up's own time; else what was added and nothing else claims. ``lasting``: share of new connections after the first half. ``statements``: time of a statement, ratio.
    ``pooled``: the set-up hides in acquisitions of a pool.
    """

    each: float
    before: float | None
    unit: str
    added: float
    share: float
    low: float
    measured: bool
    lasting: float | None
    statements: float | None
    services: list[str]
    routes: list[str]
    source: str
    table: str
    n: int
    method: str
    query: str = ""
    pooled: bool = False


def look(evidence: Evidence, account: TimeAccount) -> Churn | None:
    """The best evidence of new connections there is; of several the one that measures most of their time."""
    tracing = account.tracing if account.tracing is not None and account.tracing.count(AFFECTED) else None
    found = _traced(account, tracing) if tracing is not None else None
    if found is not None:
        return found
    edge = _edge(evidence, account)
    rest = _opened(evidence, account) or _logged(evidence, account) or _sessions(evidence, account) or _statements(evidence, account)
    if edge is not None and (rest is None or (edge.share >= RELEVANT and edge.each >= OFTEN)):
        return edge
    return rest if rest is None or tracing is None or rest.measured else _hidden(account, tracing, rest)


def _hidden(account: TimeAccount, tracing: Tracing, found: Churn) -> Churn:
    """Set-ups that no span shows lie in what traces call own work, waits for the pool or statements: no more than these were added."""
    where = np.isin(tracing.own, (SELF, POOL, DATABASE))
    own = tracing.added(tracing.on_path, where) if compared(account) else tracing.seconds(tracing.on_path, AFFECTED, where)
    added = max(0.0, min(found.added, own.seconds))
    total = account.seconds or 1.0
    return replace(found, added=added, share=added / total, low=min(found.low, own.low / total))


def _traced(account: TimeAccount, tracing: Tracing) -> Churn | None:
    """Spans of the set-up, and acquisitions that all take as long as one."""
    connects = tracing.own == CONNECT
    pooled = False
    if not connects.any() or not (connects & (tracing.zone == AFFECTED)).any():
        connects = set_up_on_acquisition(tracing)
        pooled = True
        if connects is None:
            return None
    operation, _ = tracing.symbol("operation")
    names = operation[connects & (tracing.zone == AFFECTED)]
    if not len(names):
        return None
    most = np.bincount(names[names >= 0]).argmax() if (names >= 0).any() else -1
    counted = connects & (operation == most)
    each = [_per_request(tracing, counted, zone) for zone in (AFFECTED, REFERENCE)]
    query = f"SELECT sum(epoch_us(end_time) - epoch_us(start_time)) / 1e6 AS trace_seconds FROM critical_path WHERE component = '{'pool wait' if pooled else 'connection set-up'}' AND NOT fragment AND {within(account.windows.affected, 'root_time')}"
    owned = claim(account, connects, query=query)
    total = account.seconds or float(tracing.seconds(tracing.on_path, AFFECTED).seconds)
    window = account.windows.affected
    at = tracing.traces.start[counted & (tracing.zone == AFFECTED)]
    service, known = tracing.symbol("service")
    weight = np.bincount(service[connects & (service >= 0)], tracing.on_path[connects & (service >= 0)], len(known))
    services = [known[c] for c in np.argsort(-weight, kind="stable").tolist() if weight[c] >= CARRIES * weight.sum() and weight[c] > 0]
    return Churn(each[0], each[1] if compared(account) else None, "new connections per request", owned.added.seconds, float(owned.share.value or 0.0), owned.added.low / total if total else 0.0, True, _late(at, window),
                 _ratio(tracing), services, owned.routes, "spans of the set-up" if not pooled else "acquisitions that all take as long as a set-up", "spans", tracing.count(AFFECTED), "traces: critical path", query, pooled)  # fmt: skip


def set_up_on_acquisition(tracing: Tracing) -> Any:
    """Acquisitions of connections that evenly take as long as a set-up and did not in the reference; None where they do not."""
    waits = (tracing.own == POOL) & ~tracing.failed
    now, before = (tracing.took[waits & (tracing.zone == z)] for z in (AFFECTED, REFERENCE))
    if min(len(now), len(before)) < LEAST:
        return None
    low = float(np.quantile(now, 0.1))
    if low < SETTING_UP or not EVEN * float(now.mean()) <= low or now.mean() > LONGEST or low < 3 * float(np.median(before)) or (tracing.failed & (tracing.own == POOL) & (tracing.zone == AFFECTED)).any():
        return None
    return waits & (tracing.took >= SETTING_UP)


def _per_request(tracing: Tracing, where: Any, zone: int) -> float:
    """Mean number per trace, flows weighing as their requests do."""
    per_trace = tracing.per_trace(np.ones(len(where)), where)
    at = tracing.zone[tracing.roots] == zone
    flow = tracing.flow[tracing.roots][at]
    count = np.bincount(flow, minlength=len(tracing.flows))
    mean = np.bincount(flow, per_trace[at], len(tracing.flows)) / np.maximum(count, 1)
    requests = np.where(count > 0, tracing.requests[:, zone], 0)
    return float((mean * requests).sum() / requests.sum()) if requests.sum() > 0 else 0.0


def _ratio(tracing: Tracing) -> float | None:
    """Mean of a database span, affected over reference."""
    now, before = (tracing.took[(tracing.own == DATABASE) & (tracing.zone == z)] for z in (AFFECTED, REFERENCE))
    return float(now.mean() / before.mean()) if min(len(now), len(before)) >= LEAST and before.mean() > 0 else None


def _late(at: Any, window: Window) -> float | None:
    return float(np.mean(np.asarray(at) >= (window.start + window.end) // 2)) if len(at) >= LEAST else None


def _edge(evidence: Evidence, account: TimeAccount) -> Churn | None:
    """Upstream connect times of the access log: a reused connection takes none."""
    windows, requests = account.windows, account.requests
    if requests is None or not account.seconds:
        return None
    counts = []
    for window in (windows.affected, windows.reference):
        query = (
            "SELECT count(upstream_connect_us) AS asked, avg((upstream_connect_us > 0)::INT) AS connected, avg(upstream_connect_us) / 1e6 AS seconds, stddev_samp(upstream_connect_us) / 1e6 AS spread,"
            f" avg((epoch_us(time) >= {(windows.affected.start + windows.affected.end) // 2})::INT) FILTER (upstream_connect_us > 0) AS late FROM requests WHERE {account.tiers.condition} AND {within(window)}"
        )
        counts.append((*evidence.one(query), query) if window is not None else (0, None, None, None, None, ""))
    (n, share, seconds, spread, late, query), (m, was, were, had, _, _) = counts
    if not n or n < LEAST or share is None:
        return None
    known = m >= LEAST and was is not None
    added = (seconds - (were if known else 0.0)) * n
    error = float(np.hypot((spread or 0.0) / n**0.5, (had or 0.0) / m**0.5 if known else 0.0)) * n
    routes = [r for (r,) in evidence.rows(f"SELECT route FROM requests WHERE {account.tiers.condition} AND {within(windows.affected)} AND upstream_connect_us > 0 AND route IS NOT NULL GROUP BY 1 HAVING sum(upstream_connect_us) / 1e6 >= {CARRIES * max(seconds * n, 1e-9):.9g} ORDER BY sum(upstream_connect_us) DESC, 1")]
    return Churn(float(share), float(was) if known else None, "new upstream connections per request", added, added / account.seconds, (added - 1.96 * error) / account.seconds, True, None if late is None else float(late),
                 None, caller(account), routes, "access log: upstream connect time above 0", "requests", int(n), "access log: upstream connect time", query)  # fmt: skip


def _rest(evidence: Evidence, account: TimeAccount) -> tuple[float, float | None]:
    """``(request-seconds that were added less what the database executed longer, sessions that execute over the reference's: None where unknown)``."""
    windows = account.windows
    if windows.reference is None or not evidence.has("sessions"):
        return account.added_seconds, None
    busy = "state = 'active' AND coalesce(wait_type, '') NOT IN ('Client', 'Activity', 'Extension', 'Timeout')"
    now, before = (sampled_seconds(evidence, w, busy)[0] / w.seconds for w in (windows.affected, windows.reference))
    return max(0.0, account.added_seconds - max(0.0, now - before) * windows.affected.seconds), now / before if before > 0 else None


def _bounded(evidence: Evidence, account: TimeAccount, each: float, before: float | None, unit: str, lasting: float | None, source: str, table: str, n: int, query: str) -> Churn:
    """A churn whose set-up time nothing measures: at most what was added."""
    added, busier = _rest(evidence, account)
    share = added / account.seconds if account.seconds else 0.0
    routes = [r.route for r in sorted(account.routes, key=lambda r: -account.added(r)) if r.route and account.added(r) >= 0.1 * max(account.added_seconds, 1e-9)]
    return Churn(each, before, unit, added, share, share, False, lasting, busier, caller(account), routes, source, table, n, "added request-seconds less what the database took longer for", query)


def _opened(evidence: Evidence, account: TimeAccount) -> Churn | None:
    """Counters of connections opened, over requests."""
    if not evidence.has("metrics") or not account.count:
        return None
    windows, total = account.windows, account.requests.total if account.requests else None
    grown = [_grown(evidence, w, OPENED) for w in (windows.affected, windows.reference)]
    if grown[0] is None or total is None:
        return None
    each = grown[0] / account.count
    before = grown[1] / total.reference.count if grown[1] is not None and total.reference.count else None
    half = (windows.affected.start + windows.affected.end) // 2
    late = _grown(evidence, Window(half, windows.affected.end), OPENED)
    query = f"SELECT name, labels, max(value) - min(value) AS opened FROM metrics WHERE regexp_matches(replace(lower(name), '.', '_'), '{OPENED}') AND {within(windows.affected)} GROUP BY 1, 2"
    found = _bounded(evidence, account, each, before, "new connections per request", None if late is None or grown[0] < LEAST else late / grown[0], "counters of connections opened", "metrics", int(grown[0]), query)
    took = [_grown(evidence, w, TOOK) for w in (windows.affected, windows.reference)]
    if took[0] is None or not account.seconds:
        return found
    calm = (took[1] or 0.0) * (account.count / total.reference.count if total.reference.count else 0.0)
    share = (took[0] - calm) / account.seconds
    return Churn(each, before, found.unit, took[0] - calm, share, share, True, found.lasting, None, found.services, found.routes, found.source, "metrics", found.n, "metrics: seconds spent opening connections", query)


def _grown(evidence: Evidence, window: Window | None, names: str) -> float | None:
    """Growth of counters, all series; None without any. A counter that was reset counts from zero."""
    if window is None:
        return None
    value, series = evidence.one(
        f"SELECT sum(CASE WHEN value >= was THEN value - was ELSE value END), count(was) FROM (SELECT value, lag(value) OVER (PARTITION BY name, labels::VARCHAR ORDER BY time) AS was FROM metrics WHERE regexp_matches(replace(lower(name), '.', '_'), '{names}') AND NOT isnan(value) AND {within(window)}) WHERE was IS NOT NULL"
    )
    return float(value) if series else None


def _logged(evidence: Evidence, account: TimeAccount) -> Churn | None:
    """Lines of a database log that tell of new connections (PostgreSQL ``log_connections``, MySQL's general log), over requests."""
    if not evidence.has("logs") or not account.count:
        return None
    windows, total = account.windows, account.requests.total if account.requests else None
    line = "(starts_with(lower(template), 'connection authorized') OR starts_with(lower(template), 'connection authenticated') OR regexp_matches(lower(template), '^\\S* ?connect\\s+\\S+@'))"
    query = f"SELECT sum(count) AS connections FROM (SELECT template, sum(count) AS count FROM logs WHERE {line} AND {within(windows.affected)} GROUP BY 1 ORDER BY 2 DESC LIMIT 1)"
    now = int(evidence.one(query)[0] or 0)
    if not now or total is None:
        return None
    was = int(evidence.one(f"SELECT sum(count) FROM logs WHERE {line} AND {within(windows.reference)}")[0] or 0) if windows.reference else 0
    late = int(evidence.one(f"SELECT sum(count) FROM logs WHERE {line} AND {within(Window((windows.affected.start + windows.affected.end) // 2, windows.affected.end))}")[0] or 0)
    before = was / total.reference.count if windows.reference and total.reference.count else None
    return _bounded(evidence, account, now / account.count, before, "new database connections per request", late / now if now >= LEAST else None, "database log of connections", "logs", now, query)


def _sessions(evidence: Evidence, account: TimeAccount) -> Churn | None:
    """Database sessions that are gone at the next look, of all that came by, where kept ones became few."""
    if not evidence.has("sessions"):
        return None
    windows = account.windows
    now, before = (_looks(evidence, w) for w in (windows.affected, windows.reference))
    if now.looks < LOOKS or (windows.reference is not None and before.looks < LOOKS):
        return None
    each = now.brief / now.sessions
    if now.sessions < LEAST or (windows.reference is not None and now.kept_late > KEPT * before.kept):
        each = 0.0  # few came by; or, whoever connects for a moment, those that were kept are still kept
    was = None if windows.reference is None else before.brief / before.sessions if before.sessions else 0.0
    found = _bounded(evidence, account, each, was, "of the database sessions are gone at the next look", now.late / now.brief if now.brief >= LEAST else None, "sessions from look to look", "sessions", now.sessions, now.query)
    rows = evidence.rows(f"SELECT application, service, count(DISTINCT pid) AS n FROM sessions WHERE coalesce(backend_type, 'client backend') = 'client backend' AND {within(windows.affected)} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 1")
    names = [name for name in rows[0][:2] if name] if rows else []
    return replace(found, services=list(dict.fromkeys([*names, *found.services])))


@dataclass(frozen=True)
class Looks:
    """``sessions``: distinct ones; ``brief``: those in one look only, ``late`` of them after the first half; ``kept``: others at a look on average, ``kept_late`` in the second half."""

    looks: int = 0
    sessions: int = 0
    brief: int = 0
    late: int = 0
    kept: float = 0.0
    kept_late: float = 0.0
    query: str = ""


def _looks(evidence: Evidence, window: Window | None) -> Looks:
    if window is None:
        return Looks()
    half = (window.start + window.end) // 2
    query = (
        f"WITH seen AS (SELECT DISTINCT time, pid FROM sessions WHERE coalesce(backend_type, 'client backend') = 'client backend' AND {within(window)}),"
        " each AS (SELECT pid, count(*) AS looks, max(time) AS last FROM seen GROUP BY 1)"
        f" SELECT (SELECT count(DISTINCT time) FROM seen) AS looks, (SELECT count(DISTINCT time) FROM seen WHERE epoch_us(time) >= {half}) AS late_looks, count(*) AS sessions,"
        f" count(*) FILTER (looks = 1) AS brief, count(*) FILTER (looks = 1 AND epoch_us(last) >= {half}) AS late,"
        " (SELECT count(*) FROM seen JOIN each USING (pid) WHERE each.looks > 1) AS kept,"
        f" (SELECT count(*) FROM seen JOIN each USING (pid) WHERE each.looks > 1 AND epoch_us(time) >= {half}) AS kept_late FROM each"
    )
    looks, late_looks, sessions, brief, late, kept, kept_late = (int(v or 0) for v in evidence.one(query))
    return Looks(looks, sessions, brief, late, kept / max(1, looks), kept_late / max(1, late_looks), query)


def _statements(evidence: Evidence, account: TimeAccount) -> Churn | None:
    """Logged statements whose session logged no other one."""
    if not evidence.has("statement_events"):
        return None
    windows = account.windows
    counts = []
    for window in (windows.affected, windows.reference):
        query = f"SELECT count(*) AS statements, count(DISTINCT pid) AS sessions FROM statement_events WHERE pid IS NOT NULL AND {within(window)}"
        counts.append((*evidence.one(query), query) if window is not None else (0, 0, ""))
    (n, sessions, query), (m, was, _) = counts
    if n < 3 * LEAST or (windows.reference is not None and m < 3 * LEAST):
        return None
    return _bounded(evidence, account, sessions / n, was / m if windows.reference is not None else None, "sessions per logged statement", None, "sessions of logged statements", "statement_events", int(n), query)
