"""Facts about a pool of connections in an audit, and which of four causes fills it; used by ``pool_exhaustion`` only."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, DATABASE, POOL
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Fix, Measurement, Test, Wanted
from perfaudit.paths.account import TimeAccount, sampled_seconds
from perfaudit.paths.holds import Holds, holds
from perfaudit.paths.hops import per_request
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing
from perfaudit.problems import _gauges
from perfaudit.problems._gauges import Gauges, gauges
from perfaudit.problems._traced import CARRIES, Claim, claim, compared
from perfaudit.stats.compare import two_sample

POOL_METRICS = Wanted(
    "metrics of the connection pool: in use, maximum, pending, wait time",
    "curl -s http://localhost:9090/api/v1/query_range --data-urlencode 'query={__name__=~\"hikaricp_connections.*|db_client_connection.*|go_sql_.*\"}' -d start=… -d end=… -d step=5",
    "tells whether all connections are in use, and whether they are ever given back",
)
#: A mean that rose by less has not changed: the least practical departure of a median (baseline.windows.FACTOR).
SLOWER = 1.3
#: Arrivals up to this factor are no surge (problems.architecture.traffic_surge.RISE).
RISE = 1.25
#: An acquisition of a free connection takes microseconds (means of 0.03–0.7 ms in the calm times of 43 recordings); from this mean on, seconds, it waits for a holder (baseline.windows.FLOOR_US).
PRACTICAL = 0.002
#: Of four successive parts of the affected window, the last gets at most this share of the connections that the reference got for the same acquisitions: they do not come back.
#: A pool that is merely full goes on at size / hold, which is more than the calm time needed.
STARVED = 0.5
#: In a leak, connections that work (finished holds per second × hold) are at most this share of those in use; without one they are the same number (Little's law).
WORKING = 0.5
#: Acquisitions in a part of the window from which a share is told (a share of 10 has a standard error of 0.16 at most).
LEAST = 10


@dataclass
class Pool:
    """What is known of the pool. ``share``, ``low``: share of request-seconds added by waiting, and the lower end of its interval; ``failing``: share of requests that fail waiting.

    ``metrics``: affected and reference. ``each``: mean seconds of an acquisition, beyond the reference's where there is one. ``queues``: acquisitions take longer
    than holds, which needs a queue of more than all connections.
    """

    claim: Claim | None
    holds: Holds | None
    metrics: tuple[Gauges, Gauges]
    share: float
    low: float
    failing: float
    added: float
    each: float
    queues: bool
    compared: bool
    services: list[str]
    n: int
    method: str
    query: str
    exhibits: list[tuple[str, Measurement, str]] = field(default_factory=list)

    @property
    def at_limit(self) -> bool | None:
        """Whether all connections of an instance are in use at times: by metrics, else by waits longer than holds. None: unknown."""
        now = self.metrics[0]
        if now.full:
            return True
        if now.full is not None and now.samples >= _gauges.SAMPLES:
            return False
        return True if self.queues else None


@dataclass(frozen=True)
class Cause:
    """Why the pool is full: a word for tests, a sentence, the decisive test, and what to do."""

    name: str
    short: str
    text: str
    test: Test
    fixes: tuple[Fix, ...]
    symptom: bool = False


def look(evidence: Evidence, account: TimeAccount) -> Pool | None:
    """The pool's facts; None without any."""
    metrics = gauges(evidence, account, _gauges.POOL)
    tracing = account.tracing
    waits = None if tracing is None or not tracing.count(AFFECTED) else tracing.own == POOL
    if waits is not None and waits.any() and tracing is not None:
        return _traced(account, tracing, waits, metrics)
    queue, before = metrics[0].queue, metrics[1].queue
    if queue is None or not account.seconds:
        return None
    window = account.windows.affected.seconds
    rate = account.rate(account.windows.reference, account.requests.total.reference.count) if account.requests else 0.0
    load = account.rate(account.windows.affected, account.count) / rate if rate else 1.0
    seconds = max(0.0, queue - (before or 0.0) * load) * window
    share = seconds / account.seconds
    query = metrics[0].query
    waiting = Measurement(queue, "requests waiting for a connection on average", n=metrics[0].samples, method="metrics of the pool", query=query)
    failing = (metrics[0].timeouts or 0.0) * window / max(account.count, 1)
    return Pool(None, None, metrics, share, share if metrics[0].samples >= LEAST else 0.0, failing, seconds, seconds / max(1, account.count), False, account.windows.reference is not None and before is not None, _services(evidence, account), metrics[0].samples, "metrics of the pool", query,
                [("requests that wait for a connection", waiting, "metrics"), *_of_metrics(metrics)])  # fmt: skip


