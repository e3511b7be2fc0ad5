"""Superlinear algorithm: work that grows faster than what it works on.

What it sees
------------
Requests of one kind with different sizes (rows that they read, bytes of their bodies, a number that their spans carry). Their own time grows as sizeᵏ with
k clearly above one, above a constant overhead that every request pays.

Why it hurts
------------
It works in tests, where lists are short. Twice the data is four times the time at k = 2, so that the largest customers wait longest, and growth of the data
slows the system without any change of code or traffic.

What it needs
-------------
Traces with a size (``db.response.returned_rows``, body sizes, a numeric attribute), or an access log with request times and bytes. Sizes must span a factor of
four. Own time of spans decides better than the whole duration of a request, in which the database and other services are mixed.

When it is wrong
----------------
One call a row (``n-plus-one``) grows in proportion, and so does a large answer that is merely written out. A cache or a memory limit that is passed makes a step. Sizes that
come with load (large requests at busy times) carry its queue with them.

What to try
-----------
Look at the loops of the named work: a search within a loop, a sum that starts again for every row, text that is put together piece by piece. An index by key, a running
total or a sort makes them k ≈ 1. Until then, limit the size (pages).
"""

from typing import Any

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test, Wanted
from perfaudit.paths.account import TimeAccount
from perfaudit.problems._load import ACCESS_LOG
from perfaudit.problems._traced import TRACES
from perfaudit.problems.architecture._growth import OWN, Claimed, claim_of, own_part, services_of
from perfaudit.problems.architecture._sizes import Sized, grows, in_flight, of_log, of_traces

NEEDS = ("requests|spans",)
HELPS = ("requests", "spans")
RIVALS = ("n-plus-one", "tail-under-concurrency", "memory-limit", "missing-index")
WANTED = (Wanted("sizes beside durations: rows per statement in traces, or bytes in the access log", f"{ACCESS_LOG.collect}  # or {TRACES.collect}", "shows whether the time of a request grows faster than its size"),)

#: A pass over n things that are sorted, n·log n, has a local exponent of 1.2 from 100 things on; above 1.5 it is more than that whatever the sizes.
STEEP, BEYOND = 1.5, 1.2
#: Beyond this exponent it is a step (a limit that was passed), not a law: a cube is the steepest loop in common code.
STEP = 3.5
#: A rank correlation of size and requests in flight above this mixes both (0.3² is a tenth of the variance).
ALONE = 0.3
#: The curve must explain this share of the variance of the logarithms.
FITS = 0.3

