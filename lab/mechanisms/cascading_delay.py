"""The partner becomes slow, while it is asked as often as before: another customer's batch stands in the same queue."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._calls import caller, calls_each, calls_ms
from lab.mechanisms._database import more, slower
from lab.mechanisms._machine import paths, steady

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class _Slower(Mechanism):
    """Nothing changes in this house."""

    problem = "cascading-delay"
    needs = ("access-log", "traces")
    #: Path at the partner, what it calls its places, the routes that need it.
    path: ClassVar[str] = ""
    places: ClassVar[str] = ""
    victims: ClassVar[tuple[str, ...]] = ()

    def choose(self, rng: random.Random) -> None:
        """How many the partner serves at a time, and how many clients the other customer has."""
        self.few = rng.randint(3, 5)
        self.clients = self.few * rng.randint(5, 7) + rng.randint(1, self.few)
        self.settings = {"partner": {"ms": round(rng.uniform(38, 52), 1), self.places: self.few}, "weights": self.weights(rng)}

    def weights(self, rng: random.Random) -> dict[str, float]:
        """Shares of routes that differ from the stack's own."""
        return {}

    def breaks(self, stack: Stack) -> None:
        """The other customer begins its batch."""
        port = stack.partner_port  # type: ignore[attr-defined]
        code = Path(__file__).with_name("_customer.py").read_text()
        self.customer = stack.run.start("customer", [stack.run.python, "-c", code, str(port), self.path, str(self.clients), "300"])

    def fixes(self, stack: Stack) -> None:
        """The partner moves that customer elsewhere."""
        self.customer.stop()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The partner, and the routes that wait for it."""
        w = stack.words
        return {
            "route": paths(stack, *self.victims), "object": None, "statement_contains": None, "service": w["partner"], "trigger": None, "accept": [],
            "rivals": ["worker-exhaustion", "pool-exhaustion", "retry-storm", "synchronous-dependency", "traffic-surge", "deploy-regression"],
            "notes": f"the partner serves {self.few} at a time, and {self.clients} clients of another customer keep it busy; calls of this house are as many as before",
            "fix": "the partner keeps the other customer apart; here: a time limit, an answer without it, or a call beside the answer",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Calls take longer, they are as many as before, and so do the routes that make them."""
        who = caller(seen.healthy)
        parts = (seen.healthy, seen.fault, seen.fixed)
        return [
            more(seen, "p50 of a call of the partner", lambda p: calls_ms(p, who), "ms", least=100, by=2),
            steady("calls of a request that makes any", "", [calls_each(p, who) for p in parts], 1.4),
            *(slower(seen, route, 2.5) for route in self.victims),
        ]


class OnMarket(_Slower):
    """Confirmations of another broker's orders."""

    stack = "market"
    path = "/confirm"
    places = "desks"
    victims = ("watchlist", "place")


class OnShop(_Slower):
    """Charges of another shop."""

    stack = "shop"
    path = "/charges"
    places = "lines"
    victims = ("checkout",)

    def weights(self, rng: random.Random) -> dict[str, float]:
        """More purchases than usual, so that there are enough to be seen."""
        return {"checkout": rng.randint(13, 18)}
