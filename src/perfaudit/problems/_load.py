"""How slowness goes with load: per bin, arrivals and the share of requests that are slow for their route.

The arrival rate is used, never the number in flight: at constant arrivals any slowdown raises the latter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.requests import Grid, eight_bits
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Window
from perfaudit.paths.account import TimeAccount

#: Requests a bin should hold on average, for a rate known to ± 20 % (Poisson).
PER_BIN = 25
#: "Slow for its route" is above this quantile of the route's calm requests.
SLOW = 0.9
#: A route needs this many calm requests for that quantile to be known to ± 5 points.
LEAST_CALM = 40


@dataclass(frozen=True)
class Load:
    """Parallel arrays, one value a bin that holds requests, in time order.

    ``rate`` arrivals per second, ``slow`` share of requests that are slow for their route, ``excess`` seconds above the route's
    calm mean, ``spent`` all request-seconds, ``zone`` 0 affected, 1 reference, 2 the rest; ``step`` the length of a bin in seconds; ``when`` its start in µs.
    """

    when: Any
    rate: Any
    slow: Any
    excess: Any
    spent: Any
    zone: Any
    step: int

    @property
    def lately(self) -> Any:
        """Arrival rate over this bin and the one before (a queue remembers)."""
        before = np.concatenate([self.rate[:1], self.rate[:-1]])
        gap = np.concatenate([[0], np.diff(self.when)]) > self.step * 1_000_000
        return np.where(gap, self.rate, (self.rate + before) / 2)


def load(evidence: Evidence, account: TimeAccount) -> Load | None:
    """The load picture over the recording and the reference; None when there are too few requests."""
    windows = account.windows
    spans = [windows.whole] + ([windows.reference] if windows.reference and not windows.whole.overlap(windows.reference) else [])
    count = sum(r.all.count for r in account.routes)
    seconds = sum(s.seconds for s in spans)
    if count < 200 or seconds <= 0:
        return None
    grid = Grid.over(spans[0], max(20, min(600, int(count / PER_BIN * spans[0].seconds / seconds))))
    everything = Window(min(s.start for s in spans), max(s.end for s in spans))
    grid = Grid(everything.start // (grid.step * 1_000_000) * grid.step * 1_000_000, grid.step, 0)
    where = " OR ".join(f"({within(s)})" for s in spans)
    data = evidence.columns(
        f"SELECT {grid.sql()} AS b, coalesce(method, '') AS m, coalesce(route, '') AS r, {eight_bits('coalesce(duration_us, 0)')} AS d, count(*) AS n"
        f" FROM requests WHERE {account.tiers.condition} AND ({where}) AND status <> 101 GROUP BY ALL ORDER BY ALL"
    )
    b, d, n = (np.asarray(data[k]).astype(np.int64) for k in ("b", "d", "n"))
    used, position = np.unique(b, return_inverse=True)
    when = grid.start + used * grid.step * 1_000_000
    middle = when + grid.step * 500_000
    zone = np.full(len(used), 2)
    zone[(middle >= windows.affected.start) & (middle < windows.affected.end)] = 0
    if windows.reference:
        zone[(middle >= windows.reference.start) & (middle < windows.reference.end)] = 1
    rate = np.bincount(position, n) / grid.step
    calm = zone[position] == 1 if windows.reference else rate[position] <= np.median(rate)
    slow, known, excess = np.zeros(len(used)), np.zeros(len(used)), np.zeros(len(used))
    spent = np.bincount(position, n * d) / 1e6
    keys = np.array([f"{m}\t{r}" for m, r in zip(data["m"], data["r"], strict=True)])
    for key in np.unique(keys):
        mine = keys == key
        quiet = mine & calm
        if n[quiet].sum() < LEAST_CALM:
            continue
        order = np.argsort(d[quiet], kind="stable")
        at = np.cumsum(n[quiet][order])
        bar = d[quiet][order][int(np.searchsorted(at, SLOW * at[-1]))]
        mean = float(np.average(d[quiet], weights=n[quiet]))
        slow += np.bincount(position[mine], n[mine] * (d[mine] > bar * 1.25 + 1000), len(used))
        excess += np.bincount(position[mine], n[mine] * (d[mine] - mean), len(used)) / 1e6
        known += np.bincount(position[mine], n[mine], len(used))
    keep = known > 0
    # The first and the last bin of a stretch are cut off: their rate is not known.
    edge = np.zeros(len(used), bool)
    jumps = np.flatnonzero(np.diff(used) > 1)
    edge[[0, len(used) - 1, *jumps, *(jumps + 1)]] = True
    keep &= ~edge
    return Load(when[keep], rate[keep], (slow / np.maximum(known, 1))[keep], excess[keep], spent[keep], zone[keep], grid.step) if keep.sum() >= 8 else None


def bursts(picture: Load, factor: float) -> int:
    """How many separate runs of bins have a rate above ``factor`` times the calm rate (the lower quartile)."""
    high = picture.rate > factor * max(float(np.quantile(picture.rate, 0.25)), 1e-9)
    return int(high[0]) + int(np.sum(high[1:] & ~high[:-1]))


def at_equal_load(picture: Load | None) -> float | None:
    """Mean difference in the share of slow requests between affected and reference bins of the same load; None: no common load."""
    if picture is None:
        return None
    x, a, r = picture.lately, picture.zone == 0, picture.zone == 1
    if a.sum() < 5 or r.sum() < 5:
        return None
    low, high = x[a].min(), x[r].max()
    near_a, near_r = a & (x <= high), r & (x >= low)
    if near_a.sum() < 5 or near_r.sum() < 5:
        return None
    edges = np.unique(np.quantile(x[near_a | near_r], [0, 0.25, 0.5, 0.75, 1]))
    gaps: list[tuple[float, int]] = []
    for lo, hi in zip(edges[:-1], edges[1:], strict=True):
        at: Any = (x >= lo) & (x <= hi)
        if (near_a & at).sum() >= 2 and (near_r & at).sum() >= 2:
            gaps.append((float(picture.slow[near_a & at].mean() - picture.slow[near_r & at].mean()), int((near_a & at).sum())))
    return float(np.average([g for g, _ in gaps], weights=[n for _, n in gaps])) if gaps else None
