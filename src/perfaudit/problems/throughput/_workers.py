"""Facts about the wait for a worker in an audit, and what occupies the workers; used by ``worker_exhaustion`` only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.components import CACHE, DATABASE, DOWNSTREAM, POOL, SELF, WAIT, WORKER
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Fix, Test, Wanted, Window
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.busy import Busy, Route, at_entries, busy, split
from perfaudit.paths.hops import hops
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing
from perfaudit.problems import _gauges
from perfaudit.problems._gauges import Gauges, gauges
from perfaudit.problems._traced import caller, compared, routes

WORKER_METRICS = Wanted(
    "metrics of the workers: busy, maximum, queued",
    "curl -s http://localhost:8080/actuator/prometheus | grep -E 'tomcat_threads|jetty_threads|executor_'  # or puma, php-fpm, uWSGI, gunicorn statsd gauges",
    "tells whether all workers are busy while requests wait",
)
#: A request must wait this much longer on average before anybody acts on it, seconds (baseline.windows.LEAST_US, 5 ms).
PRACTICAL = 0.005
#: A mean that rose by less has not changed (baseline.windows.FACTOR).
SLOWER = 1.3
#: Arrivals up to this factor are no surge (problems.architecture.traffic_surge.RISE).
RISE = 1.25
#: One of the three parts of the growth of busy workers names the cause when it is at least half of it; one component names longer holds likewise.
MOST = 0.5
#: A kind of request that occupies at least this share of the busy workers with at most this share of the requests is long.
LONG, FEW = 0.5, 0.35
#: Busy workers must have grown by this factor to be the reason that none is free.
GREW = 1.3
#: CPU seconds per request up to this factor of the reference's: the processor is not what became scarce (problems.architecture.traffic_surge.DEMAND).
DEMAND = 1.3
#: One process (or thread) that computes this share of the time is at the limit of its core.
CORE = 0.8
#: Requests of one kind that finish at this share of 1 ÷ their calm length, per instance, and not faster, finish one at a time.
SERIAL = (0.7, 1.2)
#: Traces from which a ratio of means is told (tracing.LEAST_TRACES).
LEAST = 5

_BUSY_DATABASE = ("missing-index", "bad-plan", "row-lock-contention", "table-lock", "write-pressure", "disk-saturation", "n-plus-one", "cold-cache", "cache-stampede", "low-hit-ratio")
_ALL_SLOW = ("cpu-saturation", "cpu-throttling", "noisy-neighbour", "runtime-pause", "single-threaded-section", "memory-leak", "app-lock-contention")
PARENTS = {
    DATABASE: _BUSY_DATABASE,
    DOWNSTREAM: ("cascading-delay", "retry-storm", "synchronous-dependency", "network-saturation"),
    POOL: ("pool-exhaustion", "connection-leak", "server-connection-saturation", *_BUSY_DATABASE),
    CACHE: ("cache-stampede", "cache-serialization", "cold-cache", "network-saturation"),
    WAIT: ("app-lock-contention", "single-threaded-section"),
    SELF: _ALL_SLOW,
}
WORDS = {DATABASE: "the database", DOWNSTREAM: "a call of another service", POOL: "a connection of the pool", CACHE: "the cache", WAIT: "a lock"}


@dataclass
class Queue:
    """``share``, ``low``: share of request-seconds added by the wait and the lower end of its interval; ``added`` and ``error`` in seconds; ``each``: seconds a request waits longer.

    ``stated``: spans state it as a number, it lies before them, in no duration of the recording. ``spans``: those whose own time is the wait, where it
    lies between a call and its answer.
    """

    share: float
    low: float
    added: float
    error: float
    each: float
    compared: bool
    services: list[str]
    routes: list[str]
    busy: Busy | None
    metrics: tuple[Gauges, Gauges]
    n: int
    method: str
    query: str
    stated: bool = False
    spans: Any = None


@dataclass(frozen=True)
class Cause:
    """Why no worker is free. ``seconds``: request-seconds that the long requests themselves were added."""

    short: str
    text: str
    test: Test
    fixes: tuple[Fix, ...]
    symptom: bool = False
    parents: tuple[str, ...] = ()
    seconds: float = 0.0


def look(evidence: Evidence, account: TimeAccount) -> Queue | None:
    """The queue's facts; None where nothing tells them."""
    metrics = gauges(evidence, account, _gauges.WORKER)
    tracing, n = account.tracing, max(1, account.count)
    if tracing is None or not tracing.count(AFFECTED):
        return None if metrics[0].queue is None or not account.seconds else _of_metrics(account, metrics)
    total = account.seconds or float(tracing.seconds(tracing.on_path, AFFECTED).seconds)
    gap, calm = account.gaps
    waits, values = tracing.own == WORKER, tracing.on_path
    stated = not waits.any() and not gap.seconds
    if stated:
        values = np.nan_to_num(tracing.number("queue_us"))
        waits = (values > 0) & tracing.is_("kind", "server")
    before_it = _between(account, tracing, total)
    if before_it is not None and before_it.low > max(0.0, gap.seconds / total if total else 0.0) and not (tracing.own == WORKER).any():
        before_it.metrics = metrics
        return before_it
    if not (waits.any() or gap.method):
        return None if metrics[0].queue is None else _of_metrics(account, metrics)
    inside = tracing.added(values, waits) if compared(account) else tracing.seconds(values, AFFECTED, waits)
    before = account.requests.total.reference.count if account.requests is not None else 0
    times = n / before if before and compared(account) else 0.0
    added = inside.seconds + gap.seconds - calm.seconds * times
    error = math.hypot(inside.error, gap.error, calm.error * times)
    seen = inside.seconds > gap.seconds
    query = f"SELECT sum(epoch_us(end_time) - epoch_us(start_time)) / 1e6 AS trace_seconds FROM critical_path WHERE component = 'queue for a worker' AND NOT fragment AND {within(account.windows.affected, 'root_time')}" if seen else ""
    service, names = tracing.symbol("service")
    codes = np.unique(service[waits & (tracing.zone == AFFECTED)]) if seen else np.unique(service[tracing.roots])
    owner = [names[c] for c in _weightiest(tracing, waits if seen else None, codes) if c >= 0]
    where = routes(tracing, waits, values) if seen else _log_routes(account)
    low = (added - 1.96 * error) / total if total else 0.0
    return Queue(added / total if total else 0.0, low, max(0.0, added), error, added / n, compared(account), owner, where, busy(account), metrics, tracing.count(AFFECTED), "spans of the queue" if seen else gap.method, query, stated and seen)


