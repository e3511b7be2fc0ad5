"""The database has no connection left for those who need one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import failed, more

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class OnMarket(Mechanism):
    """The workers of a synchronisation take nearly all connections; the application opens its own when it needs them."""

    stack = "market"
    problem = "server-connection-saturation"

    def choose(self, rng: random.Random) -> None:
        """Connections at most, workers, and for how long the application keeps a connection."""
        self.limit = rng.randint(36, 52)
        self.lifetime = round(rng.uniform(3, 6), 1)
        self.workers = self.limit + rng.randint(4, 6)
        self.settings = {"mariadb": {"max-connections": self.limit}}

    def ready(self, stack: Stack) -> None:
        """The application's pool opens connections on demand, from the beginning."""
        stack.deploy("elastic_pool", quiet=True, lifetime_s=self.lifetime)

    def breaks(self, stack: Stack) -> None:
        """Starts more workers than the server has connections."""
        self.job = stack.job("sync", self.workers)

    def fixes(self, stack: Stack) -> None:
        """A few workers, and a limit with room."""
        self.job.stop()
        stack.sql(f"SET GLOBAL max_connections = {self.limit * 2}")
        self.job = stack.job("sync", 4)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The server, and who fails."""
        w = stack.words
        return {
            "route": [r.path for r in stack.routes], "object": w["database"], "statement_contains": None,
            "service": [w["database"], w["service"]], "trigger": "job", "accept": [], "rivals": ["connection-leak", "pool-exhaustion", "connection-limit", "deploy-regression"],
            "notes": f"max_connections is {self.limit}; the job `sync` has {self.workers} workers with a connection each; the application is refused where it needs one more",
            "fix": "fewer workers in the job, a pooler or a larger max_connections",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """Refusals that the server counted, and requests that failed."""

        def refused(phase: Phase) -> float:
            return 60 * phase.status()["Connection_errors_max_connections"] / phase.seconds

        return [
            more(seen, "refused connections", refused, "a minute", least=20),
            more(seen, "most connections of the limit", lambda p: p.sessions().most / self.limit, "", least=0.85, by=1.5),
            more(seen, "failed requests", failed, "%", least=1),
        ]


class OnShop(OnMarket):
    """The same on PostgreSQL, where two routes open a session for each request."""

    stack = "shop"
    needs = ("database-log",)
    settle = 6

    def choose(self, rng: random.Random) -> None:
        """Connections at most, workers, and how often the two routes are asked for."""
        self.limit = rng.randint(38, 52)
        self.workers = self.limit + rng.randint(-4, 2)
        self.settings = {"postgres": {"max_connections": self.limit}, "pool": rng.randint(5, 6), "weights": {"customer": rng.randint(9, 12), "purchases": rng.randint(8, 11)}}

    def ready(self, stack: Stack) -> None:
        """They do so from the beginning."""
        stack.deploy("short_sessions", quiet=True)

    def fixes(self, stack: Stack) -> None:
        """A few workers are enough."""
        self.job.stop()
        self.job = stack.job("sync", 4)

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The server, and who fails."""
        paths = {r.name: r.path for r in stack.routes}
        return {**super().truth(stack), "route": [paths["customer"], paths["purchases"]]}

    def signature(self, seen: Observed) -> list[Sign]:
        """Refusals in the server's log, and requests that failed or waited."""

        def refused(phase: Phase) -> float:
            text = "remaining connection slots are reserved|too many clients already"
            return 60 * sum(len(phase.log_matches(name, text)) for name in ("postgresql.log", "postgresql.csv", "postgresql.json")) / phase.seconds

        return [
            more(seen, "refused connections", refused, "a minute", least=20),
            more(seen, "most connections of the limit", lambda p: p.sessions().most / self.limit, "", least=0.85, by=1.5),
            more(seen, "failed requests", failed, "%", least=1),
        ]
