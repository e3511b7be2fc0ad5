"""Which log is the outermost tier? Users wait for that one; the others are parts of its time and are never pooled with it.

A tier is *inner* when its requests lie inside another's: by shared trace ids, else by time, against what chance would give
(the same requests shifted in time).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from perfaudit.baseline.stream import Total, totals
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.store import Evidence, quote

#: Requests of a tier that are looked at; ±2 % at the bars below.
SAMPLE = 2000
#: An inner tier's requests are inside the outer's at least this often more than by chance.
EXCESS = 0.3


@dataclass(frozen=True)
class Tier:
    """A service that logged requests; ``inside`` names the tier around it ("" for an outermost one). ``first``, ``last`` (µs) and
    ``traced`` are 0 where there is only one service: nothing is compared then."""

    service: str
    requests: int
    seconds: float
    first: int
    last: int
    traced: int
    inside: str = ""


@dataclass(frozen=True)
class Tiers:
    """All tiers; ``outermost`` are those that nothing contains. ``totals``: every service, method and route."""

    all: tuple[Tier, ...]
    totals: tuple[Total, ...] = ()

    @property
    def outer_totals(self) -> list[Total]:
        """Totals per route of the outermost tier."""
        return [t for t in self.totals if t.service in self.outermost]

    @property
    def outermost(self) -> tuple[str, ...]:
        """Services of the outermost tier, sorted."""
        return tuple(sorted(t.service for t in self.all if not t.inside))

    @property
    def condition(self) -> str:
        """A SQL condition on ``requests`` that keeps the outermost tier."""
        if all(not t.inside for t in self.all):
            return "true"
        return f"coalesce(service, '') IN ({', '.join(quote(s) for s in self.outermost)})"


def find(evidence: Evidence) -> Tiers:
    """The tiers of ``requests``."""
    rows = totals(evidence)
    services = sorted({t.service for t in rows})
    times = {services[0]: (0, 0, 0)} if len(services) == 1 else _times(evidence)
    found = [Tier(s, sum(t.count for t in rows if t.service == s), sum(t.micros for t in rows if t.service == s) / 1e6, *times[s]) for s in services]
    inside: dict[str, str] = {}
    if len(found) > 1:
        samples = {t.service: _sample(evidence, t) for t in found}
        scores = {(a.service, b.service): _contained(evidence, a, b, samples) for a, b in permutations(found, 2)}
        for inner, outer in permutations(found, 2):
            score, reverse = scores[inner.service, outer.service], scores[outer.service, inner.service]
            longer = outer.seconds / max(1, outer.requests) >= inner.seconds / max(1, inner.requests)
            if score >= EXCESS and (score > reverse + 0.05 or (abs(score - reverse) <= 0.05 and longer and inside.get(outer.service) != inner.service)):
                best = inside.get(inner.service)
                if best is None or scores[inner.service, best] < score:
                    inside[inner.service] = outer.service
        _around(found, inside)
        _without_durations(found, inside)
    return Tiers(tuple(replace(t, inside=inside.get(t.service, "")) for t in found), tuple(rows))


def _around(found: list[Tier], inside: dict[str, str]) -> None:
    """A load generator stands around whatever logged at its time: with many requests at once, chance covers all and times do not tell.

    Where a log goes on for longer than twice the test, it is the log that speaks of all, and the generator's requests are a part of it.
    """
    generator = next((t for t in found if t.service == LOAD_GENERATOR), None)
    if generator is None:
        return
    inside.pop(LOAD_GENERATOR, None)
    for tier in found:
        shared = min(tier.last, generator.last) - max(tier.first, generator.first)
        if tier is generator or shared < 0:
            continue
        if 2 * shared >= tier.last - tier.first:
            inside.setdefault(tier.service, LOAD_GENERATOR)
        elif inside.get(tier.service, LOAD_GENERATOR) == LOAD_GENERATOR:
            inside.pop(tier.service, None)
            inside.setdefault(LOAD_GENERATOR, tier.service)


def _without_durations(found: list[Tier], inside: dict[str, str]) -> None:
    """A log of some requests that says of none how long it took (an application's lines about slow or failed ones) is told again by one that does."""
    timed = [t for t in found if t.seconds > 0 and not inside.get(t.service)]
    for tier in found:
        around = [t for t in timed if t.requests > tier.requests and min(t.last, tier.last) > max(t.first, tier.first)]
        if tier.seconds == 0 and around and tier.service != LOAD_GENERATOR:
            inside.setdefault(tier.service, max(around, key=lambda t: (t.requests, t.service)).service)


def _times(evidence: Evidence) -> dict[str, tuple[int, int, int]]:
    """First and last arrival (µs) and the number of traced requests of each service."""
    rows = evidence.rows("SELECT coalesce(service, ''), epoch_us(min(time)), epoch_us(max(time)), count(trace_id) FROM requests GROUP BY 1")
    return {s: (int(first), int(last), int(traced)) for s, first, last, traced in rows}


def _sample(evidence: Evidence, tier: Tier) -> dict[str, np.ndarray[Any, Any]]:
    step = max(1, tier.requests // 200_000)
    data = evidence.columns(
        f"SELECT epoch_us(time) AS start, epoch_us(time) + coalesce(duration_us, 0) AS stop FROM requests WHERE coalesce(service, '') = {quote(tier.service)} AND status <> 101"
        + (f" AND epoch_us(time) % {step} = 0" if step > 1 else "")
        + " ORDER BY 1, 2"
    )
    return {k: np.asarray(v, np.int64) for k, v in data.items()}


def _contained(evidence: Evidence, inner: Tier, outer: Tier, samples: dict[str, dict[str, np.ndarray[Any, Any]]]) -> float:
    """How much more often than by chance a request of ``inner`` lies inside one of ``outer`` (0–1)."""
    if min(inner.last, outer.last) <= max(inner.first, outer.first):
        return 0.0
    if inner.traced > inner.requests / 2 and outer.traced > outer.requests / 2:
        (shared,) = evidence.one(
            f"SELECT avg((o.trace_id IS NOT NULL)::INT) FROM (SELECT trace_id FROM requests WHERE coalesce(service, '') = {quote(inner.service)} AND trace_id IS NOT NULL LIMIT {SAMPLE}) i"
            f" LEFT JOIN (SELECT DISTINCT trace_id FROM requests WHERE coalesce(service, '') = {quote(outer.service)}) o USING (trace_id)"
        )
        return float(shared or 0)
    small, large = samples[inner.service], samples[outer.service]
    pick = np.linspace(0, len(small["start"]) - 1, min(SAMPLE, len(small["start"]))).astype(int)
    start, stop = small["start"][pick], small["stop"][pick]
    coarse = any(_whole_seconds(side[edge]) for side in (small, large) for edge in ("start", "stop"))
    slack, shifts = (1_000_000, (-7_000_000, 12_000_000)) if coarse else (3_000, (-7_300_000, 11_900_000))
    ends = np.maximum.accumulate(large["stop"])
    chance = max(_covered(start + shift, stop + shift, large["start"], ends, slack) for shift in shifts)
    covered = _covered(start, stop, large["start"], ends, slack) - chance
    return covered if slack < 1_000_000 else max(covered, _in_step(evidence, inner, outer))


def _in_step(evidence: Evidence, inner: Tier, outer: Tier) -> float:
    """Where times are whole seconds: how much more than by chance the calls of ``inner`` rise and fall with a slower route of ``outer``."""
    first, last = max(inner.first, outer.first), min(inner.last, outer.last)
    bins = (last - first) // 2_000_000
    if bins < 15:
        return 0.0
    def counts(where: str) -> np.ndarray[Any, Any]:
        rows = evidence.rows(f"SELECT (epoch_us(time + to_microseconds(coalesce(duration_us, 0))) - {first}) // 2000000 AS b, count(*) FROM requests WHERE {where} GROUP BY 1")
        out = np.zeros(bins)
        for b, n in rows:
            if 0 <= b < bins:
                out[int(b)] = n
        return out
    own = counts(f"coalesce(service, '') = {quote(inner.service)}")
    best = 0.0
    for (route,) in evidence.rows(
        f"SELECT route FROM requests WHERE coalesce(service, '') = {quote(outer.service)} AND route IS NOT NULL GROUP BY 1 HAVING avg(duration_us) >= {inner.seconds / max(1, inner.requests) * 1e6} ORDER BY count(*) DESC LIMIT 10"
    ):
        theirs = counts(f"coalesce(service, '') = {quote(outer.service)} AND route = {quote(str(route))}")
        shifts = [_correlation(own[k:], theirs[:-k]) for k in (4, 5, 6, 7)] + [_correlation(own[:-k], theirs[k:]) for k in (4, 5, 6, 7)]
        best = max(best, _correlation(own, theirs) - max(0.0, *shifts))
    return best


def _correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    a, b = np.diff(a), np.diff(b)  # levels that drift together say nothing
    if len(a) < 8 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _covered(start: np.ndarray[Any, Any], stop: np.ndarray[Any, Any], outer: np.ndarray[Any, Any], ends: np.ndarray[Any, Any], slack: int) -> float:
    position = np.searchsorted(outer, start + slack, side="right") - 1
    known = position >= 0
    return float(np.mean(known & (ends[np.maximum(position, 0)] >= stop - slack))) if len(start) else 0.0


def _whole_seconds(instants: np.ndarray[Any, Any]) -> bool:
    return bool(len(instants)) and bool(np.all(instants % 1_000_000 == 0))
