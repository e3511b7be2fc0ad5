"""How many attempts a logical call takes, and what the repeats do to the callee; from traces, or from the logs of two tiers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.attempts import below
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing
from perfaudit.problems._calls import SLOWER, WAITS, Calls, Picture
from perfaudit.stats.compare import two_sample
from perfaudit.stats.percentile import wilson

Ratio = tuple[float, float, float]
#: Repeats that are no storm: a retry budget of 20 % on top (the default of Finagle's RetryBudget; the SRE book, chapter 22, asks for 10 %).
BUDGET = 1.2
#: Attempts that the callee goes on working on after the caller gave up must be this share at least to be called overload. Answers that turn calls away are not enough:
#: one that is down does the same.
WASTED = 0.10
#: An answer outlasts its call by this at least, µs: clocks of spans are rounded to milliseconds by some exporters.
OUTLASTS = 2_000
#: Time limits end calls at one duration: the middle half of the failed calls spans less than this share of their median.
CONSTANT = 0.15


#: From so many attempts for each call on (by the interval's lower end) the queue at an overloaded callee is that of the repeats: they are a third of the load at least.
QUEUES = 1.5


@dataclass(frozen=True)
class Amplified:
    """Attempts for each logical call, with intervals: in the affected window, and in the reference (None: no calls there). ``to``: bool over the calls.

    ``failed_before``: share of the repeats before which a failed attempt was seen.
    """

    name: str
    to: Any
    mask: Any
    attempts: Ratio
    before: Ratio | None
    failed_before: float

    @property
    def repeats(self) -> float:
        """By what the interval's lower end exceeds one."""
        return self.attempts[1]


def amplified(seen: Picture, to: Any, name: str) -> Amplified:
    """Attempts per call to one callee."""
    mask = seen.hops.spans(to, len(seen.tracing.traces))
    now = _ratio(seen.tracing, mask, seen.attempts.again, AFFECTED)
    here = mask & (seen.tracing.zone == AFFECTED)
    repeats, failed = (int((here & which).sum()) for which in (seen.attempts.again, seen.attempts.retried))
    return Amplified(name, to, mask, now or (1.0, 1.0, 1.0), _ratio(seen.tracing, mask, seen.attempts.again, REFERENCE), min(1.0, failed / repeats) if repeats else 0.0)


def _ratio(tracing: Tracing, mask: Any, again: Any, zone: int) -> Ratio | None:
    """Attempts over first attempts, traces as units (ratio estimator, Cochran 1977, §2.11)."""
    here = mask & (tracing.zone == zone)
    ones = np.ones(len(mask))
    attempts, first = tracing.per_trace(ones, here), tracing.per_trace(ones, here & ~again)
    used = attempts > 0
    attempts, first, n = attempts[used], first[used], int(used.sum())
    if not n or not first.sum():
        return None
    ratio = float(attempts.sum() / first.sum())
    error = math.sqrt(float(((attempts - ratio * first) ** 2).sum()) * n / max(1, n - 1)) / float(first.sum()) if n > 1 else ratio
    return ratio, max(1.0, ratio - 1.96 * error), ratio + 1.96 * error


def given_up(seen: Picture) -> Any:
    """Failed calls that the callee went on working on, bool over the calls. Durations are compared: clocks of two hosts need not agree."""
    tracing, found = seen.tracing, seen.hops
    return (found.entry >= 0) & tracing.failed[found.call] & (tracing.took[found.entry] >= tracing.took[found.call] + OUTLASTS)


def overloaded(seen: Picture, most: Amplified) -> tuple[bool | None, str]:
    """Whether the callee suffers from the load, and what shows it; None where its side was not recorded."""
    tracing, found = seen.tracing, seen.hops
    zone = tracing.zone[found.call]
    now = most.to & (zone == AFFECTED)
    call, entry = found.call[now], found.entry[now]
    if not len(call):
        return None, "no calls"
    answered = entry >= 0
    left = given_up(seen)[now]
    if wilson(int(left.sum()), len(call))[0] >= WASTED:
        return True, f"{left.sum()} of {len(call)} attempts are still worked on when their caller has given up"
    before = found.entry[most.to & (zone == REFERENCE) & (found.entry >= 0)]
    accepted = [part[~tracing.failed[part]] for part in (before, entry[answered])]
    took = [tracing.took[part[np.argsort(tracing.traces.start[part], kind="stable")]] / 1e3 for part in accepted]
    if min(len(t) for t in took) >= 4 and took[0].mean() > 0:
        longer = two_sample(took[0], took[1], least=1.0)
        ratio = float(took[1].mean() / took[0].mean())
        slower = longer.low is not None and longer.low > 0 and ratio >= SLOWER
        return slower, f"its time for an attempt that it accepts is {ratio:.2f} times the reference's"
    failed = tracing.took[call[tracing.failed[call]]]
    if not answered.any() and len(failed) >= 4:
        low_q, middle, high_q = np.quantile(failed, (0.25, 0.5, 0.75)).tolist()
        if middle > 0 and high_q - low_q <= CONSTANT * middle and middle >= float(np.median(tracing.took[call])):
            return True, f"attempts are given up after {middle / 1e3:,.0f} ms"
    return None, "its side was not recorded"


