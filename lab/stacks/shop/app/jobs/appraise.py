"""Forecast of stock: demand of the coming weeks drawn many times, pure computation; nobody waits for it."""

from __future__ import annotations

import random
import statistics
import sys
import time


def shortage(rng: random.Random, days: int) -> float:
    """The lowest level of a stock over so many days of random demand and weekly deliveries."""
    level = lowest = 500.0
    for day in range(days):
        level += 410 if day % 7 == 0 else 0
        level -= max(0.0, rng.normalvariate(58, 21))
        lowest = min(lowest, level)
    return lowest


def run(seconds: float, busy: float) -> None:
    """Computes for at most `seconds`, for the share `busy` of the time."""
    rng, until, lowest = random.Random(2), time.monotonic() + seconds, list[float]()
    while time.monotonic() < until:
        began = time.monotonic()
        lowest += [shortage(rng, 90) for _ in range(250)]
        time.sleep((time.monotonic() - began) * (1 - busy) / busy)
    print(f"{len(lowest)} draws, mean {statistics.fmean(lowest):.1f}")


if __name__ == "__main__":
    run(float(sys.argv[1]), float(sys.argv[2]))
