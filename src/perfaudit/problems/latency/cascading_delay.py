"""Cascading delay: a service or partner that is called became slow or began to fail, and its callers with it.

What it sees
------------
Calls to one dependency take longer than in the reference, or fail, and that is what was added to the requests: calls are as many as before, the callers' own work takes
as long as before. The origin is the deepest service whose own time rose, or a partner that is not traced. Workers and connections that are held
while a call lasts make requests wait that do not call it at all: those queues belong to the same cause.

Why it hurts
------------
A caller waits in full for what it calls in line. Its workers, connections and locks are held meanwhile, so a dependency of one route can stop all of them.

What it needs
-------------
Traces of the affected time and of a calm one, with client spans for calls of what is not traced itself.

When it is wrong
----------------
A host or database that both sides share slows them together: then other work is slower as well, which is tested. More calls, new ones or repeated ones are other
problems. A dependency that is slower because this system asks it more often is the victim of the traffic.

What to try
-----------
A time limit near the usual p99 of the call, an answer without it (cached, partial, later), and a bulkhead so that few workers can wait for it. The mending
itself is the dependency's.
"""

import math

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Status, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.attempts import below
from perfaudit.paths.tracing import AFFECTED, REFERENCE
from perfaudit.problems._amplified import amplified, sides
from perfaudit.problems._calls import (
    AS_MANY,
    SLOWER,
    Calls,
    Picture,
    arrivals,
    calls_to,
    picture,
    queues,
    rounded,
    rows_of,
    shown,
    unbiased,
    waits,
    with_queues,
)
from perfaudit.problems._traced import TRACES, claim, compared
from perfaudit.problems.latency._failing import failing
from perfaudit.problems.latency._origin import CARRIES, main_endpoint, origins, others, store

NEEDS = ("spans",)
HELPS = ("requests", "events")
RIVALS = ("synchronous-dependency", "retry-storm", "traffic-surge", "noisy-neighbour", "worker-exhaustion")
WANTED = (TRACES,)

#: The callers' own work may carry this much of what was added (they do more per request while errors are handled, and traces are a sample).
OWN = 0.25
#: Arrivals up to this factor are no surge (problems.architecture.traffic_surge.RISE); so many dependencies are tried, the one whose time grew most first.
RISE, MOST = 1.25, 3

