"""Synchronous dependency: requests wait in line for calls that are as fast as ever, and need not wait for them like this.

What it sees
------------
A call whose own time did not change, but that requests did not wait for before: it is new, or it was made beside other work. Or calls to several services one
after the other, in an order that differs from request to request, so that none needs another's answer. Or a time limit shorter than the callee takes: the caller
gives up on calls that are answered after it has gone.

Why it hurts
------------
Every call in line adds its latency, its tail and its failures to the request: five calls in line that are each slow once in a hundred make one request in
twenty slow.

What it needs
-------------
Traces. For new calls, of a calm time as well; for the order of calls, some dozens of requests that make both.

When it is wrong
----------------
Where the later call needs what the earlier one answered, they cannot be made at once, whatever their order in other requests. A call that became slow, repeated calls, and a
call for each row of a result are other problems. A system that always was like this, in a constant order, is no finding: it is where time goes.

What to try
-----------
Make the call after the answer (a queue), or beside other work; ask at once what does not depend on each other; leave out what the answer does not show.
"""


import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.tracing import AFFECTED
from perfaudit.problems._calls import SLOWER, Calls, Picture, calls_to, picture, queues, rounded, rows_of, shown, unbiased, with_queues
from perfaudit.problems._traced import TRACES, claim, compared
from perfaudit.problems.architecture._added import IN_LINE, NEW, new_calls, times
from perfaudit.problems.architecture._in_line import in_any_order, too_early

NEEDS = ("spans",)
HELPS = ("requests", "events")
RIVALS = ("cascading-delay", "retry-storm", "n-plus-one")
WANTED = (TRACES,)

#: More new calls to one endpoint in a request are a loop over something.
LOOP = 4.0
#: The new calls must carry this share of what was added, or something else is the reason.
CARRIES = 0.5

FIXES = (
    Fix("Make the call after the answer (a queue or a background task) if the answer does not show its result", "the whole call leaves the request", "medium", "medium", "what is queued may be lost or late: decide whether that is allowed", True, "call in line again", "no time of the request lies below the call, p95 of the route is back"),
    Fix("Start the call early and wait for it late, beside the other work", "the request takes the longer of the two instead of their sum", "medium", "low", "both must be independent", True, "call in line again", "the time of the request below the call falls to what is left over"),
    Fix("Ask rarely: cache the answer, or ask for many at once", "most requests do without the call", "medium", "medium", "staleness must be acceptable", True, "turn the cache off", "calls per request fall"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Is there a call in line that is new, could be parallel, or is given up too early, and not slower than it was?"""
    tracing = account.tracing
    if tracing is None or not tracing.count(AFFECTED):
        return Outcome.no_evidence("no traces lie in the affected window", TRACES)
    seen = picture(account)
    if seen is None:
        return Outcome.clear("the traces hold no call to another service")
    total = account.seconds or seen.seconds
    new = new_calls(seen) if compared(account) else None
    if new is not None and new.added.seconds >= RELEVANT * total:
        found = _judged(account, seen, new)
        if found is not None:
            return found
    return in_any_order(account, seen, FIXES) or too_early(account, seen) or Outcome.clear("requests wait for no call that is new, could be made beside another, or is given up before it is answered")


def _judged(account: TimeAccount, seen: Picture, new: Calls) -> Outcome | None:
    tracing, found = seen.tracing, seen.hops
    whole = max(tracing.added(tracing.on_path).seconds, new.added.seconds, 1e-9)
    waited, gap, explains = with_queues(account, tracing, new)
    carries = new.added.seconds / max(whole - waited, new.added.seconds)
    slow = new.became_slow
    if slow is None:  # a new endpoint: the callee's others tell whether it became slow
        others = calls_to(seen, (found.callee == found.names.index(new.name)) & ~np.isin(found.call, np.flatnonzero(new.calls)), new.name)
        slow, ratio = others.became_slow, others.ratio
    else:
        ratio = new.ratio
    first = new.added.seconds - new.again.seconds
    often = times(seen, new)
    if slow or carries < CARRIES or new.waiting[0] < IN_LINE or often >= LOOP or new.again.seconds > first:
        return None
    what = found.endpoints[found.endpoint[np.isin(found.call, np.flatnonzero(new.calls))][0]]
    n = int((new.first & (tracing.zone == AFFECTED)).sum())
    is_new = new.per_request[1] <= NEW * new.per_request[0]
    query = shown(account, tracing, new.calls, "count(*) AS calls, count(DISTINCT trace_id) AS requests, avg(duration_us) / 1e3 AS mean_ms")
    owned = claim(account, new.calls, tracing.under, "traces: critical path below the calls", query)
    tests = (
        Test("calls per request that makes them, affected and reference", f"{new.per_request[0]:.2f} and {new.per_request[1]:.2f}", f"reference ≤ {NEW} of it, or it waited for half of the call at most", True, query=query),
        Test("share of the call's time that requests wait for", round(new.waiting[0], 3), f"≥ {IN_LINE}", True),
        Test("request-seconds saved without the call, lower end of the interval", round(owned.added.low, 2), "> 0", owned.added.low > 0),
        Test("share of what was added outside of queues that lies below these calls", round(carries, 3), f"≥ {CARRIES}", True),
        *unbiased(tracing),
    )
    rivals = (
        Test(f"mean of a call to {new.name}, affected over reference", rounded(ratio), f"< {SLOWER}", None if slow is None else not slow, "cascading-delay"),
        Test("seconds added by repeats over those added by first calls", round(max(0.0, new.again.seconds) / max(first, 1e-9), 3), "< 1", True, "retry-storm"),
        Test("calls in a request that makes any", round(often, 2), f"< {LOOP:.0f}", True, "n-plus-one"),
    )
    return Outcome.problem(
        Finding(
            "synchronous-dependency",
            f"{new.by} waits in line for {what or 'a call'} of {new.name}, {'which is new' if is_new else 'which it made beside other work before'}: {new.mean_ms[0]:,.0f} ms each",
            {"service": [new.name, *new.callers], **({"route": owned.scope_route} if owned.routes else {})},
            owned.share,
            owned.added.seconds,
            explains,
            (*rows_of(account, new.name), *(queues(account) if waited + gap > RELEVANT * whole else ())),
            mechanism=f"{new.by} answers only after {new.name} has; {new.name} is as fast as before",
            cause="a call was added to the request's path" if is_new else "a call was moved onto the request's path",
            evidence=(
                Exhibit(f"mean of the call to {new.name}", Measurement(new.mean_ms[0], "ms", n=n, method="mean of the calls in the affected window's traces", query=query), "spans"),
                Exhibit("such calls per request", Measurement(new.per_request[0], "calls", n=n, method="mean over the routes that make them", query=query), "spans"),
            ),
            tests=tests,
            rejected=rivals,
            fixes=FIXES,
        )
    )
