"""How many workers requests occupy, and why they are more than before: longer holds, other requests, or more of the same.

A worker is busy from the moment it takes a request until the answer is there, whatever it waits for meanwhile. Busy workers are arrivals × hold, route by route
(Little's law), so their growth splits exactly: rate now × (hold now − hold before), the mix of the routes, and arrivals of the same mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import WORKER
from perfaudit.paths.account import LEAST_REFERENCE, TimeAccount
from perfaudit.paths.tracing import AFFECTED, LEAST_TRACES, REFERENCE, Tracing


@dataclass(frozen=True)
class Route:
    """What requests of one kind occupy. Pairs are (affected window, reference): ``rate`` in 1/s, ``hold`` in seconds (NaN: unknown)."""

    name: str
    rate: tuple[float, float]
    hold: tuple[float, float]

    @property
    def busy(self) -> float:
        """Workers that they occupy in the affected window."""
        return self.rate[0] * self.hold[0]


@dataclass(frozen=True)
class Busy:
    """``now``, ``before``: mean number of busy workers; ``longer``, ``mix``, ``load`` add up to their difference. ``routes``: those that occupy most first."""

    now: float
    before: float
    longer: float
    mix: float
    load: float
    routes: tuple[Route, ...]

    @property
    def grown(self) -> float:
        """Workers occupied beyond the reference's."""
        return self.now - self.before


def busy(account: TimeAccount) -> Busy | None:
    """Of the services that users reach first, by traces, else by the log with the reference's durations as holds; None without a reference."""
    if account.windows.reference is None:
        return None
    tracing = account.tracing
    if tracing is not None and tracing.count(AFFECTED) and tracing.count(REFERENCE):
        return split(_filled(traced(tracing), account))
    return split(logged(account)) if account.requests is not None else None


def traced(tracing: Tracing) -> list[Route]:
    """The flows of the roots: what a root took without its wait for a worker."""
    roots = tracing.roots
    hold = np.maximum(0, tracing.whole - tracing.per_trace(tracing.on_path, tracing.own == WORKER)) / 1e6
    flow, zone, kept = tracing.flow[roots], tracing.zone[roots], tracing.stands_for
    columns = []
    for z, window in ((AFFECTED, tracing.windows.affected), (REFERENCE, tracing.windows.reference)):
        at = zone == z
        count = np.bincount(flow[at], minlength=len(tracing.flows))
        weight = np.bincount(flow[at], kept[at], len(tracing.flows))
        mean = np.divide(np.bincount(flow[at], (kept * hold)[at], len(tracing.flows)), weight, out=np.full(len(weight), np.nan), where=weight > 0)
        mean[count < LEAST_TRACES] = np.nan
        columns.append((tracing.requests[:, z] / window.seconds if window else np.zeros(len(weight)), mean))
    out = []
    for i, key in enumerate(tracing.flows):
        known = tracing.routes[i] if tracing.routes else None
        name = known[1] if known else key.route or key.operation
        out.append(Route(name, (float(columns[0][0][i]), float(columns[1][0][i])), (float(columns[0][1][i]), float(columns[1][1][i]))))
    return out


def at_entries(tracing: Tracing, entry: Any) -> list[Route]:
    """The kinds of requests that one service answers: ``entry``, indices of its answering spans, by their names; what they took without a wait for a worker right below."""
    entry = entry[tracing.place[entry] >= 0]
    waiting = np.flatnonzero((tracing.own == WORKER) & (tracing.traces.parent >= 0))
    waited = np.bincount(tracing.traces.parent[waiting], tracing.took[waiting], len(tracing.traces))
    hold = np.maximum(0, tracing.took[entry] - waited[entry]) / 1e6
    flow, zone, place = tracing.flow[tracing.roots], tracing.zone[tracing.roots], tracing.place[entry]
    operation, names = tracing.symbol("operation")
    route, routes = tracing.symbol("route")
    out: dict[str, list[tuple[float, float]]] = {}
    for z, window in ((AFFECTED, tracing.windows.affected), (REFERENCE, tracing.windows.reference)):
        kept = np.bincount(flow[zone == z], tracing.stands_for[zone == z], len(tracing.flows))
        weight = (tracing.requests[:, z] / np.maximum(kept, 1e-9))[flow] * tracing.stands_for * (zone == z)
        for o, r in sorted({(int(operation[e]), int(route[e])) for e in entry.tolist()}):
            at = (operation[entry] == o) & (route[entry] == r) & (zone[place] == z)
            share = weight[place[at]]
            mean = float((share * hold[at]).sum() / share.sum()) if at.sum() >= LEAST_TRACES and share.sum() > 0 else float("nan")
            name = routes[r] if r >= 0 else names[o] if o >= 0 else ""
            out.setdefault(f"{o} {r} {name}", []).append((float(share.sum()) / window.seconds if window else 0.0, mean))
    return [Route(key.split(" ", 2)[2], (both[0][0], both[1][0]), (both[0][1], both[1][1])) for key, both in out.items()]


def _filled(routes: list[Route], account: TimeAccount) -> list[Route]:
    """Holds that too few traces of the reference tell, from the log's durations there (a calm request hardly waits for a worker)."""
    calm = {row.route: row.reference.mean for row in account.routes if row.route and row.reference.durations.n >= LEAST_TRACES}
    return [Route(r.name, r.rate, (r.hold[0], calm.get(r.name, r.hold[1]))) if r.hold[1] != r.hold[1] else r for r in routes]


def logged(account: TimeAccount) -> list[Route]:
    """The log's routes. What they take now holds the wait for a worker, so the reference's mean stands for both; of a new route its shortest requests (10 %)."""
    out = []
    for row in account.routes:
        before = row.reference.mean if row.reference.durations.n >= LEAST_REFERENCE else float("nan")
        now = before if before == before else (row.affected.quantile(0.1) or 0.0) / 1e6
        rates = account.rate(account.windows.affected, row.affected.count), account.rate(account.windows.reference, row.reference.count)
        out.append(Route(row.route or "", rates, (now, before)))
    return out


def split(routes: list[Route]) -> Busy:
    """Busy workers of both windows and where the difference comes from; a kind that the reference hardly knows counts as mix."""
    now = sum(r.busy for r in routes if r.hold[0] == r.hold[0])
    known = [r for r in routes if r.hold[0] == r.hold[0] and r.hold[1] == r.hold[1]]
    before = sum(r.rate[1] * r.hold[1] for r in routes if r.hold[1] == r.hold[1])
    longer = sum(r.rate[0] * (r.hold[0] - r.hold[1]) for r in known)
    rates = sum(r.rate[0] for r in routes), sum(r.rate[1] for r in routes)
    load = (rates[0] / rates[1] - 1) * before if rates[1] > 0 else 0.0
    order = sorted((r for r in routes if r.hold[0] == r.hold[0] and r.name), key=lambda r: (-r.busy, r.name))
    return Busy(now, before, longer, now - before - longer - load, load, tuple(order))
