"""Nothing is wrong, at a heavy load."""

from __future__ import annotations

import random

from lab.mechanisms._healthy import Healthy


class _Healthy(Healthy):
    """Constant load from begin to end; nothing is changed."""

    kind = "healthy"
    rivals = ("traffic-surge", "tail-under-concurrency", "cpu-saturation", "worker-exhaustion")
    what = "A busy hour: twice the ordinary load, and room left."

    def choose(self, rng: random.Random) -> None:
        """How many requests a second."""
        self.settings = {"rate": rng.uniform(52, 62)}


class OnShop(_Healthy):
    """On the threaded shop."""

    stack = "shop"


class OnMarket(_Healthy):
    """On the asyncio market."""

    stack = "market"
