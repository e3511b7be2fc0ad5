"""Clients begin to wait for news in requests that stay open, each of which keeps a worker: none is left for the others."""

from __future__ import annotations

import random
from typing import Any

from lab.load import Route
from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import app_cpu, paths, rise, steady
from lab.observed import Observed
from lab.stack import Stack


class _Polls(Mechanism):
    problem = "worker-exhaustion"
    seconds = (20, 50, 30)
    settle = 12
    #: A metric of the wait for a worker, in seconds.
    queue = ""
    #: Whose path, with `{id}`, the new one continues; the largest id.
    base, known = "", ""
    route = ""

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings["rate"] = rng.uniform(24, 30)
        self.path = rng.choice(("updates", "news", "changes"))
        self.wait = round(rng.uniform(4.3, 6.8), 1)
        self.load = rng.uniform(1.0, 1.06)

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        stack.deploy("news_poll", quiet=True, path=self.path, longest_s=30)

    def slots(self, stack: Stack) -> int:
        """Requests that the application works on at the same time, of all replicas."""
        raise NotImplementedError

    def news(self, stack: Stack) -> Route:
        """The route that waits."""
        path = f"/{stack.words[self.base]}/{{id}}/{self.path}"
        someone = f"${{int(2, {stack.counts[self.known]})}}"  # type: ignore[attr-defined]
        return Route("news", "GET", path, 1, f"`{path.replace('{id}', someone)}?wait={self.wait}`")

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        self.rate = self.slots(stack) * self.load / self.wait
        stack.load.start(stack.url, [self.news(stack)], self.rate, 400)  # type: ignore[attr-defined]

    def fixes(self, stack: Stack) -> None:
        """Asking for news answers at once; clients ask again later."""
        stack.deploy("news_poll", path=self.path, longest_s=0)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": self.news(stack).path, "statement_contains": None, "service": stack.service, "trigger": "traffic", "accept": [],
            "rivals": ["cascading-delay", "cpu-saturation", "pool-exhaustion", "app-lock-contention", "traffic-surge", "connection-limit"],
            "notes": f"Clients ask for news {self.rate:.1f} times a second, and each such request stays open for up to {self.wait:g} s by design; the application works on "
            f"{self.slots(stack)} requests at the same time. CPU, database and partner are as idle as before.",
            "fix": "let requests for news answer at once, or give them workers of their own",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        return [
            rise("waiting for a worker", "ms", [1000 * p.mean(self.queue) for p in parts], 10, least=100, back=0.2),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 5, back=0.2),
            steady("cores used by the replicas", "cores", [app_cpu(p) for p in parts], 1.6),
        ]


class OnMarket(_Polls):
    """Every replica admits so many requests."""

    stack = "market"
    queue = "app_admission_wait_seconds"
    base, known = "account_path", "accounts"
    route = "page"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        super().choose(rng)
        self.settings["limit"] = rng.randint(9, 14)

    def slots(self, stack: Stack) -> int:
        """Requests that are worked on at the same time."""
        return self.settings["limit"] * len(stack.ports)  # type: ignore[attr-defined]


class OnShop(_Polls):
    """Every replica has so many threads."""

    stack = "shop"
    queue = "http.server.request.queue_time"
    base, known = "customer_path", "customers"
    route = "product"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        super().choose(rng)
        self.settings["threads"] = rng.randint(7, 10)

    def slots(self, stack: Stack) -> int:
        """Requests that are worked on at the same time."""
        return self.settings["threads"] * len(stack.ports)  # type: ignore[attr-defined]
