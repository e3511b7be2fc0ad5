"""Reading the cache is dear because of what the client does with the bytes, not because of the server or the way to it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import asks, empty, hits, route, warm
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class Serialization(Mechanism):
    """The ratio of hits stays what it was; a read takes many times longer in the application."""

    problem = "cache-serialization"
    seconds = (18, 36, 20)
    needs = ("traces", "metrics")
    page = ""

    def get_ms(self, phase: Phase) -> float:
        """Milliseconds of a read of a page, in the middle, as the application measured it."""
        raise NotImplementedError

    def signature(self, seen: Observed) -> list[Sign]:
        """What a read takes, that it still finds what it asks for, and the page."""
        ratio = [hits(p) for p in (seen.healthy, seen.fault, seen.fixed)]
        return [
            more(seen, "a read of the cache in the application", self.get_ms, "ms", least=8, by=2.5),
            Sign("reads that found something", *ratio, "%", "≥ 80 % under the fault", ratio[1] >= 80),
            slower(seen, self.page, 2.0, q="p50", after=0.6),
        ]


class OnMarket(Serialization):
    """A deploy gives the cache types: every date and decimal of a chart is an object of its own, and all is compressed."""

    stack, page = "market", "page"

    def choose(self, rng: random.Random) -> None:
        """Few things with many orders each: long charts."""
        self.things = rng.randint(70, 110)
        self.parameters = {"points": rng.randint(1500, 2000), "ttl_s": rng.randint(290, 440)}
        trades = rng.randrange(180_000, 210_000)
        self.settings = {"counts": {"items": rng.randint(100, 116), "trades": trades}, "weights": {"page": rng.randint(24, 30)}, "rate": rng.uniform(22, 27)}

    def ready(self, stack: Stack) -> None:
        """Pages with charts, all kept already."""
        path = stack.named("/{item_path}/")
        asks(stack, "page", url=f"`{path}${{int(1, {self.things})}}`")
        empty(stack)
        stack.deploy("page_chart", quiet=True, **self.parameters)
        self.fill(stack)

    def fill(self, stack: Stack) -> None:
        """Keeps all pages."""
        warm(stack, (stack.named(f"/{{item_path}}/{i}") for i in range(1, self.things + 1)))

    def breaks(self, stack: Stack) -> None:
        """Deploys the other form, under keys of its own, and fills the cache by the usual script."""
        stack.deploy("cache_serialization", **self.parameters)
        self.fill(stack)

    def fixes(self, stack: Stack) -> None:
        """Deploys plain JSON again."""
        stack.deploy("page_chart", **self.parameters)
        self.fill(stack)

    def get_ms(self, phase: Phase) -> float:
        """The span of a read, those of the page's route are most of them."""
        return phase.span_ms("memcached get", 0.5)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The page and its key."""
        return {
            "route": route(stack, "page").path, "object": f"{stack.words['prefix']}:page:", "service": stack.service, "trigger": "deploy",
            "accept": [], "rivals": ["runtime-pause", "low-hit-ratio", "cpu-saturation", "app-lock-contention", "network-saturation"],
            "notes": f"charts of up to {self.parameters['points']} points are kept as typed, compressed JSON; reviving them takes many times what memcached and the way to it take",
            "fix": "keep what the page shows, in a form that is cheap to read",
        }  # fmt: skip


class OnShop(Serialization):
    """A deploy keeps XML where it kept JSON, an element for each value."""

    stack, page = "shop", "product"

    def choose(self, rng: random.Random) -> None:
        """Few products with many lines each: long courses."""
        self.products = rng.randint(60, 90)
        self.parameters = {"points": rng.randint(1200, 1600), "ttl_s": rng.randint(290, 440)}
        self.settings = {"counts": {"products": rng.randint(96, 112)}, "weights": {"product": rng.randint(22, 28)}, "rate": rng.uniform(22, 27)}

    def ready(self, stack: Stack) -> None:
        """Pages with courses, all kept already."""
        path = stack.named("/{product_path}/")
        asks(stack, "product", url=f"`{path}${{int(1, {self.products})}}`")
        empty(stack)
        stack.deploy("page_prices", quiet=True, **self.parameters)
        self.fill(stack)

    def fill(self, stack: Stack) -> None:
        """Keeps all pages."""
        warm(stack, (stack.named(f"/{{product_path}}/{i}") for i in range(1, self.products + 1)))

    def breaks(self, stack: Stack) -> None:
        """Deploys the other form, under keys of its own, and fills the cache by the usual script."""
        stack.deploy("cache_serialization", **self.parameters)
        self.fill(stack)

    def fixes(self, stack: Stack) -> None:
        """Deploys plain JSON again."""
        stack.deploy("page_prices", **self.parameters)
        self.fill(stack)

    def get_ms(self, phase: Phase) -> float:
        """The mean of what the application measured: nearly all reads are of pages."""
        return 1000 * phase.mean("cache.client.operation.duration")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The page and its key."""
        return {
            "route": route(stack, "product").path, "object": f"{stack.words['prefix']}:x:product:", "service": stack.service, "trigger": "deploy",
            "accept": [], "rivals": ["low-hit-ratio", "cpu-saturation", "app-lock-contention", "worker-exhaustion", "network-saturation"],
            "notes": f"courses of up to {self.parameters['points']} points are kept as XML; reading it takes many times what Redis and the way to it take",
            "fix": "keep what the page shows, in a form that is cheap to read",
        }  # fmt: skip
