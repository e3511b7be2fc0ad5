"""Transactions wait for rows that another one keeps locked for long."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import forms, more, slower

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class OnMarket(Mechanism):
    """A job goes through all accounts in large transactions; whoever orders waits for the end of the one that holds his account."""

    stack = "market"
    problem = "row-lock-contention"

    def choose(self, rng: random.Random) -> None:
        """Accounts in a transaction, and the share of orders."""
        self.batch = rng.randrange(700, 1000)
        self.settings = {"weights": {"place": rng.randint(15, 19)}, "pool": rng.randint(14, 18)}

    def breaks(self, stack: Stack) -> None:
        """Starts the job."""
        self.table = stack.words["account"]
        stack.event("job", service="back-office", detail="reconciliation of balances")
        self.job = stack.job("balances", self.batch)

    def fixes(self, stack: Stack) -> None:
        """The same job, with a transaction for each account."""
        self.job.stop()
        self.job = stack.job("balances", 1)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table, the waiting statement, and who holds the rows."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "place"), "object": w["account"], "statement_contains": forms(w, "from {account} where id = ? for update"),
            "service": [w["database"], w["service"]], "trigger": "job", "accept": [], "rivals": ["pool-exhaustion", "missing-index", "cpu-saturation", "table-lock"],
            "notes": f"the job `balances` locks {self.batch} rows of {w['account']} in each transaction, for a second or more",
            "fix": "commit after each account",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Sessions that wait for a row, and the route's tail."""
        return [
            more(seen, "waiting sessions in 10 samples", lambda p: 10 * p.sessions().blocked / max(1, p.sessions().samples), "", least=2),
            slower(seen, "place", 3),
        ]


class OnShop(Mechanism):
    """Every purchase counts itself in the day's row first, and keeps the row until the payment is taken."""

    stack = "shop"
    problem = "row-lock-contention"
    needs = ("sessions",)
    seconds = (20, 40, 30)

    def choose(self, rng: random.Random) -> None:
        """The row, the share of purchases, and how long the partner takes."""
        self.row = f"day-{rng.randint(2, 39)}"
        self.settings = {
            "rate": rng.uniform(27, 31), "weights": {"checkout": rng.randint(40, 44)}, "partner": {"ms": round(rng.uniform(42, 48), 1)}, "threads": 14, "pool": 14,
        }  # fmt: skip

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("hot_row", row=self.row)

    def fixes(self, stack: Stack) -> None:
        """The payment is taken outside of the transaction again."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table and the waiting statement."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "checkout"), "object": w["counter"], "statement_contains": f"update {w['counter']} set value",
            "service": [w["database"], w["service"]], "trigger": "deploy", "rivals": ["pool-exhaustion", "cascading-delay", "worker-exhaustion", "deploy-regression"],
            "notes": f"row {self.row} of {w['counter']} is updated at the begin of each purchase's transaction, which stays open while the partner is asked",
            "fix": "take the payment outside of the transaction, count at its end",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Sessions that wait for a row, and the route's tail."""
        return [
            more(seen, "waiting sessions in 10 samples", lambda p: 10 * p.sessions().blocked / max(1, p.sessions().samples), "", least=2),
            slower(seen, "checkout", 2),
        ]