FIXES = (
    Fix("Replace the nested pass by one pass: an index by key (hash map), a running total, or a sort", "time per request grows in proportion to its size", "medium", "low", "same result; the profile of one large request shows the loop", True, "the old function behind a flag", "the exponent of own time over size falls to about 1"),
    Fix("Limit the size of one request (pages, a maximum) until then", "caps the time of the largest requests", "low", "medium", "callers must ask again for the rest", True, "lift the limit", "p99 of the route falls to the time of the limit"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Does own time grow faster than size, and does that own time that matters?"""
    tracing = account.tracing
    sized = list(of_traces(evidence, tracing)) if tracing is not None else []
    if account.requests is not None and account.seconds > 0:
        heavy = [row for row in account.routes if row.route and row.affected.seconds >= RELEVANT * account.seconds]
        growing = grows(evidence, account)
        sized += [found for row in heavy if (found := of_log(evidence, account, row, growing.get((row.method, row.route), []))) is not None]
        if not sized and growing:
            return Outcome.clear("no route takes longer for larger bodies")
    if not sized:
        sized_log = evidence.has("requests") and evidence.one("SELECT count(*) FROM requests WHERE response_bytes > 0 OR request_bytes > 0")[0]
        return Outcome.no_evidence("no kind of request has durations and sizes that span a factor of four", *(() if sized_log else WANTED))
    steep = [s for s in sized if s.found.low > BEYOND and s.found.k >= STEEP and s.found.fit >= FITS]
    for found, claimed in sorted(((s, claim_of(account, s)) for s in steep), key=lambda pair: (-pair[1].share, not pair[0].own)):
        if claimed.share >= RELEVANT and found.found.k <= STEP:
            return Outcome.problem(_finding(evidence, account, found, claimed))
    best = max(sized, key=lambda s: (s.found.low, s.found.k))
    where = best.route or best.operation
    if steep:
        return Outcome.clear(f"the time of {where} grows as {best.what} to the power of {best.found.k:.1f}, but that owns too little, is as it was in the reference, or is not its own time")
    return Outcome.clear(f"no own time grows clearly faster than size: steepest is {where}, {best.what} to the power of {best.found.k:.1f} ({best.found.low:.1f}–{best.found.high:.1f})")


def _finding(evidence: Evidence, account: TimeAccount, sized: Sized, claimed: Claimed) -> Finding:
    found = sized.found
    route: Any = (claimed.traces.scope_route if claimed.traces else "") or sized.route
    first = route if isinstance(route, str) else route[0]
    where = f"operation = {quote(sized.operation)}" if sized.own else f"route = {quote(first)}"
    query = f"SELECT {'request_bytes, response_bytes, rows' if sized.own else 'response_bytes'}, duration_us FROM {'spans' if sized.own else 'requests'} WHERE {where} AND {within(account.windows.affected)} ORDER BY duration_us DESC LIMIT 100"
    law = Measurement(found.k, f"exponent of own time over {sized.what}" if sized.own else f"exponent of the duration over {sized.what}", (found.low, found.high), n=found.n, method="least squares of logarithms over a constant base, requests resampled", query=query)
    with_load = in_flight(evidence, account, first) if account.requests is not None and evidence.bundle.rows("requests") else None
    tests = (
        Test("exponent of time over size", round(found.k, 2), f"interval above {STEEP}", found.low > STEEP or None, query=query),
        Test("lower end of its interval", round(found.low, 2), f"> {BEYOND}, the local exponent of n·log n", True),
        Test("variance that size explains", round(found.fit, 3), f"≥ {FITS}", True),
        Test("share of the time", round(claimed.share, 4), f"≥ {RELEVANT:.0%}", True),
    )
    told = account.tracing is not None and any(known and known[1] == sized.route for known in account.tracing.routes)
    own = True if sized.own or told else None
    rejected = (
        Test("part of the route's time that is own work", "own time" if sized.own else round(own_part(account, sized.route), 3) if told else None, f"≥ {OWN}", own, "n-plus-one"),
        Test("rank correlation of size and requests in flight", None if with_load is None else round(with_load, 2), f"within ± {ALONE}", None if with_load is None else abs(with_load) < ALONE or None, "tail-under-concurrency"),
        Test("exponent of time over size", round(found.high, 2), f"< {STEP}: steeper is a step", found.high < STEP or None, "memory-limit"),
        Test("part of the route's time that is own work, not the database's", "own time" if sized.own else round(own_part(account, sized.route), 3) if told else None, f"≥ {OWN}", own, "missing-index"),
    )
    services = [sized.service] if sized.service else services_of(account, sized.route)
    scope: dict[str, str | list[str]] = {"service": services[0] if len(services) == 1 else services} if services else {}
    if route:
        scope["route"] = route
    measured = claimed.traces.share if claimed.traces else Measurement(min(1.0, claimed.share), "share of request-seconds", n=found.n, method="access log: above the reference's mean, or above a line through small sizes", query=query)
    return Finding(
        "superlinear-algorithm",
        f"{first or sized.operation}: time grows as the {sized.what} to the power of {found.k:.1f}",
        scope,
        measured,
        claimed.seconds,
        claimed.explains,
        components=(f"self: {services[0]}",) if services else (),
        mechanism=f"twice the {sized.what} takes {2**found.k:.1f} times as long",
        cause="a nested pass over the data of a request",
        evidence=(Exhibit(f"own time over {sized.what}" if sized.own else f"duration over {sized.what}", law, "spans" if sized.own else "requests"),),
        tests=tests,
        rejected=rejected,
        fixes=FIXES,
    )
