"""Tail under concurrency: the slow requests come with the bursts of arrivals.

What it sees
------------
On the same routes, the share of slow requests rises with the arrival rate just before them, burst after burst, while the load on average did not
rise. Quiet seconds are fast, busy seconds are not, and affected and reference seconds lie on one curve.

Why it hurts
------------
Something small is shared: workers, a connection pool, a lock, a core. On average it is idle, in a burst requests queue for it, and the queue is the tail.
Averages and long windows hide it. (Kingman: waiting grows with the variation of arrivals as well as with utilisation.)

What it needs
-------------
An access log with request times, at least a few hundred requests over load levels that differ. Traces name what the bursts queue for.

When it is wrong
----------------
The number of requests in flight is a consequence of slowness, so it is not used: only arrivals. A defect at unchanged arrivals does not follow the rate.
Load that rose to stay is a ``traffic-surge``. Slow inputs, pauses that hit every request at one instant, and one bad instance do not follow the rate either.

What to try
-----------
Find the small shared resource (spans, pool metrics, profile); enlarge it if what lies behind has room, or shorten the time it is held. Smooth arrivals (jitter for
cron and retries, a queue in front of batch work).
"""

from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.problems._load import ACCESS_LOG, QUEUE, Load, at_equal_load, bursts, contrast, flicker, in_flight, load, owned
from perfaudit.problems.latency._bursts import follows, one_instance, queued_for, services_of
from perfaudit.stats.correlation import Association

NEEDS = ("requests",)
HELPS = ("spans",)
RIVALS = ("traffic-surge", "slow-inputs", "one-bad-instance", "deploy-regression")
WANTED = (ACCESS_LOG,)

#: The association must be at least this strong and this unlikely by chance (three checks are made on one recording: Bonferroni of 0.03).
STRONG, CHANCE = 0.4, 0.01
#: Busy bins (top third by rate) must hold this many times the share of slow requests of the quiet third.
CONTRAST = 2.0
#: Arrivals must vary this much more from bin to bin than Poisson arrivals do (1.0; sampling error ± 0.3 for 40 bins).
BURSTY = 1.8
#: An average rate above this multiple of the reference is a surge.
RISE = 1.25

