"""After a deploy a route is slower or fails more often, and nothing that is recorded tells by what mechanism."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import route
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class OnMarket(Mechanism):
    """A portfolio's worth is stated with a range, which is computed by playing a year through many times."""

    stack = "market"
    problem = "deploy-regression"
    seconds = (20, 38, 20)
    needs = ("events",)

    def choose(self, rng: random.Random) -> None:
        """How much is computed."""
        self.parameters = {"days": rng.randint(240, 260), "times": rng.randint(150, 210), "swing": round(rng.uniform(0.008, 0.016), 4)}
        self.settings = {"rate": rng.uniform(22, 28), "weights": {"portfolio": rng.randint(11, 15)}}

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("deploy_regression", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Rolls back."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The route and the service."""
        return {
            "route": route(stack, "portfolio").path, "object": None, "statement_contains": None, "service": stack.service, "trigger": "deploy", "accept": [],
            "rivals": ["cpu-saturation", "missing-index", "runtime-pause", "traffic-surge", "app-lock-contention"],
            "notes": f"{self.parameters['times']} times {self.parameters['days']} random steps in a thread for each portfolio; no call, query or lock is new",
            "fix": "roll back; compute the range by formula or beforehand",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """The CPU time of a request, and the route."""
        cost = [sum(g.cpu_s for g in p.groups("app-*").values()) * 1000 / max(1, p.everything.count) for p in (seen.healthy, seen.fault, seen.fixed)]
        return [Sign("CPU of the replicas for each request", *cost, "ms", "≥ 1.4 × the other parts", cost[1] >= 1.4 * max(cost[0], cost[2])), slower(seen, "portfolio", 2.5, q="p50")]


class OnShop(Mechanism):
    """Carriage is split over the lines of a purchase, and purchases with a single line fail."""

    stack = "shop"
    problem = "deploy-regression"
    seconds = (20, 38, 20)
    needs = ("events",)

    def choose(self, rng: random.Random) -> None:
        """What carriage costs, and how much is bought."""
        self.parameters = {"cents": rng.randrange(310, 690)}
        self.settings = {"rate": rng.uniform(25, 32), "weights": {"checkout": rng.randint(14, 19)}}

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("deploy_regression", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Rolls back."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The route and the service."""
        return {
            "route": route(stack, "checkout").path, "object": None, "statement_contains": None, "service": stack.service, "trigger": "deploy", "accept": [],
            "rivals": ["connection-limit", "pool-exhaustion", "retry-storm", "deadlock", "traffic-surge"],
            "notes": "purchases with one line, a fifth of all, fail with an IndexError since the deploy; times are unchanged",
            "fix": "roll back; try the case of one line",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Failures of the route."""

        def failed(phase: Phase) -> float:
            times = phase.route("checkout")
            return 100 * times.errors / max(1, times.count)

        return [more(seen, "failed purchases", failed, "%", least=8, by=5)]
