"""Requests through c servers, first come first served, with known capacity; CPU counters that go with them."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

START = 1_795_420_800_000_000  # 2026-11-23T08:00:00Z
SERVERS, SERVICE = 8, 0.06


def served(low: float, high: float, *, seconds: int = 1_200, cycle: int = 600, seed: int = 1, servers: int = SERVERS, slow: tuple[float, float, float] | None = None) -> tuple[Any, Any, Any]:
    """Arrivals (s), service and response times (s): a sinusoidal Poisson stream between ``low`` and ``high`` per second. ``slow``: (from, until, factor)."""
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.exponential(1 / high, int(seconds * high * 1.2)))
    at = at[at < seconds]
    at = at[rng.random(len(at)) < (low + (high - low) * (1 - np.cos(2 * np.pi * at / cycle)) / 2) / high]
    need = rng.lognormal(np.log(SERVICE) - 0.125, 0.5, len(at))
    if slow:
        need[(at >= slow[0]) & (at < slow[1])] *= slow[2]
    free = [0.0] * servers
    took = np.empty(len(at))
    for i, (a, d) in enumerate(zip(at.tolist(), need.tolist(), strict=True)):
        end = max(a, heapq.heappop(free)) + d
        heapq.heappush(free, end)
        took[i] = end - a
    return at, need, took


def requests(at: Any, took: Any, *, route: str = "/items/{id}") -> dict[str, Any]:
    """Rows of ``requests``."""
    return {"time": (START + at * 1e6).astype(np.int64).tolist(), "duration_us": (took * 1e6).astype(np.int64).tolist(), "status": 200, "method": "GET", "route": route, "service": "web"}


def cpu(at: Any, need: Any, *, cores: int = SERVERS, idle: float = 0.0, every: int = 10) -> list[dict[str, Any]]:
    """Rows of ``metrics``: a node whose cores are busy with the service times, and ``idle`` more all the time."""
    edges = np.arange(0, at.max() + every, every)
    busy = np.concatenate([[0.0], np.cumsum(np.histogram(at, edges, weights=need)[0])]) + idle * edges
    rows = []
    for t, b in zip(edges.tolist(), busy.tolist(), strict=True):
        for core in range(cores):
            for mode, value in (("user", b / cores), ("idle", t - b / cores)):
                rows.append({"time": int(START + t * 1e6), "name": "node_cpu_seconds_total", "kind": "counter", "labels": {"instance": "web1", "cpu": str(core), "mode": mode}, "value": value})
    return rows
