"""The slow log fills with statements that are well: the database's container got too small a share of the processor."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._pairs import rises, slower

if TYPE_CHECKING:
    from lab.cgroups import Group
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _Quota(Mechanism):
    """A quota is derived from the mean use of the processor: half of the time it is enough, and every burst is throttled."""

    problem = "cpu-throttling"
    kind = "pair"
    needs = ("host",)
    seconds = (18, 40, 24)
    #: The component of the database.
    database: str
    #: A route whose time is the database's.
    victim: str

    def choose(self, rng: random.Random) -> None:
        """Load, and the quota over the mean use."""
        self.settings = {"rate": rng.uniform(24, 30)}
        self.room = rng.uniform(1.12, 1.22)

    def group(self, stack: Stack) -> Group:
        """The database's control group."""
        return stack.run.group(self.database)

    def breaks(self, stack: Stack) -> None:
        """Looks at what the database uses, and sets the quota by it."""
        usage, began = self._usage(stack), time.monotonic()
        time.sleep(4)
        mean = (self._usage(stack) - usage) / (time.monotonic() - began)
        self.cores = mean * self.room
        self.group(stack).cpu(self.cores)

    def fixes(self, stack: Stack) -> None:
        """Lifts it."""
        self.group(stack).cpu(None)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The database, and every route that asks it."""
        return {
            "route": [r.path for r in sorted(stack.routes, key=lambda r: r.name != self.victim)], "object": self.database,
            "statement_contains": None, "service": [self.database, stack.words["database"], stack.service],
            "trigger": None, "accept": ["cpu-saturation"], "rivals": ["missing-index", "bad-plan", "pool-exhaustion", "disk-saturation"],
            "notes": f"The database's container may use {self.cores:.3f} cores, {self.room:.2f} times its mean use; plans, rows and blocks of all statements are as before.",
            "fix": "lift the quota, or set it by the peak",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Throttled periods, lines in the log of slow statements, and a route's tail."""
        return [
            rises(seen, "throttled periods a second", lambda p: p.group(self.database).throttled_periods / max(1.0, p.seconds), "/s", 1.0, 5),
            rises(seen, "slow statements in the log, each second", lambda p: self.slow(p) / max(1.0, p.seconds), "/s", 0.5, 3),
            slower(seen, self.victim, 2),
        ]

    def slow(self, phase: Phase) -> int:
        """Entries in the log of slow statements."""
        raise NotImplementedError

    def _usage(self, stack: Stack) -> float:
        files = self.group(stack).files()
        if "cpuacct.usage" in files:
            return int(files["cpuacct.usage"].read_text()) / 1e9
        return int(dict(line.split() for line in files["cpu.stat"].read_text().splitlines())["usage_usec"]) / 1e6


class OnShop(_Quota):
    """PostgreSQL."""

    stack = "shop"
    database, victim = "postgres", "purchases"

    def slow(self, phase: Phase) -> int:
        """Entries that tell a duration, in whatever format the log has."""
        return sum(len(phase.log_matches(f"postgresql.{ending}", r"duration: ")) for ending in ("log", "csv", "json"))


class OnMarket(_Quota):
    """MariaDB."""

    stack = "market"
    database, victim = "mariadb", "portfolio"

    def slow(self, phase: Phase) -> int:
        """Each entry tells its time."""
        return len(phase.log_matches("mariadb-slow.log", r"^# Query_time"))
