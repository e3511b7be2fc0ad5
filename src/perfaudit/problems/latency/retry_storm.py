"""Retry storm: failed calls are repeated so often that the repeats are the load, and the load makes calls fail.

What it sees
------------
A logical call is made as several attempts. Attempts rose with the failures, requests did not; the callee takes longer, or still works on calls
whose caller has given up; and the repeats carry more of what was added than the first calls do.

Why it hurts
------------
Retries multiply load exactly when there is no capacity for it, and on every hop again (three attempts on three hops are 27 calls). The overload feeds
itself: it stays after whatever began it is gone (Bronson et al. 2021, "Metastable Failures in Distributed Systems").

What it needs
-------------
Traces with a span per attempt (``http.request.resend_count``, or siblings that repeat a failed call); or the access logs of two tiers.

When it is wrong
----------------
More users are not retries: attempts per call stay at one. Polling, paging and hedging repeat calls that did not fail. Where every attempt fails alike and the callee
is as fast as before, the repeats are only noise over a defect: a bad deploy, or a dependency that is down.

What to try
-----------
Fewer attempts, on one hop only, after growing random pauses, within a budget (10–20 % of the calls), and a time limit above the callee's usual p99.
"""

import math

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Status, Test, Wanted
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.attempts import below
from perfaudit.paths.tracing import AFFECTED, REFERENCE
from perfaudit.problems._amplified import BUDGET, Amplified, amplified, overloaded, sides, two_tiers
from perfaudit.problems._calls import (
    AS_MANY,
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
    with_queues,
)
from perfaudit.problems._traced import TRACES, claim, compared

NEEDS = ("spans|requests",)
HELPS = ("spans", "requests", "events")
RIVALS = ("traffic-surge", "cascading-delay", "synchronous-dependency", "n-plus-one")
WANTED = (TRACES, Wanted("the access log of the service that is called", "grep -n access_log /etc/nginx/nginx.conf  # of the inner tier, with times and status", "shows how many calls arrive for each request of users"))

#: A ratio that is shown is not larger: the denominator may be nothing.
MOST = 1_000.0

