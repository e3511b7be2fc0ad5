"""Pool exhaustion: requests wait for a connection of the application's pool although the database behind it has room.

What it sees
------------
Time that requests spend on acquiring a connection, from spans of the acquisition or from the pool's own metrics, and why all are in use: held longer because what runs on them
became slow (then it is a symptom), held during other work, never given back (a leak), or too few for the arrivals (arrivals × hold > size).

Why it hurts
------------
A pool is a queue in front of the database. Once all of it is in use, every route that needs a connection waits for the slowest holder, and waits end in timeouts.
More connections help only where the database has room for them.

What it needs
-------------
Traces with spans for the acquisition, or metrics of the pool (in use, maximum, pending, wait time); better both. A calm time to compare with tells what changed.

When it is wrong
----------------
A database or a dependency that became slow fills the pool by itself, and so does a process without a processor: then it is a symptom. A server that refuses connections is full on
the other side. More traffic than before is a surge. Spans do not tell how long a connection is kept after its last statement: only metrics do.

What to try
-----------
Give connections back on every way out; hold none during calls of other services; a limit for holds (leak detection); then a size from arrivals × hold.
"""

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.model import Exhibit, Finding, Measurement, Outcome, Status
from perfaudit.paths.account import TimeAccount
from perfaudit.problems._traced import TRACES
from perfaudit.problems.latency._connects import set_up_on_acquisition
from perfaudit.problems.latency._pools import POOL_METRICS, PRACTICAL, Cause, Pool, cause, look, rivals, tests

NEEDS = ("spans|metrics",)
HELPS = ("requests", "spans", "metrics", "sessions", "lock_events", "logs")
RIVALS = ("missing-index", "server-connection-saturation", "worker-exhaustion", "traffic-surge")
WANTED = (TRACES, POOL_METRICS)

#: What makes connections be held longer, or be asked for more often: the pool is then a symptom.
PARENTS = ("missing-index", "bad-plan", "row-lock-contention", "table-lock", "write-pressure", "disk-saturation", "cpu-saturation", "cpu-throttling", "noisy-neighbour", "runtime-pause", "single-threaded-section", "cascading-delay", "n-plus-one", "cache-stampede", "cold-cache", "cache-penetration", "low-hit-ratio", "cache-serialization", "traffic-surge")


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Do requests wait for a connection, and why are all in use?"""
    pool = look(evidence, account)
    if pool is None:
        return Outcome.no_evidence("neither spans of an acquisition nor metrics of a pool were read for the affected window", *WANTED)
    if pool.share < RELEVANT and pool.failing < RELEVANT:
        return Outcome.clear(f"waiting for a connection owns {max(0.0, pool.share):.1%} of the time more than in the reference" if pool.compared else f"waiting for a connection owns {pool.share:.1%} of the time")
    if pool.low <= 0 and pool.failing < RELEVANT:
        return Outcome.clear("the wait for a connection is within the error of its measurement")
    if pool.each < PRACTICAL and pool.failing < RELEVANT:
        return Outcome.clear(f"an acquisition takes {pool.each * 1e3:.1f} ms{' longer than in the reference' if pool.compared else ''}: nobody waits for a holder")
    if pool.at_limit is False:
        return Outcome.clear("a connection was free at every sample of the pool: what an acquisition takes is not a wait for a holder")
    if pool.compared and not pool.metrics[0].full and account.tracing is not None and set_up_on_acquisition(account.tracing) is not None:
        return Outcome.clear("all acquisitions take evenly longer, the shortest too: a connection is set up in each, none is waited for")
    if not pool.compared and not pool.at_limit:
        return Outcome.clear("connections are waited for, but nothing shows that all of them are in use, and there is no calm time to compare with")
    why = cause(evidence, account, pool)
    return Outcome(Status.SYMPTOM if why.symptom else Status.PROBLEM, _title(pool, why), (_finding(evidence, account, pool, why),))


def _finding(evidence: Evidence, account: TimeAccount, pool: Pool, why: Cause) -> Finding:
    value, unit = (pool.share, "share of request-seconds") if pool.share >= pool.failing else (pool.failing, "share of requests that fail waiting for a connection")
    share = pool.claim.share if pool.claim is not None and pool.share >= pool.failing else Measurement(min(1.0, value), unit, n=pool.n, method=pool.method, query=pool.query)
    routes = pool.claim.routes if pool.claim is not None else []
    scope: dict[str, str | list[str]] = {"object": "connection pool"}
    if pool.services:
        scope["service"] = pool.services[0] if len(pool.services) == 1 else pool.services
    if routes and pool.claim is not None:
        scope["route"] = pool.claim.scope_route
    exhibits = [Exhibit(text, m, source) for text, m, source in pool.exhibits if m.value is not None and np.isfinite(float(m.value))]
    return Finding(
        "pool-exhaustion",
        _title(pool, why),
        scope,
        share,
        pool.added,
        pool.claim.explains if pool.claim is not None else None,
        tuple(c.name for c in account.components if c.name == "pool wait" or c.name.startswith("pool wait: ")),
        type="symptom" if why.symptom else "problem",
        parents=PARENTS if why.symptom else (),
        mechanism="all connections of the pool are in use, and each request that needs one waits for a holder",
        cause=why.text,
        evidence=tuple(exhibits),
        tests=tests(pool, why),
        rejected=rivals(evidence, account, pool, why),
        fixes=why.fixes,
    )


def _title(pool: Pool, why: Cause) -> str:
    return f"Requests wait for a connection of the pool{f' of {pool.services[0]}' if len(pool.services) == 1 else ''}: {why.short}"
