"""Every write forgets far more of the cache than it changes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import asks, empty, hits, route, warm
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class Incoherence(Mechanism):
    """Deletes for each write, the ratio of hits, the page's tail."""

    problem = "cache-incoherence"
    seconds = (18, 38, 20)
    needs = ("cache",)
    page = write = ""

    def deleted(self, phase: Phase) -> float:
        """Keys that were deleted in this part, found or not."""
        told, redis = phase.memcached(), phase.redis()
        return told["delete_hits"] + told["delete_misses"] + redis["cmdstat_del.calls"] + redis["cmdstat_unlink.calls"]

    def breaks(self, stack: Stack) -> None:
        """Deploys the wider forgetting."""
        stack.deploy("cache_incoherence", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Deploys the narrow one again, and has the pages made by the usual script."""
        stack.deploy("page_similar", **self.parameters)
        self.fill(stack)

    def signature(self, seen: Observed) -> list[Sign]:
        """As above."""
        ratio = [hits(p) for p in (seen.healthy, seen.fault, seen.fixed)]
        return [
            more(seen, "keys deleted for each write", lambda p: self.deleted(p) / max(1, p.route(self.write).count), "", least=8, by=5),
            Sign("reads that found something", *ratio, "%", "below 0.8 of the other parts", ratio[1] < 0.8 * min(ratio[0], ratio[2])),
            slower(seen, self.page, 2.0),
        ]


class OnMarket(Incoherence):
    """Pages show what was traded of things like theirs, so a deploy makes each order forget the pages of its whole sector."""

    stack, page, write = "market", "page", "place"

    def choose(self, rng: random.Random) -> None:
        """How many things there are in a sector, what a page costs to make."""
        self.things, self.parameters = rng.randint(110, 170), {"band": rng.randint(34, 46), "ttl_s": rng.randint(310, 460)}
        weights = {"page": rng.randint(32, 40), "place": rng.randint(11, 14)}
        self.settings = {"watch": True, "counts": {"items": rng.randint(700, 1000)}, "weights": weights, "rate": rng.uniform(24, 31)}

    def ready(self, stack: Stack) -> None:
        """Pages with what is like their thing, all of them kept already."""
        path = stack.named("/{item_path}/")
        asks(stack, "page", url=f"`{path}${{zipf({self.things})}}`")
        empty(stack)
        stack.deploy("page_similar", quiet=True, **self.parameters)
        self.fill(stack)

    def fill(self, stack: Stack) -> None:
        """Keeps all pages."""
        warm(stack, (stack.named(f"/{{item_path}}/{i}") for i in range(1, self.things + 1)))

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The page, and the order that forgets it."""
        return {
            "route": [route(stack, "page").path, route(stack, "place").path], "object": f"{stack.words['prefix']}:page:", "statement_contains": "volume",
            "service": ["memcached", stack.service], "trigger": "deploy", "accept": [], "rivals": ["low-hit-ratio", "cache-stampede", "missing-index", "cpu-saturation"],
            "notes": f"each order deletes the pages of its sector, about {self.settings['counts']['items'] // 9} keys, where one has changed",
            "fix": "forget only the page of the thing that was ordered; let the others expire",
        }  # fmt: skip


class OnShop(Incoherence):
    """Pages show what was sold of products like theirs, so a deploy makes each purchase forget whole categories."""

    stack, page, write = "shop", "product", "checkout"

    def choose(self, rng: random.Random) -> None:
        """How many products there are in a category, what a page costs to make."""
        self.products = rng.randint(110, 170)
        self.parameters = {"band": rng.randrange(5200, 6600), "shown": rng.randint(10, 16), "ttl_s": rng.randint(310, 460)}
        weights = {"product": rng.randint(34, 42), "checkout": rng.randint(8, 10)}
        self.settings = {"monitor": True, "counts": {"products": rng.randint(560, 680)}, "weights": weights, "rate": rng.uniform(24, 30)}

    def ready(self, stack: Stack) -> None:
        """Pages with what is like their product, all of them kept already."""
        path = stack.named("/{product_path}/")
        asks(stack, "product", url=f"`{path}${{zipf({self.products})}}`")
        empty(stack)
        stack.deploy("page_similar", quiet=True, **self.parameters)
        self.fill(stack)

    def fill(self, stack: Stack) -> None:
        """Keeps all pages."""
        warm(stack, (stack.named(f"/{{product_path}}/{i}") for i in range(1, self.products + 1)))

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The page, and the purchase that forgets it."""
        return {
            "route": [route(stack, "product").path, route(stack, "checkout").path], "object": f"{stack.words['prefix']}:product:", "statement_contains": "turnover",
            "service": ["redis", stack.service], "trigger": "deploy", "accept": [], "rivals": ["low-hit-ratio", "cache-stampede", "missing-index", "cpu-saturation"],
            "notes": f"each purchase deletes the pages of all categories in its basket, about {self.settings['counts']['products'] // 12} keys a category",
            "fix": "forget only the pages of what was bought; let the others expire",
        }  # fmt: skip
