"""What would a fix bring? Traces are replayed with parts of them shorter, then the queues behind these parts are worked out again.

Workers and pools are held *while* a request waits below them, so nested resources are solved from the inside out: the part shrinks, the pool is held for
a shorter time, its waiting falls, then the worker's. Waiting is that of G/G/c (Allen–Cunneen) with the number of servers that explains the wait that was measured;
where the queue had no steady state (ρ ≥ 1), the servers are those that were busy, λ times the time that each is held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import POOL, WORKER
from perfaudit.kernels.replay import replay
from perfaudit.paths.traced import Labels, labels
from perfaudit.paths.tracing import AFFECTED, LEAST_TRACES, REFERENCE, Tracing
from perfaudit.stats.queueing import waiting

#: Rounds of pool and worker until their waits stand still (each halves what is left at the utilisations that queue at all).
ROUNDS = 8
#: Resamples of the traces for intervals of a mean ratio (Efron & Tibshirani 1993, chapter 13: 1,000 for the ends of a 95 % interval).
RESAMPLES = 1000
#: Fewer traces in either window do not tell what stays (as for any ratio: Cochran 1977, §6.4; with 16 to 28 the interval's lower end lay above 1 in half of the recordings whose fix brought everything back).
TELLING = 30
#: Waits shorter than this share of the request do not need a queue to be explained (an account rounds to it).
IDLE = 0.01


@dataclass(frozen=True)
class After:
    """Traces of the affected window as they are and as they would be: ``flow``, ``old`` and ``new`` µs, shape (traces,), and seconds by label afterwards."""

    flow: Any
    old: Any
    new: Any
    left: dict[str, float]

    def mean(self, flows: list[int]) -> tuple[float, float, int]:
        """Mean duration before and after (µs) of some flows, and their traces."""
        at = np.isin(self.flow, flows)
        return (float(self.old[at].mean()), float(self.new[at].mean()), int(at.sum())) if at.any() else (0.0, 0.0, 0)


def to_reference(tracing: Tracing, parts: tuple[str, ...], found: Labels | None = None) -> After:
    """The affected window's traces with these parts of the account (labels) back at what they cost in the reference, rank by rank within each flow."""
    found = found or labels(tracing)
    chosen = np.isin(found.codes, [i for i, name in enumerate(found.names) if name in names_of(parts, found.names)])
    return _solved(tracing, found, _factors(tracing, chosen))


def shrunk(tracing: Tracing, where: Any, factor: float, together: Any = None) -> After:
    """The affected window's traces with the own time of some spans multiplied by ``factor``; ``together``: see :func:`perfaudit.kernels.replay.replay`."""
    return _solved(tracing, labels(tracing), np.where(where, factor, 1.0), together)


def names_of(parts: tuple[str, ...], names: list[str]) -> set[str]:
    """Names of labels for rows of the account: the account splits ``database`` further."""
    return {name for name in names for part in parts if name == part or (name == "database" and part.startswith("database"))}


def _factors(tracing: Tracing, chosen: Any) -> Any:
    """For each span what its own time is multiplied with so that the chosen time of its trace is that of the same rank in the reference; at most 1."""
    spent = tracing.per_trace(tracing.on_path, chosen)
    zone, flow = tracing.zone[tracing.roots], tracing.flow[tracing.roots]
    factor = np.ones(len(tracing.roots))
    for number in range(len(tracing.flows)):
        now = np.flatnonzero((flow == number) & (zone == AFFECTED))
        before = np.sort(spent[(flow == number) & (zone == REFERENCE)])
        if min(len(now), len(before)) < LEAST_TRACES:
            continue
        rank = (np.argsort(np.argsort(spent[now], kind="stable")) + 0.5) / len(now)
        wanted = np.quantile(before, rank)
        factor[now] = np.minimum(1.0, wanted / np.maximum(spent[now], 1e-9))
    out = np.ones(len(tracing.traces))
    inside = chosen & (tracing.place >= 0)
    out[inside] = factor[tracing.place[inside]]
    return out


