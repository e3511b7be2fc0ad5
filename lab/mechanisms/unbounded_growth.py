"""A resource that is not memory is taken for each request and never given back."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._caching import growth
from lab.mechanisms._database import more

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class Growth(Mechanism):
    """Nothing gets slower yet; the gauge rises at constant traffic, and does not stop."""

    problem = "unbounded-growth"
    needs = ("metrics", "runtime", "host")
    seconds = (20, 64, 22)
    settle = 6
    what = ""
    least = 60.0

    def growing(self, phase: Phase) -> float:
        """By how much the gauge of all replicas grows in a minute."""
        raise NotImplementedError

    def breaks(self, stack: Stack) -> None:
        """Deploys the trail."""
        stack.deploy("unbounded_growth", routes=self.routes)

    def fixes(self, stack: Stack) -> None:
        """Deploys without it."""
        stack.deploy()

    def signature(self, seen: Observed) -> list[Sign]:
        """The gauge's slope, and that traffic stayed what it was."""
        rates = [p.everything.rate for p in (seen.healthy, seen.fault, seen.fixed)]
        same = 0.75 <= rates[1] / rates[0] <= 1.33
        return [more(seen, self.what, self.growing, "1/min", least=self.least, by=4), Sign("requests", *rates, "1/s", "within a third of healthy", same)]


class OnMarket(Growth):
    """A trail of who looked at which account: a file for each look, opened and left open."""

    stack, what = "market", "growth of open files"

    def choose(self, rng: random.Random) -> None:
        """Which routes leave a trail."""
        self.routes = rng.sample(["portfolio", "history", "watchlist", "statement"], 2)
        self.settings = {"rate": rng.uniform(24, 33), "sampling": round(rng.uniform(0.09, 0.13), 3)}

    def growing(self, phase: Phase) -> float:
        """Open file descriptors, as the processes tell."""
        return growth(phase, "process_open_fds")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The service and the gauge."""
        return {
            "route": None, "object": "process_open_fds", "statement_contains": None, "service": stack.service, "trigger": "deploy", "accept": [],
            "rivals": ["memory-leak", "connection-leak", "traffic-surge", "connection-churn"],
            "notes": f"each request of {' and '.join(self.routes)} opens a file that is never closed; traffic is constant",
            "fix": "one trail that is written to, or close the file after the line",
        }  # fmt: skip


class OnShop(Growth):
    """Visitors are to be told of news: a thread for each of them waits, and never ends."""

    stack, what = "shop", "growth of threads"

    def choose(self, rng: random.Random) -> None:
        """Which routes have visitors who are told."""
        self.routes = rng.sample(["customer", "catalogue", "search", "purchases"], 2)
        self.settings = {"rate": rng.uniform(23, 30), "sampling": round(rng.uniform(0.09, 0.13), 3)}

    def growing(self, phase: Phase) -> float:
        """Threads, as the processes tell."""
        return growth(phase, "process.thread.count")

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The service and the gauge."""
        return {
            "route": None, "object": "process.thread.count", "statement_contains": None, "service": stack.service, "trigger": "deploy", "accept": [],
            "rivals": ["memory-leak", "worker-exhaustion", "traffic-surge", "connection-leak"],
            "notes": f"each request of {' and '.join(self.routes)} starts a thread that waits for ever; traffic is constant",
            "fix": "one thread that tells all, and forget who has left",
        }  # fmt: skip
