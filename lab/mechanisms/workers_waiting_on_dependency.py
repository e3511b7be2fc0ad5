"""All workers are busy, because all of them wait for the same partner, who became slow."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._pairs import rises, slower

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _Waiting(Mechanism):
    """The partner takes many times as long for its own work; the workers' processor stays idle, and whoever does not need the partner queues too."""

    problem = "cascading-delay"
    kind = "pair"
    needs = ("traces",)
    seconds = (18, 40, 24)
    settle = 8
    routes: tuple[str, ...]
    #: A route that does not ask the partner.
    beside: str

    def breaks(self, stack: Stack) -> None:
        """Nobody here did anything: the partner's trouble, without an event."""
        self.healthy_ms = stack.partner_options["ms"]
        stack.start_partner(ms=self.slow_ms)

    def fixes(self, stack: Stack) -> None:
        """The partner is well again."""
        stack.start_partner(ms=self.healthy_ms)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The partner by its name."""
        paths = {r.name: r.path for r in stack.routes}
        return {
            "route": [paths[name] for name in self.routes], "object": stack.words["partner"], "statement_contains": None,
            "service": [stack.words["partner"], stack.service], "rivals": ["worker-exhaustion", "cpu-saturation", "traffic-surge"],
            "notes": f"The partner's own work takes {self.slow_ms:.0f} ms where it took {self.healthy_ms:.0f}; the workers fill with requests that wait for it.",
            "fix": "the partner mends itself; until then: a short timeout, and a bulkhead so that few workers wait for it",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """The partner's time, the wait for a worker, and the tails of a route with and one without the partner."""
        return [
            rises(seen, "partner's span, p50", self.partner_ms, "ms", 150, 4),
            rises(seen, "mean wait for a worker", self.worker_wait_ms, "ms", 20, 4),
            slower(seen, self.routes[0], 3),
            slower(seen, self.beside, 3),
        ]

    def partner_ms(self, phase: Phase) -> float:
        """Median of the partner's own server spans."""
        raise NotImplementedError

    def worker_wait_ms(self, phase: Phase) -> float:
        """Mean wait for a worker."""
        raise NotImplementedError


class OnShop(_Waiting):
    """Threads wait for the payment."""

    stack = "shop"
    routes, beside = ("checkout",), "search"

    def choose(self, rng: random.Random) -> None:
        """Load, threads, and how slow the partner becomes: so slow that checkouts take most of the threads."""
        rate, threads = rng.uniform(23, 28), rng.randint(3, 4)
        self.settings = {"rate": rate, "threads": threads, "weights": {"checkout": 17}}
        self.slow_ms = round(1000 * rng.uniform(0.62, 0.7) * 2 * threads / (rate * 17 / 107), 1)

    def partner_ms(self, phase: Phase) -> float:
        """Spans of the bank's round trip."""
        return phase.span_ms("bank.authorise")

    def worker_wait_ms(self, phase: Phase) -> float:
        """From the proxy's door to the thread, told by the replicas."""
        return 1000 * phase.mean("http.server.request.queue_time")


class OnMarket(_Waiting):
    """Places behind each replica's door are taken by requests that wait for quotes."""

    stack = "market"
    routes, beside = ("watchlist", "place"), "search"

    def choose(self, rng: random.Random) -> None:
        """Load, places, and how slow the partner becomes: so slow that its requests take most of the places."""
        rate, limit = rng.uniform(25, 30), rng.randint(6, 8)
        self.settings = {"rate": rate, "limit": limit, "weights": {"watchlist": 16, "place": 10}}
        # A watchlist asks once, an order twice, the second time for 1.6 times as long.
        self.slow_ms = round(1000 * rng.uniform(0.68, 0.78) * 2 * limit / (rate * (0.16 + 0.1 * 2.6)), 1)

    def partner_ms(self, phase: Phase) -> float:
        """Spans of the exchange."""
        return phase.span_ms("exchange")

    def worker_wait_ms(self, phase: Phase) -> float:
        """Wait for admission, told by the replicas."""
        return 1000 * phase.mean("app_admission_wait_seconds")
