"""As many requests as before, but in bursts: they queue for something small that is idle on average."""

from __future__ import annotations

import bisect
import random
from typing import TYPE_CHECKING, Any, ClassVar

from lab.load import Bursts
from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import slower
from lab.mechanisms._machine import paths, steady

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _Bursts(Mechanism):
    """The clients begin to ask at the same moments. The partner serves few requests at a time, which is enough for a steady stream."""

    problem = "tail-under-concurrency"
    seconds = (24, 60, 25)
    settle = 8
    #: The route that needs the partner, what the partner calls its places, and the weight of the route in the mix.
    route: ClassVar[str] = ""
    places: ClassVar[str] = ""
    most: ClassVar[int] = 1

    def choose(self, rng: random.Random) -> None:
        """How many the partner serves at a time, and the rhythm of the bursts."""
        self.every_s, self.lasting_s, self.between = rng.uniform(14, 16.5), rng.uniform(1.4, 1.8), rng.uniform(0.46, 0.54)
        self.few = rng.randint(1, self.most)
        self.settings = {"rate": rng.uniform(12, 15)}

    def breaks(self, stack: Stack) -> None:
        """The same requests come at other moments."""
        share = self.lasting_s / self.every_s
        self.high = stack.rate * (1 - self.between * (1 - share)) / share
        steady_stream, _ = stack.load.streams[0]
        stack.load.start(stack.url, stack.load.mix, self.high, 240, bursts=Bursts(self.every_s, self.lasting_s, self.between * stack.rate))
        steady_stream.stop()

    def fixes(self, stack: Stack) -> None:
        """The partner serves more at a time; the bursts go on."""
        stack.start_partner(**{self.places: 8 * self.few})  # type: ignore[attr-defined]

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The routes that need the partner, and nothing that anybody changed."""
        w = stack.words
        return {
            "route": paths(stack, *self.victims), "object": None, "statement_contains": None, "service": [w["partner"], w["service"]], "trigger": None, "accept": [],
            "rivals": ["cascading-delay", "deploy-regression", "retry-storm", "worker-exhaustion", "synchronous-dependency"],
            "notes": f"{stack.rate:.0f} requests/s on average before and under the fault, but then in bursts of {self.high:.0f}/s for {self.lasting_s:.1f} s every "
            f"{self.every_s:.1f} s; the partner serves {self.few} at a time and is idle on average",
            "fix": "let the partner serve more at a time, or spread the clients' requests (jitter)",
        }  # fmt: skip

    victims: ClassVar[tuple[str, ...]] = ()

    def signature(self, seen: Observed) -> list[Sign]:
        """The mean rate stays, the tail is of those who came with many others."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        crowded = [_crowded(p, self.route) for p in parts]
        ok = crowded[1] >= 3 and crowded[1] >= 1.5 * crowded[2]
        return [
            steady("requests", "/s", [p.everything.rate for p in parts], 1.25),
            Sign(f"p95 of {self.route} among many arrivals over that among few", *crowded, "times", "≥ 3, and 1.5 × that of fixed", ok),
            slower(seen, self.route, 2.5),
        ]


class OnMarket(_Bursts):
    """The partner has a desk or two."""

    stack = "market"
    route = "place"
    victims = ("place", "watchlist")
    places = "desks"
    most = 2

    def choose(self, rng: random.Random) -> None:
        """Exchanges of a length by which the desks are a third busy."""
        super().choose(rng)
        self.settings["partner"] = {"desks": self.few, "ms": round(1000 * self.few * rng.uniform(0.30, 0.36) / (self.settings["rate"] * 0.42), 1)}


class OnShop(_Bursts):
    """The partner has one line to the bank."""

    stack = "shop"
    route = "checkout"
    victims = ("checkout",)
    places = "lines"
    most = 1

    def choose(self, rng: random.Random) -> None:
        """Round trips of a length by which the line is a third busy."""
        super().choose(rng)
        weight = rng.randint(16, 20)
        self.settings |= {"weights": {"checkout": weight}, "threads": 16}
        self.settings["partner"] = {"lines": self.few, "ms": round(1000 * self.few * rng.uniform(0.30, 0.36) / (self.settings["rate"] * weight / (90 + weight)), 1)}


def _crowded(phase: Phase, route: str) -> float:
    """p95 of a route in the third with the most arrivals of any route within two seconds before, over that in the third with the fewest."""
    begins = sorted(r.time - r.ms / 1000 for r in phase.requests)
    told = []
    for r in phase.requests:
        if r.route == route:
            at = r.time - r.ms / 1000
            told.append((bisect.bisect(begins, at) - bisect.bisect(begins, at - 2), r.ms))
    told.sort()
    third = len(told) // 3
    if third < 5:
        return 0.0
    few, many = sorted(ms for _, ms in told[:third]), sorted(ms for _, ms in told[-third:])
    return many[int(0.95 * third)] / few[int(0.95 * third)]
