"""The database's volume has a limit, as volumes of clouds do, and a job uses it up."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import paths, rise
from lab.observed import Observed
from lab.stack import Stack


def device(path: Path) -> str:
    """``major:minor`` of the whole disk that a folder is on."""
    number = path.stat().st_dev
    own = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if (own / "partition").exists():
        return (own.resolve().parent / "dev").read_text().strip()
    return f"{os.major(number)}:{os.minor(number)}"


class _Volume(Mechanism):
    problem = "disk-saturation"
    #: A throttled writer holds up the journal of the file system, and with it every other database on the disk.
    alone = True
    settle = 5
    needs = ("access-log", "host")
    #: The database's component.
    server = ""
    route = ""
    limits: dict[str, int]

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        disk, group = device(stack.run.folder), stack.run.group(self.server)
        stack.run.undo(lambda: group.disk(disk))
        group.disk(disk, **self.limits)

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        self.job.stop()

    def waited(self, seen: Observed) -> Sign:
        """The database's group stood still for the disk."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        return rise("the database waits for its disk", "s/s", [p.group(self.server).stalled_s["io"] / p.seconds for p in parts], 2, least=0.25)


class OnMarket(_Volume):
    """Readers: accounts in no order, through a small buffer pool."""

    stack = "market"
    server = "mariadb"
    settle = 15
    route = "history"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings |= {"mariadb": {"innodb-buffer-pool-size": "40M"}, "scale": 1.25, "weights": {"statement": 2}}
        self.limits = {"read_iops": rng.randint(600, 740)}
        self.workers = rng.randint(3, 5)

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        stack.event("job", service="fee-audit", detail="recalculation of fees started")
        self.job = stack.job("disk_saturation", self.workers, 300)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack, "history", "statement", "page"), "object": stack.words["trade"], "statement_contains": stack.words["trade"],
            "service": [stack.words["database"], stack.service, "mariadb"], "trigger": "job", "accept": [],
            "rivals": ["missing-index", "bad-plan", "pool-exhaustion", "noisy-neighbour", "cpu-saturation"],
            "notes": f"The database's volume reads at most {self.limits['read_iops']} times a second. A job recalculates fees in {self.workers} connections, reads what is not in the "
            "small buffer pool, and pushes out what the others need.",
            "fix": "run the recalculation elsewhere or slower, or give the database a larger buffer pool",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        return [
            rise("pages read from the disk", "/s", [p.status()["Innodb_buffer_pool_reads"] / p.seconds for p in parts], 3, least=100),
            self.waited(seen),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 2.5),
        ]


class OnShop(_Volume):
    """A writer: commits wait behind the write-ahead log of a job."""

    stack = "shop"
    server = "postgres"
    route = "checkout"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.limits = {"write_bps": rng.randint(3_600_000, 5_200_000)}
        self.rows = rng.randint(700, 1200)
        self.settings["weights"] = {"checkout": 16}

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        self.job = stack.job("disk_saturation", self.rows, 300)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack, "checkout"), "object": "audit_trail", "statement_contains": "audit_trail",
            "service": [stack.words["database"], stack.service, "postgresql"], "trigger": "job", "accept": ["write-pressure"],
            "rivals": ["row-lock-contention", "cascading-delay", "pool-exhaustion", "table-lock"],
            "notes": f"The database's volume writes at most {self.limits['write_bps'] / 1e6:.1f} MB/s. A job writes an audit trail in batches of {self.rows} rows, "
            "and commits wait until their part of the log is on the disk.",
            "fix": "stop the job or write in small batches with pauses; a faster volume",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        waits = [sum(n for name, n in p.sessions().waits.items() if name.startswith("IO:") or name == "LWLock:WALWrite") / p.seconds for p in parts]
        return [
            rise("sessions seen waiting for the log", "/s", waits, 3, least=0.4),
            self.waited(seen),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 2.5),
        ]
