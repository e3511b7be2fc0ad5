"""The front door has room for so many connections or requests, and turns the others away, though all behind it is idle."""

from __future__ import annotations

import random
from typing import Any

from lab.load import Route
from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import app_cpu, paths, rise, steady
from lab.observed import Observed
from lab.stack import Stack


class _Door(Mechanism):
    problem = "connection-limit"
    needs = ("access-log",)
    complaint = ""

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        ours = [[t for name, t in p.routes.items() if name != "news"] for p in parts]
        failed = [100 * sum(t.errors for t in all_) / max(1, sum(t.count for t in all_)) for all_ in ours]
        return [
            rise("complaints of nginx", "/s", [len(p.log_matches("nginx-error.log", self.complaint)) / p.seconds for p in parts], 10, least=0.5, back=0.05),
            rise("requests turned away", "%", failed, 10, least=2, back=0.1),
            steady("cores used by the replicas", "cores", [app_cpu(p) for p in parts], 1.8),
        ]


class OnShop(_Door):
    """A limit for each client's address, and all clients come from the load balancer's."""

    stack = "shop"
    complaint = "limiting connections by zone"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings["rate"] = rng.uniform(31, 38)
        self.allowed, self.status = rng.randint(2, 3), rng.choice((503, 503, 429))
        self.settings["weights"] = {"checkout": rng.randint(24, 34)}

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        stack.nginx.http = "limit_conn_zone $binary_remote_addr zone=per_client:1m;"  # type: ignore[attr-defined]
        stack.nginx.location = f"limit_conn per_client {self.allowed}; limit_conn_status {self.status};"  # type: ignore[attr-defined]
        stack.nginx.reload()  # type: ignore[attr-defined]

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        stack.nginx.location = ""  # type: ignore[attr-defined]
        stack.nginx.reload()  # type: ignore[attr-defined]

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": "limit_conn", "statement_contains": None, "service": ["nginx", stack.service], "trigger": "config", "accept": [],
            "rivals": ["worker-exhaustion", "deploy-regression", "cascading-delay", "traffic-surge"],
            "notes": f"nginx is told to let {self.allowed} requests of one client in at a time; all clients share the load balancer's address, so {self.allowed} is the limit of the site. "
            f"What is more gets {self.status}. Traffic and the application did not change; nothing is announced.",
            "fix": "limit by the real client's address, or lift the limit",
        }  # fmt: skip


class OnMarket(_Door):
    """Too few worker_connections for clients who keep a request open to wait for news."""

    stack = "market"
    seconds = (20, 45, 25)
    settle = 10
    complaint = "worker_connections are not enough"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.settings["rate"] = rng.uniform(22, 28)
        self.path, self.wait = rng.choice(("updates", "news", "changes")), round(rng.uniform(5.2, 7.8), 1)
        self.connections = rng.randint(56, 72)
        self.growth = rng.uniform(1.15, 1.3)
        self.settings |= {"nginx": {"connections": self.connections, "server": "keepalive_timeout 0;"}, "limit": 120}

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        stack.deploy("news_poll", quiet=True, path=self.path, longest_s=30)

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        # A request keeps two connections: one to the client, one to the application.
        self.rate = self.growth * self.connections / 2 / self.wait
        self.news = f"/{stack.words['account_path']}/{{id}}/{self.path}"
        someone = f"${{int(2, {stack.counts['accounts']})}}"  # type: ignore[attr-defined]
        stack.load.start(stack.url, [Route("news", "GET", self.news, 1, f"`{self.news.replace('{id}', someone)}?wait={self.wait}`")], self.rate, 400)

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        stack.nginx.connections = 4096  # type: ignore[attr-defined]
        stack.nginx.reload()  # type: ignore[attr-defined]

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": "worker_connections", "statement_contains": None, "service": ["nginx", stack.service], "trigger": "traffic",
            "accept": ["server-connection-saturation"], "rivals": ["worker-exhaustion", "deploy-regression", "cascading-delay", "traffic-surge", "cpu-saturation"],
            "notes": f"nginx has {self.connections} worker_connections. Clients begin to wait for news in requests that stay open for up to {self.wait:g} s, {self.rate:.1f} a second, and each keeps "
            "two of them; the application has room for all of them, and is idle.",
            "fix": "raise worker_connections",
        }  # fmt: skip
