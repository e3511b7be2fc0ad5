"""Connections that nobody closes: more of them every minute at the same traffic."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import more

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack

REGIONS = ("north", "east", "south", "west", "isles", "abroad")


def grown(phase: Phase) -> float:
    """Sessions at the end less sessions at the begin (means of five samples), a minute."""
    counts = [n for _, n in sorted(Counter(r["now"] for r in phase.sessions().rows).items())]
    return (sum(counts[-5:]) - sum(counts[:5])) / 5 * 60 / max(1.0, phase.seconds - 5) if len(counts) > 10 else 0.0


class OnMarket(Mechanism):
    """Statements read in a session of their own, which is kept for the account and never closed."""

    stack = "market"
    problem = "connection-leak"
    seconds = (20, 60, 20)

    def choose(self, rng: random.Random) -> None:
        """For whom, and how often statements are asked for."""
        self.regions = rng.sample(REGIONS, 4)
        self.settings = {"weights": {"statement": rng.randint(7, 10)}, "mariadb": {"max-connections": rng.randrange(220, 320)}}

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("own_session", regions=self.regions)

    def fixes(self, stack: Stack) -> None:
        """Back to the pool: the restart closes what was left open."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The service, and the route that opens them."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "statement"), "object": w["database"], "statement_contains": None,
            "service": [w["database"], w["service"]], "trigger": "deploy", "accept": ["unbounded-growth"], "rivals": ["server-connection-saturation", "memory-leak", "pool-exhaustion"],
            "notes": f"statements for accounts of {len(self.regions)} of 6 regions open a session each, kept for ever; requests are not slower yet",
            "fix": "read through the pool, or close the session when the statement is written",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Sessions grow at constant traffic, and are idle."""

        def idle(phase: Phase) -> float:
            return sum(r["command"] == "Sleep" for r in phase.sessions().rows) / max(1, phase.sessions().samples)

        return [more(seen, "sessions", grown, "more a minute", least=20, by=4), more(seen, "idle sessions", idle, "", least=20, by=1.5)]


class OnShop(Mechanism):
    """Some customers' data are read in a session of their own, which is kept and never closed."""

    stack = "shop"
    problem = "connection-leak"
    seconds = (20, 60, 20)
    needs = ("sessions",)

    def choose(self, rng: random.Random) -> None:
        """One in how many customers, and how often their data are asked for."""
        self.share = rng.randint(4, 5)
        self.settings = {"rate": rng.uniform(26, 32), "weights": {"customer": rng.randint(16, 20)}, "postgres": {"max_connections": rng.randrange(160, 220)}}

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("own_session", share=self.share)

    def fixes(self, stack: Stack) -> None:
        """Back to the pool: the restart closes what was left open."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The service, and the route that opens them."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "customer"), "object": w["database"], "statement_contains": None,
            "service": [w["database"], w["service"]], "trigger": "deploy", "accept": ["unbounded-growth"], "rivals": ["server-connection-saturation", "memory-leak", "pool-exhaustion"],
            "notes": f"one in {self.share} customers gets a session of its own at the first request, kept for ever; requests are not slower yet",
            "fix": "read through the pool, or close the session when the request ends",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Sessions grow at constant traffic, and are idle."""

        def idle(phase: Phase) -> float:
            return sum(r["state"] == "idle" for r in phase.sessions().rows) / max(1, phase.sessions().samples)

        return [more(seen, "sessions", grown, "more a minute", least=20, by=4), more(seen, "idle sessions", idle, "", least=20, by=1.5)]
