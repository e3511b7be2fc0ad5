"""Scale, fix, leave alone, or do not scale? One rule for each answer, in the order in which they are asked.

1. The audit's verdict is a lock or another serial section: *do not scale*, more of anything queues for the same thing.
2. Throughput already falls with load (the peak is behind): *do not scale*.
3. The objective would hold at half as much load again: *leave alone*.
4. A station is busy (≥ 80 %) and another one of it would bring half as much again: *scale* it.
5. The verdict names a constraint that is not growth: *fix* it.
6. Twice the load brings under a tenth more: *do not scale*; half as much again: *scale* (the same resources carry it: *leave alone*); in
   between: *fix* contention first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfaudit.capacity.demands import Station
from perfaudit.capacity.objective import Capacity
from perfaudit.capacity.points import ANY_LOAD, Points
from perfaudit.stats.percentile import Interval
from perfaudit.stats.usl import Refusal, Scalability

#: Headroom that is ample: losing one of three equal zones raises the load of the others by so much.
AMPLE = 1.5
#: A doubling that brings less than a tenth returns less than a tenth of its price.
USELESS = 1.1
#: Above this utilisation a single server's queue holds more than three times its service time (M/M/1: 1/(1 − ρ) = 5).
BUSY = 0.8
#: Words in the name of a problem class by which its constraint is served in series, whatever is added around it.
SERIAL = frozenset({"lock", "locks", "deadlock", "serial", "serialised", "serialization", "gil", "mutex", "hot", "single"})
#: Classes that are nothing but more load or too few resources.
GROWTH = frozenset({"traffic-surge", "cpu-saturation", "cpu-throttling", "worker-saturation"})


@dataclass(frozen=True)
class Facts:
    """All that the answer rests on; what is not known is None or empty. ``bound``: of the objective, in ms or as a share."""

    points: Points | None = None
    law: Scalability | Refusal | None = None
    objective: str = ""
    bound: float = 0.0
    capacity: Capacity | None = None
    beyond: Interval | None = None
    stations: Sequence[Station] = ()
    verdict: Mapping[str, Any] = field(default_factory=dict)
    why_not: str = ""


@dataclass(frozen=True)
class Answer:
    """``answer``: scale, fix, leave alone, do not scale or cannot tell; why in a sentence; what would make a better answer possible."""

    answer: str
    reason: str
    todo: str = ""


def decide(facts: Facts) -> Answer:
    """The answer of the first rule that applies."""
    rules = (_serial, _past_peak, _ample, _busy_station, _constraint, _growth)
    found = next((answer for rule in rules if (answer := rule(facts)) is not None), None)
    if found:
        return found
    if isinstance(facts.law, Refusal):
        return Answer("cannot tell", facts.law.reason, facts.law.todo)
    return Answer("cannot tell", facts.why_not or "nothing here says how throughput grows with load", "give a recording in which arrivals vary at least threefold (a day with its night), or a load test with six steps")


def serial(problem: str) -> bool:
    """Whether a problem class is a lock or another serial section."""
    return bool(SERIAL & set(problem.split("-")))


def now(points: Points) -> tuple[float, float]:
    """Load and throughput to speak of: the largest load of a table; in a recording those of its busiest intervals (95th percentile)."""
    import numpy as np

    if points.sized:
        i = int(points.load.argmax())
        return float(points.load[i]), float(points.throughput[points.load == points.load[i]].mean())
    x = float(np.quantile(points.throughput, 0.95, method="inverted_cdf"))
    return float(np.median(points.load[points.throughput >= x])), x


def _problem(facts: Facts) -> str:
    return str(facts.verdict.get("problem", "")) if facts.verdict.get("status") == "constraint" else ""


def _scope(facts: Facts) -> str:
    scope = facts.verdict.get("scope", {})
    value = next((scope[k] for k in ("object", "service", "route") if scope.get(k)), "")
    return value if isinstance(value, str) else ", ".join(map(str, value))


def _serial(facts: Facts) -> Answer | None:
    problem = _problem(facts)
    if not problem or not serial(problem):
        return None
    on = f" on {_scope(facts)}" if _scope(facts) else ""
    return Answer("do not scale", f"the constraint is {problem.replace('-', ' ')}{on}: more instances queue for the same thing. {facts.verdict.get('decision', '')}".strip())


def _past_peak(facts: Facts) -> Answer | None:
    law = facts.law
    if facts.points is None or not isinstance(law, Scalability) or law.peak_load is None or law.peak_throughput is None or not law.coherency:
        return None
    load, _ = now(facts.points)
    gain = law.gain(load, min(2 * load, law.reach))
    if law.peak_load.value >= load or gain.high is None or gain.high >= 1:
        return None
    top = amount(facts.points, law.peak_load.value)
    return Answer(
        "do not scale",
        f"throughput peaks at {top} with {law.peak_throughput.value:,.4g}/s and falls to {law.predict(load).value:,.4g}/s at {load:,.4g}; twice that would bring {gain.value:.2f} times as much "
        f"({gain.low:.2f}–{gain.high:.2f}). Keep it at {top}, and fix coherency (κ) and contention (σ) first",
    )


def amount(points: Points, load: float) -> str:
    """``a load of 97``, ``97 users``."""
    return f"a load of {load:,.4g}" if points.unit == ANY_LOAD else f"{load:,.4g} {points.unit}"


def _ample(facts: Facts) -> Answer | None:
    if facts.points is None or facts.capacity is None or facts.capacity.kept != "all" or facts.beyond is None:
        return None
    _, x = now(facts.points)
    if facts.beyond.low is None or facts.beyond.low < AMPLE * x:
        return None
    return Answer("leave alone", f"{facts.objective} is kept at every load seen, and would be at {facts.beyond.low / x:.1f} times the busiest ({x:,.4g}/s) by the law of its throughput")


def _busy_station(facts: Facts) -> Answer | None:
    station = max((s for s in facts.stations if s.utilisation is not None), key=lambda s: s.utilisation or 0.0, default=None)
    if station is None or (station.utilisation or 0.0) < BUSY or station.doubled is None:
        return None
    if _problem(facts) and _problem(facts) not in GROWTH:
        return None
    if station.doubled.value < AMPLE:
        return Answer("fix", f"{station.name} is {station.utilisation:.0%} busy, but twice of it brings {station.doubled.value:.2f} times: {station.then} is next. Lower the demand of a request at both")
    return Answer("scale", f"{station.name} is {station.utilisation:.0%} busy and limits throughput; twice of it brings up to {station.doubled.value:.2f} times, then {station.then or 'something not measured'} limits")


def _constraint(facts: Facts) -> Answer | None:
    problem = _problem(facts)
    if not problem or problem in GROWTH:
        return None
    on = f" ({_scope(facts)})" if _scope(facts) else ""
    return Answer("fix", f"the constraint is {problem.replace('-', ' ')}{on}, not a lack of resources. {facts.verdict.get('decision', '')}".strip())


def _growth(facts: Facts) -> Answer | None:
    law, points = facts.law, facts.points
    if points is None or not isinstance(law, Scalability):
        if _problem(facts) in GROWTH:
            return Answer("scale", f"the constraint is {_problem(facts).replace('-', ' ')}; no lock or other shared constraint was found. {facts.verdict.get('decision', '')}".strip())
        return None
    load, _ = now(points)
    gain = law.gain(load, min(2 * load, law.reach))
    low, high = gain.low if gain.low is not None else gain.value, gain.high if gain.high is not None else gain.value
    said = f"twice the load ({amount(points, 2 * load)}) brings {gain.value:.2f} times the throughput ({low:.2f}–{high:.2f})"
    if low < USELESS and high >= AMPLE:
        return Answer("cannot tell", f"{said}: the interval holds both nothing and half as much again", "measure more loads, above all near the largest")
    if gain.value < USELESS:
        return Answer("do not scale", f"{said}: it is limited by contention (σ = {law.sigma.value:.3g}), a part that all share")
    if gain.value < AMPLE:
        return Answer("fix", f"{said}; without contention (σ = {law.sigma.value:.3g}) and coherency (κ = {law.kappa.value:.3g}) it would bring 2: fix what is shared first")
    if points.sized:
        return Answer("scale", f"{said}; contention is low (σ = {law.sigma.value:.3g})")
    kept = facts.capacity is None or facts.capacity.kept == "all"
    if kept:
        return Answer("leave alone", f"{said} on the same resources" + (f", and {facts.objective} is kept at every load seen" if facts.capacity else "; no objective was given that could break before"))
    return Answer("scale", f"{said}, but {facts.objective} breaks before")