def _between(account: TimeAccount, tracing: Tracing, total: float) -> Queue | None:
    """The wait between a call and the span that answers it, at the service where most was added: an accept queue behind a gateway or a caller."""
    if not compared(account) or not total:
        return None
    found = hops(tracing)
    answered = (found.entry >= 0) & (found.entry != found.call)
    best: tuple[float, int, Any] | None = None
    for code in np.unique(found.callee[answered]).tolist():
        here = found.spans(answered & (found.callee == code), len(tracing.traces))
        added = tracing.added(tracing.on_path, here)
        if added.low > 0 and (best is None or added.seconds > best[0]):
            best = added.seconds, int(code), here
    if best is None:
        return None
    _, code, here = best
    added = tracing.added(tracing.on_path, here)
    entries = found.entry[answered & (found.callee == code)]
    query = f"SELECT avg(duration_us) / 1e3 AS mean_ms FROM spans WHERE service = {quote(found.names[code])} AND kind = 'server' AND {within(account.windows.affected)}"
    n = max(1, account.count)
    return Queue(added.seconds / total, added.low / total, max(0.0, added.seconds), added.error, added.seconds / n, True, [found.names[code]], routes(tracing, here, tracing.on_path), split(at_entries(tracing, entries)), (Gauges(), Gauges()),
                 tracing.count(AFFECTED), "traces: time between a call and its answer", query, spans=here)  # fmt: skip


def _weightiest(tracing: Tracing, waits: Any, codes: Any) -> list[int]:
    """Services by what they carry, those with a fifth of it and more."""
    service, _ = tracing.symbol("service")
    if waits is None:
        at = tracing.roots[tracing.zone[tracing.roots] == AFFECTED]
        weight = np.bincount(service[at] + 1, minlength=2)[1:]
    else:
        weight = np.bincount(service[waits] + 1, tracing.on_path[waits], 2)[1:]
    carried = {int(c): float(weight[c]) for c in codes.tolist() if 0 <= c < len(weight)}
    whole = sum(carried.values())
    return [c for c, w in sorted(carried.items(), key=lambda x: (-x[1], x[0])) if w >= 0.2 * whole]


def _log_routes(account: TimeAccount) -> list[str]:
    """The routes that wait before their spans begin, by what the log's routes were added."""
    added = sorted(((account.added(r), r.route or "") for r in account.routes if account.added(r) > 0), reverse=True)
    whole = sum(a for a, _ in added)
    return list(dict.fromkeys(name for a, name in added if name and a >= 0.1 * whole))


