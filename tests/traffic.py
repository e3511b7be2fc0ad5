"""Synthetic requests with known truth, for tests of windows and checks."""

from __future__ import annotations

from typing import Any

import numpy as np

START = 1_795_420_800_000_000


def requests(
    seconds: float = 120,
    rate: float = 30,
    *,
    seed: int = 0,
    routes: dict[str, tuple[str, float, float]] | None = None,
    slower: dict[str, float] | None = None,
    since: float = 0,
    until: float = float("inf"),
    surge: float = 1.0,
    errors: dict[str, float] | None = None,
    start: int = START,
) -> dict[str, Any]:
    """Poisson arrivals with lognormal durations.

    ``routes``: route → (method, share, median ms). Between ``since`` and ``until`` seconds, ``slower`` adds milliseconds to a route
    (exponential), ``errors`` fails a share of it, and arrivals come ``surge`` times as often.
    """
    rng = np.random.default_rng(seed)
    routes = routes or {"/": ("GET", 0.5, 4), "/items/{id}": ("GET", 0.3, 12), "/orders": ("POST", 0.2, 60)}
    times, at = [], 0.0
    while at < seconds:
        at += rng.exponential(1 / (rate * (surge if since <= at < until else 1)))
        times.append(at)
    t = np.array(times[:-1])
    names = list(routes)
    which = rng.choice(len(names), len(t), p=[routes[r][1] for r in names])
    duration = np.array([routes[r][2] for r in names])[which] * rng.lognormal(0, 0.35, len(t))
    inside = (t >= since) & (t < until)
    status = np.full(len(t), 200)
    for route, extra in (slower or {}).items():
        duration += np.where(inside & (which == names.index(route)), rng.exponential(extra, len(t)), 0)
    for route, share in (errors or {}).items():
        status[inside & (which == names.index(route)) & (rng.random(len(t)) < share)] = 500
    return {
        "time": (start + t * 1e6).astype(np.int64).tolist(),
        "duration_us": (duration * 1e3).astype(np.int64).tolist(),
        "status": status.tolist(),
        "method": [routes[names[i]][0] for i in which],
        "route": [names[i] for i in which],
        "service": "web",
        "client_key": rng.integers(1, 50, len(t)).tolist(),
    }


def waits(traffic: dict[str, Any], route: str, least_us: int, *, event: str = "transactionid", statement: str = "update stock set n=n-$1 where id=$2", state: str = "idle in transaction", background: bool = False, start: int = START, seconds: int = 120) -> dict[str, Any]:
    """Session snapshots once a second: the slow requests of ``route`` wait for a lock, a session at the root does not.

    ``background``: the waiting sessions belong to no request (evenly spread).
    """
    rows: dict[str, list[Any]] = {k: [] for k in ("time", "pid", "state", "wait_type", "wait_event", "statement", "query_age_us", "blocked_by")}

    def row(*values: Any) -> None:
        for key, value in zip(rows, values, strict=True):
            rows[key].append(value)

    spans = [(t, t + d) for t, d, r in zip(traffic["time"], traffic["duration_us"], traffic["route"], strict=True) if r == route and d >= least_us]
    for second in range(1, seconds):
        now = start + second * 1_000_000
        waiting = [(a, 1000 + i) for i, (a, b) in enumerate(spans) if a + 2000 < now < b - 2000]
        if background:
            waiting = [(now - 400_000, 1000 + i) for i in range(3)]
        for a, pid in waiting:
            row(now, pid, "active", "Lock", event, statement, now - a - 2000, [7])
        row(now, 7, state if waiting else "idle", "Client", "ClientRead", statement, 5000, [])
        row(now, 8, "idle", "Client", "ClientRead", "select 1", 5000, [])
    return rows | {"service": "postgresql", "backend_type": "client backend"}