FIXES = (
    Fix("Find the shared resource that the bursts queue for (spans with pool and queue waits, or worker and pool gauges), and size it to the bursts", "the tail falls to that of the quiet seconds", "medium", "low", "a setting, once the resource is known; what lies behind it must have room", True, "put the size back", "the share of slow requests no longer rises with the arrival rate"),
    Fix("Smooth the arrivals: jitter for cron jobs, clients and retries; a queue for batch work", "fewer and lower bursts", "low", "low", "callers must cooperate", True, "remove the jitter", "the index of dispersion of arrivals falls"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Does the tail follow the arrival rate at unchanged average load?"""
    windows, requests = account.windows, account.requests
    picture = load(account)
    if picture is None or requests is None:
        return Outcome.no_evidence("too few requests with a duration over too short a time", *WANTED)
    total = requests.total
    ratio = 1.0
    if windows.reference and total.reference.count:
        ratio = account.rate(windows.affected, total.affected.count) / max(account.rate(windows.reference, total.reference.count), 1e-9)
    runs = bursts(picture, 1.5)
    link = picture.link
    route, alone = _worst(account), None
    if link.r < STRONG or link.p > CHANCE:
        alone = _alone(evidence, account, picture, runs)
        if alone is not None:
            picture, route, link = alone
    busy, quiet = contrast(picture)
    times = busy / max(quiet, 0.02)
    share = owned(picture)
    if link.r < STRONG or link.p > CHANCE:
        return Outcome.clear(f"slow requests do not follow the arrival rate (rank correlation {link.r:.2f}, p {link.p:.2g})")
    if times < CONTRAST or share < RELEVANT:
        return Outcome.clear(f"busy seconds hold {busy:.1%} slow requests, quiet ones {quiet:.1%}: the tail hardly follows the load")
    held = in_flight(picture, picture.lately >= np.quantile(picture.lately, 2 / 3))
    if held < QUEUE:
        return Outcome.clear(f"the busy third holds {held:.2g} requests in flight: too few for a queue, so something that goes with the load makes requests slow, not the load")
    uneven = flicker(picture)
    if uneven < BURSTY:
        return Outcome.clear(f"arrivals vary {uneven:.1f} times as much as random ones: no bursts, a queue at its load")
    if runs < 2 or (ratio >= RISE and runs <= 2):
        return Outcome.clear(f"load rose to stay ({ratio:.2f} times): not bursts")
    gap = at_equal_load(picture) if windows.reference else None
    if gap is not None and gap > 0.25:
        return Outcome.clear(f"at equal load the affected window holds {gap:.0%} more slow requests: it is slower for another reason")
    size = _slow_are_large(evidence, account, route)
    instance = one_instance(evidence, account)
    value = Measurement(share, "share of request-seconds, above what quiet seconds cost", n=int(total.all.count), method=f"rank correlation {link.r:.2f} on {link.n_eff:.0f} effective bins of {picture.step} s")
    queued = queued_for(account, picture, route)
    tests = (
        Test("rank correlation of slow requests with the arrival rate", round(link.r, 3), f"≥ {STRONG}, p ≤ {CHANCE}" + (", request by request of the route" if alone else ""), True),
        Test("share of slow requests, busy over quiet third", round(times, 2), f"≥ {CONTRAST}", True),
        Test("separate bursts", runs, "≥ 2", True),
        Test("share of slow requests at equal load, affected minus reference", None if gap is None else round(gap, 3), "≤ 0.1", None if gap is None else gap <= 0.1),
    )
    rivals = (
        Test("average arrival rate, affected over reference", round(ratio, 3), f"< {RISE}, or bursts", ratio < RISE or runs > 2, "traffic-surge"),
        Test("median response size, slow over other requests of the route", None if size is None else round(size, 2), "< 1.5", None if size is None else size < 1.5, "slow-inputs"),
        Test("largest share of slow requests of one instance", None if instance is None else round(instance, 2), "< 2 times its share of requests", None if instance is None else instance < 2, "one-bad-instance"),
        Test("share of slow requests at equal load, affected minus reference", None if gap is None else round(gap, 3), "≤ 0.1", None if gap is None else gap <= 0.1, "deploy-regression"),
    )
    return Outcome.problem(
        Finding(
            "tail-under-concurrency",
            f"The tail comes with bursts of arrivals: busy seconds hold {busy:.0%} slow requests, quiet ones {quiet:.0%}",
            {"service": services_of(account, queued.name if queued else ""), "route": route},
            value,
            share * account.seconds,
            components=(queued.name,) if queued else (),
            mechanism=f"requests that arrive in a burst queue for {f'{queued.name}: {queued.share:.0%} of what they take longer' if queued else 'something small that they share'}",
            cause="a shared resource sized for the average, not for the bursts" + (f": {queued.name}" if queued else ""),
            evidence=(Exhibit(f"{runs} bursts; the share of slow requests follows the rate", Measurement(link.r, "rank correlation", n=round(link.n_eff), method="Spearman, effective sample size")),)
            + ((Exhibit(f"{queued.name} takes longer when many come", Measurement(queued.added_us / 1e3, "ms", method="traces: critical path, busy third of the time less quiet third"), "spans"),) if queued else ()),
            tests=tests,
            rejected=rivals,
            fixes=FIXES,
        )
    )


def _alone(evidence: Evidence, account: TimeAccount, picture: Load, runs: int) -> tuple[Load, str, Association] | None:
    """The picture of the route that lost most, where it alone is slow in the bursts: among all the others it would be lost."""
    row = max(account.routes, key=account.added, default=None)
    if runs < 2 or flicker(picture) < BURSTY or row is None or account.added(row) <= 0:
        return None
    one, link = load(account, (row.method, row.route)), follows(evidence, account, row.method, row.route)
    return (one, row.route, link) if one is not None and link is not None and link.r >= STRONG and link.p <= CHANCE else None


def _worst(account: TimeAccount) -> str:
    def spread(row: Any) -> float:
        part = row.affected
        return 0.0 if part.durations.n < 40 else ((part.quantile(0.99) or 0) - (part.quantile(0.5) or 0)) * part.count
    rows = sorted(account.routes, key=lambda r: -(account.added(r) or spread(r) / 1e12))
    return rows[0].route if rows else ""


def _slow_are_large(evidence: Evidence, account: TimeAccount, route: str) -> float | None:
    condition = f"{account.tiers.condition} AND {within(account.windows.affected)} AND route = '{route.replace(chr(39), chr(39) * 2)}'"
    slow, rest = evidence.one(
        f"SELECT median(response_bytes) FILTER (duration_us > bar), median(response_bytes) FILTER (duration_us <= bar) FROM requests, (SELECT quantile_disc(duration_us, 0.9) AS bar FROM requests WHERE {condition}) WHERE {condition}"
    )
    return None if slow is None or not rest else float(slow) / float(rest)
