"""A cache that hardly ever has what is asked for, and whose origin is dear: wrong keys on one stack, too little memory on the other."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import asks, empty, hits, misses, route, warm
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class LowHitRatio(Mechanism):
    """The signs are the same: reads of the cache that find nothing, and what that costs the page."""

    problem = "low-hit-ratio"
    seconds = (18, 38, 20)
    needs = ("cache",)
    page = ""

    def signature(self, seen: Observed) -> list[Sign]:
        """Misses a second, the hit ratio, and the tail of the page."""
        ratio = [hits(p) for p in (seen.healthy, seen.fault, seen.fixed)]
        ok = ratio[1] < 0.7 * min(ratio[0], ratio[2])
        return [
            more(seen, "misses of the cache a second", misses, "1/s", least=2),
            Sign("reads that found something", *ratio, "%", "below 0.7 of the other parts", ok),
            slower(seen, self.page, 2.5),
        ]


class OnMarket(LowHitRatio):
    """Links carry a campaign's reference, and a deploy makes the whole address the key of a page: no key comes twice."""

    stack, page = "market", "page"

    def choose(self, rng: random.Random) -> None:
        """How many things are asked for, what a page costs to make, how long it is kept."""
        self.things, self.parameters = rng.randint(110, 190), {"band": rng.randint(32, 46), "ttl_s": rng.randint(280, 420)}
        self.settings = {"watch": True, "weights": {"page": rng.randint(34, 42)}, "rate": rng.uniform(24, 31)}

    def ready(self, stack: Stack) -> None:
        """Pages with what is like their thing, all of them kept already; links with references."""
        path = stack.named("/{item_path}/")
        asks(stack, "page", url=f"`{path}${{zipf({self.things})}}?ref=${{pick(['mail','feed','ad'])}}-${{int(100000, 999999)}}`")
        empty(stack)
        stack.deploy("page_similar", quiet=True, **self.parameters)
        warm(stack, (f"{path}{i}" for i in range(1, self.things + 1)))

    def breaks(self, stack: Stack) -> None:
        """Deploys the new keys."""
        stack.deploy("low_hit_ratio", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Deploys keys of what a page depends on."""
        stack.deploy("page_similar", **self.parameters)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The page and its key."""
        return {
            "route": route(stack, "page").path, "object": f"{stack.words['prefix']}:page:", "statement_contains": "volume", "service": ["memcached", stack.service],
            "trigger": "deploy", "accept": [], "rivals": ["missing-index", "cache-stampede", "cache-penetration", "cpu-saturation"],
            "notes": f"pages of {self.things} things are kept under the whole address with a reference that never repeats; a page costs a query over prices ± {self.parameters['band']}",
            "fix": "key pages by what they depend on, not by the whole address",
        }  # fmt: skip


class OnShop(LowHitRatio):
    """Redis gets far less memory than the pages need (a change of its configuration, no deploy): it evicts what will be asked for soon."""

    stack, page = "shop", "product"

    def choose(self, rng: random.Random) -> None:
        """How many products are asked for, what a page costs to make, which share of the pages still has room."""
        self.products, self.room = rng.randint(140, 210), rng.uniform(0.12, 0.22)
        self.parameters = {"band": rng.randrange(5200, 6600), "shown": rng.randint(26, 34), "ttl_s": rng.randint(600, 900)}
        self.settings = {"weights": {"product": rng.randint(34, 42)}, "rate": rng.uniform(24, 31), "cache_mb": rng.randint(40, 70)}

    def ready(self, stack: Stack) -> None:
        """Pages with what is like their product, all of them kept already."""
        path = stack.named("/{product_path}/")
        asks(stack, "product", url=f"`{path}${{int(1, {self.products})}}`")
        empty(stack)
        stack.deploy("page_similar", quiet=True, **self.parameters)
        warm(stack, (f"{path}{i}" for i in range(1, self.products + 1)))

    def breaks(self, stack: Stack) -> None:
        """Takes the memory away."""
        told = dict(line.split(":", 1) for line in self.redis(stack, "INFO", "memory").splitlines() if ":" in line)
        used, data = int(told["used_memory"]), int(told["used_memory_dataset"])
        self.bytes = int(used - data * (1 - self.room))
        self.redis(stack, "CONFIG", "SET", "maxmemory", str(self.bytes))

    def fixes(self, stack: Stack) -> None:
        """Gives it back; the pages are asked for once, as the nightly script does."""
        self.redis(stack, "CONFIG", "SET", "maxmemory", f"{self.settings['cache_mb']}mb")
        warm(stack, (stack.named(f"/{{product_path}}/{i}") for i in range(1, self.products + 1)))

    def redis(self, stack: Stack, *command: str) -> str:
        """A command as an administrator."""
        return stack.run.tool(["redis-cli", "-p", str(stack.cache_port), *command])

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The page, and the store that is too small."""
        return {
            "route": route(stack, "product").path, "object": f"{stack.words['prefix']}:product:", "statement_contains": "turnover", "service": ["redis", stack.service],
            "trigger": "config", "accept": [], "rivals": ["missing-index", "cache-stampede", "cache-penetration", "cpu-saturation"],
            "notes": f"maxmemory of Redis was set to {self.bytes} bytes, room for about {self.room:.0%} of the pages of {self.products} products: evictions, no expiry",
            "fix": "as much memory as the pages that are asked for need",
        }  # fmt: skip
