"""The log of changes is too small for what is written: pages are flushed in haste and every commit waits for it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import forms, more, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class OnMarket(Mechanism):
    """A job changes orders all over the table; a redo log of a few megabytes makes the server flush all the time."""

    stack = "market"
    problem = "write-pressure"
    seconds = (20, 45, 30)

    def choose(self, rng: random.Random) -> None:
        """The size of the log, and how much the job changes at once."""
        self.log_mb = rng.randint(4, 6)
        self.batch, self.pause = rng.randrange(220, 340), round(rng.uniform(0.02, 0.04), 3)
        self.settings = {"mariadb": {"innodb-log-file-size": f"{self.log_mb}M"}, "weights": {"place": rng.randint(14, 18)}}

    def breaks(self, stack: Stack) -> None:
        """Starts the job, without an event."""
        self.job = stack.job("refee", self.batch, self.pause)

    def fixes(self, stack: Stack) -> None:
        """A log of the usual size; the job goes on."""
        stack.sql("SET GLOBAL innodb_log_file_size = 268435456")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The server, and who writes."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "place"), "object": w["trade"], "statement_contains": forms(w, "update {trade} set"),
            "service": [w["database"], w["service"]], "trigger": "job", "accept": ["disk-saturation"], "rivals": ["row-lock-contention", "missing-index", "noisy-neighbour", "pool-exhaustion"],
            "notes": f"innodb_log_file_size is {self.log_mb} MB; the job `refee` changes {self.batch} rows at a time all over {w['trade']}",
            "fix": "innodb_log_file_size = 256M",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Pages that were flushed, and the tail of the route that commits."""

        def flushed(phase: Phase) -> float:
            return phase.status()["Innodb_buffer_pool_pages_flushed"] / phase.seconds

        return [more(seen, "pages flushed", flushed, "a second", least=200, by=2), slower(seen, "place", 2)]
