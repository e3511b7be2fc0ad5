"""Impatient calls that are made again at once: the attempts overload the one who is asked, who then fails more of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._calls import attempts_each, caller
from lab.mechanisms._database import more, slower
from lab.mechanisms._machine import paths

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _Storm(Mechanism):
    """A release gives up on a call a little after its median, and tries again several times without waiting; the partner takes few at a time and lets few wait."""

    problem = "retry-storm"
    seconds = (22, 44, 28)
    settle = 7
    needs = ("access-log", "traces")
    route: ClassVar[str] = ""
    victims: ClassVar[tuple[str, ...]] = ()
    places: ClassVar[str] = ""
    #: Range of the time limit as a multiple of the partner's median.
    patient: ClassVar[tuple[float, float]] = (1.0, 1.0)

    def choose(self, rng: random.Random) -> None:
        """How impatient the calls are."""
        self.retries, self.patience = rng.randint(5, 6), rng.uniform(*self.patient)
        self.few = 2
        self.settings = {"rate": rng.uniform(22, 28), "sampling": round(rng.uniform(0.16, 0.19), 3)}

    def breaks(self, stack: Stack) -> None:
        """Deploys the impatience."""
        self.timeout_s = round(self.settings["partner"]["ms"] / 1000 * self.patience + 0.008, 3)
        stack.deploy("retry_storm", timeout_s=self.timeout_s, retries=self.retries)

    def fixes(self, stack: Stack) -> None:
        """Deploys the patience of before."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """Who calls, and whom."""
        w = stack.words
        return {
            "route": paths(stack, *self.victims), "object": None, "statement_contains": None, "service": [w["service"], w["partner"]], "trigger": "deploy", "accept": [],
            "rivals": ["cascading-delay", "traffic-surge", "deploy-regression", "worker-exhaustion", "synchronous-dependency"],
            "notes": f"a release gives up on a call of the partner after {self.timeout_s * 1000:.0f} ms (the partner takes {self.settings['partner']['ms']} ms) and tries again at once, up to "
            f"{self.retries} times; the partner serves {self.few} at a time and finishes what nobody waits for any more",
            "fix": "a time limit above the partner's tail, few retries with growing random pauses, a budget for them",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Attempts of a call, and the tail of the requests that make it."""
        who = caller(seen.healthy)

        def share(phase: Phase) -> float:
            told = phase.route(self.route)
            return 100 * told.errors / max(1, told.count)

        return [
            more(seen, "attempts of a call", lambda p: attempts_each(p, who), "", least=2.2, by=1.6),
            Sign(f"failed {self.route}", *(share(p) for p in (seen.healthy, seen.fault, seen.fixed)), "%", "fixed ≤ 2", share(seen.fixed) <= 2),
            slower(seen, self.route, 2, after=0.7),
        ]


class OnMarket(_Storm):
    """Orders and watchlists; a confirmation takes longer than a price, so that it is nearly always given up."""

    stack = "market"
    route = "place"
    victims = ("place", "watchlist")
    patient = (1.4, 1.5)

    def choose(self, rng: random.Random) -> None:
        """Desks that are a third busy with what is asked once, and that let only some wait."""
        super().choose(rng)
        ms = round(1000 * self.few * rng.uniform(0.30, 0.36) / (self.settings["rate"] * 0.42), 1)
        self.settings["partner"] = {"ms": ms, "desks": self.few, "queue": rng.randint(3, 4)}


class OnShop(_Storm):
    """Payments."""

    stack = "shop"
    route = "checkout"
    victims = ("checkout",)
    patient = (1.25, 1.35)

    def choose(self, rng: random.Random) -> None:
        """Lines that are a third busy with what is charged once, and that let only some wait."""
        super().choose(rng)
        weight = rng.randint(17, 22)
        ms = round(1000 * self.few * rng.uniform(0.30, 0.35) / (self.settings["rate"] * weight / (90 + weight)), 1)
        self.settings |= {"weights": {"checkout": weight}, "partner": {"ms": ms, "lines": self.few, "queue": rng.randint(2, 3)}}
