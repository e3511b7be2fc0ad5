"""Nothing is wrong, at a light load."""

from __future__ import annotations

import random

from lab.mechanisms._healthy import Healthy


class _Healthy(Healthy):
    """Constant load from begin to end; nothing is changed."""

    kind = "healthy"
    rivals = ("tail-under-concurrency", "deploy-regression", "synchronous-dependency")
    what = "A quiet hour: few requests, so that percentiles jump by chance."

    def choose(self, rng: random.Random) -> None:
        """How many requests a second."""
        self.settings = {"rate": rng.uniform(7, 10)}


class OnShop(_Healthy):
    """On the threaded shop."""

    stack = "shop"


class OnMarket(_Healthy):
    """On the asyncio market."""

    stack = "market"
