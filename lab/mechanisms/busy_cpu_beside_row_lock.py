"""A processor is busy with a job that harms nobody, while a row lock is what makes orders slow."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._pairs import cores, rises, slower

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class _Busy(Mechanism):
    """A release updates one row at the begin of every order and keeps it locked while the partner is asked; a job computes beside it."""

    problem = "row-lock-contention"
    kind = "pair"
    needs = ("sessions", "database-log")
    seconds = (18, 38, 22)
    route: str
    #: Of the release.
    parameters: dict[str, Any]

    def choose(self, rng: random.Random) -> None:
        """The share of the time for which the job computes."""
        self.busy = round(rng.uniform(0.55, 0.7), 3)

    def breaks(self, stack: Stack) -> None:
        """The job begins, and the release is rolled out."""
        stack.event("job", service="scheduler", detail="appraisal started")
        self.job = stack.job("appraise", 300, self.busy)
        stack.deploy("hot_row", **self.parameters)

    def fixes(self, stack: Stack) -> None:
        """The release is rolled back; the job goes on, because it was never the trouble."""
        stack.deploy("base")

    def said(self, stack: Stack, table: str, column: str) -> dict[str, Any]:
        """The truth, whatever the stack."""
        paths = {r.name: r.path for r in stack.routes}
        return {
            "route": paths[self.route], "object": table, "statement_contains": [f"update {table} set {column}", f"update `{table}` set `{column}`"],
            "service": [stack.words["database"], stack.service], "trigger": "deploy",
            "rivals": ["cpu-saturation", "noisy-neighbour", "cpu-throttling", "deploy-regression", "pool-exhaustion"],
            "notes": f"Each order updates one row of {table} first and holds it while the partner is asked; a job uses {self.busy:.0%} of a core beside it and harms nobody.",
            "fix": "update that row at the end of the transaction, after the partner was asked (here: the release before)",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Blocked sessions, the job's use of the processor, the orders' tail."""
        used = [cores(phase, self.job.name) for phase in (seen.healthy, seen.fault, seen.fixed)]
        return [
            rises(seen, "blocked sessions, each second", lambda p: p.sessions().blocked / max(1, p.sessions().samples), "", 0.3),
            Sign("processor that the job used", used[0], used[1], used[2], "cores", "≥ 0.35", used[1] >= 0.35),
            slower(seen, self.route, 2),
        ]


class OnShop(_Busy):
    """Checkouts, all of which count themselves in the day's row."""

    stack = "shop"
    route = "checkout"

    def choose(self, rng: random.Random) -> None:
        """How many checkouts there are, how long the bank takes (ms), and which row it is."""
        super().choose(rng)
        self.settings = {"rate": rng.uniform(22, 27), "weights": {"checkout": rng.randint(30, 34)}, "partner": {"ms": round(rng.uniform(60, 70), 1)}}
        self.parameters = {"row": f"day-{rng.randint(3, 38)}"}

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The counter."""
        return self.said(stack, stack.words["counter"], "value")


class OnMarket(_Busy):
    """Orders, all of which credit the house."""

    stack = "market"
    route = "place"

    def choose(self, rng: random.Random) -> None:
        """How many orders there are, and how long the partner takes (ms)."""
        super().choose(rng)
        self.settings = {"rate": rng.uniform(22, 27), "weights": {"place": rng.randint(26, 31)}, "partner": {"ms": round(rng.uniform(27, 34), 1)}}
        self.parameters = {"house": 1, "fee": round(rng.uniform(0.8, 3), 2)}

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The house's account."""
        w = stack.words
        return self.said(stack, w["account"], w["balance"])
