"""A lock of the whole process is held while somebody else is asked: requests queue for it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._calls import caller, calls_ms, own_with_calls
from lab.mechanisms._database import more, slower
from lab.mechanisms._machine import paths, steady

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class _Lock(Mechanism):
    """A release makes calls of the partner one after another, by a lock around each."""

    problem = "app-lock-contention"
    needs = ("access-log", "traces")
    seconds = (24, 48, 28)
    victims: ClassVar[tuple[str, ...]] = ()

    def choose(self, rng: random.Random) -> None:
        """How busy the lock is, and by that how long the partner takes."""
        self.busy = rng.uniform(0.58, 0.66)
        self.first = rng.randrange(1000, 90_000)
        self.settings = {"rate": rng.uniform(26, 32)}

    def breaks(self, stack: Stack) -> None:
        """Deploys the lock."""
        stack.deploy("app_lock_contention", first=self.first)

    def fixes(self, stack: Stack) -> None:
        """Deploys what needs none."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The routes that need the lock."""
        return {
            "route": paths(stack, *self.victims), "object": None, "statement_contains": None, "service": stack.service, "trigger": "deploy",
            "accept": ["single-threaded-section"], "rivals": ["cascading-delay", "pool-exhaustion", "worker-exhaustion", "row-lock-contention", "cpu-saturation", "synchronous-dependency"],
            "notes": f"a release numbers its calls of the partner under a lock of the process and holds it until the answer is there; each replica's lock is about {self.busy:.0%} busy, "
            f"the partner takes {self.settings['partner']['ms']} ms as before",
            "fix": "take the number under the lock, and call without it",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Waiting that no call explains, while the call takes as long as before."""
        who = caller(seen.healthy)
        return [
            more(seen, "p75 of own time of requests that call the partner", lambda p: own_with_calls(p, who, 0.75), "ms", least=40, by=2.5),
            steady("p50 of a call of the partner", "ms", [calls_ms(p, who) for p in (seen.healthy, seen.fault, seen.fixed)], 1.6),
            slower(seen, self.victims[0], 2, after=0.7),
        ]


class OnMarket(_Lock):
    """Prices and confirmations, in a lock of the event loop's tasks."""

    stack = "market"
    victims = ("watchlist", "place")

    def choose(self, rng: random.Random) -> None:
        """Watchlists are asked for more often here."""
        super().choose(rng)
        watchlist, place = rng.randint(24, 30), rng.randint(12, 15)
        calls = (watchlist + place * 2.6) / (74 + watchlist + place)
        self.settings |= {"weights": {"watchlist": watchlist, "place": place}, "partner": {"ms": round(1000 * self.busy / (self.settings["rate"] / 2 * calls), 1)}}


class OnShop(_Lock):
    """Payments, in a lock of the threads."""

    stack = "shop"
    victims = ("checkout",)

    def choose(self, rng: random.Random) -> None:
        """Purchases are more here."""
        super().choose(rng)
        checkout = rng.randint(24, 30)
        self.settings |= {"weights": {"checkout": checkout}, "partner": {"ms": round(1000 * self.busy / (self.settings["rate"] / 2 * checkout / (90 + checkout)), 1)}}
