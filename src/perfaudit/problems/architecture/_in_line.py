"""Calls that need not be in line: siblings in any order, and calls that are given up before they are answered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import quote
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.tracing import AFFECTED, REFERENCE
from perfaudit.problems import names
from perfaudit.problems._amplified import BUDGET, CONSTANT, amplified, given_up
from perfaudit.problems._calls import SLOWER, Picture, calls_to, rows_of, shown
from perfaudit.problems._traced import claim, compared, of_spans
from perfaudit.stats.percentile import wilson

#: The rarer order of two calls must be seen in this share of the requests, by the lower end of its interval: clocks and races swap neighbours now and then.
EITHER = 0.05
#: Between two calls that wait for nothing of each other lies next to no work: this share of both at most.
BETWEEN = 0.2
#: Siblings further apart than this are not compared (a request with more calls in line is a loop).
NEIGHBOURS = 8
#: In a system that always was like this, so much of the time must be saved before it is called a problem (verdict.decide: less is where time goes by design).
STEADY = 0.10
#: So many calls that are given up make a limit plain (their middle half within CONSTANT of the median).
LIMITS = 10

RAISE = Fix("Set the caller's time limit above the callee's p99, and that of each outer hop above the inner's limit times its attempts", "calls that are answered are waited for", "low", "low", "a setting; slow calls hold a worker longer", True, "restore the limit", "no answering span outlasts its call")


def in_any_order(account: TimeAccount, seen: Picture, fixes: tuple[Fix, ...]) -> Outcome | None:
    """Calls to different endpoints that requests make one after the other, in either order; None where there are none that matter."""
    pairs = _pairs(seen)
    if not pairs:
        return None
    tracing, found = seen.tracing, seen.hops
    group = _group(pairs)
    key = keys(seen)
    inside = np.isin(key, sorted(group)) & (tracing.under[found.call] > 0)
    saved = found.spans(inside & ~_longest(seen, inside), len(tracing.traces))
    share_of = sorted({found.names[int(k) // len(found.endpoints)] for k in group})
    callers = sorted({found.names[c] for c in np.unique(found.caller[inside]).tolist() if c >= 0})
    first, second, rare, often, gap = max(pairs, key=lambda p: (p[2], p[3], -p[0], -p[1]))
    asked = [f"{found.endpoints[k % len(found.endpoints)]} of {found.names[k // len(found.endpoints)]}" for k in (first, second)]
    query = shown(account, tracing, found.spans(inside, len(tracing.traces)), "operation, route, count(*) AS calls, avg(duration_us) / 1e3 AS mean_ms") + " GROUP BY ALL ORDER BY ALL"
    owned = claim(account, saved, tracing.under, "traces: sum of the calls less the longest", query)
    total = account.seconds or seen.seconds
    bar = RELEVANT if compared(account) else STEADY
    if owned.added.low <= 0 or owned.added.seconds < bar * total:
        return None
    low = wilson(rare, rare + often)[0]
    tests = (
        Test("share of requests in which the two come in the rarer order", round(rare / (rare + often), 3), f"lower end of its interval ({low:.2f}) ≥ {EITHER}", True, query=query),
        Test("work between the two calls over their time", round(gap, 3), f"≤ {BETWEEN}", True),
        Test("request-seconds saved by making them at once, lower end of the interval", round(owned.added.low, 2), f"≥ 0, and in all {bar:.0%} of the time", True),
    )
    rivals = (Test("endpoints in the group", len(group), "≥ 2 different ones, each called once", len(group) >= 2, "n-plus-one"),)
    measured = Measurement(rare / (rare + often), "share", wilson(rare, rare + often), n=rare + often, method="Wilson", query=query)
    return Outcome.problem(
        Finding(
            "synchronous-dependency",
            f"{names(callers or ['a service'])} makes {len(group)} calls one after the other that need nothing of each other",
            {"service": [*share_of, *callers], **({"route": owned.scope_route} if owned.routes else {})},
            owned.share,
            owned.added.seconds,
            owned.explains,
            tuple(row for name in share_of for row in rows_of(account, name)),
            mechanism=f"{asked[0]} and {asked[1]} are called in line, in either order: neither needs the other's answer",
            cause="independent calls are made in line",
            evidence=(Exhibit("requests in which the two calls come in the rarer order", measured, "spans"),),
            tests=tests,
            rejected=rivals,
            fixes=(fixes[1], fixes[0]),
        )
    )


def keys(seen: Picture) -> Any:
    """Callee and endpoint of each call as one number."""
    return seen.hops.callee.astype(np.int64) * len(seen.hops.endpoints) + seen.hops.endpoint


def _pairs(seen: Picture) -> list[tuple[int, int, int, int, float]]:
    """Two keys that follow each other in either order under one parent: keys, counts of the rarer and the commoner order, median share of work between."""
    tracing, found, key = seen.tracing, seen.hops, keys(seen)
    parent = tracing.traces.parent[found.call]
    used = np.flatnonzero((parent >= 0) & (tracing.zone[found.call] == AFFECTED) & ~seen.again[found.call] & (tracing.under[found.call] > 0))
    _, place, times = np.unique(np.stack([parent[used].astype(np.int64), key[used]]), axis=1, return_inverse=True, return_counts=True)
    used = used[times[place.ravel()] == 1]
    used = used[np.lexsort((tracing.traces.start[found.call[used]], parent[used]))]
    seen_orders: dict[tuple[int, int], list[list[float]]] = {}
    for step in range(1, NEIGHBOURS):
        a, b = used[:-step], used[step:]
        end, start = tracing.traces.end[found.call[a]], tracing.traces.start[found.call[b]]
        near = (parent[a] == parent[b]) & (start >= end)
        a, b, between = a[near], b[near], (start - end)[near]
        both = tracing.took[found.call[a]] + tracing.took[found.call[b]]
        for x, y, gap in zip(key[a].tolist(), key[b].tolist(), (between / np.maximum(both, 1) if step == 1 else np.zeros(len(a))).tolist(), strict=True):
            seen_orders.setdefault((min(x, y), max(x, y)), [[], []])[int(x > y)].append(gap)
    out = []
    for (x, y), orders in sorted(seen_orders.items()):
        rare, often = sorted(len(o) for o in orders)
        gap = float(np.median(orders[0] + orders[1]))
        if wilson(rare, rare + often)[0] >= EITHER and gap <= BETWEEN:
            out.append((x, y, rare, often, gap))
    return out


def _group(pairs: list[tuple[int, int, int, int, float]]) -> set[int]:
    """Keys that come in either order with all others of the group, grown from the commonest pair."""
    free = {frozenset(p[:2]) for p in pairs}
    x, y, *_ = max(pairs, key=lambda p: (p[2] + p[3], -p[0], -p[1]))
    group = {x, y}
    for key in sorted({k for p in pairs for k in p[:2]} - group):
        if all(frozenset((key, other)) in free for other in group):
            group.add(key)
    return group


def _longest(seen: Picture, inside: Any) -> Any:
    """Of the calls ``inside`` the one with the most time on the path under each parent, bool over the calls."""
    tracing, call = seen.tracing, seen.hops.call
    at = np.flatnonzero(inside)
    order = at[np.lexsort((tracing.under[call[at]], tracing.traces.parent[call[at]]))]
    above = tracing.traces.parent[call[order]]
    out = np.zeros(len(call), bool)
    out[order[np.append(above[1:] != above[:-1], True)] if len(order) else order] = True
    return out


def too_early(account: TimeAccount, seen: Picture) -> Outcome | None:
    """Calls that are given up after a constant time while the callee, as fast as before, still works on them; None where there are none that matter."""
    tracing, found = seen.tracing, seen.hops
    if not compared(account) or account.failed_beyond < RELEVANT * max(account.count, 1):
        return None
    left = given_up(seen) & (tracing.zone[found.call] == AFFECTED)
    callee, count = np.unique(found.callee[left], return_counts=True)
    if not len(callee) or count.max() < LIMITS:
        return None
    to = found.callee == callee[np.argmax(count)]
    name, took = found.names[int(callee[np.argmax(count)])], tracing.took[found.call[left & to]]
    low, limit, high = (float(q) for q in np.quantile(took, (0.25, 0.5, 0.75)))
    entries = [found.entry[to & (tracing.zone[found.call] == z) & (found.entry >= 0)] for z in (AFFECTED, REFERENCE)]
    if min(len(e) for e in entries) < LIMITS or high - low > CONSTANT * limit:
        return None
    ratio = float(tracing.took[entries[0]].mean() / max(1.0, tracing.took[entries[1]].mean()))
    again = amplified(seen, to, name).attempts
    failed = np.zeros(len(tracing.traces))
    failed[np.unique(tracing.root[found.call[given_up(seen) & to]])] = 1e6
    lost = tracing.added(np.where(tracing.failed, failed, 0.0))
    if ratio >= SLOWER or again[1] > BUDGET or lost.low <= 0 or lost.seconds < RELEVANT * account.count or math.isnan(ratio):
        return None
    calls = calls_to(seen, to, name)
    query = of_spans(account, f"service = {quote(name)} AND kind = 'server'", "quantile_disc(duration_us, 0.95) / 1e3 AS p95_ms, count(*) AS calls")
    share = Measurement(min(1.0, lost.seconds / account.count), "share of requests that failed beyond the reference", n=tracing.count(AFFECTED), method="traces: failed roots above calls that were given up", query=query)
    tests = (
        Test("calls that the callee still worked on when they were given up", int((left & to).sum()), f"≥ {LIMITS}", True, query=query),
        Test("middle half of their durations over the median", round((high - low) / limit, 3), f"≤ {CONSTANT}: a time limit", True),
    )
    rivals = (
        Test(f"own time of {name} for a call, affected over reference", round(ratio, 3), f"< {SLOWER}", True, "cascading-delay"),
        Test("attempts for each call", round(again[0], 3), f"lower end of its interval ≤ {BUDGET}", True, "retry-storm"),
    )
    return Outcome.problem(
        Finding(
            "synchronous-dependency",
            f"{calls.by} gives up on {name} after {limit / 1e3:,.0f} ms, which is less than {name} takes",
            {"service": [name, *calls.callers]},
            share,
            max(0.0, account.added_seconds),
            min(1.0, lost.seconds / account.failed_beyond),
            mechanism="the time limit of the call is shorter than the work that it waits for: the work is done, and nobody takes it",
            cause="time limits that nest wrongly",
            evidence=(Exhibit("calls are given up after", Measurement(limit / 1e3, "ms", (low / 1e3, high / 1e3), n=len(took), method="median and quartiles of the calls that were given up", query=query), "spans"),),
            tests=tests,
            rejected=rivals,
            fixes=(RAISE,),
        )
    )
