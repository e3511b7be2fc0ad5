"""Nothing is wrong, at a medium load."""

from __future__ import annotations

import random

from lab.mechanisms._healthy import Healthy


class _Healthy(Healthy):
    """Constant load from begin to end; nothing is changed."""

    kind = "healthy"
    rivals = ("synchronous-dependency", "low-hit-ratio", "cpu-saturation")
    what = "An ordinary hour."

    def choose(self, rng: random.Random) -> None:
        """How many requests a second."""
        self.settings = {"rate": rng.uniform(22, 29)}


class OnShop(_Healthy):
    """On the threaded shop."""

    stack = "shop"


class OnMarket(_Healthy):
    """On the asyncio market."""

    stack = "market"
