"""The runtime stops every request of a process for a moment: full collections of a large heap; an event loop that is kept busy."""

from __future__ import annotations

import random
from typing import Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import paths, rise
from lab.observed import Observed
from lab.stack import Stack


class _Pause(Mechanism):
    problem = "runtime-pause"
    settle = 8
    needs = ("access-log", "metrics")
    route = ""

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": self.what, "statement_contains": None, "service": stack.service, "trigger": "deploy",
            "accept": ["deploy-regression"], "rivals": ["cpu-saturation", "single-threaded-section", "app-lock-contention", "worker-exhaustion", "memory-leak"],
            "notes": self.notes, "fix": self.fix,
        }  # fmt: skip

    what = notes = fix = ""


class OnShop(_Pause):
    """A large graph of objects, and full collections on a timer."""

    stack = "shop"
    route = "product"
    seconds = (20, 45, 30)
    what = "gc"
    fix = "no collections on a timer; freeze the catalogue out of the collector's sight, or keep it outside of the process"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.parameters = {"days": rng.randint(110, 150), "every_s": round(rng.uniform(1.1, 1.7), 2)}
        self.notes = (
            f"A release keeps the whole catalogue as objects ({self.parameters['days']} offers of each thing) and collects all garbage every {self.parameters['every_s']:g} s; "
            "every thread of the replica stands still meanwhile."
        )

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        stack.deploy("runtime_pause", **self.parameters)

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        paused = [p.counted("process.runtime.cpython.gc_pause_sum", generation="2") / p.seconds for p in parts]
        return [
            rise("paused for full collections, of both replicas", "s/s", paused, 5, least=0.1, back=0.1),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 3),
            rise("p95 of customer", "ms", [p.route("customer").p95 for p in parts], 3),
        ]


class OnMarket(_Pause):
    """An index is built on the event loop."""

    stack = "market"
    route = "page"
    what = "event loop"
    fix = "build the index in a process beside, or by and by; never on the event loop"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.parameters = {"age_s": round(rng.uniform(2.1, 3.4), 2), "size": rng.randint(50, 80)}
        self.notes = (
            f"A release searches in an index of its own in memory; the first search after {self.parameters['age_s']:g} s builds it again on the event loop, "
            "and all requests of the replica wait meanwhile."
        )

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        stack.deploy("runtime_pause", **self.parameters)

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        late = [1000 * p.mean("app_loop_lag_seconds") for p in parts]
        return [
            rise("lateness of the event loop", "ms", late, 5, least=10),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 3),
            rise("p95 of history", "ms", [p.route("history").p95 for p in parts], 3),
        ]
