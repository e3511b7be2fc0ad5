"""N plus one: one call for each row of an earlier statement, one after the other.

What it sees
------------
Within a request one statement (or one call of a cache or another service) is repeated, each time after the one before has ended, and it is repeated as often
as an earlier statement gave rows: calls = a + b · rows with b ≈ 1.

Why it hurts
------------
Every call pays a round trip, a place in the pool and a plan. A request gets slower with every row that somebody adds, while each single statement looks
fast, so that no list of slow statements shows it.

What it needs
-------------
Traces with database spans. Where they say how many rows a statement returned (``db.response.returned_rows``), the slope decides, even without a reference.
Without rows it is a *candidate*: the counts vary with the request, and requests of the reference called it less often. So it is from counters of statements
beside an access log: one statement runs as often as another gives rows.

When it is wrong
----------------
A loop of a fixed length, pages of one result, batches, a fan-out that runs at once, attempts after a failure and the same question asked again look alike; each
is told by what its calls go with. The parameters of a call are not kept, so that the last is told from this only by rows.

What to try
-----------
Ask once for all keys (a join, or ``= any(…)``), or let the mapper load the relation with its parent. Then look at the calls per request again.
"""

from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.repeats import Loop, loops
from perfaudit.paths.tracing import AFFECTED, Tracing
from perfaudit.problems._traced import TRACES, Claim, caller, claim, compared, of_spans
from perfaudit.problems.database import _loops
from perfaudit.problems.database._loop_counters import ALIKE, look
from perfaudit.problems.database._loops import FITS, IN_TURN, LEAST_SLOPE, Judged, judge, told

NEEDS = ("spans|statements",)
HELPS = ("requests",)
RIVALS = ("missing-index", "pool-exhaustion", "synchronous-dependency", "retry-storm")
WANTED = (TRACES,)

#: A call that takes this many times as long as in the reference is slow by itself, and its number is not the whole story.
SLOWER = 2.0
#: Waits for a connection may be this share of the calls' own time before the pool is a rival.
POOLED = 0.5

