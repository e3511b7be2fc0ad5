"""Requests that queue for something of limited number: connections of a pool, or workers. First come, first served, simulated one by one."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.calls import Node, Rng, _lay
from tests.traffic import START

#: The fault begins after so many seconds; the recording lasts twice as long.
SINCE = 40.0


@dataclass
class Use:
    """One request: its root span but for the wait, ms until it asks, ms that it holds what it gets, and whether it gives it back."""

    root: Node
    hold: float
    before: float = 0.5
    returns: bool = True


@dataclass
class Run:
    """What a simulation gives: arrivals in seconds, waits in ms, whether each was served, and from when to when each held (seconds)."""

    at: list[float] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    wait: list[float] = field(default_factory=list)
    got: list[bool] = field(default_factory=list)
    held: list[tuple[float, float]] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)

    def gauges(self, size: Callable[[float], int], names: tuple[str, str, str], seconds: float = 2 * SINCE, **labels: str) -> list[dict[str, Any]]:
        """Metrics once a second: in use, limit and waiting, under these names."""
        rows = []
        for t in range(1, int(seconds)):
            used = sum(a <= t < b for a, b in self.held)
            waiting = sum(a <= t < a + w / 1e3 for a, w in zip(self.asked, self.wait, strict=True))
            values = (used, size(t), waiting)
            rows += [{"time": START + t * 1_000_000, "name": name, "kind": "gauge", "labels": labels, "value": float(v)} for name, v in zip(names, values, strict=True)]
        return rows


def simulate(plan: Callable[[bool, Rng], Use], size: Callable[[float], int], rate: float = 20, seed: int = 0, patience: float = 2000, surge: float = 1.0, seconds: float = 2 * SINCE) -> Run:
    """Poisson arrivals through ``size(seconds)`` places; who waits ``patience`` ms gives up."""
    rng, run, at = np.random.default_rng(seed), Run(), 0.0
    free: list[float] = [0.0] * size(0)
    heapq.heapify(free)
    while True:
        at += float(rng.exponential(1 / (rate * (surge if at >= SINCE else 1))))
        if at >= seconds:
            return run
        use = plan(at >= SINCE, rng)
        asks = at + use.before / 1e3
        while len(free) > size(asks):
            heapq.heappop(free)
        while len(free) < size(asks):
            heapq.heappush(free, asks)
        begins = max(asks, free[0])
        got = begins - asks <= patience / 1e3
        wait = (begins - asks if got else patience / 1e3) * 1e3
        if got:
            heapq.heapreplace(free, begins + use.hold / 1e3 if use.returns else 1e9)
        for column, value in ((run.at, at), (run.uses, use), (run.wait, wait), (run.got, got), (run.asked, asks), (run.held, (begins, begins + use.hold / 1e3 if use.returns else 1e9) if got else (0.0, 0.0))):
            column.append(value)  # type: ignore[attr-defined]


def recorded(run: Run, wait: str, service: str = "shop", kind: str | None = "internal", sampled: float = 1.0, outside: bool = False, seed: int = 0) -> dict[str, Any]:
    """Spans and access log of a run. The wait is the first span below the root, of this name; ``outside``: it lies between the edge and the root."""
    rng = np.random.default_rng(seed)
    spans: list[dict[str, Any]] = []
    log: list[dict[str, Any]] = []
    for i, (at, use, waited, got) in enumerate(zip(run.at, run.uses, run.wait, run.got, strict=True)):
        root, trace = use.root, f"{i:032x}"
        if not outside:
            root.below = [Node(service, wait, waited + 0.05, kind=kind, extra={} if got else {"status": "error"}), *(root.below if got else [])]
        if not got:
            root.extra["status"] = "error"
        rows: list[dict[str, Any]] = []
        start = START + int(at * 1e6)
        end = _lay(root, start + (int(waited * 1e3) if outside else 0), trace, None, rows, 0)
        if rng.random() < sampled:
            spans += rows
        method, _, route = root.operation.partition(" ")
        log.append({"time": start, "duration_us": end - start + 300, "upstream_us": end - start + 200, "upstream_connect_us": 0, "status": 200 if got else 500, "method": method, "route": route, "service": "web", "trace_id": trace})
    return {"spans": spans, "requests": log}
