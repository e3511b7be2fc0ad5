"""Traffic surge: the system is busier, and slower only because it is busier.

What it sees
------------
The arrival rate of the affected window lies above anything that the reference held, requests take longer (or are refused), and the demand
of a request did not change: at equal load both windows are alike, the routes slow down together, the mix stays, CPU per request stays.

Why it hurts
------------
Waiting grows without bound as utilisation nears one (M/M/1: R = S / (1 − ρ)), so the last fraction of capacity is where latency explodes.
No defect is to be found in the code: the decision is about capacity, admission or demand.

What it needs
-------------
An access log of both windows. CPU counters of the processes (``process_cpu_seconds_total``) let it test the demand per request.

When it is wrong
----------------
A retry storm raises the rate by itself: one that starts with errors is not a surge. A defect at unchanged rate is something else, and so is a new,
expensive route (the mix changed). Where the two windows share no load level, "same demand" is inferred and confidence is lower.

What to try
-----------
Add capacity where the queue is, if the constraint scales (``perfaudit capacity``); shed or queue at the edge; cache what the surge asks for.
"""

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.problems._load import ACCESS_LOG, QUEUE, at_equal_load, bursts, in_flight, load, slower_together

NEEDS = ("requests",)
HELPS = ("metrics",)
RIVALS = ("tail-under-concurrency", "deploy-regression", "retry-storm", "row-lock-contention")
WANTED = (ACCESS_LOG,)

#: The rate must have risen by this factor: less is within the daily swing of most sites and moves R = S/(1-ρ) little below ρ = 0.8.
RISE = 1.25
#: At equal load, the share of slow requests may differ by this much (sampling error of 100 requests at p = 0.1 is ± 0.06).
ALIKE, DIFFERENT = 0.10, 0.25
#: Largest change of a route's share of the traffic that still counts as the same mix.
MIX = 0.10
#: CPU per request may grow this much through contention alone (caches, context switches).
DEMAND = 1.3

