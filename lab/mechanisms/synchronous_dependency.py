"""A call that the answer does not need was put in front of it; the one who is called is as quick as ever."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._calls import caller, calls_each, calls_ms
from lab.mechanisms._database import slower
from lab.mechanisms._machine import paths, steady

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class _Audit(Mechanism):
    """Who looks at what is entered in the partner's journal before the answer."""

    problem = "synchronous-dependency"
    seconds = (18, 36, 20)
    needs = ("access-log", "traces")
    victims: ClassVar[tuple[str, ...]] = ()
    #: The victims' server spans by a regular expression, and how much longer an entry takes than the partner's usual time.
    handled: ClassVar[str] = ""
    #: The partner's calls that take as long as an entry, by their address.
    same: ClassVar[str] = ""
    factor: ClassVar[float] = 1.0
    beside: ClassVar[int] = 0

    def breaks(self, stack: Stack) -> None:
        """Deploys the audit."""
        stack.deploy("synchronous_dependency", routes=self.victims)

    def fixes(self, stack: Stack) -> None:
        """The entry is made beside the answer."""
        stack.deploy("synchronous_dependency", routes=self.victims, beside=self.beside)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The call, not the partner."""
        w = stack.words
        return {
            "route": paths(stack, *self.victims), "object": None, "statement_contains": None, "service": [w["partner"], w["service"]], "trigger": "deploy",
            "accept": [], "rivals": ["cascading-delay", "retry-storm", "n-plus-one", "deploy-regression"],
            "notes": f"a release enters each such look in the partner's journal ({self.factor * self.settings['partner']['ms']:.0f} ms) before it answers; the partner did not change",
            "fix": "make the entry after the answer, or in parallel to the query",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """A call for each request where there was none, of a duration as before, and the routes' tails."""
        service = caller(seen.healthy)
        calls = [calls_each(p, service, self.handled) for p in (seen.healthy, seen.fault, seen.fixed)]
        return [
            Sign("calls of the partner for each of these requests", *calls, "", "≥ 0.8, healthy ≤ 0.1", calls[1] >= 0.8 and calls[0] <= 0.1),
            steady("p50 of a call of the partner", "ms", [calls_ms(p, service, url=self.same) for p in (seen.healthy, seen.fault, seen.fixed)], 1.6),
            *(slower(seen, route, 2.5, after=0.6) for route in self.victims),
        ]


class OnMarket(_Audit):
    """Looks at an account's portfolio and history; they have no other call of the partner."""

    stack = "market"
    victims = ("portfolio", "history")
    handled = r"/\{id\}/(portfolio|inventory|collection|orders|tenders|bids)$"
    same = "/confirm$"
    factor = 1.6
    beside = 1

    def choose(self, rng: random.Random) -> None:
        """How long the partner takes."""
        self.settings = {"partner": {"ms": round(rng.uniform(23, 33), 1), "desks": rng.randint(15, 20)}}


class OnShop(_Audit):
    """Looks at a customer and at the purchases."""

    stack = "shop"
    victims = ("customer", "purchases")
    handled = r"(customers|readers|guests)/<int:number>"
    beside = 4

    def choose(self, rng: random.Random) -> None:
        """How long the partner takes, and how many look at customers."""
        self.settings = {"partner": {"ms": round(rng.uniform(36, 54), 1), "lines": rng.randint(15, 20)}, "weights": {"customer": rng.randint(10, 15)}}
