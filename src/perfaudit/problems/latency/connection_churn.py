"""Connection churn: a connection is set up for each use, and users wait for the setting up.

What it sees
------------
New connections per request, and what their set-up (name lookup, TCP, TLS, authentication) costs: spans of the set-up, acquisitions that all take as long as one, upstream connect
times of the edge, counters of connections opened, a database log of connections, or database sessions that are new at every look.

Why it hurts
------------
A set-up is several round trips and, at most databases, a process or thread and an authentication. Kept connections pay that once; without them every request
pays it, and the server pays for it too.

What it needs
-------------
Traces with spans of the set-up, or counters of connections opened, or the database's log of connections, or several looks at its sessions. A calm time to compare with.

When it is wrong
----------------
Instances that start, a pool that warms up or a failover open many connections at once and then none: that is tested. A slow network makes each set-up long, but they
stay few. Where only sessions or logs tell of the connections, how much of the time is their set-up is known as an upper bound only.

What to try
-----------
Keep connections: a pool in the process, keep-alive towards upstreams, a pooler (PgBouncer, ProxySQL) where processes are short-lived; TLS session resumption.
"""

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.problems._traced import TRACES
from perfaudit.problems.latency._connects import CONNECTIONS, LASTS, OFTEN, Churn, look

NEEDS = ("spans|metrics|logs|sessions|statement_events|requests",)
HELPS = ("requests", "spans", "metrics", "logs", "sessions", "statement_events", "lock_events")
RIVALS = ("pool-exhaustion", "network-saturation", "deploy-regression", "missing-index", "traffic-surge")
WANTED = (TRACES, CONNECTIONS)

#: A mean that rose by less has not changed (baseline.windows.FACTOR); arrivals up to RISE are no surge (problems.architecture.traffic_surge.RISE).
SLOWER, RISE = 1.3, 1.25
#: Connections per request must have grown by this factor; a pool that breathes with the load does not.
GREW = 3.0

FIXES = (
    Fix("Keep connections open and reuse them: a pool in the process, keep-alive towards the upstream", "takes the set-up out of every request", "low", "low", "a setting in most clients; idle connections cost the server a little memory", True, "turn reuse off again", "new connections per request near 0, and the route's latency back at the reference's"),
    Fix("Put a pooler in front of the database (PgBouncer, ProxySQL) where processes are too short-lived to keep connections", "set-up is a local one, the server's sessions stay", "medium", "medium", "transaction pooling forbids session state (prepared statements, advisory locks)", True, "connect directly again", "sessions at the server stay the same from look to look"),
    Fix("Make the set-up that remains cheaper: TLS session resumption, a cached name lookup, a cheaper password hash for machine users", "fewer round trips for each new connection", "medium", "low", "settings of client and server", True, "put the settings back", "mean time of a set-up falls"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Is a connection set up for about every request, and does the set-up own time?"""
    found = look(evidence, account)
    if found is None:
        return Outcome.no_evidence("nothing tells how many connections are opened: no spans of a set-up, counters, database log of connections or sessions", *WANTED)
    if found.each < OFTEN:
        return Outcome.clear(f"{found.each:.2g} {found.unit}: connections are kept")
    if found.before is not None and found.each < GREW * found.before:
        return Outcome.clear(f"{found.each:.2g} {found.unit}, {found.before:.2g} in the reference: it was so before")
    if found.before is None:
        return Outcome.clear(f"{found.each:.2g} {found.unit}, and there is no calm time to compare with: it may be so by design")
    if found.share < RELEVANT or found.low <= 0:
        return Outcome.clear(f"{found.each:.2g} {found.unit}, but set-up owns {max(0.0, found.share):.1%} of the time more than in the reference")
    if found.lasting is not None and found.lasting < LASTS:
        return Outcome.clear(f"only {found.lasting:.0%} of the new connections come after the first half: a burst (instances that start, a failover, a warm-up)")
    return Outcome.problem(_finding(evidence, account, found))


def _finding(evidence: Evidence, account: TimeAccount, found: Churn) -> Finding:
    scope: dict[str, str | list[str]] = {}
    if found.services:
        scope["service"] = found.services[0] if len(found.services) == 1 else found.services
    if found.routes:
        scope["route"] = found.routes[0] if len(found.routes) == 1 else found.routes
    interval = (max(0.0, found.low) if found.measured else None, min(1.0, found.share + (found.share - found.low)) if found.measured else min(1.0, found.share))
    share = Measurement(min(1.0, found.share), "share of request-seconds" if found.measured else "share of request-seconds, at most", interval, n=found.n, method=found.method, query=found.query)
    times = found.each / found.before if found.before else None
    tests = (
        Test(found.unit, round(found.each, 3), f"≥ {OFTEN}", True, query=found.query),
        Test(f"{found.unit}, affected over reference", None if times is None else round(times, 2), f"≥ {GREW:g}, or none before", True, query=found.query),
        Test("share of request-seconds added by the set-up", round(found.share, 4), "measured, not only bounded from above", True if found.measured else None),
    )
    total = account.requests.total if account.requests else None
    before = account.rate(account.windows.reference, total.reference.count) if total is not None else 0.0
    ratio = account.rate(account.windows.affected, account.count) / before if before else None
    rejected = (
        Test("new connections that come after the first half of the window", None if found.lasting is None else round(found.lasting, 3), f"≥ {LASTS}: no burst of a start, failover or warm-up", None if found.lasting is None else True, "pool-exhaustion"),
        Test("new connections per use", round(found.each, 3), f"≥ {OFTEN}: a slow network makes each long, not many", True, "network-saturation"),
        Test("time that statements take, affected over reference", None if found.statements is None else round(found.statements, 3), f"≤ {SLOWER}", None if found.statements is None else found.statements <= SLOWER, "missing-index"),
        Test("arrival rate, affected over reference", None if ratio is None else round(ratio, 3), f"< {RISE}", None if ratio is None else ratio < RISE, "traffic-surge"),
    )
    each = Measurement(found.each, found.unit, n=found.n, method=found.source, query=found.query)
    exhibits = [Exhibit(f"{found.unit} in the affected window", each, found.table)]
    if found.before is not None:
        exhibits.append(Exhibit(f"{found.unit} in the reference", Measurement(found.before, found.unit, method=found.source), found.table))
    return Finding(
        "connection-churn",
        f"A connection is set up for {'each use' if found.each > 0.8 else 'most uses'}: {found.each:.2g} {found.unit}",
        scope,
        share,
        max(0.0, found.added),
        min(1.0, found.added / account.added_seconds) if account.added_seconds > 0 else None,
        tuple(c.name for c in account.components if c.name == "connection set-up" or (found.pooled and c.name.startswith("pool wait"))),
        mechanism="each request waits for round trips, encryption and authentication of a new connection before its first statement or call",
        cause="connections are opened for each use and not kept",
        evidence=tuple(exhibits),
        tests=tests,
        rejected=rejected,
        fixes=FIXES,
    )
