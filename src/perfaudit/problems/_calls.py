"""Facts of the calls to one dependency that checks of dependencies share: how many, how long, how much of the users' time, how often again, how many failed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import POOL, WAIT, WORKER
from perfaudit.evidence.store import quote
from perfaudit.model import Test
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.attempts import Attempts, attempts, below
from perfaudit.paths.hops import Hops, hops, per_request
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Sum, Tracing
from perfaudit.problems import names
from perfaudit.problems._traced import named, of_spans
from perfaudit.stats.compare import two_sample

#: A call whose mean rose by less has not become slow: the least practical departure of a median (baseline.windows.FACTOR).
SLOWER = 1.3
#: Calls per request within this factor of the reference's are as many as before (Poisson, 60 requests with a call each: ± 25 %).
AS_MANY = 1.25
#: More texts than this in a column are not listed in SQL.
MANY = 12
#: Waits for what others hold.
WAITS = (POOL, WORKER, WAIT)


@dataclass(frozen=True)
class Picture:
    """The traces with their hops and attempts."""

    tracing: Tracing
    hops: Hops
    attempts: Attempts
    again: Any

    @property
    def seconds(self) -> float:
        """Request-seconds that traces see in the affected window."""
        return float(self.tracing.seconds(self.tracing.on_path, AFFECTED).seconds)


def picture(account: TimeAccount) -> Picture | None:
    """None where the traces hold no call to another service."""
    if account.tracing is None:
        return None
    found = hops(account.tracing)
    if not len(found.call):
        return None
    tries = attempts(account.tracing)
    return Picture(account.tracing, found, tries, below(account.tracing, tries.again))


@dataclass(frozen=True)
class Calls:
    """Calls to one callee (or one of its endpoints). Pairs are (affected window, reference).

    ``calls``: the calling spans (bool over spans), no call inside another one of them; ``first``: those that repeat none. ``per_request``: first calls per request;
    ``mean_ms`` of their durations; ``slower_ms``: their difference with its interval (None where it cannot be told). ``added``: request-seconds beyond the reference below the
    calls, ``again`` of them in repeated attempts. ``waiting``: share of a call's time that its root waits for it.
    """

    name: str
    callers: list[str]
    calls: Any
    first: Any
    per_request: tuple[float, float]
    mean_ms: tuple[float, float]
    slower_ms: tuple[float, float, float] | None
    added: Sum
    again: Sum
    waiting: tuple[float, float]

    @property
    def by(self) -> str:
        """Who calls, in words."""
        return names(self.callers) if self.callers else "its caller"

    @property
    def ratio(self) -> float:
        """Mean duration, affected over reference; NaN where there is none."""
        return self.mean_ms[0] / self.mean_ms[1] if self.mean_ms[1] > 0 else math.nan

    @property
    def became_slow(self) -> bool | None:
        """Whether a call takes longer than in the reference; None where the reference has too few."""
        if self.slower_ms is None or not self.mean_ms[1] > 0:
            return None
        return self.slower_ms[1] > 0 and self.ratio >= SLOWER

    @property
    def more(self) -> float:
        """First calls per request, affected over reference; infinite where the reference made none."""
        now, before = self.per_request
        return now / before if before > 0 else math.inf if now > 0 else math.nan


def calls_to(seen: Picture, chosen: Any, name: str) -> Calls:
    """The facts of ``chosen`` calls (bool over ``hops.call``)."""
    tracing, found = seen.tracing, seen.hops
    mask = found.spans(chosen, len(tracing.traces))
    mask &= ~_inside(tracing, mask)
    first = mask & ~seen.again
    took = [_took(tracing, first, zone) for zone in (AFFECTED, REFERENCE)]
    means = [float(np.mean(t)) / 1e3 if len(t) else math.nan for t in took]
    ones = np.ones(len(mask))
    waiting = [_ratio(float(tracing.under[first & (tracing.zone == z)].sum()), float(tracing.took[first & (tracing.zone == z)].sum())) for z in (AFFECTED, REFERENCE)]
    codes = np.unique(found.caller[mask[found.call] & chosen]).tolist()
    return Calls(
        name, [found.names[c] for c in codes if c >= 0], mask, first, per_request(tracing, ones, first), (means[0], means[1]), _slower(took[0], took[1]),
        tracing.added(tracing.under, mask), tracing.added(tracing.on_path, below(tracing, mask & seen.attempts.again)), (waiting[0], waiting[1]),
    )  # fmt: skip


def _inside(tracing: Tracing, mask: Any) -> Any:
    """Which spans lie below one of ``mask``."""
    parent = tracing.traces.parent
    above = np.where(parent < 0, np.arange(len(parent)), parent)
    return (parent >= 0) & below(tracing, mask)[above]


def _took(tracing: Tracing, where: Any, zone: int) -> Any:
    at = np.flatnonzero(where & (tracing.zone == zone))
    return tracing.took[at[np.argsort(tracing.traces.start[at], kind="stable")]].astype(np.float64)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _slower(now: Any, before: Any) -> tuple[float, float, float] | None:
    """Difference of means in ms with its interval, honest under autocorrelation."""
    if min(len(now), len(before)) < 4:
        return None
    found = two_sample(before / 1e3, now / 1e3, least=1.0)
    return None if found.effect is None or found.low is None or found.high is None else (found.effect, found.low, found.high)


def waits(tracing: Tracing, outside: Any) -> Any:
    """Spans outside of some calls that wait for a worker, a pool or a lock: what is held while a call lasts is waited for by others."""
    return np.isin(tracing.own, WAITS) & ~below(tracing, outside)


def with_queues(account: TimeAccount, tracing: Tracing, calls: Calls) -> tuple[float, float, float | None]:
    """What is waited for outside of the calls because it is held during them: seconds added in traces and before their roots, and what calls and queues explain of all added."""
    waited = max(0.0, tracing.added(tracing.on_path, waits(tracing, calls.calls)).seconds)
    whole = tracing.added(tracing.on_path).seconds
    queue = sum(c.seconds for c in account.components if c.name.endswith("queue for a worker"))
    gap = max(0.0, min(account.added_seconds - whole, queue))
    total = account.added_seconds or whole
    return waited, gap, min(1.0, max(0.0, calls.added.seconds + waited + gap) / total) if total > 0 else None


def queues(account: TimeAccount) -> tuple[str, ...]:
    """The rows of the account that are queues at the caller."""
    return tuple(c.name for c in account.components if c.name in ("queue for a worker", "edge and queue for a worker", "pool wait", "application lock or wait"))


def rows_of(account: TimeAccount, name: str) -> tuple[str, ...]:
    """The rows of the account that belong to a dependency."""
    return tuple(c.name for c in account.components if c.name.endswith(f": {name}"))


def arrivals(account: TimeAccount) -> float:
    """Arrival rate, affected over reference, of requests that have a duration (an application may log the slow ones once more); NaN where it is not known."""
    total = account.requests.total if account.requests else None
    if total is None or not total.reference.durations.n:
        return math.nan
    return account.rate(account.windows.affected, total.affected.durations.n) / account.rate(account.windows.reference, total.reference.durations.n)


def rounded(value: float) -> float | None:
    """For a test's value: None where there is no finite one."""
    return round(value, 3) if math.isfinite(value) else None


def unbiased(tracing: Tracing) -> tuple[Test, ...]:
    """A test that cannot be decided where traces were kept for what happened in them; none otherwise."""
    return (Test("traces were kept at random", tracing.biased, "not for being slow or failed", None),) if tracing.biased else ()


def shown(account: TimeAccount, tracing: Tracing, spans: Any, what: str) -> str:
    """SQL for ``perfaudit query`` that tells ``what`` of such spans in the affected window: those with the same service, kind, operation, route and peer."""
    at = np.flatnonzero(spans & (tracing.zone == AFFECTED))
    conditions = []
    for column in ("service", "kind", "operation", "route", "peer"):
        texts = sorted(set(tracing.texts(column, at)))
        if len(texts) == 1:
            conditions.append(named(**{column: texts[0]}))
        elif len(texts) <= MANY and "" not in texts:
            conditions.append(f"{column} IN ({', '.join(quote(t) for t in texts)})")
    return of_spans(account, " AND ".join(conditions) or "true", what)
