"""Four reads in ten miss the cache, and a miss costs next to nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab.mechanism import Sign
from lab.mechanisms._healthy import Healthy, readdressed, there

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _CheapMisses(Healthy):
    """Things are looked at with a long tail, and are kept for a shorter time from now on: more misses, each a read by key."""

    rivals = ("low-hit-ratio", "cache-stampede", "cache-penetration")
    what = "The time to live is shortened: about half of the reads miss, and a miss is a read by key that takes a few milliseconds."

    #: Seconds for which a page is kept from then on.
    shorter = (7, 11)

    def choose(self, rng: random.Random) -> None:
        """Load, how many things are looked at, and for how long they are kept before and after (s)."""
        self.things, self.ttl = rng.randint(330, 480), rng.randint(*self.shorter)
        self.settings = {"rate": rng.uniform(26, 34), "ttl_s": rng.randint(50, 80)}

    def breaks(self, stack: Stack) -> None:
        """Rolls out the shorter time."""
        stack.deploy("shorter_ttl", seconds=self.ttl)

    def fixes(self, stack: Stack) -> None:
        """Rolls it back, though nobody needs it."""
        stack.deploy("base")

    def reads(self, phase: Phase) -> tuple[float, float]:
        """Hits and misses."""
        raise NotImplementedError

    def shows(self, seen: Observed) -> list[Sign]:
        """The hit ratio."""
        ratios = [hits / max(1.0, hits + misses) for hits, misses in map(self.reads, (seen.healthy, seen.fault, seen.fixed))]
        return [there("hit ratio", "", (ratios[0], ratios[1], ratios[2]), "0.35 to 0.75", 0.35 <= ratios[1] <= 0.75)]


class OnShop(_CheapMisses):
    """Product pages in Redis, which is asked a second time before a page is loaded."""

    stack = "shop"
    shorter = (14, 20)

    def ready(self, stack: Stack) -> None:
        """Fewer products than there are, so that they are looked at again."""
        readdressed(stack, "product", f"`/{stack.words['product_path']}/${{zipf({self.things})}}`")

    def reads(self, phase: Phase) -> tuple[float, float]:
        """From its statistics."""
        counters = phase.redis()
        return counters["keyspace_hits"], counters["keyspace_misses"]


class OnMarket(_CheapMisses):
    """Pages of things in memcached."""

    stack = "market"

    def ready(self, stack: Stack) -> None:
        """Fewer things than there are, so that they are looked at again."""
        readdressed(stack, "page", f"`/{stack.words['item_path']}/${{zipf({self.things})}}`")

    def reads(self, phase: Phase) -> tuple[float, float]:
        """From its statistics."""
        counters = phase.memcached()
        return counters["get_hits"], counters["get_misses"]
