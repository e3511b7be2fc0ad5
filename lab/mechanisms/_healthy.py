"""What the cases without a problem have in common: nothing to name, and a signature that shows it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.observed.clients import Times

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack

#: Requests of a route that a comparison of its quantiles needs in both parts.
ENOUGH = 30
#: Milliseconds that are added to both sides of a ratio, so that 2 ms after 1 ms is not twice as slow.
FLOOR_MS = 4.0


class Healthy(Mechanism):
    """Nothing is wrong. `rivals` are the false alarms that the recording invites, `what` says what there is to see."""

    problem = "healthy"
    kind = "trap"
    seconds = (16, 28, 6)
    settle = 2
    rivals: ClassVar[tuple[str, ...]] = ()
    what: ClassVar[str] = ""
    #: Routes that wait by design.
    slow_by_design: ClassVar[tuple[str, ...]] = ()
    #: Seconds at the begin of the faulty part that may be slower.
    warm_up_s: ClassVar[float] = 0

    def breaks(self, stack: Stack) -> None:
        """Nothing happens."""

    def fixes(self, stack: Stack) -> None:
        """There is nothing to mend."""

    def truth(self, stack: Stack) -> dict[str, Any]:
        """No route, no object: there is nothing to find."""
        return {
            "route": None, "object": None, "statement_contains": None, "service": None, "trigger": None, "rivals": list(self.rivals), "notes": self.what,
            "fix": "none is needed",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Nothing failed, nothing became slow, and what invites a false alarm is really there."""
        return [*calm(seen, self.slow_by_design, self.warm_up_s), *self.shows(seen)]

    def shows(self, seen: Observed) -> list[Sign]:
        """What there is to see although all is well."""
        return []


def calm(seen: Observed, without: tuple[str, ...] = (), skip_s: float = 0) -> list[Sign]:
    """No route is slower than in the healthy part: their p95 together, the p50 of the worst, and failures.

    `without` these routes, and without the first `skip_s` seconds of the faulty part.
    """
    fault = seen.fault
    rows = [
        (math.log((now.p95 + FLOOR_MS) / (before.p95 + FLOOR_MS)), (now.p50 + FLOOR_MS) / (before.p50 + FLOOR_MS), now.count)
        for name, now in _routes(fault, skip_s).items()
        if name not in without and now.count >= ENOUGH and (before := seen.healthy.route(name)).count >= ENOUGH / 2
    ]
    total = sum(n for _, _, n in rows)
    tails = math.exp(sum(tail * n for tail, _, n in rows) / total) if total else math.inf
    middle = max((m for _, m, _ in rows), default=math.inf)
    failed, count = fault.everything.errors, fault.everything.count
    return [
        Sign("p95 of the routes over what it was", 1.0, tails, None, "times", "≤ 1.5", tails <= 1.5),
        Sign("p50 of the slowest route over what it was", 1.0, middle, None, "times", "≤ 1.5", middle <= 1.5),
        Sign("failed requests", float(seen.healthy.everything.errors), float(failed), float(seen.fixed.everything.errors), "", "≤ 0.2 %", failed <= 0.002 * count),
    ]


def _routes(phase: Phase, skip_s: float) -> dict[str, Times]:
    begin = phase.begin + skip_s
    kept = [r for r in phase.requests if r.time - r.ms / 1000 >= begin]
    return {name: Times.of([r for r in kept if r.route == name], phase.end - begin) for name in phase.routes}


def there(what: str, unit: str, values: tuple[float, float, float], bar: str, ok: bool) -> Sign:
    """A sign of what is to be seen: healthy, fault, fixed."""
    return Sign(what, *values, unit, bar, ok)


def readdressed(stack: Stack, route: str, url: str) -> None:
    """The same route with another choice of what is asked for (a JavaScript expression, see lab/load.py)."""
    stack.routes = [replace(r, url=url) if r.name == route else r for r in stack.routes]
