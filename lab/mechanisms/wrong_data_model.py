"""To give a few, all are touched: what a request costs is the size of the collection."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import redis

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import route
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class OnMarket(Mechanism):
    """Search reads every thing and filters in the application, so that it can fold accents."""

    stack = "market"
    problem = "wrong-data-model"
    seconds = (18, 36, 20)
    needs = ("statements", "traces")

    def choose(self, rng: random.Random) -> None:
        """How many things there are, and how often they are searched."""
        self.items = rng.randrange(2600, 3500)
        self.settings = {"counts": {"items": self.items}, "weights": {"search": rng.randint(14, 18)}, "rate": rng.uniform(20, 25)}

    def breaks(self, stack: Stack) -> None:
        """Deploys the other search."""
        stack.deploy("wrong_data_model", shown=20)

    def fixes(self, stack: Stack) -> None:
        """Deploys the search that asks the index by title."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The search and its table."""
        w = stack.words
        return {
            "route": route(stack, "search").path, "object": w["item"], "statement_contains": f"from `{w['item']}`", "service": [stack.service, w["database"]],
            "trigger": "deploy", "accept": [], "rivals": ["missing-index", "n-plus-one", "runtime-pause", "cpu-saturation", "superlinear-algorithm"],
            "notes": f"every search fetches all {self.items} rows and shows at most 20; the event loop is busy with rows meanwhile, so that other routes wait too",
            "fix": "let the database find what is shown (a folded, indexed column), and fetch only that",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Rows that are fetched by the statements on things, a call, and the tail of the search."""
        return [
            more(seen, "rows fetched by the largest statement, a call", lambda p: max((s.rows for s in p.statements().values()), default=0.0), "rows", least=1000, by=10),
            slower(seen, "search", 2.5),
        ]


class OnShop(Mechanism):
    """The lines of a customer's basket are found by a pattern of keys: Redis walks through all keys, and serves nobody meanwhile."""

    stack = "shop"
    problem = "wrong-data-model"
    seconds = (18, 36, 20)
    needs = ("cache",)

    def choose(self, rng: random.Random) -> None:
        """How many baskets are open."""
        self.baskets, self.salt = rng.randrange(24_000, 30_000), rng.randrange(1 << 30)
        self.settings = {"monitor": True, "weights": {"customer": rng.randint(15, 20)}, "rate": rng.uniform(21, 27)}

    def ready(self, stack: Stack) -> None:
        """Baskets with three lines in the middle, a key each; and the customer's data that show them."""
        chance = random.Random(self.salt)
        with redis.Redis(port=stack.cache_port) as client, client.pipeline(transaction=False) as commands:
            for customer in range(1, self.baskets):
                for item in chance.sample(range(1, 5000), chance.randint(1, 5)):
                    key = f"{stack.words['prefix']}:line:{customer}:{item}"
                    commands.set(key, json.dumps({"id": item, "quantity": chance.randint(1, 4)}))
                    commands.sadd(f"{stack.words['prefix']}:basket:{customer}", key)
                if customer % 1000 == 0:
                    commands.execute()
            commands.execute()
        stack.deploy("baskets", quiet=True)

    def breaks(self, stack: Stack) -> None:
        """Deploys the search by pattern."""
        stack.deploy("wrong_data_model")

    def fixes(self, stack: Stack) -> None:
        """Deploys the sets again."""
        stack.deploy("baskets")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The route and the pattern."""
        w = stack.words
        return {
            "route": route(stack, "customer").path, "object": f"{w['prefix']}:line:", "statement_contains": "keys", "service": ["redis", stack.service],
            "trigger": "deploy", "accept": [], "rivals": ["low-hit-ratio", "missing-index", "cache-serialization", "single-threaded-section"],
            "notes": f"KEYS with a pattern for each request, over the lines of {self.baskets} baskets, to find at most five",
            "fix": "a set or hash for each basket, so that only its own lines are touched",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Time of KEYS in Redis, and the tail of the route."""
        return [
            more(seen, "KEYS in Redis", lambda p: p.redis()["cmdstat_keys.usec"] / 1000 / max(1.0, p.redis()["cmdstat_keys.calls"]), "ms a call", least=4, by=10),
            slower(seen, "customer", 2.5, q="p50"),
        ]
