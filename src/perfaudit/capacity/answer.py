"""Scale, fix, leave alone, or do not scale? One rule for each answer, in the order in which they are asked.

1. The audit's verdict is a lock or another serial section: *do not scale*, more of anything queues for the same thing.
2. The objective is broken at the smallest load: *fix*, no resource makes a request shorter that waits for nobody (unless there was only one load,
   and the verdict is that it was too much).
3. Throughput was seen to fall with load: *do not scale*, the peak is behind.
4. The objective would hold at half as much load again: *leave alone*.
5. A station is busy (≥ 80 %): *scale* it where two of it bring half as much again, else *fix* what a request costs there, or what else runs there.
6. The verdict names a constraint that is not growth: *fix* it.
7. A table of sizes: twice the load brings under a tenth more: *do not scale*; half as much again: *scale*; in between: *fix* what is shared.
8. A recording near its limit: *scale* where locks were looked for and ruled out. Otherwise a busy CPU and a shared lock look the same: *cannot tell*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfaudit.capacity.demands import Station
from perfaudit.capacity.objective import Capacity
from perfaudit.capacity.points import ANY_LOAD, Points
from perfaudit.stats.percentile import Interval
from perfaudit.stats.usl import Refusal, Scalability

#: Headroom that is ample: losing one of three equal zones raises the load of the others by so much.
AMPLE = 1.5
#: A doubling that brings less than a tenth returns less than a tenth of its price.
USELESS = 1.1
#: A single server that is busier than this makes a request wait four times its service time (M/M/1: ρ/(1 − ρ)).
BUSY = 0.8
#: Throughput has fallen when, well beyond the peak's load, less than this share of the largest was seen: the noise of a minute's mean is 5 %.
FALLEN, BEYOND = 0.95, 1.25
#: Fewer intervals of a recording than this beyond the peak are chance: the median of six lies on one side of the truth in 1 of 32.
FAR = 6
#: Words in the name of a problem class by which its constraint is served in series, whatever is added around it.
SERIAL = frozenset({"lock", "locks", "deadlock", "serial", "serialised", "serialization", "gil", "mutex", "hot", "single"})
#: Classes that are nothing but more load or too few resources.
GROWTH = frozenset({"traffic-surge", "cpu-saturation", "cpu-throttling", "worker-saturation"})
_LOAD_TEST = "give a recording in which arrivals vary at least threefold (a day with its night), or a load test with six steps"
_RESOURCES = "collect what could be busy for the same time: CPU counters (node exporter), snapshots of pg_stat_activity, pool gauges"


@dataclass(frozen=True)
class Facts:
    """All that the answer rests on; what is not known is None or empty.

    ``bound``: of the objective, in ms or as a share; ``beyond``: throughput up to which it would be kept by the law. ``saturation``: throughput
    at which it levels off. ``carried``: what a recording carried at its busiest without a queue that kept growing. ``unlocked``: locks were looked for with enough evidence, and ruled out. ``why_not``: why there is no law,
    ``unjudged``: why nothing is said of the objective.
    """

    points: Points | None = None
    law: Scalability | Refusal | None = None
    objective: str = ""
    bound: float = 0.0
    capacity: Capacity | None = None
    beyond: Interval | None = None
    saturation: Interval | None = None
    carried: float | None = None
    stations: Sequence[Station] = ()
    verdict: Mapping[str, Any] = field(default_factory=dict)
    unlocked: bool = False
    why_not: str = ""
    unjudged: str = ""

    @property
    def problem(self) -> str:
        """The class of the audit's verdict, "" without a constraint."""
        return str(self.verdict.get("problem", "")) if self.verdict.get("status") == "constraint" else ""

    @property
    def decision(self) -> str:
        """What the audit says to do."""
        return str(self.verdict.get("decision", ""))

    @property
    def subject(self) -> str:
        """What the constraint is on: an object, a service or a route."""
        scope = self.verdict.get("scope", {})
        value = next((scope[k] for k in ("object", "service", "route") if scope.get(k)), "")
        return value if isinstance(value, str) else ", ".join(map(str, value))

    @property
    def ceiling(self) -> float:
        """Requests per second that the first station to fill can carry; infinite where none is known."""
        return min((s.bound.value for s in self.stations if s.bound), default=float("inf"))