def _of_metrics(account: TimeAccount, metrics: tuple[Gauges, Gauges]) -> Queue:
    """The queue as its gauges tell it."""
    now, before = metrics[0].queue or 0.0, metrics[1].queue
    ratio = load(account)
    seconds = max(0.0, now - (before or 0.0) * (ratio if math.isfinite(ratio) else 1.0)) * account.windows.affected.seconds
    share = seconds / account.seconds if account.seconds else 0.0
    known = metrics[0].samples >= 10
    return Queue(min(1.0, share), share if known else 0.0, seconds, 0.0, seconds / max(1, account.count), before is not None, caller(account), [], busy(account), metrics, metrics[0].samples, "metrics of the queue", metrics[0].query)


def slower(account: TimeAccount) -> bool:
    """Whether requests take longer, or fail more often, than in the reference."""
    return account.added_seconds >= RELEVANT * account.seconds or account.failed_beyond >= RELEVANT * account.count or account.requests is None


def load(account: TimeAccount) -> float:
    """Arrival rate, affected over reference; NaN where unknown."""
    total = account.requests.total if account.requests else None
    before = account.rate(account.windows.reference, total.reference.count) if total is not None else 0.0
    return account.rate(account.windows.affected, account.count) / before if before else math.nan


# -------------------------------------------------------------------- what occupies the workers


def cause(evidence: Evidence, account: TimeAccount, queue: Queue) -> Cause | None:
    """Longer holds (mostly a symptom), other requests, more requests, or fewer workers."""
    found = queue.busy
    if found is None:
        return _steady(queue)
    if found.now >= GREW * found.before and found.grown > 0:
        parts = {"longer": found.longer, "mix": found.mix, "load": found.load}
        most = max(parts, key=lambda k: parts[k])
        if parts[most] >= MOST * found.grown:
            return {"longer": _longer, "mix": _mix, "load": _load}[most](account, queue, found)
    ratio = load(account)
    if ratio >= RISE:
        return _load(account, queue, found)
    if queue.metrics[0].full or _fewer(queue):
        return _few(queue, found)
    return None


def _longer(account: TimeAccount, queue: Queue, found: Busy) -> Cause:
    """Holds that became longer: of what?"""
    tracing = account.tracing
    ratio = found.longer / max(found.grown, 1e-9)
    test = Test("share of the growth of busy workers that is longer holds", round(ratio, 3), f"≥ {MOST}", True)
    if tracing is None or not compared(account):
        return Cause("requests occupy workers longer", "requests occupy workers longer than before", test, (LONGER_FIX,), True, _ALL_SLOW + PARENTS[DOWNSTREAM] + PARENTS[DATABASE])
    work = np.ones(len(tracing.own), bool) if queue.spans is None else ~queue.spans
    grown = {part: tracing.added(tracing.on_path, work & (tracing.own == part)).seconds for part in (*WORDS, SELF)}
    whole = sum(max(0.0, g) for g in grown.values())
    most = max(grown, key=lambda p: grown[p])
    if _all_slow(tracing):
        return Cause("everything in the process became slow", "own work, statements and calls all take longer: the process gets too little of a processor, or one thread does it all", test, (LONGER_FIX,), True, (*_ALL_SLOW, *PARENTS[DOWNSTREAM]))
    if most != SELF:
        return Cause(f"they wait for {WORDS[most]}", f"workers are occupied by requests that wait longer for {WORDS[most]}: a symptom of that", test, (LONGER_FIX,), True, PARENTS[most])
    slow = max((r for r in found.routes if r.hold[1] == r.hold[1]), key=lambda r: r.rate[0] * (r.hold[0] - r.hold[1]), default=None)
    if slow is None or grown[SELF] < MOST * whole or _serial(account, slow):
        return Cause("requests that wait inside of the application occupy them", f"requests of {slow.name if slow else 'a route'} finish one at a time: what they wait for occupies the workers", test, (LONGER_FIX,), True, _ALL_SLOW)
    long = Test(f"seconds that a request of {slow.name} occupies a worker, affected over reference", round(slow.hold[0] / slow.hold[1], 2) if slow.hold[1] else None, f"≥ {SLOWER}, in its own time, one route and not all", True)
    return Cause(f"requests of {slow.name} occupy them", f"a request of {slow.name} occupies a worker for {slow.hold[0]:.2g} s, {slow.hold[1]:.2g} s before, without computing, calling or querying more", long, (APART_FIX, BOUND_FIX, MORE_FIX), seconds=slow.rate[0] * (slow.hold[0] - slow.hold[1]) * account.windows.affected.seconds)


