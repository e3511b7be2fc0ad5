"""The log of changes is too small for what is written: pages are flushed in haste and every commit waits for it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import forms, more, slower
from lab.mechanisms.disk_saturation import device

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


def small_volume(stack: Stack, server: str, mb: int) -> None:
    """The server's volume takes so many megabytes a second, for the whole recording."""
    disk, group = device(stack.run.folder), stack.run.group(server)
    stack.run.undo(lambda: group.disk(disk))
    group.disk(disk, write_bps=mb * 1_000_000)


class OnMarket(Mechanism):
    """A job changes orders all over the table; a redo log of a few megabytes makes the server flush all the time."""

    stack = "market"
    problem = "write-pressure"
    #: A throttled writer holds up the journal of the file system, and with it every other database on the disk.
    alone = True
    seconds = (20, 45, 30)
    settle = 8

    def choose(self, rng: random.Random) -> None:
        """The size of the log, and how much the job changes at once."""
        self.log_mb, self.volume_mb = rng.randint(4, 5), rng.randint(26, 34)
        self.batch, self.pause = rng.randrange(330, 440), round(rng.uniform(0.01, 0.02), 3)
        self.settings = {
            "mariadb": {"innodb-log-file-size": f"{self.log_mb}M"}, "weights": {"place": rng.randint(14, 18)}, "partner": {"ms": round(rng.uniform(6, 9), 1)},
        }  # fmt: skip

    def ready(self, stack: Stack) -> None:
        """The server has a small volume from the beginning."""
        small_volume(stack, "mariadb", self.volume_mb)

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
            "notes": f"innodb_log_file_size is {self.log_mb} MB on a volume of {self.volume_mb} MB/s; the job `refee` changes {self.batch} rows at a time all over {w['trade']}",
            "fix": "innodb_log_file_size = 256M",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Pages that were flushed, and the tail of the route that commits."""

        def flushed(phase: Phase) -> float:
            return phase.status()["Innodb_buffer_pool_pages_flushed"] / phase.seconds

        return [more(seen, "pages flushed", flushed, "a second", least=200, by=2), slower(seen, "place", 1.8, after=0.7)]


class OnShop(Mechanism):
    """A job changes lines all over the table; a tiny max_wal_size asks for a checkpoint every few seconds, and each writes whole pages again."""

    stack = "shop"
    problem = "write-pressure"
    #: A throttled writer holds up the journal of the file system, and with it every other database on the disk.
    alone = True
    needs = ("db-objects",)
    seconds = (20, 45, 30)
    settle = 8

    def choose(self, rng: random.Random) -> None:
        """How much the job changes at once."""
        self.wal_mb, self.volume_mb = rng.randint(32, 40), rng.randint(26, 34)
        self.batch, self.pause = rng.randrange(300, 420), round(rng.uniform(0.01, 0.02), 3)
        self.settings = {
            "postgres": {"max_wal_size": f"{self.wal_mb}MB", "min_wal_size": "32MB"}, "weights": {"checkout": rng.randint(14, 18)}, "partner": {"ms": round(rng.uniform(6, 9), 1)}, "counts": {"lines": rng.randrange(420_000, 520_000)},
        }  # fmt: skip

    def ready(self, stack: Stack) -> None:
        """The server has a small volume from the beginning."""
        small_volume(stack, "postgres", self.volume_mb)

    def breaks(self, stack: Stack) -> None:
        """Starts the job, without an event."""
        self.job = stack.job("reprice", self.batch, self.pause)

    def fixes(self, stack: Stack) -> None:
        """Room for the log; the job goes on."""
        stack.sql("ALTER SYSTEM SET max_wal_size = '4GB'")
        stack.sql("SELECT pg_reload_conf()")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The server, and who writes."""
        w = stack.words
        return {
            "route": next(r.path for r in stack.routes if r.name == "checkout"), "object": w["line"], "statement_contains": f"update {w['line']} set",
            "service": [w["database"], w["service"]], "trigger": "job", "accept": ["disk-saturation"], "rivals": ["row-lock-contention", "missing-index", "noisy-neighbour", "bloat"],
            "notes": f"max_wal_size is {self.wal_mb} MB on a volume of {self.volume_mb} MB/s; the job `reprice` changes {self.batch} rows at a time all over {w['line']}",
            "fix": "max_wal_size = 4GB",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Checkpoints that were asked for, and the tail of the route that commits."""

        def requested(phase: Phase) -> float:
            rows = phase.rows("pg_stat_bgwriter.csv")
            return 60 * (int(rows[-1]["checkpoints_req"]) - int(rows[0]["checkpoints_req"])) / phase.seconds if rows else 0.0

        return [more(seen, "requested checkpoints", requested, "a minute", least=6), slower(seen, "checkout", 1.8, after=0.7)]
