"""What the loud symptoms with another cause have in common: signs of the effect and of the symptom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.mechanism import Sign

if TYPE_CHECKING:
    from lab.observed import Observed, Phase


def slower(seen: Observed, route: str, by: float, *, after: float = 0.6) -> Sign:
    """p95 of a route (ms): `by` times under the fault, and less than `after` of that when it is fixed."""
    healthy, fault, fixed = (phase.route(route).p95 for phase in (seen.healthy, seen.fault, seen.fixed))
    ok = fault >= by * healthy > 0 and fixed <= after * fault
    return Sign(f"p95 of {route}", healthy, fault, fixed, "ms", f"≥ {by:g} × healthy, ≤ {after:g} of it when fixed", ok)


def rises(seen: Observed, what: str, reading: Callable[[Phase], float], unit: str, least: float, by: float = 3.0) -> Sign:
    """A reading that is at least `least` under the fault, and `by` times what it is before and after."""
    healthy, fault, fixed = (float(reading(phase)) for phase in (seen.healthy, seen.fault, seen.fixed))
    return Sign(what, healthy, fault, fixed, unit, f"≥ {least:g}, ≥ {by:g} × before and after", fault >= least and fault >= by * max(healthy, fixed))


def cores(phase: Phase, component: str) -> float:
    """Processor that a component used, in cores."""
    return phase.group(component).cpu_s / max(1.0, phase.seconds)


def failed(phase: Phase, route: str) -> float:
    """Failed requests of a route in per cent."""
    times = phase.route(route)
    return 100 * times.errors / max(1, times.count)