def _mix(account: TimeAccount, queue: Queue, found: Busy) -> Cause:
    long = max(found.routes, key=lambda r: (r.rate[0] - r.rate[1]) * r.hold[0], default=None)
    share = found.mix / max(found.grown, 1e-9)
    name = long.name if long is not None else "long requests"
    hold = long.hold[0] if long is not None else 0.0
    test = Test("share of the growth of busy workers that is other kinds of requests", round(share, 3), f"≥ {MOST}", True)
    text = f"requests of {name} stay {hold:.2g} s each and come {long.rate[0]:.2g} times a second ({long.rate[1]:.2g} before): they occupy {long.busy:.1f} workers" if long is not None else "long requests occupy the workers"
    added = (long.rate[0] - long.rate[1]) * hold * account.windows.affected.seconds if long is not None else 0.0
    return Cause(f"long requests of {name} occupy them", text, test, (APART_FIX, BOUND_FIX, MORE_FIX), seconds=min(max(0.0, added), max(0.0, account.added_seconds - queue.added)))


def _load(account: TimeAccount, queue: Queue, found: Busy) -> Cause:
    ratio = load(account)
    test = Test("arrival rate, affected over reference", round(ratio, 3) if math.isfinite(ratio) else None, f"≥ {RISE}", True)
    return Cause(f"{ratio:.1f} times as many requests arrive", "more requests arrive, each occupies a worker as long as before", test, (MORE_FIX, BOUND_FIX), True, ("traffic-surge", "retry-storm", "tail-under-concurrency"))


def _few(queue: Queue, found: Busy) -> Cause:
    now, before = queue.metrics
    size = Test("workers, affected over reference", round(now.size / before.size, 3) if now.size and before.size else None, "< 1", True if _fewer(queue) else None, query=now.query)
    return Cause("there are too few", f"requests occupy {found.now:.2g} workers as before ({found.before:.2g}), and all there are are busy", size, (MORE_FIX, BOUND_FIX))


def _steady(queue: Queue) -> Cause | None:
    """Without a reference: all are busy, by metrics."""
    now = queue.metrics[0]
    if not now.full:
        return None
    return Cause("all are busy", "all workers are busy and requests queue for them", Test("samples with all workers of an instance busy", round(now.full, 3), "> 0", True, query=now.query), (BOUND_FIX, MORE_FIX))


def _fewer(queue: Queue) -> bool:
    now, before = queue.metrics
    return bool(now.size and before.size and now.size < before.size)


def _all_slow(tracing: Tracing) -> bool:
    """Whether own work and at least one of database and cache spans of the answering services take longer: nothing but the process itself is common to them."""
    service, _ = tracing.symbol("service")
    home = service == service[tracing.root]
    rose = []
    for part in (SELF, DATABASE, CACHE):
        means = [float(tracing.on_path[home & (tracing.own == part) & (tracing.zone == z)].mean()) if (home & (tracing.own == part) & (tracing.zone == z)).sum() >= LEAST else math.nan for z in (AFFECTED, REFERENCE)]
        rose.append(means[0] >= 2 * SLOWER * means[1] if means[1] > 0 and means[0] == means[0] else None)
    return bool(rose[0]) and any(rose[1:]) and None not in (rose[0],) and not any(r is False for r in rose)


def _serial(account: TimeAccount, slow: Route) -> bool:
    """Whether requests of the slow route finish as if one at a time in each instance: completions per second × calm length ≈ 1."""
    tracing = account.tracing
    if tracing is None or slow.hold[1] != slow.hold[1]:
        return False
    instances = max(1, _instances(tracing))
    return SERIAL[0] <= slow.rate[0] * slow.hold[1] / instances <= SERIAL[1]


def _instances(tracing: Tracing) -> int:
    """How many instances answer at the root in the affected window (at least 1)."""
    codes, _ = tracing.symbol("instance")
    found = np.unique(codes[tracing.roots[tracing.zone[tracing.roots] == AFFECTED]])
    return int((found >= 0).sum())


# -------------------------------------------------------------------- tests and fixes


def tests(queue: Queue, why: Cause) -> tuple[Test, ...]:
    """The decisive tests."""
    now = queue.metrics[0]
    return (
        Test("share of request-seconds added by waiting for a worker", round(queue.share, 4), "lower end of its interval > 0", queue.low > 0, query=queue.query),
        Test("samples with all workers of an instance busy", None if now.full is None else round(now.full, 3), "> 0", None if now.full is None else now.full > 0, query=now.query),
        why.test,
    )


