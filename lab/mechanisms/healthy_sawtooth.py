"""Memory rises and falls like the teeth of a saw: the collector runs seldom, on purpose, and takes everything."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab.mechanism import Sign
from lab.mechanisms._healthy import Healthy, there

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _Sawtooth(Healthy):
    """Automatic collection is off; every few seconds one full collection takes the scratch buffers that requests left behind in cycles."""

    rivals = ("memory-leak", "unbounded-growth", "runtime-pause", "deploy-regression")
    what = "Scratch buffers in reference cycles wait for a collection every few seconds; what is left after it does not grow."

    def choose(self, rng: random.Random) -> None:
        """Load, kilobytes of a request's buffer, and seconds between collections."""
        self.settings = {"rate": rng.uniform(20, 28)}
        self.kilobytes, self.every = rng.randrange(190, 280), round(rng.uniform(5.5, 7.5), 1)

    def deploy(self, stack: Stack, *, quiet: bool) -> None:
        """Rolls out the code that collects seldom."""
        stack.deploy("seldom_collected", quiet=quiet, kilobytes=self.kilobytes, every=self.every)

    def shows(self, seen: Observed) -> list[Sign]:
        """Height of the teeth in one replica, and what its floor gained."""
        heights, gains = zip(*map(self._teeth, (seen.healthy, seen.fault, seen.fixed)), strict=True)
        return [
            there("height of the teeth", "MB", heights, "≥ 8", heights[1] >= 8),
            there("growth of the floor, over the height", "", gains, "≤ 0.3", gains[1] <= 0.3),
        ]

    @staticmethod
    def _teeth(phase: Phase) -> tuple[float, float]:
        """MB between valley and peak, and the difference of the valleys of the last and the first third over it."""
        values = [size / 1e6 for _, size in phase.group("app-1").memory]
        if len(values) < 6:
            return 0.0, 0.0
        third = len(values) // 3
        height = max(values) - min(values)
        return height, (min(values[-third:]) - min(values[:third])) / max(1.0, height)


class OnShop(_Sawtooth):
    """It comes with a release."""

    stack = "shop"

    def breaks(self, stack: Stack) -> None:
        """The release."""
        self.deploy(stack, quiet=False)

    def fixes(self, stack: Stack) -> None:
        """The release before."""
        stack.deploy("base")


class OnMarket(_Sawtooth):
    """It was always so."""

    stack = "market"

    def ready(self, stack: Stack) -> None:
        """In the healthy part too."""
        self.deploy(stack, quiet=True)
