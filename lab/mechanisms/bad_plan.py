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
        self.known, self.page = rng.randint(7, 16), rng.randrange(8000, 15000)
        self.settings = {"counts": {"holdings": rng.randrange(170_000, 210_000)}, "weights": {"portfolio": rng.randint(11, 15)}}

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
            slower(seen, "portfolio", 2, q="p50"),
        ]


class OnShop(Mechanism):
    """The purchases were restored into a new table that was never analysed; the report of the last day reads all of them."""

    stack = "shop"
    problem = "bad-plan"
    needs = ("statements",)
    settle = 7

    def choose(self, rng: random.Random) -> None:
        """The day of the report, and how often it is asked for."""
        self.since = f"2026-10-31 {rng.randrange(6, 20):02d}:{rng.randrange(60):02d}:00+00"
        self.settings = {"counts": {"purchases": rng.randrange(62_000, 85_000), "lines": rng.randrange(230_000, 290_000)}, "weights": {"report": rng.randint(9, 12), "checkout": 5}}

    def ready(self, stack: Stack) -> None:
        """The report is of the last day from the beginning, with an index for it."""
        stack.sql("CREATE INDEX {purchase}_by_placed_at ON {purchase} (placed_at)")
        stack.sql("ANALYZE {purchase}")
        stack.deploy("recent_report", quiet=True, since=self.since)

    def breaks(self, stack: Stack) -> None:
        """A new table takes the place of the old one; autovacuum was switched off for the time of the loading, and stays so."""
        stack.event("migration", service=stack.service, detail=f"{stack.words['purchase']} moved to a new table")
        steps = (
            "BEGIN", "LOCK {purchase} IN SHARE ROW EXCLUSIVE MODE", "CREATE TABLE {purchase}_new (LIKE {purchase} INCLUDING ALL) WITH (autovacuum_enabled = off)",
            "INSERT INTO {purchase}_new SELECT * FROM {purchase}", "ALTER TABLE {purchase} RENAME TO {purchase}_before", "ALTER TABLE {purchase}_new RENAME TO {purchase}",
            "GRANT ALL ON {purchase} TO {user}", "COMMIT",
        )  # fmt: skip
        stack.sql("; ".join(steps))

    def fixes(self, stack: Stack) -> None:
        """Makes the statistics, now and from now on; sessions that settled on a generic plan must begin anew."""
        stack.sql("ANALYZE {purchase}")
        stack.sql("ALTER TABLE {purchase} RESET (autovacuum_enabled)")
        assert stack.release
        stack.restart(stack.release)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The statement and the table."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "report"), "object": w["purchase"], "statement_contains": f"from {w['purchase']} o join {w['line']} l",
            "service": [w["database"], w["service"]], "trigger": "migration", "rivals": ["missing-index", "cpu-saturation", "bloat", "superlinear-algorithm"],
            "notes": f"{w['purchase']} has no statistics, so a third of it is expected where a few hundred rows come: hash joins over whole tables instead of indexes",
            "fix": f"ANALYZE {w['purchase']}, autovacuum on again, new sessions (prepared statements keep a generic plan)",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Blocks that a call reads or its time, and the route's tail."""
        return [more(seen, "the statement", lambda p: p.statement("where o.placed_at >=").mean_ms, "ms", least=10, by=3), slower(seen, "report", 2.5, q="p50")]