def rivals(evidence: Evidence, account: TimeAccount, queue: Queue, why: Cause) -> tuple[Test, ...]:
    """The look-alikes."""
    used, demand = processor(evidence, account)
    ratio = load(account)
    calls = _calls(account)
    room = None if used is None else used < CORE or (demand is not None and demand <= DEMAND)
    refused = sum(1 for r in account.routes if r.affected.error_ratio > r.reference.error_ratio + 0.01)
    shown = [t for t in (why.test,) if "arrival" in t.test]
    return (
        Test("cores that a process uses at most, on average", None if used is None else round(used, 3), f"< {CORE}, or CPU per request ≤ {DEMAND} times the reference's", room, "cpu-saturation"),
        Test("mean of calls and statements, affected over reference", None if calls is None else round(calls, 3), f"≤ {SLOWER}", None if calls is None else calls <= SLOWER, "cascading-delay"),
        Test("routes with more failed requests than in the reference", refused, "0: the queue is long, nothing is refused", True if refused == 0 else None, "connection-limit"),
        Test("arrival rate, affected over reference", round(ratio, 3) if math.isfinite(ratio) else None, f"< {RISE}, or other requests than before", (ratio < RISE or not shown) if math.isfinite(ratio) else None, "traffic-surge"),
    )


def processor(evidence: Evidence, account: TimeAccount) -> tuple[float | None, float | None]:
    """Most cores that one process uses in the affected window, and CPU seconds per request, affected over reference; None without counters."""
    if not evidence.has("metrics"):
        return None, None
    now, before = (_cpu(evidence, w) for w in (account.windows.affected, account.windows.reference))
    if not now:
        return None, None
    requests = account.requests.total if account.requests else None
    rates = (account.rate(account.windows.affected, account.count), account.rate(account.windows.reference, requests.reference.count if requests else 0))
    demand = (sum(now) / rates[0]) / (sum(before) / rates[1]) if before and min(rates) > 0 and sum(before) > 0 else None
    return max(now), demand


def _cpu(evidence: Evidence, window: Window | None) -> list[float]:
    if window is None:
        return []
    rows = evidence.rows(
        "SELECT (arg_max(value, time) - arg_min(value, time)) / nullif(epoch_us(max(time)) - epoch_us(min(time)), 0) * 1e6 FROM metrics"
        f" WHERE name IN ('process_cpu_seconds_total', 'process_cpu_time', 'process.cpu.time') AND NOT isnan(value) AND {within(window)} GROUP BY name, labels HAVING count(*) >= 3 ORDER BY 1"
    )
    return [float(v) for (v,) in rows if v is not None and v >= 0]


def _calls(account: TimeAccount) -> float | None:
    """Mean of calls of services and of statements, the worse of both, affected over reference."""
    tracing = account.tracing
    if tracing is None or not compared(account):
        return None
    worst = []
    for part in (DOWNSTREAM, DATABASE):
        at = (tracing.own == part) & tracing.is_("kind", "client")
        now, before = (tracing.took[at & (tracing.zone == z)] for z in (AFFECTED, REFERENCE))
        if min(len(now), len(before)) >= LEAST and before.mean() > 0:
            worst.append(float(now.mean() / before.mean()))
    return max(worst, default=None)


APART_FIX = Fix("Take the long requests off the common workers: asynchronous handlers, a pool of workers of their own, or buffering of slow clients at the proxy", "the wait of all other requests falls to the reference's", "medium", "low", "a change of how one route is served", True, "serve the route as before", "busy workers back at the reference's while the long requests go on")
BOUND_FIX = Fix("Bound how many long requests run at once, and answer the others early (429, or a shorter poll)", "workers stay free for short requests", "low", "medium", "some long requests are turned away", True, "remove the bound", "busy workers stay below the maximum")
MORE_FIX = Fix("Add workers, after checking that memory, connections and the processor have room for them", "throughput rises in proportion, until the next limit", "low", "medium", "more memory and more concurrency behind them", True, "put the number back", "no request waits for a worker; processor and database below their limits")
LONGER_FIX = Fix("Leave the number of workers alone and mend what they wait for; a time limit for it frees them meanwhile", "the queue goes with its cause", "low", "low", "no change of the workers", True, "none needed", "busy workers and the wait are back at the reference's")
