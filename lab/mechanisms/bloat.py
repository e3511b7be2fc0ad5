"""Rows that nobody can see any more and nobody may remove: an old transaction might still want them."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import forms, more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class OnMarket(Mechanism):
    """A table of the last price ticks is read with every watchlist; an analyst leaves a snapshot open, and purge stands still."""

    stack = "market"
    problem = "bloat"
    seconds = (20, 75, 20)
    settle = 10

    def choose(self, rng: random.Random) -> None:
        """How many ticks come, and how many are kept. With twice as many the readers no longer end, and the machine stands still."""
        self.batch, self.pause, self.kept = rng.randrange(190, 240), round(rng.uniform(0.035, 0.045), 3), rng.randrange(300, 600)
        self.settings = {"partner": {"ms": round(rng.uniform(6, 9), 1)}, "weights": {"watchlist": rng.randint(9, 12)}}

    def ready(self, stack: Stack) -> None:
        """Ticks come from the beginning, and the watchlist shows them."""
        stack.sql(
            "CREATE TABLE {item}_ticks (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, {item_id} INT UNSIGNED NOT NULL, {price} DECIMAL(12,2) NOT NULL,"
            " KEY by_{item} ({item_id}, {price}))"
        )
        stack.deploy("pulse", quiet=True)
        stack.job("ticker", self.batch, self.pause, self.kept)

    def breaks(self, stack: Stack) -> None:
        """The analyst takes the snapshot, without an event."""
        self.table = f"{stack.words['item']}_ticks"
        self.session = stack.job("analyst")

    def fixes(self, stack: Stack) -> None:
        """Ends the session; purge does the rest."""
        self.session.stop()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table, its reader, and who holds it back."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "watchlist"), "object": self.table, "statement_contains": forms({"table": self.table}, "from {table}"),
            "service": [w["database"], w["service"]], "accept": [], "rivals": ["missing-index", "bad-plan", "cpu-saturation", "wrong-data-model"],
            "notes": f"{self.batch} ticks every {self.pause} s, {self.kept} are kept; a transaction with a snapshot stays open, so that deleted rows stay",
            "fix": "end the old transaction, and limit how long one may be open",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """The list of changes that wait for purge, the time of the statement that walks over them, and the route's tail."""

        def history(phase: Phase) -> float:
            return max((int(n) for n in re.findall(r"History list length (\d+)", phase.text("innodb_status.txt"))), default=0)

        def scan(phase: Phase) -> float:
            return phase.statement(f"from `{self.table}` group by").mean_ms

        return [
            more(seen, "longest history list", history, "transactions", least=500, by=2),
            more(seen, "the statement", scan, "ms", least=5, by=2.5),
            slower(seen, "watchlist", 1.8, q="p50", after=0.65),
        ]


class OnShop(Mechanism):
    """A table of the last ticks is read with every page of the catalogue; an analyst leaves a snapshot open, and vacuum removes nothing."""

    stack = "shop"
    problem = "bloat"
    needs = ("db-objects",)
    seconds = (20, 75, 20)
    settle = 10

    def choose(self, rng: random.Random) -> None:
        """How many ticks come, and how many are kept."""
        self.batch, self.pause, self.kept = rng.randrange(460, 540), round(rng.uniform(0.03, 0.04), 3), rng.randrange(300, 600)
        self.settings = {"postgres": {"autovacuum_naptime": "1s"}}

    def ready(self, stack: Stack) -> None:
        """Ticks come from the beginning, and the catalogue shows them; the table is vacuumed often."""
        stack.sql(
            "CREATE TABLE {product}_ticks (id bigserial PRIMARY KEY, {product_id} int NOT NULL, price_cents int NOT NULL, referrer text)"
            " WITH (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0)"
        )
        stack.sql("GRANT ALL ON {product}_ticks, {product}_ticks_id_seq TO {user}")
        stack.deploy("pulse", quiet=True)
        stack.job("ticker", self.batch, self.pause, self.kept)

    def breaks(self, stack: Stack) -> None:
        """The analyst takes the snapshot, without an event."""
        self.table = f"{stack.words['product']}_ticks"
        self.session = stack.job("analyst")

    def fixes(self, stack: Stack) -> None:
        """Ends the session; vacuum does the rest."""
        self.session.stop()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The table, its reader, and who holds it back."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "catalogue"), "object": self.table, "statement_contains": f"from {self.table}",
            "service": [w["database"], w["service"]], "rivals": ["missing-index", "bad-plan", "cpu-saturation", "wrong-data-model"],
            "notes": f"{self.batch} ticks every {self.pause} s, {self.kept} are kept; a session idle in transaction holds xmin, so that deleted rows stay",
            "fix": "end the old transaction; idle_in_transaction_session_timeout",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Dead rows, the time of the statement that walks over them, and the route's tail."""

        def dead(phase: Phase) -> float:
            return max((float(r["n_dead_tup"]) for r in phase.rows("pg_stat_user_tables.csv") if r["relname"] == self.table), default=0)

        def scan(phase: Phase) -> float:
            return phase.statement(f"from {self.table} group by").mean_ms

        return [more(seen, "most dead rows", dead, "rows", least=20_000, by=1.0), more(seen, "the statement", scan, "ms", least=4, by=2.5), slower(seen, "catalogue", 1.8, q="p50", after=0.65)]