def sides(seen: Picture, most: Amplified, calls: Calls) -> tuple[float, float]:
    """Request-seconds added by repeats, with the queue that they make at the callee, and by the first calls themselves."""
    tracing, found = seen.tracing, seen.hops
    again, first = max(0.0, calls.again.seconds), max(0.0, calls.added.seconds - calls.again.seconds)
    if most.attempts[1] < QUEUES or not overloaded(seen, most)[0]:
        return again, first
    answered = found.spans(found.entry >= 0, len(calls.calls))
    waiting = (np.isin(tracing.own, WAITS) | (answered & calls.calls)) & below(tracing, calls.first) & ~seen.again
    queue = min(first, max(0.0, tracing.added(tracing.on_path, waiting).seconds))
    return again + queue, first - queue


def two_tiers(evidence: Evidence, account: TimeAccount, fixes: tuple[Fix, ...]) -> Outcome | None:
    """The same from the logs of two tiers: calls that arrive inside for each request outside; None where there are no two."""
    reference, inner = account.windows.reference, [t for t in account.tiers.all if t.inside and t.inside in account.tiers.outermost]
    if not inner or account.requests is None:
        return None
    if reference is None:
        return Outcome.not_applicable("nothing departs and there is no reference to compare the calls with")
    best: Outcome | None = None
    for tier in sorted(inner, key=lambda t: (-t.seconds, t.service)):
        counts = [_counts(evidence, window, tier.service, account.tiers.condition) for window in (account.windows.affected, reference)]
        (out, into, failed, took), (out_was, into_was, failed_was, took_was) = counts
        if min(out, out_was, into, into_was) < 20:
            continue
        now, before = into / out, into_was / out_was
        rise, error = now / before, 1.96 * math.sqrt(1 / into + 1 / into_was)
        low = rise * math.exp(-error)
        rate = account.rate(account.windows.affected, out) / account.rate(reference, out_was)
        best = best or Outcome.clear(f"{tier.service} receives {now:.2f} calls for each request, {before:.2f} in the reference")
        worse = wilson(failed, into)[0] > wilson(failed_was, into_was)[1]
        if low <= BUDGET or not worse:
            continue
        seconds = max(0.0, took - took_was * out / out_was)
        share = min(1.0, seconds / account.seconds) if account.seconds else 0.0
        if share < RELEVANT and account.failed_beyond < RELEVANT * account.count:
            continue
        slower = (took / into) / (took_was / into_was) if took_was else math.nan
        query = f"SELECT coalesce(service, '') AS tier, count(*) AS calls, count(*) FILTER (status >= 500 OR status IN (429, 499)) AS failed FROM requests WHERE {within(account.windows.affected)} GROUP BY 1 ORDER BY 1"
        measured = Measurement(now, "calls per request", (now * math.exp(-error), now * math.exp(error)), n=into, method="count of the inner log over the outer", query=query)
        tests = (
            Test("calls inside for each request outside, affected over reference", round(rise, 3), f"lower end of its interval ({low:.2f}) > {BUDGET}", True, query=query),
            Test("failed calls inside, affected against reference", f"{failed}/{into} against {failed_was}/{into_was}", "intervals apart", True, query=query),
        )
        hot = None if math.isnan(slower) else slower >= SLOWER
        rivals = (
            Test("requests a second outside, affected over reference", round(rate, 3), f"≤ {BUDGET}", rate <= BUDGET, "traffic-surge"),
            Test("mean of a call inside, affected over reference", None if math.isnan(slower) else round(slower, 3), f"< {rise:.2f}, by which calls grew", None if math.isnan(slower) else slower < rise, "cascading-delay"),
            Test("new or more calls by design", None, "needs traces: do repeats follow failures?", None, "synchronous-dependency"),
        )
        return Outcome.problem(
            Finding(
                "retry-storm",
                f"{tier.service} receives {rise:.1f} times as many calls for each request as before, and {failed / into:.0%} of them fail",
                {"service": [*(s for s in account.tiers.outermost if s), tier.service]},
                Measurement(share, "share of request-seconds", n=into, method="time of the inner log beyond the reference's per request", query=query),
                seconds,
                min(1.0, seconds / account.added_seconds) if account.added_seconds > 0 else None,
                ("downstream" if tier.service == "downstream" else f"downstream: {tier.service}",),
                mechanism="failed calls are repeated" + (", and calls take longer under the load" if hot else ""),
                cause="a retry policy without a bound that fits the callee's capacity",
                evidence=(Exhibit("calls inside for each request outside", measured, "requests"),),
                tests=tests,
                rejected=rivals,
                fixes=fixes,
            )
        )
    return best


def _counts(evidence: Evidence, window: Any, service: str, outer: str) -> tuple[int, int, int, float]:
    """Requests outside; calls inside, the failed ones of them, and their seconds."""
    inside = f"coalesce(service, '') = {quote(service)}"
    row = evidence.one(
        f"SELECT count(*) FILTER ({outer}), count(*) FILTER ({inside}), count(*) FILTER ({inside} AND (status >= 500 OR status IN (429, 499))),"
        f" coalesce(sum(duration_us) FILTER ({inside}), 0) / 1e6 FROM requests WHERE {within(window)}"
    )
    return int(row[0]), int(row[1]), int(row[2]), float(row[3])