def _traced(account: TimeAccount, tracing: Tracing, waits: Any, metrics: tuple[Gauges, Gauges]) -> Pool:
    query = f"SELECT sum(epoch_us(end_time) - epoch_us(start_time)) / 1e6 AS trace_seconds FROM critical_path WHERE component = 'pool wait' AND NOT fragment AND {within(account.windows.affected, 'root_time')}"
    owned = claim(account, waits, query=query)
    total = account.seconds or float(tracing.seconds(tracing.on_path, AFFECTED).seconds)
    roots = tracing.place >= 0
    lost = tracing.per_trace(np.ones(len(waits)), waits & tracing.failed & tracing.failed[tracing.root] & roots) > 0
    failing = _weighted(tracing, lost, AFFECTED) - (_weighted(tracing, lost, REFERENCE) if compared(account) else 0.0)
    service, names = tracing.symbol("service")
    by_service = {int(code): tracing.added(tracing.on_path, waits & (service == code)).seconds if compared(account) else tracing.seconds(tracing.on_path, AFFECTED, waits & (service == code)).seconds for code in np.unique(service[waits])}
    whole = sum(max(0.0, s) for s in by_service.values())
    services = [names[c] for c, s in sorted(by_service.items(), key=lambda x: (-x[1], x[0])) if c >= 0 and s >= CARRIES * whole and s > 0]
    took = {zone: tracing.on_path[waits & (tracing.zone == zone)] / 1e3 for zone in (AFFECTED, REFERENCE)}
    exhibits = [
        (f"mean wait for a connection in the {word}", Measurement(float(took[zone].mean()), "ms", n=len(took[zone]), method="spans of the acquisition", query=query if zone == AFFECTED else ""), "spans")
        for zone, word in ((AFFECTED, "affected window"), (REFERENCE, "reference"))
        if len(took[zone])
    ]
    found = holds(tracing)
    held = found.held[found.known & (tracing.zone[found.span] == AFFECTED)]
    each = (float(took[AFFECTED].mean()) - (float(took[REFERENCE].mean()) if compared(account) and len(took[REFERENCE]) else 0.0)) / 1e3 if len(took[AFFECTED]) else 0.0
    queues = len(held) >= LEAST and float(took[AFFECTED].mean()) * 1e3 > float(held.mean())
    return Pool(owned, found, metrics, float(owned.share.value or 0.0), owned.added.low / total if total else 0.0, failing, max(0.0, owned.added.seconds), each, queues, compared(account), services, tracing.count(AFFECTED), "traces: critical path", query,
                exhibits + _of_metrics(metrics))  # fmt: skip


def _weighted(tracing: Tracing, lost: Any, zone: int) -> float:
    """Share of the requests of a zone whose trace is among ``lost``, flows weighed by their requests."""
    at = tracing.zone[tracing.roots] == zone
    flow = tracing.flow[tracing.roots][at]
    count = np.bincount(flow, minlength=len(tracing.flows))
    share = np.bincount(flow, lost[at], len(tracing.flows)) / np.maximum(count, 1)
    requests = tracing.requests[:, zone]
    return float((share * requests).sum() / requests.sum()) if requests.sum() > 0 else 0.0


def _services(evidence: Evidence, account: TimeAccount) -> list[str]:
    """Whose pool it is, where only metrics tell: their job or service label."""
    rows = evidence.rows(
        f"SELECT DISTINCT coalesce(labels['service_name'], labels['service'], labels['application'], labels['job']) AS s FROM metrics WHERE regexp_matches(replace(lower(name), '.', '_'), {quote(_gauges.POOL)}) AND {within(account.windows.affected)} ORDER BY 1"
    )
    return [s for (s,) in rows if s]


def _of_metrics(metrics: tuple[Gauges, Gauges]) -> list[tuple[str, Measurement, str]]:
    now = metrics[0]
    out = []
    if now.full is not None:
        out.append(("share of samples in which all connections of an instance are in use", Measurement(now.full, "share of samples", n=now.samples, method="metrics of the pool", query=now.query), "metrics"))
    if now.size is not None:
        out.append(("connections that the pools may open", Measurement(now.size, "connections", n=now.samples, method="metrics of the pool", query=now.query), "metrics"))
    return out


# -------------------------------------------------------------------- the four causes


def cause(evidence: Evidence, account: TimeAccount, pool: Pool) -> Cause:
    """Which of the causes the evidence supports; in the order in which one would hide another."""
    return _leak(account, pool) or _slow(account, pool) or _other_work(evidence, account, pool) or _arrivals(account, pool) or _small(account, pool)


