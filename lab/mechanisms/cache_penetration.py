"""What does not exist is asked for again and again, and nothing remembers that it does not exist."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import asks, empty, misses, route, warm
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class Penetration(Mechanism):
    """Misses, calls of a statement that finds nothing, the route's tail."""

    problem = "cache-penetration"
    seconds = (18, 38, 20)
    needs = ("cache",)
    victim = statement = ""
    #: What people look for, and find.
    known: ClassVar[tuple[str, ...]] = ()

    def empty(self, phase: Phase) -> float:
        """Calls of the statement a second that returned nothing, at least: what is found is kept, so each replica loads a known text once."""
        told = phase.statement(self.statement)
        return (told.calls - min(told.calls * told.rows, 2 * len(self.known), told.calls)) / phase.seconds

    def signature(self, seen: Observed) -> list[Sign]:
        """As above."""
        return [
            more(seen, "misses of the cache a second, of all routes", misses, "1/s", least=2, by=1.4),
            more(seen, "calls of the statement a second that found nothing", self.empty, "1/s", least=1, by=2.5),
            slower(seen, self.victim, 2.5),
        ]


class OnMarket(Penetration):
    """Old versions of an app look for words that are in no title any more; a deploy keeps only answers that have something in them."""

    stack, victim, statement = "market", "search", r"lower`? \( `?concat_ws"
    known = ("elm", "iris", "slate", "pearl", "onyx", "teal", "amber", "maple")
    words = ("vinyl", "cassette", "telegraph", "zeppelin", "gramophone", "pager", "quill", "ration", "turnpike", "workhouse", "zinc-roof", "yacht")

    def choose(self, rng: random.Random) -> None:
        """How many words find nothing, and how often they are looked for."""
        self.unknown = [f"{word} {rng.randint(100, 999)}" for word in rng.sample(self.words, rng.randint(7, 11))]
        self.parameters = {"ttl_s": rng.randint(310, 460)}
        self.settings = {"watch": True, "counts": {"items": rng.randrange(6600, 7600)}, "weights": {"search": rng.randint(22, 28)}, "rate": rng.uniform(24, 30)}

    def ready(self, stack: Stack) -> None:
        """Search is cached, nothing found as well, and a good part of all searches finds nothing."""
        texts = [*self.known, *self.unknown]
        path = stack.named("/{item_path}")
        asks(stack, "search", url=f"`{path}?q=${{encodeURIComponent(pick({json.dumps(texts)}))}}`")
        empty(stack)
        stack.deploy("search_kept", quiet=True, **self.parameters)
        warm(stack, (f"{path}?q={text.replace(' ', '%20')}" for text in texts))

    def breaks(self, stack: Stack) -> None:
        """Deploys the cache that keeps only what was found."""
        stack.deploy("cache_penetration", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Deploys the one that keeps nothing found as well."""
        stack.deploy("search_kept", **self.parameters)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The search, and the keys that are never there."""
        w = stack.words
        return {
            "route": route(stack, "search").path, "object": f"{w['prefix']}:search2:", "statement_contains": "concat_ws", "service": ["memcached", stack.service, w["database"]],
            "trigger": "deploy", "accept": [], "rivals": ["low-hit-ratio", "missing-index", "cache-stampede", "cpu-saturation"],
            "notes": f"{len(self.unknown)} words that find nothing are asked for all the time; empty answers are no longer kept, so each goes to the database, which returns nothing",
            "fix": "keep that nothing was found, for a short time",
        }  # fmt: skip


class OnShop(Penetration):
    """A crawler searches for random words, never the same twice. That nothing was found is kept, which helps nobody."""

    stack, victim, statement = "shop", "search", r"lower\(concat_ws\("
    known = ("alder", "cedar", "fern", "jade", "nook", "opal", "reed", "wren", "sage", "thorn")

    def choose(self, rng: random.Random) -> None:
        """How fast the crawler asks."""
        self.crawled, self.parameters = rng.uniform(7.5, 10.5), {"ttl_s": rng.randint(310, 460)}
        self.settings = {"monitor": True, "counts": {"products": rng.randrange(9000, 10_500)}, "weights": {"search": rng.randint(17, 22)}, "rate": rng.uniform(25, 30)}

    def ready(self, stack: Stack) -> None:
        """Search is cached, and what people look for is there."""
        path = stack.named("/{product_path}/search")
        asks(stack, "search", url=f"`{path}?q=${{pick({json.dumps(self.known)})}}`")
        empty(stack)
        stack.deploy("search_kept", quiet=True, **self.parameters)
        warm(stack, (f"{path}?q={text}" for text in self.known))

    def breaks(self, stack: Stack) -> None:
        """The crawler comes."""
        words = f"`{stack.named('/{product_path}/search')}?q=${{int(36 ** 5, 36 ** 6 - 1).toString(36)}}x${{int(46656, 1679615).toString(36)}}`"
        stack.load.start(stack.url, [replace(route(stack, "search"), url=words)], self.crawled, 180)

    def fixes(self, stack: Stack) -> None:
        """Deploys a list of all words there are; the crawler stays."""
        stack.deploy("search_known", **self.parameters)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The search, and the keys that are never there."""
        w = stack.words
        return {
            "route": route(stack, "search").path, "object": f"{w['prefix']}:search:", "statement_contains": "concat_ws", "service": ["redis", stack.service, w["database"]],
            "trigger": "traffic", "accept": [], "rivals": ["low-hit-ratio", "missing-index", "traffic-surge", "cpu-saturation"],
            "notes": f"{self.crawled:.1f} searches a second are for random words that are nowhere; each goes to the database, which returns nothing",
            "fix": "know beforehand what cannot be found (a list of words, a Bloom filter), and limit the crawler",
        }  # fmt: skip
