"""A hot key expires every few seconds, and all who miss it at that moment make it, each for itself."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.load import Route
from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import empty, route, warm
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class Stampede(Mechanism):
    """The same list of the most wanted on both stacks, made by a grouping over the last orders."""

    problem = "cache-stampede"
    needs = ("cache",)
    seconds = (20, 46, 24)
    #: What the statement that makes the list is known by.
    statement = ""

    def breaks(self, stack: Stack) -> None:
        """Deploys the helper."""
        stack.deploy("cache_stampede", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Deploys the shared load again."""
        stack.deploy("ranking", **self.parameters)

    def signature(self, seen: Observed) -> list[Sign]:
        """How often the list was made for each time that it expired, and the tail of its route."""
        return [more(seen, "times that the list was made, for each time it expired", self.made, "", least=3, by=1.8), slower(seen, "top", 2.5)]

    def made(self, phase: Phase) -> float:
        """Calls of the statement in each span of one time to live."""
        return phase.statement(self.statement).calls / max(1.0, phase.seconds / self.parameters["ttl_s"])

    parameters: dict[str, Any]


class OnMarket(Stampede):
    """A shorter helper without the shared load is deployed."""

    stack = "market"
    statement = r"order by `volume` desc limit"

    def choose(self, rng: random.Random) -> None:
        """How dear the list is, how long it is kept, how often it is wanted."""
        self.parameters = {"orders": rng.randrange(180_000, 200_000), "ttl_s": rng.randint(4, 5)}
        self.share = rng.randint(125, 150)
        self.settings = {"watch": True, "rate": rng.uniform(54, 60), "counts": {"trades": rng.randrange(215_000, 235_000)}}

    def ready(self, stack: Stack) -> None:
        """The list exists, and a good part of all requests is for it."""
        path = stack.named("/{trade_path}/top")
        stack.routes = [*stack.routes, Route("top", "GET", path, self.share, f"`{path}`")]
        empty(stack)
        stack.deploy("ranking", quiet=True, **self.parameters)
        warm(stack, [path])

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The key, and the statement that makes its value."""
        w = stack.words
        return {
            "route": route(stack, "top").path, "object": f"{w['prefix']}:top:all", "statement_contains": "volume", "service": ["memcached", stack.service, w["database"]],
            "trigger": "deploy", "accept": [], "rivals": ["low-hit-ratio", "missing-index", "cpu-saturation", "bad-plan"],
            "notes": f"one key with {self.parameters['ttl_s']} s to live, made by a grouping over the last {self.parameters['orders']} orders; every request that misses makes it",
            "fix": "one load at a time for each key (single flight), or renewal before it expires",
        }  # fmt: skip


class OnShop(Stampede):
    """The locks of the helper are removed with a deploy, on suspicion of a leak."""

    stack = "shop"
    statement = r"order by turnover desc limit"

    def choose(self, rng: random.Random) -> None:
        """How dear the list is, how long it is kept, how often it is wanted."""
        self.parameters = {"lines": rng.randrange(290_000, 330_000), "ttl_s": rng.randint(4, 5)}
        self.share = rng.randint(170, 200)
        self.settings = {"monitor": True, "rate": rng.uniform(45, 50), "pool": rng.randint(7, 9), "counts": {"lines": rng.randrange(370_000, 400_000)}}

    def ready(self, stack: Stack) -> None:
        """The list exists, and a good part of all requests is for it."""
        path = stack.named("/{report_path}/top")
        stack.routes = [*stack.routes, Route("top", "GET", path, self.share, f"`{path}`")]
        empty(stack)
        stack.deploy("ranking", quiet=True, **self.parameters)
        warm(stack, [path])

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The key, and the statement that makes its value."""
        w = stack.words
        return {
            "route": route(stack, "top").path, "object": f"{w['prefix']}:top:all", "statement_contains": "turnover", "service": ["redis", stack.service, w["database"]],
            "trigger": "deploy", "accept": [], "rivals": ["low-hit-ratio", "missing-index", "pool-exhaustion", "worker-exhaustion", "cpu-saturation"],
            "notes": f"one key with {self.parameters['ttl_s']} s to live, made by a grouping over the last {self.parameters['lines']} lines; every request that misses makes it",
            "fix": "one load at a time for each key (single flight), or renewal before it expires",
        }  # fmt: skip