def _leak(account: TimeAccount, pool: Pool) -> Cause | None:
    now = pool.metrics[0]
    if now.least is not None and now.busy and now.held is not None:
        working = now.held / now.busy
        if now.least >= _gauges.FULL and working <= WORKING:
            return _leaking(Test("connections that work (finished holds × their length) over those in use", round(working, 3), f"≤ {WORKING}, and none is free in the last quarter", True, query=now.query))
        return None
    found = pool.holds
    tracing = account.tracing
    if found is None or tracing is None or not pool.compared:
        return None
    zone, at = tracing.zone[found.span], tracing.traces.end[found.span]
    affected = account.windows.affected
    inside = zone == AFFECTED
    part = np.clip((at[inside] - affected.start) * 4 // max(1, affected.end - affected.start), 0, 3)
    kept = np.where(tracing.place[found.span] >= 0, tracing.stands_for[tracing.place[found.span]], 0.0)
    count, got = np.bincount(part, kept[inside], 4), np.bincount(part, (kept * found.got)[inside], 4)
    before = zone == REFERENCE
    if (part == 3).sum() < LEAST or before.sum() < LEAST:
        return None
    normal = float((kept * found.got)[before].sum() / kept[before].sum())
    shares = got / np.maximum(count, 1e-9)
    starved = float(shares[3]) / normal if normal else 1.0
    if starved > STARVED or shares[3] > shares[0]:
        return None
    return _leaking(Test("acquisitions that get a connection in the last quarter, over the reference's share", round(starved, 3), f"≤ {STARVED}, and fewer than in the first quarter", True, query=pool.query))


def _slow(account: TimeAccount, pool: Pool) -> Cause | None:
    """Held longer because statements, or calls that were always made during a hold, take longer."""
    found, tracing = pool.holds, account.tracing
    if found is None or tracing is None or not pool.compared:
        return None
    zone = tracing.zone[found.span]
    held = _compare(found.held, found.known, zone)
    if held is None or held[0] < SLOWER or held[1] <= 0:
        return None
    grown = held[2]
    database = _compare(found.database, found.known, zone)
    if database is not None and database[0] >= SLOWER and database[2] >= 0.5 * grown:
        test = Test("database time within a hold, affected over reference", round(database[0], 3), f"≥ {SLOWER}, and at least half of what the hold grew by", True, query=pool.query)
        return Cause("slow execution", "what runs on them became slow", "connections are held longer because the statements on them take longer: a symptom of what slows them", test, (SLOW_FIX,), symptom=True)
    calls = _compare(found.calls, found.known & (found.calls > 0), zone)
    often = [float((found.calls[found.known & (zone == z)] > 0).mean()) for z in (AFFECTED, REFERENCE)]
    if calls is not None and calls[0] >= SLOWER and calls[2] * often[0] >= 0.5 * grown and often[0] <= SLOWER * often[1]:
        test = Test("time of calls within a hold, affected over reference", round(calls[0], 3), f"≥ {SLOWER}, calls in as many holds as before", True, query=pool.query)
        return Cause("slow calls", "what is called while they are held became slow", "connections are held during calls that became slow: a symptom of those calls, and a hold that need not last as long", test, (OTHER_FIX, SLOW_FIX), symptom=True)
    return None


def _other_work(evidence: Evidence, account: TimeAccount, pool: Pool) -> Cause | None:
    """Held longer with something else than statements."""
    found, tracing = pool.holds, account.tracing
    text = "connections are held while the request does something else (a call of another service, computing, an open transaction)"
    if found is not None and tracing is not None and pool.compared:
        zone = tracing.zone[found.span]
        held = _compare(found.held, found.known, zone)
        outside = _compare(found.other + found.calls, found.known, zone)
        if held is not None and outside is not None and held[0] >= SLOWER and held[1] > 0 and outside[2] >= 0.5 * held[2]:
            test = Test("time within a hold that is no statement, affected minus reference, ms", round(outside[2] / 1e3, 2), "at least half of what the hold grew by", True, query=pool.query)
            return Cause("other work", "held while other work is done", text, test, (OTHER_FIX, LIMIT_FIX))
    if evidence.has("sessions") and account.windows.reference is not None:
        idle = [sampled_seconds(evidence, w, "state LIKE 'idle in transaction%'") for w in (account.windows.affected, account.windows.reference)]
        mean = [s[0] / w.seconds for s, w in zip(idle, (account.windows.affected, account.windows.reference), strict=True)]
        if mean[0] >= 1 and mean[0] >= 2 * mean[1]:
            return Cause("other work", "held idle in a transaction", text, Test("sessions idle in a transaction, on average", round(mean[0], 2), "≥ 1 and twice the reference's", True, query=idle[0][2]), (OTHER_FIX, LIMIT_FIX))
    now, before = pool.metrics
    if now.hold is not None and before.hold and now.hold >= SLOWER * before.hold:
        longer = Test("length of a hold by the pool's metrics, affected over reference", round(now.hold / before.hold, 3), f"≥ {SLOWER}, statements as long as before", True if found is not None else None, query=now.query)
        if found is not None:
            return Cause("other work", "held while other work is done", text, longer, (OTHER_FIX, LIMIT_FIX))
        unknown = "connections are held longer; without traces it is not known whether statements became slow or something else is done meanwhile"
        return Cause("longer holds", "held longer than before", unknown, longer, (SLOW_FIX, OTHER_FIX), symptom=True)
    return None


def load(account: TimeAccount) -> float:
    """Arrival rate, affected over reference; NaN where unknown."""
    total = account.requests.total if account.requests else None
    before = account.rate(account.windows.reference, total.reference.count) if total is not None else 0.0
    return account.rate(account.windows.affected, account.count) / before if before else math.nan


def _arrivals(account: TimeAccount, pool: Pool) -> Cause | None:
    """More acquisitions than before: more requests, or more of them in a request."""
    ratio, each = load(account), _each(account)
    if ratio >= RISE:
        test = Test("arrival rate, affected over reference", round(ratio, 3), f"≥ {RISE}", True)
        return Cause("load", f"{ratio:.1f} times as many requests arrive", "more requests arrive, each holds a connection as long as before: arrivals × hold exceed the size", test, (SIZE_FIX, LIMIT_FIX), symptom=True)
    if each is None or each < RISE or account.tracing is None:
        return None
    cached = bool((account.tracing.own == CACHE).any())
    test = Test("acquisitions per request, affected over reference", round(each, 3), f"≥ {RISE}", True, query=pool.query)
    text = "a request takes connections more often than before" + (", as it does where a cache no longer answers: a symptom of that" if cached else "")
    return Cause("more uses", f"a request takes one {each:.1f} times as often", text, test, (SLOW_FIX,) if cached else (OTHER_FIX, SIZE_FIX), symptom=cached)


def _each(account: TimeAccount) -> float | None:
    """Acquisitions per request, affected over reference, flows weighing as their requests in the affected window do."""
    tracing = account.tracing
    if tracing is None or not compared(account):
        return None
    now, before = per_request(tracing, np.ones(len(tracing.own)), (tracing.own == POOL))
    return now / before if before > 0 else None


def _small(account: TimeAccount, pool: Pool) -> Cause:
    now, before = pool.metrics
    if now.size is not None and before.size is not None and now.size < before.size:
        test = Test("connections that the pools may open, affected over reference", round(now.size / before.size, 3), "< 1", True, query=now.query)
        return Cause("size", "the pool became smaller", f"the pools may open {now.size:.0f} connections, {before.size:.0f} before", test, (SIZE_FIX, LIMIT_FIX))
    ratio = load(account)
    test = Test("in use at the limit, share of samples", None if now.full is None else round(now.full, 3), "> 0, holds and arrivals as before", None if now.full is None else now.full > 0, query=now.query)
    return Cause("size", "arrivals × hold exceed its size", "statements take as long as before" + (f" and arrivals are {ratio:.2f} times the reference's" if math.isfinite(ratio) else "") + ": the pool is too small, or connections are kept after their last statement", test, (SIZE_FIX, OTHER_FIX, LIMIT_FIX))


def _leaking(test: Test) -> Cause:
    return Cause("leak", "connections are taken and not given back", "connections are taken and not given back: those in use grow to the maximum and no longer fall, though what runs on them is as short as before", test, (LEAK_FIX, LIMIT_FIX, RESTART_FIX))


def _compare(values: Any, where: Any, zone: Any) -> tuple[float, float, float] | None:
    """``(ratio, lower end of the difference, difference)`` of means in µs, affected against reference; None where there are too few. The ratio to nothing is infinite."""
    now, before = (values[where & (zone == z)].astype(np.float64) for z in (AFFECTED, REFERENCE))
    if min(len(now), len(before)) < LEAST:
        return None
    found = two_sample(before, now, least=1.0)
    low = found.low if found.low is not None else 0.0
    return float(now.mean() / before.mean()) if before.mean() > 0 else math.inf, low, float(now.mean() - before.mean())


# -------------------------------------------------------------------- tests and fixes


def tests(pool: Pool, why: Cause) -> tuple[Test, ...]:
    """The decisive tests: waits are there, all are in use, and why."""
    now = pool.metrics[0]
    waits = pool.low > 0 or pool.failing > 0
    return (
        Test("share of request-seconds added by waiting for a connection", round(pool.share, 4), "lower end of its interval > 0", waits, query=pool.query),
        Test("samples with all connections of an instance in use", None if now.full is None else round(now.full, 3), "> 0", None if now.full is None else now.full > 0, query=now.query),
        why.test,
    )


def rivals(evidence: Evidence, account: TimeAccount, pool: Pool, why: Cause) -> tuple[Test, ...]:
    """The look-alikes."""
    ratio = load(account)
    statements = _statements(account)
    queue = sum(c.seconds for c in account.components if c.name.endswith("queue for a worker"))
    refused = _refused(evidence, account)
    return (
        Test("mean of a database span, affected over reference", None if statements is None else round(statements, 3), f"≤ {SLOWER}: the database has room", None if statements is None else statements <= SLOWER, "missing-index"),
        Test("connections that the server refused", refused, "0", None if refused is None else refused == 0, "server-connection-saturation"),
        Test("seconds waited for a worker over those for a connection", round(queue / pool.added, 3) if pool.added > 0 else None, "< 1", queue < pool.added if pool.added > 0 else None, "worker-exhaustion"),
        _surge(why, ratio),
    )


def _refused(evidence: Evidence, account: TimeAccount) -> int | None:
    """Connections that the database refused because it had too many; None without a log of it or of its clients."""
    here = within(account.windows.affected)
    counts = []
    if evidence.has("lock_events"):
        counts.append(evidence.one(f"SELECT count(*) FROM lock_events WHERE kind = 'connection-refused' AND {here}")[0])
    if evidence.has("logs"):
        counts.append(evidence.one(f"SELECT sum(count) FROM logs WHERE regexp_matches(lower(template), 'too many (connections|clients)|remaining connection slots') AND {here}")[0])
    return sum(int(c or 0) for c in counts) if counts else None


def _surge(why: Cause, ratio: float) -> Test:
    """More traffic: ruled out by the rate, or by connections that nobody works on."""
    if why.name == "leak":
        return Test(why.test.test, why.test.value, f"{why.test.bound}: no traffic fills a pool so", True, "traffic-surge", why.test.query)
    return Test("arrival rate, affected over reference", round(ratio, 3) if math.isfinite(ratio) else None, f"< {RISE}", ratio < RISE if math.isfinite(ratio) else None, "traffic-surge")


def _statements(account: TimeAccount) -> float | None:
    tracing = account.tracing
    if tracing is None:
        return None
    found = _compare(tracing.took, tracing.own == DATABASE, tracing.zone)
    return None if found is None else found[0]


LEAK_FIX = Fix("Give the connection back on every way out of the code that takes it (with, using, defer, try-with-resources), first where the last deploy changed it", "removes the wait: no connection is lost any more", "low", "low", "a local change", True, "deploy the former version", "connections in use fall to the reference's level between requests and do not grow")
LIMIT_FIX = Fix("Turn on a limit for holds (leak detection threshold, maximum hold, idle_in_transaction_session_timeout) and a short wait limit", "bounds the damage of one forgotten connection", "low", "medium", "a hold that is long by right would be cut", True, "remove the limit", "holds above the limit are logged with their stack")
RESTART_FIX = Fix("Restart the instances one by one until the leak is mended", "frees the lost connections, until they are lost again", "low", "low", "requests move to the other instances meanwhile", True, "none needed", "waits for a connection are back at the reference's, for a time")
OTHER_FIX = Fix("Take the connection after the other work, or give it back before it (call services and compute outside of the transaction)", "the hold shrinks to its statements, and with it the wait", "medium", "low", "what was one transaction may become two", True, "deploy the former version", "the hold is as long as its statements")
SIZE_FIX = Fix("Size the pool from arrivals × hold with room for bursts, and check that the database has cores and connections left for it", "the wait falls to the reference's as long as the database has room", "low", "medium", "more sessions at the database; beyond its cores they only queue there", True, "put the size back", "no request waits for a connection, statements take as long as before")
SLOW_FIX = Fix("Leave the pool's size alone and mend what became slow: a larger pool moves the queue into the database", "the pool empties by itself when its holds are short again", "low", "low", "no change of the pool", True, "none needed", "holds and waits are back at the reference's")
