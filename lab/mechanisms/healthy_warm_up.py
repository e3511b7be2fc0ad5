"""A release with cold caches: the first seconds are slower, then all is as before."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab.mechanism import Sign
from lab.mechanisms._healthy import Healthy, readdressed, there

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack

#: Seconds at the begin and at the end of a part that are compared.
EDGE_S = 8.0


class _WarmUp(Healthy):
    """A release that changes nothing, and the cache emptied with it."""

    rivals = ("deploy-regression", "low-hit-ratio", "cache-stampede", "memory-leak", "unbounded-growth")
    what = "A release without any change empties the cache: more misses and slower answers for some seconds; memory rises to its plateau."

    warm_up_s = 10

    def choose(self, rng: random.Random) -> None:
        """Load, how many things are looked at, and a time to live that outlasts the recording."""
        self.things = rng.randint(330, 480)
        self.settings = {"rate": rng.uniform(26, 34), "ttl_s": rng.randint(240, 420)}

    def empty(self, stack: Stack) -> None:
        """Empties the cache."""
        raise NotImplementedError

    def breaks(self, stack: Stack) -> None:
        """Rolls out the same code once more, then empties the cache."""
        stack.deploy("base")
        self.empty(stack)

    def misses(self, phase: Phase) -> list[tuple[float, float, float]]:
        """Time, hits and misses so far, in order."""
        raise NotImplementedError

    def ratio(self, phase: Phase, last: bool) -> float:
        """Misses over reads in the first or in the last seconds of a part."""
        at = [p for p in self.misses(phase) if (phase.end - p[0] <= EDGE_S if last else p[0] - phase.begin <= EDGE_S)]
        hits, misses = (at[-1][i] - at[0][i] for i in (1, 2)) if at else (0.0, 0.0)
        return misses / max(1.0, hits + misses)

    def shows(self, seen: Observed) -> list[Sign]:
        """Misses over reads at the begin and at the end."""
        before, begin, end = self.ratio(seen.healthy, True), self.ratio(seen.fault, False), self.ratio(seen.fault, True)
        return [there("misses over reads: before, in the first seconds, at the end", "", (before, begin, end), "first ≥ 1.3 × end", begin >= 1.3 * end > 0)]


class OnShop(_WarmUp):
    """On Redis."""

    stack = "shop"

    def ready(self, stack: Stack) -> None:
        """Fewer products than there are, so that a warm cache has most of them."""
        readdressed(stack, "product", f"`/{stack.words['product_path']}/${{zipf({self.things})}}`")

    def empty(self, stack: Stack) -> None:
        """Flushes Redis."""
        stack.run.tool(["redis-cli", "-p", stack.cache_port, "FLUSHALL"])

    def misses(self, phase: Phase) -> list[tuple[float, float, float]]:
        """From its statistics."""
        return [(at, values.get("keyspace_hits", 0.0), values.get("keyspace_misses", 0.0)) for at, values in phase.redis().series]


class OnMarket(_WarmUp):
    """On memcached."""

    stack = "market"

    def ready(self, stack: Stack) -> None:
        """Fewer things than there are, so that a warm cache has most of them."""
        readdressed(stack, "page", f"`/{stack.words['item_path']}/${{zipf({self.things})}}`")

    def empty(self, stack: Stack) -> None:
        """Restarts memcached."""
        stack.memcached.stop()
        stack.memcached = stack._memcached()

    def misses(self, phase: Phase) -> list[tuple[float, float, float]]:
        """From its statistics."""
        return [(at, values.get("get_hits", 0.0), values.get("get_misses", 0.0)) for at, values in phase.memcached().series]
