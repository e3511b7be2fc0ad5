"""Statements queue for a table that somebody holds as a whole."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import more, slower

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class OnMarket(Mechanism):
    """A job archives old orders page by page, and locks the table for each page."""

    stack = "market"
    problem = "table-lock"

    def choose(self, rng: random.Random) -> None:
        """Orders of a page, and seconds between pages."""
        self.page, self.pause = rng.randrange(240, 340), round(rng.uniform(1.1, 1.7), 2)
        self.settings = {"pool": rng.randint(18, 24)}

    def breaks(self, stack: Stack) -> None:
        """Starts the job, without an event: it runs every night."""
        self.job = stack.job("archive", self.page, self.pause, 1)

    def fixes(self, stack: Stack) -> None:
        """The same job, an order at a time and without the lock."""
        self.job.stop()
        self.job = stack.job("archive", self.page, self.pause, 0)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table, and who waits for it."""
        w = stack.words
        paths = {r.name: r.path for r in stack.routes}
        return {
            "route": [paths["history"], paths["place"], paths["statement"], paths["page"]], "object": w["trade"], "statement_contains": w["trade"],
            "service": [w["database"], w["service"]], "trigger": "job", "accept": [], "rivals": ["row-lock-contention", "pool-exhaustion", "missing-index", "disk-saturation"],
            "notes": f"the job `archive` holds LOCK TABLES {w['trade']} WRITE while it moves {self.page} rows, then rests {self.pause} s",
            "fix": "archive row by row in short transactions without LOCK TABLES",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Sessions that wait for the table, and the tail of a route that needs it."""
        def waiting(phase: Any) -> float:
            return 10 * sum("metadata lock" in r["state"] for r in phase.sessions().rows) / max(1, phase.sessions().samples)

        return [more(seen, "waits for the table in 10 samples", waiting, "", least=3), slower(seen, "history", 3)]


class OnShop(Mechanism):
    """A migration waits for a report's transaction, and everybody else waits behind the migration."""

    stack = "shop"
    problem = "table-lock"
    needs = ("sessions",)

    def choose(self, rng: random.Random) -> None:
        """How long the report's transactions are, and the steps of the migration."""
        self.size, self.pause = rng.randrange(1250, 1550), round(rng.uniform(0.6, 0.9), 2)
        self.settings = {"threads": 16, "pool": 16, "weights": {"purchases": rng.randint(9, 12), "checkout": rng.randint(5, 8)}}

    def ready(self, stack: Stack) -> None:
        """The report runs from the beginning; the application's user owns the table."""
        stack.sql("ALTER TABLE {purchase} OWNER TO {user}")
        stack.job("cohorts", self.size)

    def breaks(self, stack: Stack) -> None:
        """Starts the migration."""
        stack.event("migration", service=stack.service, detail="0051 more columns")
        self.job = stack.job("migrate", 200, self.pause, 0)

    def fixes(self, stack: Stack) -> None:
        """The same with a limit for waiting."""
        self.job.stop()
        self.job = stack.job("migrate", 200, self.pause, 60)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table, and who waits for it."""
        w = stack.words
        paths = {r.name: r.path for r in stack.routes}
        return {
            "route": [paths["purchases"], paths["checkout"]], "object": w["purchase"], "statement_contains": [f"alter table {w['purchase']}", w["purchase"]],
            "service": [w["database"], w["service"]], "trigger": "migration", "rivals": ["row-lock-contention", "pool-exhaustion", "worker-exhaustion", "missing-index"],
            "notes": f"ALTER TABLE {w['purchase']} waits for the transaction of the job `cohorts` ({self.size} customers in each), all others queue behind it",
            "fix": "SET lock_timeout for migrations and try again",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Sessions that wait for the table, and the tail of a route that needs it."""

        def waiting(phase: Any) -> float:
            return 10 * phase.sessions().waits["Lock:relation"] / max(1, phase.sessions().samples)

        return [more(seen, "waits for the table in 10 samples", waiting, "", least=3), slower(seen, "purchases", 3)]