def _solved(tracing: Tracing, found: Labels, factor: Any, together: Any = None) -> After:
    """Replay, then pools and workers in turn until their waits stand still."""
    traces, roots = tracing.traces, tracing.roots
    here = np.flatnonzero(tracing.zone[roots] == AFFECTED)
    old = tracing.whole[here].astype(np.float64)
    pool, worker = (tracing.own == POOL) & (factor == 1), (tracing.own == WORKER) & (factor == 1)
    waits = [tracing.per_trace(tracing.on_path, at)[here] for at in (pool, worker)]
    rate = tracing.total_requests[0] / max(tracing.windows.affected.seconds, 1e-9)
    shares = [1.0, 1.0]
    new = old
    for _ in range(ROUNDS):
        scaled = np.where(pool, shares[0], np.where(worker, shares[1], factor))
        new = replay(traces.start, traces.end, traces.parent, traces.late, scaled, together)[roots[here]]
        fresh = []
        for wait, share, outer in ((waits[0], shares[0], waits[1]), (waits[1], shares[1], 0.0)):
            other = shares[1] * outer  # a pool is held by what has a worker: the worker's wait comes before it
            fresh.append(_less(rate, wait, old - wait - outer, new - wait * share - other))
        if np.allclose(fresh, shares, rtol=1e-3, atol=1e-4):
            break
        shares = fresh
    left = {}
    for code, name in enumerate(found.names):
        at = found.codes == code
        kept = np.where(pool, shares[0], np.where(worker, shares[1], factor))
        seconds = tracing.seconds(tracing.on_path * kept, AFFECTED, at).seconds if at.any() else 0.0
        if seconds > 0:
            left[name] = seconds
    return After(tracing.flow[roots[here]], old, new, left)


def _less(rate: float, wait: Any, held: Any, held_after: Any) -> float:
    """What becomes of the wait for a resource when it is held for a shorter time (a factor, at most 1)."""
    before, after = float(np.mean(held)) / 1e6, float(np.mean(held_after)) / 1e6
    waited = float(np.mean(wait)) / 1e6
    if waited <= IDLE * (before + waited) or after >= before or rate <= 0:
        return 1.0
    cv2 = float(np.var(held) / max(np.mean(held) ** 2, 1e-12))
    servers = _servers(rate, before, waited, cv2)
    return min(1.0, waiting(rate, after, servers, service_cv2=cv2).mean / waited)


def _servers(rate: float, held: float, waited: float, cv2: float) -> int:
    """The number of servers whose wait is nearest to the one that was measured, at least those that were busy."""
    least = max(1, math.ceil(rate * held))
    best, gap = least, math.inf
    for c in range(least, least + 1 + int(4 * math.sqrt(least)) + 4):
        away = abs(min(waiting(rate, held, c, service_cv2=cv2).mean, 1e9) - waited)
        if away < gap:
            best, gap = c, away
    return best


def residual(tracing: Tracing, after: After, flows: list[int]) -> tuple[float, float, float]:
    """Mean duration after the change over the reference's, for some flows: ratio with its 95 % interval, by resampling traces (fixed seed).

    Raises ValueError where a window holds fewer than :data:`TELLING` of these traces.
    """
    zone, flow = tracing.zone[tracing.roots], tracing.flow[tracing.roots]
    before = tracing.whole[(zone == REFERENCE) & np.isin(flow, flows)].astype(np.float64)
    now = after.new[np.isin(after.flow, flows)]
    if min(len(now), len(before)) < TELLING:
        raise ValueError("too few traces")
    rng = np.random.default_rng(1)
    ratios = [rng.choice(now, len(now)).mean() / max(rng.choice(before, len(before)).mean(), 1e-9) for _ in range(RESAMPLES)]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(now.mean() / max(before.mean(), 1e-9)), float(low), float(high)
