"""Two transactions each hold what the other one wants next."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import failed, forms, more

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class OnMarket(Mechanism):
    """Every order is booked at two desks, first at that of its thing, at the end at that of its account."""

    stack = "market"
    problem = "deadlock"

    def choose(self, rng: random.Random) -> None:
        """The fee, the share of orders, and how long the partner takes."""
        self.parameters = {"desks": 3, "fee": round(rng.uniform(0.4, 2.5), 2)}
        self.settings = {"rate": rng.uniform(27, 31), "weights": {"place": rng.randint(52, 58)}, "partner": {"ms": round(rng.uniform(28, 34), 1)}}

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("desks", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """Books both desks at the end, the one with the smaller number first."""
        stack.deploy("desks", **self.parameters, ordered=True)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table and the statement of both sides."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "place"), "object": w["account"], "statement_contains": forms(w, "update {account} set {balance}"),
            "service": [w["database"], w["service"]], "trigger": "deploy", "accept": ["row-lock-contention"], "rivals": ["deploy-regression", "pool-exhaustion", "cascading-delay"],
            "notes": f"each order updates two of {self.parameters['desks']} rows of {w['account']}, in the order of its data, with a call of the partner between",
            "fix": "lock the rows always in the same order, at the end of the transaction",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Deadlocks that the server told of, and requests that failed."""

        def deadlocks(phase: Phase) -> float:
            return 60 * len(phase.log_matches("mariadb-error.log", r"deadlock detected, dumping")) / phase.seconds

        return [more(seen, "deadlocks", deadlocks, "a minute", least=6), more(seen, "failed requests", failed, "%", least=1)]


class OnShop(Mechanism):
    """Every line of a basket counts itself in a row of the tally, in the order of the basket."""

    stack = "shop"
    problem = "deadlock"
    needs = ("database-log",)

    def choose(self, rng: random.Random) -> None:
        """The share of purchases, the way to the database, and when it looks for deadlocks."""
        self.rows = 4
        self.settings = {
            "rate": rng.uniform(27, 31), "weights": {"checkout": rng.randint(54, 60)}, "delay_s": round(rng.uniform(0.0007, 0.0008), 5), "threads": 14, "pool": 14,
            "postgres": {"deadlock_timeout": f"{rng.randint(70, 95)}ms"},
        }  # fmt: skip

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("tally", rows=self.rows)

    def fixes(self, stack: Stack) -> None:
        """Always in the order of the rows, at the end."""
        stack.deploy("tally", rows=self.rows, ordered=True)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table and the statement of both sides."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "checkout"), "object": w["counter"], "statement_contains": f"update {w['counter']} set value",
            "service": [w["database"], w["service"]], "trigger": "deploy", "accept": ["row-lock-contention"], "rivals": ["deploy-regression", "pool-exhaustion", "table-lock"],
            "notes": f"each line of a basket updates one of {self.rows} rows of {w['counter']}, in the order of the basket",
            "fix": "update the rows always in the same order, at the end of the transaction",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Deadlocks that the server told of, and requests that failed."""

        def deadlocks(phase: Phase) -> float:
            found = [m for name in ("postgresql.log", "postgresql.csv", "postgresql.json") for m in phase.log_matches(name, "deadlock detected")]
            return 60 * len(found) / phase.seconds

        return [more(seen, "deadlocks", deadlocks, "a minute", least=6), more(seen, "failed requests", failed, "%", least=0.5)]
