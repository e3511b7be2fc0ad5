"""A statement that lost its index: every call walks through the table."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import forms, more, slower

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class OnMarket(Mechanism):
    """Somebody drops the index by account as unused; the history of an account walks the primary key backwards."""

    stack = "market"
    problem = "missing-index"

    def choose(self, rng: random.Random) -> None:
        """How many orders there are, and how often a history is asked for."""
        self.settings = {"counts": {"trades": rng.randrange(230_000, 300_000)}, "weights": {"history": rng.randint(9, 13)}}

    def breaks(self, stack: Stack) -> None:
        """Drops the index, without an event."""
        self.table = stack.words["trade"]
        stack.sql("ALTER TABLE {trade} DROP KEY by_{account}")

    def fixes(self, stack: Stack) -> None:
        """Creates it again, with the column by which is sorted."""
        stack.sql("ALTER TABLE {trade} ADD KEY by_{account} ({account_id}, id)")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The statement and the table."""
        w = stack.words
        paths = {r.name: r.path for r in stack.routes}
        return {
            "route": [paths["history"], paths["statement"]], "object": w["trade"], "statement_contains": forms(w, "from {trade} where {account_id}"),
            "service": [w["database"], w["service"]], "accept": [], "rivals": ["cpu-saturation", "bad-plan", "disk-saturation", "pool-exhaustion"],
            "notes": f"the index by_{w['account']} of {w['trade']} was dropped; {self.settings['counts']['trades']} rows, no event",
            "fix": f"CREATE INDEX ON {w['trade']} ({w['account_id']}, id)",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Rows that a call looks at, and the route's tail."""
        history = rf"from `{self.table}` where `\w+` = \? and .* desc limit"
        return [
            more(seen, "rows looked at in a call", lambda p: p.statement(history).examined, "rows", least=5000, by=20),
            slower(seen, "history", 3, q="p50"),
        ]


class OnShop(Mechanism):
    """A migration tidies indexes up; the lines of a purchase are no longer found by their purchase."""

    stack = "shop"
    problem = "missing-index"
    needs = ("statements",)

    def choose(self, rng: random.Random) -> None:
        """How many lines there are, and how often a list of purchases is asked for."""
        self.settings = {"counts": {"lines": rng.randrange(210_000, 260_000)}, "weights": {"purchases": rng.randint(10, 13)}}

    def breaks(self, stack: Stack) -> None:
        """The migration."""
        stack.event("migration", service=stack.service, detail="0042 tidy up indexes")
        stack.sql("DROP INDEX {line}_by_{purchase_id}")

    def fixes(self, stack: Stack) -> None:
        """Creates it again."""
        stack.sql("CREATE INDEX {line}_by_{purchase_id} ON {line} ({purchase_id})")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The statement and the table."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "purchases"), "object": w["line"], "statement_contains": f"join {w['line']} l on l.{w['purchase_id']}",
            "service": [w["database"], w["service"]], "trigger": "migration", "rivals": ["cpu-saturation", "bad-plan", "n-plus-one", "pool-exhaustion"],
            "notes": f"the index of {w['line']} by {w['purchase_id']} was dropped by a migration; {self.settings['counts']['lines']} rows",
            "fix": f"CREATE INDEX ON {w['line']} ({w['purchase_id']})",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Blocks that a call reads, and the route's tail."""
        return [more(seen, "blocks of a call", lambda p: p.statement("from .select . from .* desc limit .* o join").blocks, "blocks", least=800, by=5), slower(seen, "purchases", 2.5, q="p50")]
