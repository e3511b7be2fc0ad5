"""Application lock contention: requests wait for each other inside the application, one at a time passes.

What it sees
------------
Some routes spend more time at one place of the code that no call explains, while arrivals and calls are as before. Behind that place requests never
overlap (they would, were they independent), and whoever comes first leaves first. A span that an application gives its wait for a lock says it outright.

Why it hurts
------------
What is done under a lock is done by one at a time, however many threads and cores there are. Held for h seconds, it passes 1/h requests a second; near that, the
queue grows, holds threads, and requests that need no lock wait for a thread.

What it needs
-------------
Traces of the service, best with ``service.instance.id`` (a lock is one of a process). They show a *serialised resource*: a profile of locks, or the code,
confirms that it is a lock.

When it is wrong
----------------
A pool of one connection without spans of its own, a database lock (its statement is slow), or a single thread that computes look alike. Starved CPUs and
pauses slow all routes, those too that do not come to this place.

What to try
-----------
Hold the lock for less: no call of another service or database under it. Split it by key, or use a structure that needs none.
"""

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.components import DATABASE
from perfaudit.evidence.store import Evidence, quote
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.slots import slots
from perfaudit.paths.tracing import AFFECTED
from perfaudit.problems._traced import TRACES, compared, named, of_spans
from perfaudit.problems.latency._serial import CHANCE, EXPECTED, ORDERED, OVERLAPS
from perfaudit.problems.latency._waits import SAME, Section, sections

NEEDS = ("spans",)
HELPS = ("requests",)
RIVALS = ("pool-exhaustion", "row-lock-contention", "cpu-saturation", "runtime-pause", "single-threaded-section", "worker-exhaustion")
WANTED = (TRACES,)

#: What can make the held part longer, so that the lock is a symptom.
SLOWER = ("cascading-delay", "retry-storm", "missing-index", "bad-plan", "row-lock-contention", "table-lock", "n-plus-one")
#: An average rate above this multiple of the reference makes a surge a rival that is not ruled out.
RISE = 1.25
#: Requests of the service that are at the place, of all that it holds: from here on the queue for its threads stands behind the lock.
HELD = 0.3

