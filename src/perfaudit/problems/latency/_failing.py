"""A dependency that began to fail: do its failures go with those of the requests, and are they its own?"""

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.baseline.trigger import CHANGES, candidates
from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.kernels.trace_trees import subtree_sums
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Status, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.tracing import AFFECTED, REFERENCE
from perfaudit.problems import names
from perfaudit.problems._amplified import BUDGET, amplified, overloaded
from perfaudit.problems._calls import Picture, shown
from perfaudit.stats.percentile import wilson

#: Failures of the calls must go with this share of the requests that failed beyond the reference.
CARRIES = 0.5
#: A repeat succeeds this rarely only where it is what is asked that fails, not who is asked; and so many repeats are needed to say so (0.05 of 10: p = 0.006 at 60 % failing).
SAME_AGAIN, REPEATS = 0.05, 10
#: Where nearly all calls fail, repeats tell nothing.
OUTAGE = 0.9

FIXES = (
    Fix("Answer without the dependency while it fails (circuit breaker with a cached or partial answer)", "requests succeed in part instead of failing", "medium", "medium", "a code path that must be right when the dependency is absent", True, "close the circuit", "error ratio of the route at the reference's while calls fail"),
    Fix("Take the failing operation, its status and since when to the owner of the dependency", "removes the cause", "low", "low", "no change here", True, "none needed", "the calls' failure ratio is back inside the reference's interval"),
)


def failing(evidence: Evidence, account: TimeAccount, seen: Picture) -> Outcome | None:
    """The finding for the dependency whose failures carry the requests'; None where none does."""
    tracing, found = seen.tracing, seen.hops
    beyond = account.failed_beyond
    if beyond < RELEVANT * max(account.count, 1):
        return None
    failed = _own_failures(seen)
    best: tuple[float, int] | None = None
    for code in sorted(set(np.unique(found.callee[failed]).tolist()) - found.front):
        failures = tracing.added(_failed_roots(seen, failed & (found.callee == code)))
        if failures.low > 0 and (best is None or failures.seconds > best[0]):
            best = failures.seconds, code
    if best is None or best[0] < CARRIES * beyond:
        return None
    carried, code = best
    name, to = found.names[code], found.callee == code
    zone = tracing.zone[found.call]
    counts = [(int((failed & to & (zone == z)).sum()), int((to & (zone == z)).sum())) for z in (AFFECTED, REFERENCE)]
    now, before = (wilson(*pair) for pair in counts)
    if now[0] <= before[1]:
        return None
    if amplified(seen, to, name).attempts[1] > BUDGET and overloaded(seen, amplified(seen, to, name))[0]:
        return Outcome.clear(f"calls to {name} fail under their repeats: the repeating is what hurts")
    callers = [found.names[c] for c in np.unique(found.caller[failed & to]).tolist() if c >= 0]
    by = names(callers) if callers else "its caller"
    refused = _refused(seen, failed & to)
    same = _same_again(seen, to)
    changed = [e for e in candidates(evidence, account.windows) if e.kind in CHANGES and e.service != name]
    theirs = refused or same is True or bool(changed)
    query = shown(account, tracing, found.spans(to, len(tracing.traces)), "count(*) FILTER (status = 'error') / count(*) AS failed, count(*) AS calls")
    share = Measurement(min(1.0, carried / max(account.count, 1)), "share of requests that failed beyond the reference", n=tracing.count(AFFECTED), method="traces: failed roots above failed calls", query=query)
    ratio = Measurement(counts[0][0] / max(1, counts[0][1]), "share", now, n=counts[0][1], method="Wilson", query=query)
    finding = Finding(
        "cascading-delay",
        f"{name} fails, and {by} with it: {counts[0][0]} of {counts[0][1]} traced calls fail",
        {"service": [name, *callers]},
        share,
        max(0.0, account.added_seconds),
        min(1.0, carried / beyond),
        mechanism=f"{by} fails where its call to {name} fails",
        cause=f"{name} began to fail",
        evidence=(Exhibit(f"failed calls to {name}", ratio, "spans"),),
        tests=(Test("share of the added failures that lie above failed calls", round(carried / beyond, 3), f"≥ {CARRIES}", True), Test("failed calls, affected against reference", f"{counts[0][0]}/{counts[0][1]} against {counts[1][0]}/{counts[1][1]}", "intervals apart", True)),
        rejected=(
            Test("changes of another service in the interval of the onset", len(changed), "none", not changed, "deploy-regression"),
            Test("failed calls are answered as the caller's fault (4xx)", str(refused).lower(), "false", not refused, "deploy-regression"),
            Test("a repeated call fails again", None if same is None else str(same).lower(), "false: another try may succeed", None if same is None else not same, "deploy-regression"),
        ),
        fixes=FIXES,
    )
    if theirs:
        symptom = finding.with_(type="symptom", parents=("deploy-regression",), cause="what is asked changed, not who is asked")
        return Outcome(Status.SYMPTOM, symptom.title, (symptom,))
    return Outcome.problem(finding)


def _own_failures(seen: Picture) -> Any:
    """Calls that failed with no failed call below them, bool over the calls."""
    tracing, call = seen.tracing, seen.hops.call
    failed = tracing.failed[call]
    answered = seen.hops.entry >= 0
    failed = failed | answered & tracing.failed[seen.hops.entry]
    values = np.zeros(len(tracing.traces), np.int64)
    values[call] = failed
    own = values.copy()
    subtree_sums(tracing.traces.parent, values, np.zeros(len(values), np.int32), np.empty(len(values), np.int32))
    return failed & ((values - own)[call] == 0)


def _failed_roots(seen: Picture, calls: Any) -> Any:
    """A million at each failed root above one of the calls, 0 elsewhere: sums of it in seconds count requests."""
    tracing = seen.tracing
    out = np.zeros(len(tracing.traces))
    root = np.unique(tracing.root[seen.hops.call[calls]])
    out[root[tracing.failed[root]]] = 1e6
    return out


def _refused(seen: Picture, failed: Any) -> bool:
    """Whether most failures say that the caller asks wrongly (4xx but time-outs and throttling)."""
    status = seen.tracing.number("http_status")[seen.hops.call[failed]]
    blamed = (status >= 400) & (status < 500) & (status != 408) & (status != 429)
    return bool(len(status)) and float(np.mean(blamed)) > 0.5


def _same_again(seen: Picture, to: Any) -> bool | None:
    """Whether repeats of failed calls fail as surely as the calls did; None where too few were repeated or all fail."""
    tracing, call = seen.tracing, seen.hops.call
    now = to & (tracing.zone[call] == AFFECTED)
    again, first = call[now & seen.attempts.again[call]], call[now & ~seen.attempts.again[call]]
    if len(again) < REPEATS or not len(first) or float(np.mean(tracing.failed[first])) > OUTAGE:
        return None
    return float(np.mean(~tracing.failed[again])) <= SAME_AGAIN
