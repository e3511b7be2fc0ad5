"""Each use of the database opens a connection of its own and closes it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import more, slower
from lab.mechanisms._machine import paths

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _NoPool(Mechanism):
    """A release went without the pool; the database is in another zone, some milliseconds away."""

    problem = "connection-churn"
    seconds = (18, 36, 20)
    needs = ("access-log", "metrics")
    victims: ClassVar[tuple[str, ...]] = ()
    #: What the telemetry calls the database beside its own name.
    system: ClassVar[str] = ""

    def choose(self, rng: random.Random) -> None:
        """How far the database is."""
        self.settings = {"delay_s": round(rng.uniform(0.0021, 0.0029), 5)}
        self.timeout_s = rng.randint(4, 9)

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("connection_churn", timeout_s=self.timeout_s)

    def fixes(self, stack: Stack) -> None:
        """The pool is back."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """All routes that ask the database."""
        w = stack.words
        return {
            "route": paths(stack, *self.victims), "object": None, "statement_contains": None,
            "service": [w["service"], w["database"], self.system], "trigger": "deploy", "accept": [],
            "rivals": ["pool-exhaustion", "server-connection-saturation", "network-saturation", "cascading-delay", "cpu-saturation"],
            "notes": f"a release opens a connection for each use; a round trip takes {2000 * self.settings['delay_s']:.1f} ms, and setting one up takes several",
            "fix": "keep a pool of connections",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Connections that the server accepted, and routes with one cheap query."""
        return [
            more(seen, "connections of the database for each request", lambda p: self.opened(p) / max(1, p.everything.count), "", least=0.4, by=4),
            *(slower(seen, route, 2) for route in self.victims[:2]),
        ]

    def opened(self, phase: Phase) -> float:
        """Connections that the application opened."""
        raise NotImplementedError


class OnMarket(_NoPool):
    """MariaDB starts a thread for each, and both sides talk the session's settings over."""

    stack = "market"
    victims = ("history", "search", "portfolio", "watchlist", "statement", "place")
    system = "mariadb"

    def opened(self, phase: Phase) -> float:
        """The server's own count."""
        return phase.status()["Connections"]


class OnShop(_NoPool):
    """PostgreSQL starts a process for each, which reads the catalogue anew."""

    stack = "shop"
    victims = ("customer", "search", "catalogue", "purchases", "report", "checkout")
    system = "postgresql"

    def opened(self, phase: Phase) -> float:
        """The server's own count."""
        return sum(phase.growth("pg_stat_database.csv", "datname", "sessions").values())
