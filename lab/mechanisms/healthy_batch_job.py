"""A batch job runs beside healthy requests: it uses processor and database, and slows nothing by a factor."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab.mechanism import Sign
from lab.mechanisms._healthy import Healthy, there

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


class _Batch(Healthy):
    """A reconciliation reads orders by key and signs every page, with pauses between the pages."""

    rivals = ("cpu-saturation", "noisy-neighbour", "missing-index", "disk-saturation", "traffic-surge")
    what = "The reconciliation job reads the orders by key for the whole time and uses a good part of a core."

    def choose(self, rng: random.Random) -> None:
        """Load, rows of a page, and which share of its time the job works."""
        self.settings = {"rate": rng.uniform(20, 28)}
        self.page, self.busy = rng.randint(260, 430), rng.uniform(0.3, 0.45)

    def breaks(self, stack: Stack) -> None:
        """Starts the job; the scheduler tells it."""
        stack.event("job", service="scheduler", detail="reconciliation started")
        self.job = stack.job("reconcile", 300, self.page, round(self.busy, 3))

    def fixes(self, stack: Stack) -> None:
        """The job has done its work."""
        self.job.stop()
        stack.event("job", service="scheduler", detail="reconciliation finished")

    def shows(self, seen: Observed) -> list[Sign]:
        """What the job used."""
        before, during, after = (phase.group(self.job.name).cpu_s / max(1.0, phase.seconds) for phase in (seen.healthy, seen.fault, seen.fixed))
        return [there("processor that the job used", "cores", (before, during, after), "≥ 0.15", during >= 0.15)]


class OnShop(_Batch):
    """On the threaded shop."""

    stack = "shop"


class OnMarket(_Batch):
    """On the asyncio market."""

    stack = "market"
