"""Load swells by half and falls again, as on any day; answers take as long as ever."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab.mechanism import Sign
from lab.mechanisms._healthy import Healthy, there

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _DailyShape(Healthy):
    """A second stream of requests over the same routes, that rises and falls."""

    seconds = (16, 38, 6)
    rivals = ("traffic-surge", "tail-under-concurrency", "deploy-regression")
    what = "The load swells by about half within half the recording, and falls again; the stack has room for it."

    def choose(self, rng: random.Random) -> None:
        """The ordinary load, how much of it comes on top, and how fast."""
        self.settings = {"rate": rng.uniform(20, 26)}
        self.more, self.half = rng.uniform(0.5, 0.62), rng.uniform(17, 19)

    def breaks(self, stack: Stack) -> None:
        """More people come, and go again."""
        stack.load.start(stack.url, stack.routes, self.more * stack.rate, 60, swell=self.half)

    def shows(self, seen: Observed) -> list[Sign]:
        """Requests a second in the busiest ten seconds."""
        ordinary, most, after = self._busiest(seen.healthy), self._busiest(seen.fault), self._busiest(seen.fixed)
        return [there("requests a second, busiest ten seconds", "/s", (ordinary, most, after), "≥ 1.25 × healthy", most >= 1.25 * ordinary)]

    @staticmethod
    def _busiest(phase: Phase) -> float:
        begun = [r.time - r.ms / 1000 - phase.begin for r in phase.requests]
        return max((sum(at <= b < at + 10 for b in begun) / 10 for at in range(max(1, int(phase.seconds) - 9))), default=0.0)


class OnShop(_DailyShape):
    """On the threaded shop."""

    stack = "shop"


class OnMarket(_DailyShape):
    """On the asyncio market."""

    stack = "market"
