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
        """How many desks there are, and the share of orders."""
        self.parameters = {"desks": rng.randint(3, 4), "fee": round(rng.uniform(0.4, 2.5), 2)}
        self.settings = {"weights": {"place": rng.randint(30, 36)}, "partner": {"ms": round(rng.uniform(20, 26), 1)}}

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
