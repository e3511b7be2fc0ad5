"""A campaign: several times as many visitors, who ask for what visitors always ask for. All wait longer because all are more."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import route
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.processes import Component
    from lab.stack import Stack


class Surge(Mechanism):
    """What a request costs stays as it was; its waiting follows the load."""

    problem = "traffic-surge"
    seconds = (22, 42, 22)
    victim = ""
    stream: Component

    def breaks(self, stack: Stack) -> None:
        """The visitors come, for everything."""
        self.stream = stack.load.more(stack.url, stack.routes, stack.rate * (self.times - 1), 240)

    def fixes(self, stack: Stack) -> None:
        """The campaign is over."""
        self.stream.stop()

    def cpu_ms(self, phase: Phase) -> float:
        """CPU of the replicas for each request, in ms."""
        return 1000 * sum(use.cpu_s for use in phase.groups("app-*").values()) / max(1, phase.everything.count)

    def signature(self, seen: Observed) -> list[Sign]:
        """The load, what a request demands, and how long it takes."""
        cost = [self.cpu_ms(p) for p in (seen.healthy, seen.fault, seen.fixed)]
        return [
            more(seen, "requests", lambda p: p.everything.rate, "1/s", least=50, by=2),
            Sign("CPU of the replicas for each request", *cost, "ms", "within 0.5–1.5 of healthy", 0.5 <= cost[1] / cost[0] <= 1.5),
            slower(seen, self.victim, 2.0, after=0.7),
        ]

    def truth(self, stack: Stack) -> dict[str, Any]:
        """All routes; the one that shows it most is first."""
        paths = [route(stack, self.victim).path, *(r.path for r in stack.routes if r.name != self.victim)]
        return {
            "route": paths, "object": None, "statement_contains": None, "service": stack.service, "trigger": "traffic",
            "accept": ["tail-under-concurrency", "worker-exhaustion"], "rivals": ["deploy-regression", "missing-index", "retry-storm", "cascading-delay"],
            "notes": f"{self.times:.1f} times the requests over about the same mix, for the same things; each of two replicas works on {self.room} at a time, plenty before",
            "fix": "capacity for the campaign, or a limit at the door; here the campaign ends",
        }  # fmt: skip

    #: Times the usual load, and requests that a replica works on at the same time.
    times, room = 1.0, 2


class OnMarket(Surge):
    """Replicas that admit as many requests as a usual day needs."""

    stack, victim = "market", "search"

    def choose(self, rng: random.Random) -> None:
        """How many more come, and for how many there is room."""
        self.times, self.room = rng.uniform(4.2, 4.8), 2
        self.settings = {"rate": rng.uniform(22, 25), "limit": self.room, "partner": {"ms": rng.randint(38, 48)}, "sampling": round(rng.uniform(0.05, 0.07), 3)}


class OnShop(Surge):
    """Replicas with as many threads as a usual day needs."""

    stack, victim = "shop", "customer"

    def choose(self, rng: random.Random) -> None:
        """How many more come, and for how many there is room."""
        self.times, self.room = rng.uniform(3.5, 4.1), 2
        self.settings = {
            "rate": rng.uniform(23, 26), "threads": self.room, "partner": {"ms": rng.randint(58, 74)}, "weights": {"checkout": rng.randint(17, 21)},
            "sampling": round(rng.uniform(0.07, 0.1), 3),
        }  # fmt: skip