FIXES = (
    Fix("Give the call a time limit near the p99 that it had before, and answer without it where it is exceeded (cached, partial, or later)", "requests keep the reference's latency while the dependency is slow", "medium", "medium", "a code path that must be right when the dependency is absent", True, "raise the limit again", "p95 of the route under the limit while the call's p95 is above it"),
    Fix("Bound how many requests may wait for the dependency at once (bulkhead, circuit breaker)", "routes that do not call it are free of its delay", "low", "low", "a setting in most clients and meshes", True, "remove the bound", "the wait for a worker is back at the reference's"),
    Fix("Take the measurement to the owner of the dependency: since when, how much, which operation", "removes the cause", "low", "low", "no change here", True, "none needed", "the call's mean is back inside the reference's interval"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Did a dependency become slow or failing, and does it carry what was added?"""
    if account.tracing is None or not account.tracing.count(AFFECTED):
        return Outcome.no_evidence("no traces lie in the affected window", TRACES)
    if account.windows.reference is None:
        return Outcome.not_applicable("nothing departs and there is no reference to compare the calls with")
    if not compared(account):
        return Outcome.no_evidence("the reference holds no traces to compare the calls with", TRACES)
    seen = picture(account)
    if seen is None:
        return Outcome.clear("the traces hold no call to another service")
    first: Outcome | None = None
    for code, own in origins(seen)[:MOST]:
        slow = calls_to(seen, seen.hops.callee == code, seen.hops.names[code])
        if slow.added.low <= 0 or slow.added.seconds < RELEVANT * (account.seconds or seen.seconds) or own < CARRIES * slow.added.seconds:
            continue
        found = _slow(account, seen, slow)
        if found.findings:
            return found
        first = first or found
    return failing(evidence, account, seen) or first or Outcome.clear("no dependency takes more of the users' time, or fails more often, than in the reference")


def _slow(account: TimeAccount, seen: Picture, slow: Calls) -> Outcome:
    """The test of one dependency whose calls carry added time. Durations are compared within the endpoint that carries most: another mix of endpoints is no slowness."""
    tracing, name = seen.tracing, slow.name
    main = main_endpoint(seen, slow)
    if main.became_slow is None:
        return Outcome.no_evidence(f"the reference holds too few calls to {name}", TRACES) if main.per_request[1] > 0 else Outcome.clear(f"the calls to {name} are new")
    if not main.became_slow:
        return Outcome.clear(f"calls to {name} carry {slow.added.seconds:.1f} s more, but no call is surely and much slower ({main.mean_ms[0]:.0f} ms against {main.mean_ms[1]:.0f} ms): they are more, or repeated, or it is chance")
    repeated, first = sides(seen, amplified(seen, seen.hops.callee == seen.hops.names.index(name), name), slow)
    if repeated > first:
        return Outcome.clear(f"repeated calls to {name} and their queue carry {repeated:.1f} s more, the first ones {first:.1f} s: the repeating is what hurts")
    queued = waits(tracing, slow.calls)
    waited, gap, explains = with_queues(account, tracing, slow)
    whole = tracing.added(tracing.on_path).seconds
    carries = slow.added.seconds / max(whole - waited, slow.added.seconds, 1e-9)
    outside = ~below(tracing, slow.calls) & ~queued
    own = max(0.0, tracing.added(tracing.on_path, outside).seconds) / max(whole, 1e-9)
    busier = arrivals(account)
    elsewhere = others(seen, queued)
    tests = (
        Test(f"mean of a call to {name}, affected minus reference, ms", None if main.slower_ms is None else round(main.slower_ms[1], 2), f"lower end of its interval > 0, ratio ≥ {SLOWER}", main.became_slow),
        Test("share of what was added outside of queues that lies below these calls", round(carries, 3), f"≥ {CARRIES}", carries >= CARRIES),
        Test("share of what was added that is work outside of these calls", round(own, 3), f"≤ {OWN}", own <= OWN),
        *unbiased(tracing),
    )
    if carries < CARRIES:
        return Outcome.clear(f"calls to {name} became slower, but carry only {carries:.0%} of what was added")
    if own > OWN and elsewhere > SLOWER:
        return Outcome.clear(f"work outside of the calls to {name} became slower as well, {elsewhere:.1f} times: what both share is slow, not {name}")
    many = main.more <= AS_MANY if math.isfinite(main.more) else None
    rivals = (
        Test("calls per request, affected over reference", rounded(main.more), f"≤ {AS_MANY}", many, "synchronous-dependency"),
        Test("seconds added by repeated calls and their queue over those by first ones", round(repeated / max(first, 1e-9), 3), "< 1", True, "retry-storm"),
        Test("arrival rate, affected over reference", rounded(busier), f"< {RISE}", None if math.isnan(busier) else busier < RISE, "traffic-surge"),
        Test("own and database time of requests outside of these calls, affected over reference", rounded(elsewhere), f"≤ {SLOWER}", None if math.isnan(elsewhere) else elsewhere <= SLOWER, "noisy-neighbour"),
        Test("share of the added time in a worker that lies below these calls", round(carries, 3), f"≥ {CARRIES}", True, "worker-exhaustion"),
    )
    if many is False and main.more >= main.ratio:
        return Outcome.clear(f"a request calls {name} {main.more:.1f} times as often as before: that is more than the calls became slower")
    owned = claim(account, slow.calls, tracing.under, "traces: critical path below the calls", shown(account, tracing, main.first, "avg(duration_us) / 1e3 AS mean_ms, count(*) AS calls"))
    held = waited + gap > RELEVANT * (account.added_seconds or whole)
    where = store(seen, slow)
    call = Measurement(main.mean_ms[0], "ms", n=int((main.first & (tracing.zone == AFFECTED)).sum()), method="mean of the calls in the affected window's traces", query=owned.share.query)
    before = Measurement(main.mean_ms[1], "ms", n=int((main.first & (tracing.zone == REFERENCE)).sum()), method="mean of the calls in the reference's traces")
    finding = Finding(
        "cascading-delay",
        f"{name} became slow, and {slow.by} with it: a call takes {main.mean_ms[0]:,.0f} ms, {main.mean_ms[1]:,.0f} ms before{where and f'; {where}'}",
        {"service": [name, *slow.callers], **({"route": owned.scope_route} if owned.routes else {})},
        owned.share,
        owned.added.seconds,
        explains,
        (*rows_of(account, name), *(queues(account) if held else ())),
        mechanism=f"{slow.by} waits in line for each call to {name}; its own work takes as long as before",
        cause=where or f"{name} takes longer for the same calls",
        evidence=(Exhibit(f"mean of a call to {name} in the affected window", call, "spans"), Exhibit(f"mean of a call to {name} in the reference", before, "spans")),
        tests=tests,
        rejected=rivals,
        fixes=FIXES,
    )
    if busier >= RISE:
        finding = finding.with_(type="symptom", parents=("traffic-surge",), cause=f"{name} is asked {busier:.1f} times as often")
        return Outcome(Status.SYMPTOM, finding.title, (finding,))
    return Outcome.problem(finding)
