"""Deploy regression: it became slower, or began to fail, with a deploy, and nothing else explains it.

What it sees
------------
The interval in which latency or the error ratio of a route changed holds one deploy (or change of configuration, or release), load and mix did not change,
and no mechanism was found that explains it better. Where a mechanism is found, that is the verdict and the deploy is its trigger.

Why it hurts
------------
The change is the one thing that can be undone in minutes. Knowing that it was the deploy, and which, is worth more at night than knowing why.

What it needs
-------------
An access log and the times of deploys (JSON lines or CSV with ``time``, ``kind``, ``service``, ``version``).

When it is wrong
----------------
A deploy that happened to come with a surge, a cron job or a slow dependency: the time alone cannot tell. Load and mix are tested; a dependency shows in its own
log or in traces. A change that the recording does not hold (separate baseline) can only be placed between the two.

What to try
-----------
Roll back, or turn the flag off, and see whether the route returns: that is the experiment. Then find the mechanism with traces or a profile of both versions.
"""

import math
from typing import Any

from perfaudit.baseline.trigger import CHANGES, candidates
from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test, Wanted, Windows, iso
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.traced import gained
from perfaudit.problems._traced import compared
from perfaudit.stats.percentile import wilson

NEEDS = ("requests", "events")
HELPS = ("spans",)
RIVALS = ("traffic-surge", "traffic-mix", "cascading-delay")
WANTED = (Wanted("the times of deploys (events)", "git log --since='2 days ago' --date=iso-strict --name-only > deploys.txt   # or JSON lines: {\"time\": \"…\", \"kind\": \"deploy\", \"service\": \"…\", \"version\": \"…\"}", "would tell whether the change came with a deploy"),)

#: Deploys spread at random would hit the interval with this chance at most; beyond MOSTLY_CHANCE coincidence is the likelier story.
CHANCE, MOSTLY_CHANCE = 0.2, 0.5
#: A rate outside 1/RATE … RATE of the reference makes load a rival that is not ruled out.
RATE = 1.25
#: Largest change of a route's share of the traffic that still counts as the same mix.
MIX = 0.10
#: The mechanism lies elsewhere when less than this part of the added time is the service's own: more of it then belongs to another owner.
OWN = 0.5

