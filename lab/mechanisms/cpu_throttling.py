"""The application's containers get a CPU quota that fits the mean but not the moment, while the node's cores stay idle."""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import app_cpu, paths, replicas, rise, steady, used_s
from lab.observed import Observed
from lab.stack import Stack


class _Quota(Mechanism):
    problem = "cpu-throttling"
    needs = ("access-log", "host")
    #: Latency of this route tells it best: it asks nobody but the application and a quick store.
    route = ""
    #: Range of the quota, as a multiple of the mean use.
    room: ClassVar[tuple[float, float]] = (1.06, 1.16)

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings["rate"] = rng.uniform(27, 34)
        self.headroom = rng.uniform(*self.room)

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        self.begin, self.used = time.monotonic(), used_s(replicas(stack))

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        groups = replicas(stack)
        mean = (used_s(groups) - self.used) / (time.monotonic() - self.begin) / len(groups)
        self.quota = round(max(0.02, mean * self.headroom), 3)
        for group in groups:
            stack.run.undo(lambda g=group: g.cpu(None))
            group.cpu(self.quota)

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        for group in replicas(stack):
            group.cpu(None)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": None, "statement_contains": None, "service": stack.service, "trigger": "config", "accept": [],
            "rivals": ["cpu-saturation", "noisy-neighbour", "worker-exhaustion", "runtime-pause"],
            "notes": f"Each replica's control group gets a quota of {self.quota:g} cores ({self.headroom:.2f} × its mean use); nothing is announced. Cores of the node stay idle.",
            "fix": "lift the CPU limit of the replicas, or raise it to what a burst needs",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        throttled = [sum(u.throttled_periods for u in p.groups("app-*").values()) / p.seconds for p in parts]
        return [
            rise("throttled periods of the replicas", "/s", throttled, 5, least=1.5, back=0.1),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 2),
            steady("cores used by the replicas", "cores", [app_cpu(p) for p in parts], 1.5),
        ]


class OnMarket(_Quota):
    """See the module."""

    stack = "market"
    route = "page"


class OnShop(_Quota):
    """See the module."""

    stack = "shop"
    route = "product"
    #: Threads all use up the quota at once, and one event loop cannot: with less room than this every request waits for seconds.
    room = (1.3, 1.5)
