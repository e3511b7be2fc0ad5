"""Another team's batch runs on the core that the replicas were placed on, and the scheduler gives the replicas little of it."""

from __future__ import annotations

import random
import time
from typing import Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import app_cpu, app_stalled, paths, pin, replicas, rise, steady, used_s
from lab.observed import Observed
from lab.stack import Stack

#: Compresses made-up archives again and again, for so many seconds at most.
WORK = """import os, sys, time, zlib
until = time.time() + float(sys.argv[1])
block = os.urandom(1 << 16) * 4
while time.time() < until:
    for level in (6, 9):
        block = block[1:] + block[:1]
        zlib.compress(block, level)
"""


class _Neighbour(Mechanism):
    problem = "noisy-neighbour"
    alone = True
    seconds = (20, 42, 26)
    needs = ("access-log", "host")
    route = ""

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings["rate"] = rng.uniform(30, 37)
        self.shares = rng.randint(90, 140)
        self.headroom = rng.uniform(1.02, 1.12)
        self.workers = rng.randint(2, 4)
        self.batch = rng.choice(("recompress", "thumbnails", "transcode"))

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        self.core = 1
        pin(stack, replicas(stack), [self.core])
        for group in replicas(stack):
            group.weight(self.shares)
        self.begin, self.used = time.monotonic(), used_s(replicas(stack))

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        groups = replicas(stack)
        mean = (used_s(groups) - self.used) / (time.monotonic() - self.begin)
        guaranteed = mean * self.headroom
        self.weight = round(len(groups) * self.shares * (1 - guaranteed) / guaranteed)
        other = stack.run.group(self.batch)
        other.weight(self.weight)
        pin(stack, [other], [self.core])
        self.jobs = [stack.run.start(f"{self.batch}-{n + 1}", [stack.run.python, "-c", WORK, "300"], group=self.batch) for n in range(self.workers)]

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        for job in self.jobs:
            job.stop()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": self.batch, "statement_contains": None, "service": stack.service, "trigger": "job", "accept": [],
            "rivals": ["cpu-saturation", "cpu-throttling", "worker-exhaustion", "runtime-pause", "single-threaded-section"],
            "notes": f"Batch {self.batch} of another team ({self.workers} processes, weight {self.weight}) runs on core {self.core}, on which both replicas (weight {self.shares} each) are; "
            "nobody announces it. What the replicas need for a request does not change.",
            "fix": "move the batch to other cores, or give the replicas a fair weight",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        other = [sum(u.cpu_s for u in p.groups(f"{self.batch}*").values()) / p.seconds for p in parts]
        return [
            rise("cores used by the neighbour", "cores", other, 5, least=0.5, back=0.2),
            rise("ready but without a core", "s/s", [app_stalled(p) for p in parts], 2.5, least=0.1),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 2),
            steady("cores used by the replicas", "cores", [app_cpu(p) for p in parts], 1.5),
        ]


class OnMarket(_Neighbour):
    """See the module."""

    stack = "market"
    route = "page"


class OnShop(_Neighbour):
    """See the module."""

    stack = "shop"
    route = "product"
