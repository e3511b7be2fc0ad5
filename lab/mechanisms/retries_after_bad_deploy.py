"""Calls of the partner are repeated many times, because a release calls it wrongly: the deploy is the cause, the retries follow."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._pairs import failed, rises

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _BadDeploy(Mechanism):
    """The release sends the partner a field that it does not know, for some of the orders; each is refused, tried again, and refused."""

    problem = "deploy-regression"
    kind = "pair"
    needs = ("events",)
    seconds = (18, 36, 20)
    route: str

    def fixes(self, stack: Stack) -> None:
        """Rolls back."""
        stack.deploy("base")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The service that was deployed."""
        return {
            "route": next(r.path for r in stack.routes if r.name == self.route), "object": stack.service, "statement_contains": None,
            "service": [stack.service, stack.words["partner"]], "trigger": "deploy", "rivals": ["retry-storm", "cascading-delay", "synchronous-dependency"],
            "notes": "The release sends the partner a request for larger orders that the partner does not understand; all attempts fail, and the order with them.",
            "fix": "roll back; send what the partner's contract says",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Failed orders, and calls that were repeated."""
        return [
            rises(seen, "failed orders", lambda p: failed(p, self.route), "%", 12, 20),
            rises(seen, "repeated calls over orders", lambda p: self.repeated(p) / max(1, p.route(self.route).count), "", 0.25, 5),
        ]

    def repeated(self, phase: Phase) -> float:
        """Calls of the partner beyond the first attempt."""
        raise NotImplementedError


class OnShop(_BadDeploy):
    """Payments."""

    stack = "shop"
    route = "checkout"

    def choose(self, rng: random.Random) -> None:
        """From how many lines on a basket is a large one, attempts, and how many checkouts there are."""
        self.lines = rng.randint(3, 4)
        self.settings = {"partner_retries": rng.randint(2, 3), "weights": {"checkout": rng.randint(12, 16)}}

    def breaks(self, stack: Stack) -> None:
        """The release."""
        stack.deploy("itemised_charge", lines=self.lines)

    def repeated(self, phase: Phase) -> float:
        """Attempts, told by the replicas, without the first of each."""
        return max(0.0, phase.counted("partner.attempts") - phase.route(self.route).count)


class OnMarket(_BadDeploy):
    """Quotes for orders."""

    stack = "market"
    route = "place"

    def choose(self, rng: random.Random) -> None:
        """From which quantity on an order is a large one, attempts, and how many orders there are."""
        self.above = rng.randint(26, 40)
        self.settings = {"partner_retries": rng.randint(2, 3), "weights": {"place": rng.randint(12, 16)}}

    def breaks(self, stack: Stack) -> None:
        """The release."""
        stack.deploy("tiered_quotes", above=self.above)

    def repeated(self, phase: Phase) -> float:
        """Told by the replicas."""
        return phase.counted("app_partner_retries_total")