@dataclass(frozen=True)
class Answer:
    """``answer``: scale, fix, leave alone, do not scale or cannot tell; why in a sentence; what would make a better answer possible."""

    answer: str
    reason: str
    todo: str = ""


def decide(facts: Facts) -> Answer:
    """The answer of the first rule that applies."""
    rules = (_serial, _always_broken, _past_peak, _ample, _busy_station, _constraint, _sizes, _recording)
    found = next((answer for rule in rules if (answer := rule(facts)) is not None), None)
    if found:
        return found
    if isinstance(facts.law, Refusal):
        return Answer("cannot tell", facts.law.reason, facts.law.todo)
    return Answer("cannot tell", facts.why_not or "nothing here says how throughput grows with load", _LOAD_TEST)


def serial(problem: str) -> bool:
    """Whether a problem class is a lock or another serial section."""
    return bool(SERIAL & set(problem.split("-")))


def now(points: Points) -> tuple[float, float]:
    """Load and throughput to speak of: the largest load of separate runs; in a recording those of its busiest intervals (95th percentile)."""
    if points.runs:
        most = float(points.load.max())
        return most, float(points.throughput[points.load == most].mean())
    x = float(np.quantile(points.throughput, 0.95, method="inverted_cdf"))
    return float(np.median(points.load[points.throughput >= x])), x


def amount(points: Points, load: float) -> str:
    """``a load of 97``, ``97 users``."""
    return f"a load of {load:,.4g}" if points.unit == ANY_LOAD else f"{load:,.4g} {points.unit}"


def _named(problem: str) -> str:
    return problem.replace("-", " ")


def _serial(facts: Facts) -> Answer | None:
    if not serial(facts.problem):
        return None
    on = f" on {facts.subject}" if facts.subject else ""
    return Answer("do not scale", f"the constraint is {_named(facts.problem)}{on}: more instances queue for the same thing. {facts.decision}".strip())


def _always_broken(facts: Facts) -> Answer | None:
    if facts.capacity is None or facts.capacity.kept != "none":
        return None
    if facts.problem in GROWTH:
        if facts.why_not:  # load hardly varied: it may have been too much all the time
            return None
        also = f": what a request does by itself takes too long, and no more resources shorten it. {_named(facts.problem).capitalize()} comes on top at the busiest"
    else:
        also = f"; the constraint is {_named(facts.problem)}. {facts.decision}" if facts.problem else ": what a request does by itself takes too long"
    return Answer("fix", f"{facts.objective} is broken at the smallest load already{also}")


def _past_peak(facts: Facts) -> Answer | None:
    law, points = facts.law, facts.points
    if points is None or not isinstance(law, Scalability) or law.peak_load is None or law.peak_throughput is None or not law.coherency or not fallen(points, law.peak_load.value):
        return None
    load, _ = now(points)
    end = float(points.load.max())
    gain = law.gain(load, min(2 * load, law.reach))
    if gain.high is None or gain.high >= 1:
        return None
    top = amount(points, law.peak_load.value)
    parts = "coherency (κ) and contention (σ)" if law.contention else "coherency (κ)"
    return Answer(
        "do not scale",
        f"throughput peaks at {top} with {law.peak_throughput.value:,.4g}/s and falls to {law.predict(end).value:,.4g}/s at {end:,.4g}; twice the load would bring {gain.value:.2f} times as much "
        f"({gain.low:.2f}–{gain.high:.2f}). Keep it at {top}, and fix {parts} first",
    )


def fallen(points: Points, peak: float) -> bool:
    """Whether less throughput was seen well beyond the peak's load than near it; in a recording while as much arrived as the peak had served.

    Where bursts come and go an interval that begins with a queue and ends idle has many in flight and few completions: no fall.
    """
    far, near = points.load >= BEYOND * peak, (points.load <= BEYOND * peak) & (points.load >= peak / BEYOND / 2)
    if far.sum() < (1 if points.runs else FAR) or not near.any():
        return False
    top = float(points.throughput[near].max() if points.runs else np.quantile(points.throughput[near], 0.9))
    offered = points.arrivals is None or float(np.median(points.arrivals[far])) >= FALLEN * top
    return offered and float(np.median(points.throughput[far])) < FALLEN * top