FIXES = (
    Fix("Take out of the locked part what need not be there: calls of services and databases, input and output", "requests pass as fast as the rest of the section; the queue for it goes", "low", "medium", "the data that the lock protects must be used under it, the call must not", True, "the old section behind a flag", "own time before the next call falls to the reference's, and calls overlap again"),
    Fix("Split the lock (by key, by shard), or replace it by a structure that needs none (an atomic counter, a copy on write)", "as many pass at once as there are parts", "medium", "medium", "needs care where two parts are taken at once", True, "one lock again", "calls behind it overlap; throughput grows with threads"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Is there a place that one request at a time passes, and do requests wait for it?"""
    tracing = account.tracing
    if tracing is None or not tracing.count(AFFECTED):
        return Outcome.no_evidence("no trace lies in the affected window", *WANTED)
    found = sections(account, slots(tracing))
    if not found:
        more = "more than in the reference " if compared(account) else ""
        return Outcome.clear(f"no place of the code owns {RELEVANT:.0%} of the time {more}outside calls")
    serial = [s for s in found if s.serialised]
    if not serial:
        top = found[0]
        return Outcome.clear(f"{top.place} owns {top.share:.1%} of the time outside calls, but nothing shows that one at a time passes: {top.told}")
    return Outcome.of(_finding(account, max(serial, key=lambda s: s.share)))


def _finding(account: TimeAccount, main: Section) -> Finding:
    tracing, claimed = account.tracing, main.claimed
    behind = main.held >= HELD
    queue = sum(c.seconds for c in account.components if c.name in ("queue for a worker", "edge and queue for a worker")) if behind else 0.0
    explains = None if claimed.explains is None else min(1.0, (max(0.0, claimed.added.seconds) + queue) / account.added_seconds)
    rate = None
    if account.requests is not None and account.windows.reference is not None and account.requests.total.reference.count:
        total = account.requests.total
        rate = account.rate(account.windows.affected, total.affected.count) / account.rate(account.windows.reference, total.reference.count)
    query = of_spans(account, f"{named(service=main.service)} AND operation IN ({', '.join(quote(o) for o in main.operations)})", "instance, time, duration_us")
    first, second = main.passages, main.order
    tests = (
        Test("share of the time at one place outside calls", round(main.share, 4), f"≥ {RELEVANT:.0%}", True, query=query),
        Test("passages of one process that overlap, over those expected by chance", round(first.seen / first.expected, 3) if first.expected else None, f"≤ {OVERLAPS}, {EXPECTED:.0f} expected at least", first.alone, query=query),
        Test("requests that waited at once and left in the order of coming", round(second.share, 3) if second.pairs else None, f"≥ {ORDERED}, chance under {CHANCE:.0%}", second.kept),
        Test("time of the call behind it, affected over reference", main.hold and round(main.hold, 2), f"< {SAME}: what is held did not get longer", None if main.hold is None else main.hold < SAME or None),
    )
    database = tracing is not None and len(main.calls) > 0 and bool(np.mean(tracing.own[main.calls] == DATABASE) > 0.5)
    alone = first.alone is True
    rejected = (
        Test("one at a time passes, where a pool lets as many as it has", first.seen, f"none of {first.expected:.1f} expected", True if alone and not database else None, "pool-exhaustion"),
        Test("the wait lies outside statements", main.operations[0], "own time or a wait of the application", True, "row-lock-contention"),
        Test("own time of the service's other places, affected over reference", main.others and round(main.others, 2), f"< {SAME}", None if main.others is None else main.others < SAME or None, "cpu-saturation"),
        Test("own time of the service's other places, affected over reference", main.others and round(main.others, 2), f"< {SAME}: a pause hits all", None if main.others is None else main.others < SAME or None, "runtime-pause"),
        Test("what is passed one at a time is a call, no computing", main.before or "own time", "a call", True if main.before else None, "single-threaded-section"),
        Test("share of the service's requests that stand at the place", round(main.held, 3), f"≥ {HELD} where threads run out", True, "worker-exhaustion"),
        Test("arrival rate, affected over reference", None if rate is None else round(rate, 3), f"< {RISE}", None if rate is None else rate < RISE or None, "traffic-surge"),
    )
    others = [c for c in account.tiers.outermost if c not in ("", "web", main.service)] if main.service not in account.tiers.outermost else []
    scope: dict[str, str | list[str]] = {"service": [main.service, *others] if others else main.service}
    if claimed.scope_route:
        scope["route"] = claimed.scope_route
    if main.said:
        scope["object"] = main.operations[0]
    median = Measurement(main.wait / 1e3, "ms", n=claimed.added.traces, method="median of own time at the place, affected window", query=query)
    kind = "a lock" if main.locks else "a serialised resource: a lock, until a profile or the code says otherwise"
    before = f" before {main.before}" if main.before else ""
    longer = main.hold is not None and main.hold >= SAME  # what is held became slow: the lock only queues for it
    return Finding(
        "app-lock-contention",
        f"{main.service}: requests wait for {kind.partition(':')[0]}{before}, one at a time passes",
        scope,
        claimed.share,
        max(0.0, claimed.added.seconds),
        explains,
        type="symptom" if longer else "problem",
        parents=SLOWER if longer else (),
        components=(*main.components, *(("queue for a worker",) if queue else ())),
        mechanism=f"{', '.join(main.operations[:3])} waits{before} while arrivals are as before, and passages do not overlap ({first.seen} seen, {first.expected:.0f} expected by chance)",
        cause=f"{kind}{f', held during the call of {main.before}' if main.before else ''}",
        evidence=(Exhibit(f"median own time{before}: {main.wait / 1e3:.0f} ms" + (f", {main.was / 1e3:.0f} ms in the reference" if main.was is not None else ""), median, "spans"),),
        tests=tests,
        rejected=rejected,
        fixes=FIXES,
    )
