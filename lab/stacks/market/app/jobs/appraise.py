"""Appraisal: simulated prices of every holding's year, pure computation in a few rounds a second; nobody waits for it."""

from __future__ import annotations

import math
import random
import sys
import time


def walk(rng: random.Random, steps: int) -> float:
    """The end of a random walk of a price."""
    price = 1.0
    for _ in range(steps):
        price *= math.exp(rng.gauss(0.0002, 0.013))
    return price


def run(seconds: float, busy: float) -> None:
    """Computes for at most `seconds`, for the share `busy` of the time."""
    rng, until, ends = random.Random(1), time.monotonic() + seconds, list[float]()
    while time.monotonic() < until:
        began = time.monotonic()
        ends.append(walk(rng, 20_000))
        time.sleep((time.monotonic() - began) * (1 - busy) / busy)
    print(f"{len(ends)} walks, mean {sum(ends) / max(1, len(ends)):.4f}")


if __name__ == "__main__":
    run(float(sys.argv[1]), float(sys.argv[2]))