def _ample(facts: Facts) -> Answer | None:
    points, capacity = facts.points, facts.capacity
    if points is None or capacity is None or facts.problem:
        return None
    load, x = now(points)
    imposed = x if points.arrivals is not None else load
    if capacity.kept == "some" and capacity.load is not None and (capacity.load.low or 0) >= AMPLE * imposed:
        return Answer("leave alone", f"{facts.objective} is kept up to {capacity.load.value / imposed:.1f} times the busiest load")
    if capacity.kept != "all" or facts.beyond is None or facts.beyond.low is None:
        return None
    kept = min(facts.beyond.low, facts.ceiling)
    if kept < AMPLE * x:
        return None
    unless = "" if facts.stations else ", unless something that was not measured fills up before (no CPU counters were read)"
    return Answer("leave alone", f"{facts.objective} is kept at every load seen, and would be at {kept / x:.1f} times the busiest ({x:,.4g}/s) by the law of its throughput{unless}")


def _busy_station(facts: Facts) -> Answer | None:
    station = max((s for s in facts.stations if s.utilisation is not None and s.attributed), key=lambda s: s.utilisation or 0.0, default=None)
    if station is None or (station.utilisation or 0.0) < BUSY or station.doubled is None or (facts.problem and facts.problem not in GROWTH):
        return None
    busy = f"{station.name} is {station.utilisation:.0%} busy at the busiest load and limits throughput"
    if station.idle.value > station.busy / 2:
        return Answer("fix", f"{station.name} is {station.utilisation:.0%} busy, {station.idle.value:.2g} of its {station.servers:g} CPUs by something that runs without requests: stop or move that first")
    if station.doubled.value < AMPLE:
        return Answer("fix", f"{busy}, but twice of it brings {station.doubled.value:.2f} times: {station.then or 'the rest of a request'} is next. Lower what a request costs there")
    return Answer("scale", f"{busy}; twice of it brings up to {station.doubled.value:.2f} times, then {station.then or 'something that was not measured'} limits")


def _constraint(facts: Facts) -> Answer | None:
    if not facts.problem or facts.problem in GROWTH:
        return None
    on = f" ({facts.subject})" if facts.subject else ""
    return Answer("fix", f"the constraint is {_named(facts.problem)}{on}, not a lack of resources. {facts.decision}".strip())


def _sizes(facts: Facts) -> Answer | None:
    law, points = facts.law, facts.points
    if points is None or not points.sized:
        return None
    if facts.saturation is not None:
        return Answer("do not scale", f"throughput stops growing at {facts.saturation.value:,.4g}/s, long before {amount(points, float(points.load.max()))}: more brings no more. Something that all share is full")
    if not isinstance(law, Scalability):
        return None
    load, _ = now(points)
    gain = law.gain(load, min(2 * load, law.reach))
    low, high = gain.low if gain.low is not None else gain.value, gain.high if gain.high is not None else gain.value
    said = f"twice the load ({amount(points, 2 * load)}) brings {gain.value:.2f} times the throughput ({low:.2f}–{high:.2f})"
    if low < USELESS and high >= AMPLE:
        return Answer("cannot tell", f"{said}: the interval holds both nothing and half as much again", "measure more loads, above all near the largest")
    if gain.value < USELESS:
        return Answer("do not scale", f"{said}: it is limited by {_culprit(law, min(2 * load, law.reach))}")
    if gain.value < AMPLE:
        return Answer("fix", f"{said}; without contention (σ = {law.sigma.value:.3g}) and coherency (κ = {law.kappa.value:.3g}) it would bring 2: fix what is shared first")
    return Answer("scale", f"{said}; contention is low (σ = {law.sigma.value:.3g})")


def _culprit(law: Scalability, load: float) -> str:
    """The parameter without which throughput at ``load`` would be larger."""
    if law.without(load, coherency=True).value > law.without(load, contention=True).value:
        return f"coherency (κ = {law.kappa.value:.3g}): the more there are, the more each waits for the others to agree"
    return f"contention (σ = {law.sigma.value:.3g}), a part that all share"


