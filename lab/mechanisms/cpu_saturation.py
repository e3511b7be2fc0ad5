"""The replicas share one core, and a request begins to cost so much CPU that they wait for that core most of the time."""

from __future__ import annotations

import random
import time
from typing import Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import app_cpu, app_stalled, paths, pin, repetitions, replicas, rise, used_s
from lab.observed import Observed
from lab.stack import Stack
from lab.stacks.market.app.versions import cpu_saturation as market
from lab.stacks.shop.app.versions import cpu_saturation as shop


class _Costly(Mechanism):
    problem = "cpu-saturation"
    alone = True
    seconds = (20, 42, 26)
    settle = 8
    needs = ("access-log", "host")
    route = ""
    trigger = "deploy"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings["rate"] = rng.uniform(36, 43)
        self.target = rng.uniform(0.92, 0.97)

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        self.core = 1
        pin(stack, replicas(stack), [self.core])
        self.begin, self.used = time.monotonic(), used_s(replicas(stack))

    def cost_s(self, stack: Stack, handlers: tuple[str, ...]) -> float:
        """CPU seconds to add to each request of the handlers, so that the core is nearly used up."""
        mean = (used_s(replicas(stack)) - self.used) / (time.monotonic() - self.begin)
        share = sum(r.weight for r in stack.routes if r.name in handlers) / sum(r.weight for r in stack.routes)
        return (self.target - mean) / (stack.rate * share)

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": None, "statement_contains": None, "service": stack.service, "trigger": self.trigger, "accept": ["deploy-regression"],
            "rivals": ["cpu-throttling", "noisy-neighbour", "single-threaded-section", "worker-exhaustion", "n-plus-one"],
            "notes": f"Both replicas may use core {self.core} only. {self.what} The replicas then want {self.target:.2f} of that core; the others of the node are nearly idle.",
            "fix": "take the costly step out of the request (or give the replicas another core)",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        return [
            rise("cores used by the replicas", "cores", [app_cpu(p) for p in parts], 2.5, least=0.75),
            rise("ready but without a core", "s/s", [app_stalled(p) for p in parts], 2.5, least=0.25),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 3),
        ]

    what = ""


class OnMarket(_Costly):
    """A release simulates a figure for risk with each answer."""

    stack = "market"
    route = "page"

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        draws = repetitions(market.simulate, self.cost_s(stack, market.HANDLERS))
        self.what = f"A release simulates a figure for risk with each answer, {draws} steps."
        stack.deploy("cpu_saturation", draws=draws)


class OnShop(_Costly):
    """A flag turns the scoring of every read on."""

    stack = "shop"
    route = "product"
    trigger = "flag"

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        layers = repetitions(shop.score, self.cost_s(stack, shop.HANDLERS))
        self.what = f"A flag turns on that each read is scored for abuse in plain Python, {layers} layers."
        stack.event("flag", service=stack.service, detail="abuse-score: on for 100% of requests")
        stack.deploy("cpu_saturation", quiet=True, layers=layers)

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        stack.event("flag", service=stack.service, detail="abuse-score: off")
        stack.deploy(quiet=True)