FIXES = (
    Fix("Add capacity at the tier where the queue stands (workers, instances), after checking that it scales", "moves the knee of the curve up in proportion, until the next constraint", "medium", "low", "a setting or an instance more; costs run on", True, "remove it again", "p95 back at the reference's at the same arrival rate"),
    Fix("Shed or delay the least valuable part of the surge at the edge (rate limit per client, queue with a bound)", "keeps the rest at the reference's latency", "low", "medium", "some requests are refused on purpose", True, "lift the limit", "admitted requests keep the reference's p95"),
    Fix("Cache or precompute what the surge asks for most", "takes its share of arrivals off the constraint", "medium", "low", "staleness must be acceptable", True, "turn the cache off", "hits take the arrivals; the constraint's rate is back at the reference's"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Did load rise beyond the reference, and does it alone explain the slowdown?"""
    windows, requests = account.windows, account.requests
    if requests is None or not windows.reference or not requests.total.reference.count:
        return Outcome.not_applicable("nothing departs and there is no reference to compare the load with")
    total = requests.total
    now, before = account.rate(windows.affected, total.affected.count), account.rate(windows.reference, total.reference.count)
    ratio = now / before if before else 0.0
    if ratio < RISE:
        return Outcome.clear(f"the arrival rate is {now:.1f}/s against {before:.1f}/s ({ratio:.2f} times): load did not rise")
    slowed, failed = account.added_seconds / max(account.seconds, 1e-9), account.failed_beyond / max(total.affected.count, 1)
    if slowed < RELEVANT and failed < RELEVANT:
        return Outcome.clear(f"load rose {ratio:.2f} times and requests did not get slower for it")
    picture = load(account)
    held = in_flight(picture, picture.zone == 0) if picture is not None else None
    if held is not None and held < QUEUE and slowed >= RELEVANT > failed:
        return Outcome.clear(f"load rose {ratio:.2f} times, but only {held:.2g} requests are in flight: too few to wait for each other")
    tests = [Test("arrival rate, affected over reference", round(ratio, 3), f"≥ {RISE}", True, query=_rate_query(account))]
    alike = at_equal_load(picture)
    tests.append(Test("share of slow requests at equal load, affected minus reference", None if alike is None else round(alike, 3), f"≤ {ALIKE}", None if alike is None else alike <= ALIKE))
    demand = _demand(evidence, account)
    tests.append(Test("CPU seconds per request, affected over reference", None if demand is None else round(demand, 3), f"≤ {DEMAND}", None if demand is None else demand <= DEMAND))
    mix = _mix(account)
    tests.append(Test("largest change of a route's share of the traffic", round(mix, 3), f"≤ {MIX}", mix <= MIX))
    together = slower_together(account)
    tests.append(Test("share of the busy routes that got slower", round(together, 3), "≥ 50 %", together >= 0.5))
    runs = bursts(picture, (1 + ratio) / 2) if picture else 1
    tests.append(Test("separate bursts of load in the recording", runs, "≤ 2: a rise that lasts", runs <= 2))
    early = _errors_first(account)
    if alike is not None and alike > DIFFERENT:
        return Outcome.clear(f"at equal load the affected window holds {alike:.0%} more slow requests: it is slower for another reason")
    if runs > 2:
        return Outcome.clear(f"load comes in {runs} bursts, it did not rise to stay")
    if mix > 2.5 * MIX and together < 0.5:
        return Outcome.clear(f"the mix changed (a route's share by {mix:.0%}) and few routes got slower")
    if demand is not None and demand > 2 * DEMAND:
        return Outcome.clear(f"a request costs {demand:.1f} times the CPU of the reference: demand changed, not only load")
    rivals = (
        Test("separate bursts of load in the recording", runs, "≤ 2", runs <= 2, "tail-under-concurrency"),
        Test("share of the busy routes that got slower", round(together, 3), "≥ 50 % (a deploy slows the routes that it changed)", together >= 0.5, "deploy-regression"),
        Test("errors, affected minus reference", round(early, 4), "< 0.01 (a storm of retries begins with failures)", early < 0.01 or None, "retry-storm"),
    )
    kind = "share of request-seconds" if slowed >= failed else "share of requests"
    value = max(slowed, failed)
    share = Measurement(value, f"{kind}, added over the reference", n=total.affected.count, method="per-route means against the reference", query=_rate_query(account))
    p95 = requests.measured(total.affected, 0.95, "affected")
    was = requests.measured(total.reference, 0.95, "reference")
    exhibits = [Exhibit(f"{now:.1f} requests/s against {before:.1f} in the reference", Measurement(now, "1/s", n=total.affected.count, method="count over time", query=_rate_query(account)), "requests")]
    exhibits += [Exhibit(text, m, "requests") for text, m in (("p95 of all requests in the affected window", p95), ("p95 of all requests in the reference", was)) if m]
    return Outcome.problem(
        Finding(
            "traffic-surge",
            f"Traffic rose {ratio:.1f} times, to {now:.0f} requests/s, and requests wait for it",
            {"service": _services(account)},
            share,
            account.added_seconds,
            mechanism=f"arrivals rose from {before:.1f}/s to {now:.1f}/s, and waiting grows without bound near capacity",
            cause="demand above capacity at unchanged demand per request",
            evidence=tuple(exhibits),
            tests=tuple(tests),
            rejected=rivals,
            fixes=FIXES,
        )
    )


def _services(account: TimeAccount) -> str | list[str]:
    names = list(account.tiers.outermost)
    return names[0] if len(names) == 1 else names


def _rate_query(account: TimeAccount) -> str:
    w = account.windows
    return f"SELECT count(*) FILTER ({within(w.affected)}) / {w.affected.seconds:.6g} AS affected_per_s, count(*) FILTER ({within(w.reference)}) / {w.reference.seconds if w.reference else 1:.6g} AS reference_per_s FROM requests WHERE {account.tiers.condition}"


def _demand(evidence: Evidence, account: TimeAccount) -> float | None:
    """CPU seconds per request, affected over reference, from process or container counters; None without them."""
    if not evidence.has("metrics") or account.requests is None or not account.windows.reference:
        return None
    costs = []
    for window, count in ((account.windows.affected, account.requests.total.affected.count), (account.windows.reference, account.requests.total.reference.count)):
        used, series = evidence.one(
            "SELECT sum(used), count(*) FROM (SELECT max(value) - min(value) AS used FROM metrics WHERE name IN ('process_cpu_seconds_total', 'container_cpu_usage_seconds_total')"
            f" AND {within(window)} GROUP BY name, labels HAVING count(*) >= 2 AND arg_max(value, time) = max(value))"
        )
        if not series or not used or not count:
            return None
        costs.append(float(used) / count)
    return costs[0] / costs[1] if costs[1] > 0 else None


def _mix(account: TimeAccount) -> float:
    total = account.requests.total if account.requests else None
    if total is None or not total.reference.count or not total.affected.count:
        return 0.0
    return max((abs(r.affected.count / total.affected.count - r.reference.count / total.reference.count) for r in account.routes), default=0.0)


def _errors_first(account: TimeAccount) -> float:
    total = account.requests.total if account.requests else None
    return 0.0 if total is None else total.affected.error_ratio - total.reference.error_ratio
