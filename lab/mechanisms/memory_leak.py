"""Something is kept for each request and never let go: memory grows at constant traffic."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import memory_growth
from lab.mechanisms._database import more

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class Leak(Mechanism):
    """Nothing gets slower yet. The slope of memory is read from the last two thirds of a part, so that a start is no leak."""

    problem = "memory-leak"
    needs = ("metrics", "runtime", "host")
    seconds = (20, 64, 22)
    settle = 6
    parameters: dict[str, Any]
    good: ClassVar[str] = "base"

    def breaks(self, stack: Stack) -> None:
        """Deploys what remembers."""
        stack.deploy("memory_leak", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Deploys what does not."""
        stack.deploy(self.good)

    def signature(self, seen: Observed) -> list[Sign]:
        """How fast the replicas' memory grows at the same rate of requests."""
        rates = [p.everything.rate for p in (seen.healthy, seen.fault, seen.fixed)]
        same = 0.75 <= rates[1] / rates[0] <= 1.33
        return [more(seen, "growth of the replicas' memory", memory_growth, "MB/min", least=15, by=2.5), Sign("requests", *rates, "1/s", "within a third of healthy", same)]


class OnMarket(Leak):
    """Answers are remembered by the id of their request, without a bound."""

    stack = "market"

    def choose(self, rng: random.Random) -> None:
        """Which routes remember, and how often they are asked for."""
        self.parameters = {"routes": ["portfolio", "history", "statement", "watchlist", "page"]}
        self.settings = {"rate": rng.uniform(31, 38), "weights": {"portfolio": rng.randint(16, 21), "statement": rng.randint(9, 12)}, "sampling": round(rng.uniform(0.09, 0.12), 3)}

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The service."""
        return {
            "route": None, "object": None, "statement_contains": None, "service": stack.service, "trigger": "deploy", "accept": ["unbounded-growth"],
            "rivals": ["traffic-surge", "runtime-pause", "low-hit-ratio"],
            "notes": "answers of five routes are kept by the id of the request that was given; no request has one that comes again, and nothing is forgotten",
            "fix": "bound what is remembered by number and age",
        }  # fmt: skip


class OnShop(Leak):
    """Lists are remembered for five seconds under their address and the time, and never removed."""

    stack = "shop"

    def choose(self, rng: random.Random) -> None:
        """How often the remembered lists are asked for."""
        self.parameters = {"routes": ["purchases", "catalogue", "search", "product", "customer"]}
        self.settings = {"rate": rng.uniform(32, 39), "weights": {"purchases": rng.randint(24, 30), "catalogue": rng.randint(20, 25)}, "sampling": round(rng.uniform(0.09, 0.12), 3)}

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The service."""
        return {
            "route": None, "object": None, "statement_contains": None, "service": stack.service, "trigger": "deploy", "accept": ["unbounded-growth"],
            "rivals": ["traffic-surge", "runtime-pause", "low-hit-ratio"],
            "notes": "answers of five routes are remembered in the process under address and time; old ones are never looked at again, nor removed",
            "fix": "a cache with a bound, or the one that is there already (Redis)",
        }  # fmt: skip
