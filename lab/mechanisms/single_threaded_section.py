"""One process with one interpreter: its work fills one core while the node's other cores are free."""

from __future__ import annotations

import random
import time
from typing import Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import app_cpu, paths, repetitions, replicas, rise, used_s
from lab.observed import Observed
from lab.stack import Stack
from lab.stacks.market.app.versions import single_threaded_section as market
from lab.stacks.shop.app.versions import single_threaded_section as shop


class _OneCore(Mechanism):
    problem = "single-threaded-section"
    alone = True
    seconds = (20, 42, 26)
    settle = 8
    needs = ("access-log", "host")
    route = ""
    costly: tuple[str, ...] = ()

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings |= {"replicas": 1, "rate": rng.uniform(29, 36)}
        self.target = rng.uniform(0.9, 0.95)

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        self.begin, self.used = time.monotonic(), used_s(replicas(stack))

    def cost_s(self, stack: Stack) -> float:
        """CPU seconds to add to each costly request, so that one core is nearly used up."""
        mean = (used_s(replicas(stack)) - self.used) / (time.monotonic() - self.begin)
        share = sum(r.weight for r in stack.routes if r.name in self.costly) / sum(r.weight for r in stack.routes)
        return (self.target - mean) / (stack.rate * share)

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": self.what, "statement_contains": None, "service": stack.service, "trigger": "deploy",
            "accept": ["deploy-regression", "runtime-pause"], "rivals": ["cpu-saturation", "cpu-throttling", "app-lock-contention", "worker-exhaustion", "pool-exhaustion"],
            "notes": f"The application is one process. A release works out {self.what} with {self.costly[0]} ({self.count} steps), which needs {self.target:.2f} of one core; the rest of the node is free.",
            "fix": "work it out beside the request or once for all, or run more processes",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        cores = [app_cpu(p) for p in parts]
        return [
            rise("cores used by the one process", "cores", cores, 2.5, least=0.75),
            Sign("it never uses more than one", *cores, "cores", "at most 1.1 of 2", cores[1] <= 1.1),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 3),
        ]

    what, count = "", 0


class OnMarket(_OneCore):
    """The event loop compares titles."""

    stack = "market"
    route = "portfolio"
    costly = ("page",)
    what = "titles that read alike"

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        self.count = repetitions(market.alike, self.cost_s(stack))
        stack.deploy("single_threaded_section", known=self.count)


class OnShop(_OneCore):
    """Threads take turns at the interpreter."""

    stack = "shop"
    route = "customer"
    costly = ("product", "catalogue")
    what = "prices in all currencies"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        super().choose(rng)
        self.settings["threads"] = 16

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        self.count = repetitions(shop.price_list, self.cost_s(stack))
        stack.deploy("single_threaded_section", prices=self.count)