FIXES = (
    Fix("Roll the deploy back (or turn its flag off) on one instance, compare it with the others, then on all", "latency and errors return to the reference's", "low", "low", "an operation that every team has practised; check that migrations of the deploy allow it", True, "deploy the new version again", "the route's p95 and error ratio lie inside the reference's intervals"),
    Fix("Find the mechanism: compare traces or profiles of both versions on the slowest route", "the fix that lets the feature stay", "medium", "low", "needs a running instance of each version", True, "none needed", "the self time that grew is named"),
)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Does the change's interval hold a deploy, with the rivals ruled out?"""
    windows, requests = account.windows, account.requests
    changes = [e for e in candidates(evidence, windows) if e.kind in CHANGES]
    if requests is None or not windows.reference:
        return Outcome.clear("no route departs from its calm level")
    total = requests.total
    slowed, failed = account.added_seconds / max(account.seconds, 1e-9), account.failed_beyond / max(total.affected.count, 1)
    if slowed < RELEVANT and failed < RELEVANT:
        return Outcome.clear("neither latency nor errors changed by a practical amount")
    if not changes:
        return Outcome.clear("no deploy lies in the interval in which the change began")
    chance = _by_chance(evidence, windows)
    if chance > MOSTLY_CHANCE:
        return Outcome.clear(f"deploys are so many that an interval as wide as the beginning's holds one by chance ({chance:.0%})")
    ratio = account.rate(windows.affected, total.affected.count) / max(account.rate(windows.reference, total.reference.count), 1e-9)
    mix = max((abs(r.affected.count / max(1, total.affected.count) - r.reference.count / max(1, total.reference.count)) for r in account.routes), default=0.0)
    deploy = changes[-1]
    by_errors = failed > slowed
    ranked = sorted(account.routes, key=lambda r: (-(account.added_errors(r) if by_errors else account.added(r)), r.method, r.route))
    worst = ranked[0]
    share = (
        Measurement(failed, "share of requests that failed beyond the reference", wilson(round(failed * total.affected.count), total.affected.count), n=total.affected.count, method="Wilson")
        if by_errors
        else Measurement(slowed, "share of request-seconds, added over the reference", n=total.affected.count, method="per-route means against the reference")
    )
    interval = _interval(windows)
    tests = (
        Test("deploys in the interval in which the change began", len(changes), "1", len(changes) == 1 or None),
        Test("chance that the interval holds a deploy anyway", round(chance, 3), f"≤ {CHANCE}", chance <= CHANCE or None),
        Test("the event is a deploy, not only a commit", deploy.kind, "deploy, release, rollout, …", None if deploy.kind == "commit" else True),
        Test("arrival rate, affected over reference", round(ratio, 3), f"{1 / RATE:.2f} … {RATE}", 1 / RATE <= ratio <= RATE),
        Test("the change began inside the recording", interval, "its beginning is seen", windows.onset is not None or None),
    )
    rivals = (
        Test("arrival rate, affected over reference", round(ratio, 3), f"< {RATE}", ratio < RATE, "traffic-surge"),
        Test("largest change of a route's share of the traffic", round(mix, 3), f"< {MIX}", mix < MIX, "traffic-mix"),
        Test("time in dependencies, before and after", None, "traces or the dependency's log would tell", None, "cascading-delay"),
    )
    own, owner = _own(account)
    if own is not None and not by_errors:
        rivals = (*rivals[:2], Test(f"share of the added time that is the services' own, not {owner}'s", round(own, 3), f"≥ {OWN}", own >= OWN, "cascading-delay" if owner.startswith("downstream") else "database"))
    elsewhere = own is not None and own < OWN and not by_errors
    words = f"{worst.method} {worst.route}"
    p95 = requests.measured(worst.affected, 0.95, "affected", (worst.method, worst.route))
    was = requests.measured(worst.reference, 0.95, "reference", (worst.method, worst.route))
    exhibits: list[Exhibit] = [Exhibit(f"{deploy.words()} at {iso(deploy.time)}", share, "events")]
    exhibits += [Exhibit(text, m, "requests") for text, m in ((f"p95 of {words} in the affected window", p95), (f"p95 of {words} in the reference", was)) if m]
    scope: dict[str, Any] = {"service": deploy.service or (account.tiers.outermost[0] if account.tiers.outermost else "")}
    scope["route"] = worst.route
    return Outcome.of(
        Finding(
            "deploy-regression",
            f"{words} {'fails' if by_errors else 'is slower'} since {deploy.words()}" + (f"; the time was added in: {owner}" if elsewhere else ""),
            scope,
            share,
            0.0 if by_errors else account.added_seconds,
            type="symptom" if elsewhere else "problem",
            mechanism="errors rose with the change" if by_errors else "the route takes longer since the change, at unchanged load",
            cause=deploy.words(),
            evidence=tuple(exhibits),
            tests=tests,
            rejected=rivals,
            fixes=FIXES,
            onset=windows.onset,
        )
    )


def _own(account: TimeAccount) -> tuple[float | None, str]:
    """Of the time that traces show as added, the part that is the callers' own work and waits, and who else owns most; None without traces of both windows."""
    if not compared(account) or account.tracing is None:
        return None, ""
    gains = {name: gain for name, gain in gained(account.tracing).items() if gain.low > 0}
    total = sum(gain.seconds for gain in gains.values())
    others = {name: gain.seconds for name, gain in gains.items() if name.split(":")[0] in ("downstream", "database", "cache", "retries", "messages")}
    if total <= 0:
        return None, ""
    return 1 - sum(others.values()) / total, max(others, key=lambda name: others[name], default="another")


def _by_chance(evidence: Evidence, windows: Windows) -> float:
    """The chance that an interval as wide as that of the beginning holds a deploy, were they spread evenly (Poisson)."""
    low, high = (windows.onset[1], windows.onset[2]) if windows.onset else (0, 0)
    whole = windows.whole
    (n,) = evidence.one(f"SELECT count(DISTINCT time) FROM events WHERE {within(whole)} AND kind IN ({', '.join(map(quote, sorted(CHANGES)))})")
    return 1 - math.exp(-int(n) * (high - low) / max(1, whole.end - whole.start))


def _interval(windows: Any) -> str | None:
    return f"{iso(windows.onset[1])} … {iso(windows.onset[2])}" if windows.onset else None
