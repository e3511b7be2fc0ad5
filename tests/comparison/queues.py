"""Requests of a small simulated service: Poisson arrivals, a few servers, first come first served; hits of a cache take a fifth."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from .make import START


def served(rng: np.random.Generator, seconds: float, rate: float, servers: int, routes: dict[str, tuple[float, float]], *, hit: float | None = None, start: int = START) -> dict[str, Any]:
    """Rows of ``requests``. ``routes``: route → (share, mean service time in ms); ``hit``: hit ratio of the cache, None without one."""
    n = int(rng.poisson(rate * seconds))
    time = np.sort(rng.random(n)) * seconds
    names = list(routes)
    which = rng.choice(len(names), n, p=[routes[r][0] for r in names])
    service = np.array([routes[r][1] for r in names])[which] / 1e3 * rng.gamma(4, 0.25, n)
    hits = rng.random(n) < (hit or 0.0)
    service = np.where(hits, service * 0.2, service)
    free = [0.0] * servers
    duration = np.empty(n)
    for i in range(n):
        end = max(heapq.heappop(free), time[i]) + service[i]
        heapq.heappush(free, end)
        duration[i] = end - time[i]
    rows: dict[str, Any] = {
        "time": (start + time * 1e6).astype(int).tolist(), "duration_us": (duration * 1e6).astype(int).tolist(), "status": 200,
        "method": "GET", "route": [names[i] for i in which], "service": "web",
    }  # fmt: skip
    return rows | ({} if hit is None else {"cache_status": np.where(hits, "HIT", "MISS").tolist()})
