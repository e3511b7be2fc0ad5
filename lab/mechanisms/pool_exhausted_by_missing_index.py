"""The pool is exhausted, because statements became slow: an index is gone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._pairs import rises, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _Exhausted(Mechanism):
    """An index is dropped as unused; its statement holds the few connections of the pool for so long that all others wait for one."""

    problem = "missing-index"
    kind = "pair"
    needs = ("statements", "database-log", "plans")
    seconds = (18, 40, 24)
    #: A route that does not use the index, and yet becomes slow.
    beside: str
    route: str

    def pool_wait_ms(self, phase: Phase) -> float:
        """Mean wait for a connection."""
        raise NotImplementedError

    def looked_at(self, phase: Phase) -> float:
        """Rows (or blocks) that a call of the statement looks at."""
        raise NotImplementedError

    def signature(self, seen: Observed) -> list[Sign]:
        """What a call looks at, the wait for a connection, and the tail of a route that does not need the index at all."""
        return [
            rises(seen, "rows or blocks that a call looks at", self.looked_at, "", 400, 10),
            rises(seen, "mean wait for a connection", self.pool_wait_ms, "ms", 5, 4),
            slower(seen, self.route, 3),
            slower(seen, self.beside, 2),
        ]


class OnShop(_Exhausted):
    """Lines of a customer's purchases."""

    stack = "shop"
    route, beside = "purchases", "search"

    def choose(self, rng: random.Random) -> None:
        """Rows, how often purchases are asked for, and a small pool."""
        self.settings = {
            "rate": rng.uniform(24, 28), "pool": 1, "counts": {"purchases": 110_000, "lines": rng.randrange(420_000, 480_000)},
            "weights": {"purchases": rng.randint(23, 27)},
        }  # fmt: skip

    def breaks(self, stack: Stack) -> None:
        """Drops it, without an event."""
        stack.sql("DROP INDEX {line}_by_{purchase_id}")

    def fixes(self, stack: Stack) -> None:
        """Creates it again."""
        stack.sql("CREATE INDEX {line}_by_{purchase_id} ON {line} ({purchase_id})")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The statement and the table."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == self.route), "object": w["line"], "statement_contains": f"join {w['line']} l on l.{w['purchase_id']}",
            "service": [w["database"], w["service"]], "rivals": ["pool-exhaustion", "worker-exhaustion", "cpu-saturation"],
            "notes": f"the index of {w['line']} by {w['purchase_id']} was dropped; one connection a replica, so that every route waits for it",
            "fix": f"CREATE INDEX ON {w['line']} ({w['purchase_id']})",
        }  # fmt: skip

    def pool_wait_ms(self, phase: Phase) -> float:
        """Told by the replicas."""
        return 1000 * phase.mean("db.client.connection.wait_time")

    def looked_at(self, phase: Phase) -> float:
        """Blocks of the joined statement."""
        return phase.statement(r"join \w+ l on l\.").blocks


class OnMarket(_Exhausted):
    """Orders of an account."""

    stack = "market"
    route, beside = "history", "search"

    def choose(self, rng: random.Random) -> None:
        """Rows, how often the orders are asked for, and a small pool."""
        self.settings = {
            "rate": rng.uniform(25, 29), "pool": 1, "counts": {"trades": rng.randrange(250_000, 290_000)},
            "weights": {"history": rng.randint(21, 25), "statement": rng.randint(7, 9)},
        }  # fmt: skip

    def breaks(self, stack: Stack) -> None:
        """Drops it, without an event."""
        stack.sql("ALTER TABLE {trade} DROP KEY by_{account}")

    def fixes(self, stack: Stack) -> None:
        """Creates it again, with the column by which is sorted."""
        stack.sql("ALTER TABLE {trade} ADD KEY by_{account} ({account_id}, id)")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The statement and the table."""
        w = stack.words
        paths = {r.name: r.path for r in stack.routes}
        return {
            "route": [paths["history"], paths["statement"]], "object": w["trade"],
            "statement_contains": [f"from {w['trade']} where {w['account_id']}", f"from `{w['trade']}` where `{w['account_id']}`"],
            "service": [w["database"], w["service"]], "rivals": ["pool-exhaustion", "worker-exhaustion", "cpu-saturation"],
            "notes": f"the index of {w['trade']} by {w['account_id']} was dropped; one connection a replica, so that every route waits for it",
            "fix": f"CREATE INDEX by_{w['account']} ON {w['trade']} ({w['account_id']}, id)",
        }  # fmt: skip

    def pool_wait_ms(self, phase: Phase) -> float:
        """Told by the replicas."""
        return 1000 * phase.mean("app_db_pool_wait_seconds")

    def looked_at(self, phase: Phase) -> float:
        """Rows examined by the pages of orders."""
        return phase.statement(r"order by `?id`? desc limit \?").examined
