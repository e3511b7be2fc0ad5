"""Requests wait for a connection of the application's pool, while the database has nothing to do."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import failed, more, slower
from lab.mechanisms._machine import paths, rise

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class OnMarket(Mechanism):
    """A leak: the last page of a history keeps its connection for good."""

    stack = "market"
    problem = "pool-exhaustion"
    seconds = (22, 70, 22)
    needs = ("access-log", "metrics", "traces")

    def choose(self, rng: random.Random) -> None:
        """The pool, how long is waited for a connection, and how often a history is asked for."""
        pool = rng.randint(9, 12)
        self.settings = {"pool": pool, "pool_timeout_s": round(rng.uniform(2.6, 4.4), 1), "rate": rng.uniform(18, 23), "weights": {"history": round(pool * rng.uniform(0.85, 1.0), 1)}}
        self.size = rng.randint(24, 28)

    def breaks(self, stack: Stack) -> None:
        """Deploys the leak."""
        stack.deploy("pool_exhaustion", size=self.size)

    def fixes(self, stack: Stack) -> None:
        """Deploys what gives each connection back; the restart ends those that were lost."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """Everything that asks the database waits in the end; the history is where it leaks."""
        w = stack.words
        return {
            "route": paths(stack, "history", "portfolio", "search", "watchlist", "statement", "place"), "object": None, "statement_contains": None, "service": w["service"],
            "trigger": "deploy", "accept": ["connection-leak"], "rivals": ["cascading-delay", "server-connection-saturation", "worker-exhaustion", "row-lock-contention", "traffic-surge"],
            "notes": f"a release returns from the last page of a history (fewer than {self.size} orders) before it gives its connection back; pool of {self.settings['pool']} in each of two replicas, "
            f"whose connections are all open from the start; a request waits {self.settings['pool_timeout_s']} s at most",
            "fix": "give the connection back on every way out (async with)",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Connections in use for good, waiting for one, and what clients saw."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        least = [min((v for _, v in p.metric("app_db_pool_used")[-6:]), default=0.0) for p in parts]
        return [
            rise("least connections in use at the end, of a replica", "", least, 4, least=4),
            more(seen, "mean wait for a connection", lambda p: 1000 * p.mean("app_db_pool_wait_seconds"), "ms", least=100, by=10),
            more(seen, "failed requests", failed, "%", least=3),
            slower(seen, "portfolio", 3),
        ]


class OnShop(Mechanism):
    """Connections are held while the partner takes the payment, in a small pool."""

    stack = "shop"
    problem = "pool-exhaustion"
    seconds = (22, 44, 25)
    needs = ("access-log", "metrics", "traces")

    def choose(self, rng: random.Random) -> None:
        """The pool, how many purchases there are, and by that how long the partner takes."""
        checkout, rate = rng.randint(19, 24), rng.uniform(26, 31)
        self.busy = rng.uniform(1.15, 1.35)
        ms = 1000 * self.busy / (rate / 2 * checkout / (90 + checkout))
        self.settings = {"pool": 2, "rate": rate, "weights": {"checkout": checkout}, "partner": {"ms": round(ms, 1)}}

    def breaks(self, stack: Stack) -> None:
        """Deploys a transaction that is open over the payment."""
        stack.deploy("pool_exhaustion")

    def fixes(self, stack: Stack) -> None:
        """The payment is taken after the transaction again."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """Everything that asks the database waits; the purchase is who holds."""
        w = stack.words
        return {
            "route": paths(stack, "catalogue", "search", "customer", "purchases", "checkout"), "object": None, "statement_contains": None, "service": w["service"],
            "trigger": "deploy", "accept": [], "rivals": ["cascading-delay", "worker-exhaustion", "missing-index", "row-lock-contention", "synchronous-dependency"],
            "notes": f"a release keeps its transaction open while the partner takes the payment ({self.settings['partner']['ms']} ms): {self.busy:.1f} of the 2 connections of a replica's pool "
            "are held on average, the database itself has nothing to do",
            "fix": "take the payment outside of the transaction, give the connection back meanwhile",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Waiting for a connection, and routes that have nothing to do with payments."""
        wait = "db.client.connection.wait_time"
        return [
            more(seen, "mean wait for a connection", lambda p: 1000 * p.mean(wait), "ms", least=15, by=5),
            slower(seen, "customer", 3), slower(seen, "purchases", 2.5),
        ]  # fmt: skip