def _recording(facts: Facts) -> Answer | None:
    law, points = facts.law, facts.points
    if points is not None and facts.saturation is not None:
        return _saturated(facts, facts.saturation.value)
    if points is not None and facts.carried is not None:
        return _carries(facts, facts.carried)
    if points is None or not isinstance(law, Scalability):
        if facts.problem in GROWTH and facts.unlocked:
            return Answer("scale", f"the constraint is {_named(facts.problem)}, and locks are ruled out. {facts.decision}".strip())
        return _by_stations(facts)
    load, x = now(points)
    gain = law.gain(load, min(2 * load, law.reach))
    headroom = min((gain.low or gain.value) * x, facts.ceiling) / x
    unless = "" if facts.stations else ", unless something that was not measured fills up before (no CPU counters were read)"
    if headroom >= AMPLE and (facts.capacity is None or facts.capacity.kept == "all") and not facts.problem:
        if points.runs:
            return Answer("leave alone", f"throughput still grows at {amount(points, load)}, the most that was tried ({x:,.4g}/s); where it ends was not seen, so measure further before more than that is expected")
        return Answer("leave alone", f"the same resources carry {headroom:.1f} times the busiest load ({x:,.4g}/s) by the law of its throughput{unless}")
    said = f"the law of its throughput is sure of no more than {max(1.0, headroom):.2f} times its busiest load ({x:,.4g}/s)"
    if facts.capacity is not None and facts.capacity.kept == "some" and facts.capacity.load is not None:
        said = f"{facts.objective} holds up to {facts.capacity.load.value:,.4g}/s; the busiest load is {x:,.4g}/s"
    first = _first(facts)
    if first is not None and first.attributed and facts.ceiling < AMPLE * x:
        return Answer("scale", f"{first.name} fills first: it is {first.utilisation:.0%} busy at {x:,.4g}/s and carries at most {facts.ceiling:,.4g}/s, {facts.ceiling / x:.2f} times as much")
    return _unknown(facts, said)


def _saturated(facts: Facts, limit: float) -> Answer:
    first = _first(facts)
    if first is not None and first.attributed and facts.ceiling < AMPLE * limit:
        return Answer("scale", f"throughput stops growing at {limit:,.4g}/s, where {first.name} is full: it carries at most {facts.ceiling:,.4g}/s")
    return _unknown(facts, f"throughput stops growing at {limit:,.4g}/s")


def _carries(facts: Facts, busiest: float) -> Answer:
    first, seen = _first(facts), f"it carries at least {busiest:,.4g}/s, its busiest load: no queue kept growing then"
    if first is not None and first.attributed and facts.ceiling < AMPLE * busiest:
        return Answer("scale", f"{seen}; {first.name} fills first: it is {first.utilisation:.0%} busy and carries at most {facts.ceiling:,.4g}/s, {facts.ceiling / busiest:.2f} times as much")
    kept = facts.capacity.kept if facts.capacity is not None else ""
    if first is not None and kept == "all" and not facts.problem and facts.ceiling >= AMPLE * busiest:
        return Answer("leave alone", f"{facts.objective} is kept; {first.name}, the busiest of what was measured, carries {facts.ceiling / busiest:.1f} times the busiest load ({busiest:,.4g}/s)")
    if facts.capacity is not None and kept == "some" and facts.capacity.load is not None:
        seen = f"{facts.objective} holds up to {facts.capacity.load.value:,.4g}/s; {seen}"
    return _unknown(facts, f"{seen}. Where it ends was not seen")


def _unknown(facts: Facts, said: str) -> Answer:
    if facts.unlocked:
        return Answer("scale", f"{said}, and locks are ruled out as the reason")
    return Answer("cannot tell", f"{said}. Whether more of it would help cannot be told from requests alone: a busy CPU, which scaling helps, and a shared lock, which it does not, look the same", _RESOURCES)


def _first(facts: Facts) -> Station | None:
    """The station that fills first."""
    return min((s for s in facts.stations if s.bound), key=lambda s: s.bound.value if s.bound else 0.0, default=None)


def _by_stations(facts: Facts) -> Answer | None:
    """Loads that hardly varied, but CPU counters: the utilisation law alone, U = X·D."""
    first = _first(facts)
    if first is None or facts.points is None or facts.points.sized or facts.problem:
        return None
    _, x = now(facts.points)
    busiest = f"{first.name}, the busiest of what was measured, is {first.utilisation:.0%} busy at {x:,.4g}/s and carries {facts.ceiling:,.4g}/s if all of that serves requests"
    if facts.ceiling < AMPLE * x:
        return None
    if facts.capacity is not None and facts.capacity.kept == "all":
        return Answer("leave alone", f"{busiest}; {facts.objective} is kept. How latency grows until then was not seen: arrivals hardly varied")
    return None