FIXES = (
    Fix("Ask once for all keys of the first statement: a join, or one statement with a list of keys (= any(…), in (…))", "the calls of a request fall from one a row to one", "low", "low", "a change of one query; the rows are the same", True, "go back to the loop", "calls of the statement per request are constant, whatever the rows"),
    Fix("Let the mapper load the relation together with its parent (eager loading, a data loader that batches)", "one call a relation instead of one a row", "low", "medium", "may load rows that some callers do not read", True, "load on demand again", "calls of the statement per request are constant"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Does a statement run once for each row of an earlier one, and does that own time?"""
    tracing = account.tracing
    if tracing is None or not tracing.count(AFFECTED):
        return _counted(evidence, account)
    seen, said = loops(tracing)
    if not seen:
        return Outcome.clear("no request repeats a call")
    drivers = {code: (tracing.texts("statement", [first])[0] or tracing.texts("operation", [first])[0]) for code in {c for loop in seen for c in loop.drivers} for first in [int(np.argmax(said == code))]}
    judged = [(loop, judge(loop, tracing, drivers)) for loop in seen]
    real = [(loop, found) for loop, found in judged if found.kind]
    if not real:
        return Outcome.clear(f"{told(tracing, seen[0])[:80]}: {judged[0][1].reason}")
    main, found = max(real, key=lambda pair: (pair[0].seconds, pair[1].kind))
    mine = [loop for loop, _ in real if np.array_equal(loop.entries, main.entries)]
    where, values = _loops.spared(tracing, mine)
    claimed = claim(account, where, values, "traces: critical path of the calls, less one a request", of_spans(account, _loops.condition(tracing, main), "count(*) / count(DISTINCT trace_id) AS calls_per_trace"))
    if float(claimed.share.value or 0) < RELEVANT:
        before = " more than in the reference" if compared(account) else ""
        return Outcome.clear(f"{told(tracing, main)[:80]} runs once a row, but its calls own {float(claimed.share.value or 0):.2%} of the time{before}")
    return Outcome.problem(_finding(tracing, main, found, claimed, where, drivers))


def _counted(evidence: Evidence, account: TimeAccount) -> Outcome:
    found = look(evidence, account) if evidence.has("statements") else "no trace lies in the affected window"
    if isinstance(found, str):
        return Outcome.no_evidence(found, *WANTED)
    lost = max(0.0, found.seconds - found.before) * account.windows.affected.seconds
    share = Measurement(min(1.0, lost / account.seconds), "share of request-seconds", n=account.count, method="counters of statements: time of the calls beyond the reference's", query=found.query)
    return Outcome.problem(
        Finding(
            "n-plus-one",
            f"{found.route}: {found.per_request:.0f} calls of one statement a request, a candidate for one a row",
            {"service": caller(account) or list(account.tiers.outermost), "route": found.route, "statement": found.statement},
            share,
            lost,
            mechanism=f"{found.statement[:120]} runs as often as {found.driver[:80]} gives rows",
            cause="the application asks row by row for what one statement could give",
            evidence=(Exhibit(f"{found.per_request:.0f} calls for each request of {found.route}", Measurement(found.per_request, "calls per request", n=account.count, method="counters over requests", query=found.query), "statements"),),
            tests=(
                Test("calls per row of another statement", round(found.per_row, 3), f"{ALIKE[0]}–{ALIKE[1]}", True, query=found.query),
                Test("calls that follow the one before", None, f"≥ {IN_TURN}", None),
                Test("calls per row of an earlier statement, request by request", None, f"lower end of the interval ≥ {LEAST_SLOPE}", None),
            ),
            rejected=tuple(Test("traces of the requests", None, "needed to tell", None, rival) for rival in ("pool-exhaustion", "synchronous-dependency", "retry-storm")),
            fixes=FIXES,
        )
    )


def _finding(tracing: Tracing, loop: Loop, found: Judged, claimed: Claim, where: Any, drivers: dict[int, str]) -> Finding:
    text = told(tracing, loop)
    statement = tracing.texts("statement", loop.spans[:1])[0]
    ran = loop.counts[loop.counts > 0]
    caller = tracing.texts("service", loop.entries[:1])[0]
    whom, names = tracing.dependency
    code = int(whom[loop.spans[0]])
    called = names[code] if code >= 0 else tracing.texts("peer", loop.spans[:1])[0].rpartition("/")[2]
    scope: dict[str, str | list[str]] = {"service": [caller, called] if called and called != caller else caller}
    if claimed.scope_route:
        scope["route"] = claimed.scope_route
    if statement:
        scope["statement"] = statement
    slope = found.slope
    driver = drivers.get(slope.driver, "") if slope else ""
    per = Measurement(float(ran.mean()), "calls per request", (float(np.quantile(ran, 0.025)), float(np.quantile(ran, 0.975))), n=len(ran), method="calls of one request, with the range of 95 % of the requests", query=claimed.share.query)
    exhibits = [Exhibit(f"{text[:160]}: {ran.mean():.0f} calls a request, one after the other", per, "spans")]
    if slope:
        line = Measurement(slope.b, "calls per row", (slope.low, slope.high), n=slope.n, method="least squares, requests resampled", query=claimed.share.query)
        exhibits.append(Exhibit(f"as many as rows of: {driver[:160]}", line, "spans"))
    slow = _loops.slower(tracing, loop)
    tests = (
        Test("calls per row of an earlier statement", round(slope.b, 3) if slope else None, f"lower end of the interval ≥ {LEAST_SLOPE}", slope is not None or None),
        Test("variance of the calls that the rows explain", round(slope.fit, 3) if slope else None, f"≥ {FITS}", slope is not None or None),
        Test("calls that follow the one before", round(loop.in_turn, 3), f"≥ {IN_TURN}", True),
        Test("calls per request in the reference", round(float(loop.before.mean()), 2) if len(loop.before) else None, "less than half", bool(loop.before.mean() < ran.mean() / 2) or None if len(loop.before) else None),
        Test("share of the time that the calls own", round(float(claimed.share.value or 0), 4), f"≥ {RELEVANT:.0%}", True),
    )
    pooled = _loops.pool_share(tracing, loop, where)
    rejected = (
        Test("time of one call, affected over reference", slow and round(slow, 2), f"< {SLOWER}", None if slow is None else slow < SLOWER or None, "missing-index"),
        Test("wait for a connection over the calls' time", round(pooled, 3), f"< {POOLED}", pooled < POOLED, "pool-exhaustion"),
        Test("calls that repeat a failed one", 0, "none: such calls are not counted", True, "retry-storm"),
        Test("calls that the rows of an earlier statement decide", round(slope.fit, 3) if slope else None, f"≥ {FITS}: they ask in turn because they were asked in turn", True if slope else None, "synchronous-dependency"),
    )
    return Finding(
        "n-plus-one",
        f"{' and '.join(claimed.routes[:2]) or caller}: {ran.mean():.0f} calls of one statement a request" + (", one for each row" if slope else ", a candidate for one a row"),
        scope,
        claimed.share,
        max(0.0, claimed.added.seconds),
        claimed.explains,
        components=_loops.components(tracing, loop),
        mechanism=f"{text[:120]} runs {ran.mean():.0f} times in a request, each time after the one before" + (f", once for each row of {driver[:80]}" if driver else ""),
        cause="the application asks row by row for what one statement could give",
        evidence=tuple(exhibits),
        tests=tests,
        rejected=rejected,
        fixes=FIXES,
    )