FIXES = (
    Fix("Bound the retries: at most one, on one hop, within a budget of 10–20 % of the calls", "takes the repeats off the callee, which is what keeps it overloaded", "low", "low", "a setting of most clients and meshes", True, "restore the old policy", "attempts per call under 1.2 while calls fail"),
    Fix("Wait a growing random time before a repeat, and set the time limit above the callee's p99", "repeats neither come together nor give up on calls that would have been answered", "low", "low", "single requests may take longer before they fail", True, "restore the old limits", "the callee finishes no calls that nobody waits for"),
    Fix("Let the callee turn calls away early when its queue is full, and mark such answers as not to be retried", "it keeps its goodput under overload", "medium", "low", "needs a change at the callee and that callers obey", True, "remove the limit", "successful calls a second stay level while offered calls rise"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Are calls repeated beyond a budget, and do the repeats hurt more than the first calls?"""
    if account.tracing is None or not account.tracing.count(AFFECTED):
        return two_tiers(evidence, account, FIXES) or Outcome.no_evidence("no traces lie in the affected window, and no two logs show both sides of a call", *WANTED)
    seen = picture(account)
    if seen is None:
        return Outcome.clear("the traces hold no call to another service")
    zone = account.tracing.zone[seen.hops.call]
    most: Amplified | None = None
    for code in np.unique(seen.hops.callee[zone == AFFECTED]).tolist():
        found = amplified(seen, seen.hops.callee == code, seen.hops.names[code])
        if most is None or found.repeats > most.repeats:
            most = found
    if most is None or most.attempts[1] <= BUDGET:
        return Outcome.clear(f"a call to {most.name} takes {most.attempts[0]:.2f} attempts (interval from {most.attempts[1]:.2f}); {BUDGET} are within a budget" if most else "no call lies in the affected window")
    before = compared(account)
    if before and most.before is not None and most.attempts[1] <= most.before[2]:
        return Outcome.clear(f"a call to {most.name} takes {most.attempts[0]:.2f} attempts, and {most.before[0]:.2f} in the reference: as many as ever")
    return _storm(account, seen, most, calls_to(seen, most.to, most.name), before)


def _storm(account: TimeAccount, seen: Picture, most: Amplified, calls: Calls, before: bool) -> Outcome:
    tracing, name = seen.tracing, most.name
    repeated, first = sides(seen, most, calls)
    if not before:
        repeated = float(tracing.seconds(tracing.on_path, AFFECTED, seen.again & below(tracing, calls.calls)).seconds)
    total, failed = account.seconds or seen.seconds, account.failed_beyond / max(account.count, 1)
    if repeated < RELEVANT * total and failed < RELEVANT:
        return Outcome.clear(f"a call to {name} takes {most.attempts[0]:.2f} attempts, but repeats own {repeated / max(total, 1e-9):.2%} of the time and requests succeed")
    more = rounded(min(repeated / max(first, 1e-9), MOST)) if before else None
    over, why = overloaded(seen, most)
    offered = most.attempts[0] * calls.more * arrivals(account) / (most.before[0] if most.before else math.nan)
    logical = calls.more * arrivals(account)
    tests = (
        Test(f"attempts for each call to {name}", round(most.attempts[0], 3), f"lower end of its interval ({most.attempts[1]:.2f}) > {BUDGET}", True),
        Test("attempts a second, affected over reference", rounded(offered), f"≥ {BUDGET}", None if math.isnan(offered) else offered >= BUDGET),
        Test(f"{name} under the repeats", why, "takes longer, or works on for callers that gave up", over),
        Test("seconds added by repeats and their queue over those added by first calls", more, "≥ 1", None if more is None else more >= 1),
        *unbiased(tracing),
    )
    rivals = (
        Test("calls a second without the repeats, affected over reference", rounded(logical), f"≤ {AS_MANY}", None if math.isnan(logical) else logical <= AS_MANY, "traffic-surge"),
        Test("seconds added by repeats and their queue over those added by first calls", more, "≥ 1", None if more is None else more >= 1, "cascading-delay"),
        Test("calls per request without the repeats, affected over reference", rounded(calls.more), f"≤ {AS_MANY}", None if math.isnan(calls.more) else calls.more <= AS_MANY, "synchronous-dependency"),
        Test("repeats that follow a failed attempt", round(most.failed_before, 3), "≥ 0.5: paging, polling and hedging repeat what did not fail", most.failed_before >= 0.5, "n-plus-one"),
    )
    owned = claim(account, calls.calls if before else seen.again & below(tracing, calls.calls), tracing.under if before else None, "traces: critical path below the calls, repeats included", shown(account, tracing, most.mask, "count(*) AS attempts, count(*) FILTER (status = 'error') AS failed, count(DISTINCT trace_id) AS requests"))
    n = int((most.mask & (tracing.zone == AFFECTED)).sum())
    measured = Measurement(most.attempts[0], "attempts per call", most.attempts[1:], n=n, method="ratio over traces", query=owned.share.query)
    exhibits = [Exhibit(f"attempts for each call to {name}", measured, "spans")]
    if most.before:
        exhibits.append(Exhibit("the same in the reference", Measurement(most.before[0], "attempts per call", most.before[1:], n=int((most.mask & (tracing.zone == REFERENCE)).sum()), method="ratio over traces"), "spans"))
    waited, gap, explains = with_queues(account, tracing, calls) if before else (0.0, 0.0, None)
    held = waited + gap > RELEVANT * max(account.added_seconds, 1e-9)
    finding = Finding(
        "retry-storm",
        f"Each call to {name} is made {most.attempts[0]:.1f} times, and the repeats overload it" if over is not False else f"Each failing call to {name} is repeated: {most.attempts[0]:.1f} attempts",
        {"service": [*calls.callers, name], **({"route": owned.scope_route} if owned.routes else {})},
        owned.share,
        owned.added.seconds,
        explains,
        ("retries", *rows_of(account, name), *(queues(account) if held else ())),
        mechanism=f"failed calls to {name} are repeated, {why}; the repeats are {1 - 1 / most.attempts[0]:.0%} of the load on it",
        cause="a retry policy without a bound that fits the callee's capacity",
        evidence=tuple(exhibits),
        tests=tests,
        rejected=rivals,
        fixes=FIXES,
    )
    slow = more is not None and more < 1
    if over is False or slow:
        parents = ("cascading-delay", "deploy-regression") if slow else ("deploy-regression", "cascading-delay")
        symptom = finding.with_(type="symptom", parents=parents, cause=f"{name} became slow by itself" if slow else "what is asked fails on every attempt")
        return Outcome(Status.SYMPTOM, symptom.title, (symptom,))
    return Outcome.problem(finding)
