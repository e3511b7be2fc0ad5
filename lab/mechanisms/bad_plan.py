"""The same statement with another plan: the optimiser was told wrong about a table that was loaded after its statistics were made."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import forms, more, slower

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class OnMarket(Mechanism):
    """A job rebuilds the holdings and makes statistics when only the first page was copied; the portfolio then walks the primary key."""

    stack = "market"
    problem = "bad-plan"

    def choose(self, rng: random.Random) -> None:
        """How many holdings there are, how many the optimiser will know of."""
        self.known, self.page = rng.randint(11, 37), rng.randrange(8000, 15000)
        self.settings = {"counts": {"holdings": rng.randrange(70_000, 100_000)}, "weights": {"portfolio": rng.randint(11, 15)}}

    def breaks(self, stack: Stack) -> None:
        """Runs the job to its end."""
        self.table = stack.words["holding"]
        stack.event("job", service="maintenance", detail=f"rebuild of {self.table}")
        stack.job("rebuild_holdings", self.known, self.page).wait(30)

    def fixes(self, stack: Stack) -> None:
        """Makes statistics of the whole table."""
        stack.sql("ANALYZE TABLE {holding} PERSISTENT FOR ALL")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The statement and the table."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "portfolio"), "object": w["holding"], "statement_contains": forms(w, "from {holding}"),
            "service": [w["database"], w["service"]], "trigger": "job", "accept": [], "rivals": ["missing-index", "cpu-saturation", "bloat", "disk-saturation"],
            "notes": f"statistics of {w['holding']} say {self.known} rows, it has {self.settings['counts']['holdings']} less doubles; the index one_each is there and not used",
            "fix": f"ANALYZE TABLE {w['holding']} PERSISTENT FOR ALL",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Rows that a call looks at, and the route's tail."""
        statement = f"from `{self.table}` .* join "
        return [
            more(seen, "rows looked at in a call", lambda p: p.statement(statement).examined, "rows", least=5000, by=20),
            slower(seen, "portfolio", 2),
        ]
