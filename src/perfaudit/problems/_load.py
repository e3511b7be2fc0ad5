"""How slowness goes with load: per bin, arrivals and the share of requests that are slow for their route.

The arrival rate is used, never the number in flight: at constant arrivals any slowdown raises the latter.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.model import Wanted, Windows
from perfaudit.paths.account import TimeAccount
from perfaudit.stats.correlation import Association, spearman

ACCESS_LOG = Wanted("an access log with request times (requests)", "log_format timed '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_time $upstream_response_time';", "shows arrivals and latency: whether load rose, and whether the tail follows it")

#: Requests a bin should hold on average, for a rate known to ± 20 % (Poisson).
PER_BIN = 25
#: "Slow for its route" is above this quantile of the route's calm requests.
SLOW = 0.9
#: A route needs this many calm requests for that quantile to be known to ± 5 points; one that is looked at alone, to ± 7.
LEAST_CALM, LEAST_ALONE = 40, 20


#: A queue that makes requests half as slow again holds this many requests on average: M/M/1 with R = 1.5 S has ρ = 1/3, N = ρ R / S = 0.5; more servers, more.
QUEUE = 0.5
#: How many bins back a queue may remember a burst.
MEMORY = (1, 2, 4, 8)


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

    def over(self, bins: int) -> Any:
        """Mean arrival rate over each bin and the ``bins`` − 1 before it; it does not reach over a gap."""
        total, n = self.rate.copy(), np.ones(len(self.rate))
        for k in range(1, bins):
            near = np.zeros(len(self.rate), bool)
            near[k:] = self.when[k:] - self.when[:-k] <= k * self.step * 1_100_000
            total[k:] += np.where(near[k:], self.rate[:-k], 0)
            n += near
        return total / n

    @cached_property
    def link(self) -> Association:
        """How the share of slow requests goes with the arrival rate; ``p`` holds for having tried every memory."""
        best = max((spearman(self.over(m), self.slow) for m in MEMORY), key=lambda a: a.r)
        return best._replace(p=min(1.0, best.p * len(MEMORY)))

    @cached_property
    def lately(self) -> Any:
        """The arrival rate over the memory that fits best: a queue remembers a burst until it has drained."""
        return max((self.over(m) for m in MEMORY), key=lambda x: spearman(x, self.slow).r)


def load(account: TimeAccount, only: tuple[str, str] | None = None) -> Load | None:
    """The load picture over the recording and its reference; None when there are too few requests.

    ``only``: a method and route whose requests alone are slow or not; the rate stays that of all.
    """
    cube, windows = account.cube, account.windows
    if cube is None or cube.count.sum() < 200:
        return None
    group = _groups(cube)
    used, of = np.unique(group, return_inverse=True)
    first = np.searchsorted(of, np.arange(len(used)))
    when, seconds = cube.bins[first], np.bincount(of, cube.steps)
    count = _sums(cube.count.sum(axis=0), of)
    zone = _zones(when + (seconds * 500_000).astype(np.int64), windows)
    rate = count / seconds
    busy = count > 0
    calm = (zone == 1) & busy if windows.reference else busy & (rate <= np.median(rate[busy]))
    slow, known, excess, spent = (np.zeros(len(used)) for _ in range(4))
    for k in range(len(cube.keys) - 1):
        hist = _sums(cube.hist[k], of)
        quiet = hist[calm].sum(axis=0)
        spent += hist @ cube.values / 1e6
        if quiet.sum() < (LEAST_ALONE if only else LEAST_CALM) or (only and cube.keys[k] != only):
            continue
        bar = cube.values[int(np.searchsorted(np.cumsum(quiet), SLOW * quiet.sum()))]
        mean = float(np.average(cube.values, weights=quiet))
        n = hist.sum(axis=1)
        slow += hist[:, cube.values > bar * 1.25 + 1000].sum(axis=1)
        excess += (hist @ cube.values - mean * n) / 1e6
        known += n
    # The first and the last bin of a stretch are cut off: their rate is not known.
    edge = np.zeros(len(used), bool)
    filled = np.flatnonzero(busy)
    jumps = np.flatnonzero(np.diff(filled) > 1)
    edge[filled[[0, len(filled) - 1, *jumps, *(jumps + 1)]]] = True
    keep = (known > 0) & ~edge
    if keep.sum() < 8:
        return None
    return Load(when[keep], rate[keep], (slow / np.maximum(known, 1))[keep], excess[keep], spent[keep], zone[keep], int(np.median(seconds)))


def _groups(cube: Cube) -> Any:
    """Neighbouring bins merged until each holds :data:`PER_BIN` requests on average; the two grids stay apart."""
    out, offset = [], 0
    for grid, at in ((cube.own, 0), (cube.base, cube.own.bins)):
        if grid is not None:
            count = cube.count[:, at : at + grid.bins].sum()
            size = max(1, int(np.ceil(PER_BIN * grid.bins / max(1, count))))
            out.append(np.arange(grid.bins) // size + offset)
            offset = int(out[-1][-1]) + 1
    return np.concatenate(out)


def _sums(rows: Any, of: Any) -> Any:
    return np.add.reduceat(rows.astype(np.int64), np.searchsorted(of, np.arange(of[-1] + 1)), axis=0)


def _zones(middle: Any, windows: Windows) -> Any:
    zone = np.full(len(middle), 2)
    zone[(middle >= windows.affected.start) & (middle < windows.affected.end)] = 0
    if windows.reference:
        zone[(middle >= windows.reference.start) & (middle < windows.reference.end)] = 1
    return zone


def bursts(picture: Load, factor: float) -> int:
    """How many separate times the rate went above ``factor`` times the calm rate (the lower quartile) and came back.

    Both bars lie two standard errors of a bin's Poisson count away, and coming back means half of the way: flicker is no burst.
    """
    calm = max(float(np.quantile(picture.rate, 0.25)), 1e-9)
    error = 2 * float(np.sqrt(calm * factor / picture.step))
    runs, inside = 0, False
    for rate in picture.rate:
        if not inside and rate > factor * calm + error:
            runs, inside = runs + 1, True
        elif inside and rate < (1 + factor) / 2 * calm:
            inside = False
    return runs


def flicker(picture: Load) -> float:
    """Variance of the arrivals of a bin over their mean, from neighbouring bins (slow change drops out): 1 for Poisson arrivals."""
    counts = picture.rate * picture.step
    return float(np.mean(np.diff(counts) ** 2)) / 2 / max(float(counts.mean()), 1e-9)


def in_flight(picture: Load, at: Any) -> float:
    """Mean requests in flight over the bins ``at`` (Little: request-seconds a second)."""
    return float(picture.spent[at].sum()) / max(picture.step * int(np.count_nonzero(at)), 1e-9)


def at_equal_load(picture: Load | None) -> float | None:
    """Mean difference in the share of slow requests between affected and calm bins of the same load; None: no common load.

    Calm is the reference, or the reference and the rest of the recording: whichever shows the larger difference.
    """
    if picture is None:
        return None
    found = [g for calm in (picture.zone == 1, picture.zone != 0) if (g := _gap(picture, calm)) is not None]
    return max(found, default=None)


def _gap(picture: Load, r: Any) -> float | None:
    x, a = picture.lately, picture.zone == 0
    if a.sum() < 5 or r.sum() < 5:
        return None
    low, high = x[a].min(), x[r].max()
    near_a, near_r = a & (x <= high), r & (x >= low)
    if near_a.sum() < 5 or near_r.sum() < 5:
        return None
    edges = np.unique(np.quantile(x[near_a | near_r], [0, 0.25, 0.5, 0.75, 1]))
    gaps: list[tuple[float, int]] = []
    for lo, hi in itertools.pairwise(edges):
        at: Any = (x >= lo) & (x <= hi)
        if (near_a & at).sum() >= 2 and (near_r & at).sum() >= 2:
            gaps.append((float(picture.slow[near_a & at].mean() - picture.slow[near_r & at].mean()), int((near_a & at).sum())))
    return float(np.average([g for g, _ in gaps], weights=[n for _, n in gaps])) if gaps else None


def contrast(picture: Load) -> tuple[float, float]:
    """Share of slow requests in the busy and in the quiet third of the bins."""
    x = picture.lately
    low, high = np.quantile(x, [1 / 3, 2 / 3])
    weight = picture.rate

    def mean(at: Any) -> float:
        return float(np.average(picture.slow[at], weights=weight[at])) if at.any() and weight[at].sum() else 0.0

    return mean(x >= high), mean(x <= low)


def owned(picture: Load) -> float:
    """Seconds above what the quiet third costs a request, as a share of all request-seconds."""
    quiet = picture.lately <= np.quantile(picture.lately, 1 / 3)
    calm = picture.excess[quiet].sum() / max(picture.rate[quiet].sum(), 1e-9)
    above = np.maximum(0.0, picture.excess - calm * picture.rate)[~quiet]
    return float(above.sum()) / max(float(picture.spent.sum()), 1e-9)


def slower_together(account: TimeAccount) -> float:
    """Of the routes with enough requests in both windows, the share (by requests and by number) whose p50 or p95 rose by a quarter."""
    busy = [r for r in account.routes if r.affected.durations.n >= 30 and r.reference.durations.n >= 30]
    slower = [r for r in busy if any((r.affected.quantile(q) or 0) > 1.25 * (r.reference.quantile(q) or 0) + 500 for q in (0.5, 0.95))]
    by_requests = sum(r.affected.count for r in slower) / max(1, sum(r.affected.count for r in busy))
    return min(by_requests, len(slower) / max(1, len(busy)))
