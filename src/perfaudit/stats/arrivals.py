"""Do arrivals wait for responses? Stalls, the arrivals that they swallowed, and the percentiles without that omission.

A closed generator sends the next request when the last one is answered: while the system stands still it asks nothing, and the wait of
everybody who would have come is missing from its percentiles ("coordinated omission", G. Tene, "How NOT to Measure Latency", 2015;
Schroeder, Wierman & Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006). What is missing is counted here against
the rate before and after, so that no think time or number of users needs to be known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
"""Instants or durations in µs, shape (n,)."""

#: Arrivals that a bin should hold: fewer make bins too noisy, more make short stalls invisible.
PER_BIN = 10
#: The shortest bin: load generators answer to tens of milliseconds.
LEAST_BIN_US = 100_000
#: The most bins of a test: bins of a long one are wider (a day: 4 s), and shorter stalls are too small a part of it to matter.
MOST_BINS = 20_000
#: How far before and behind a bin its usual rate is looked for, and at which quantile: slow stretches of up to six tenths of it are seen,
#: a standstill of any length.
AROUND_US, USUAL = 10_000_000, 0.6
#: Bins that must lie on either side of one to tell what is usual.
SIDE = 2
#: A bin below this share of its usual rate is a candidate of a stall.
FALLEN = 0.5
#: A stall swallows at least this many standard deviations of what was due (Poisson, or the arrivals' own scatter where that is larger).
#: Measured: 0 of 220 Poisson streams of 300 s at 2, 20 and 200/s show one; 2 s of standstill are found in 100 % for 1 and 10 busy users, in 95 %
#: for 20 users who think half a second.
SIGMA = 4.5
#: In flight at this share of its highest value, in this share of the time: the number of users bounds it.
CONSTANT_SHARE, CONSTANT_TIME = 0.9, 0.8
#: In flight this many square roots above what the rate explains, as many requests again, and for so many bins: arrivals do not wait.
SURGE, SURGE_BINS = 8.0, 3


class Stall(NamedTuple):
    """Arrivals fell away between ``start`` and ``end`` (µs): ``due`` by the rate around it, ``came`` in fact, ``in_flight`` meanwhile."""

    start: int
    end: int
    due: float
    came: int
    in_flight: float

    @property
    def missing(self) -> int:
        """Arrivals that should have come and did not."""
        return round(self.due - self.came)


class Flow(NamedTuple):
    """Counts in bins of ``width`` µs from ``origin``: arrivals in each (n,), requests in flight at the start of each (n,)."""

    origin: int
    width: int
    arrivals: NDArray[np.int64]
    in_flight: NDArray[np.int64]


def flow(starts: Times, durations: Times, *, resolution: int = 1) -> Flow:
    """Arrivals and requests in flight over time. ``resolution``: µs to which instants are known; bins are no shorter. Needs n ≥ 1."""
    starts = np.asarray(starts, np.int64)
    ends = np.sort(starts + np.asarray(durations, np.int64))
    starts = np.sort(starts)
    span = max(1, int(starts[-1] - starts[0]))
    width = int(max(LEAST_BIN_US, resolution, PER_BIN * span / len(starts), span / MOST_BINS))
    n = span // width + 1
    edges = starts[0] + np.arange(n) * width
    arrivals = np.bincount((starts - starts[0]) // width, minlength=n)
    return Flow(int(starts[0]), width, arrivals.astype(np.int64), np.searchsorted(starts, edges, "left") - np.searchsorted(ends, edges, "right"))


def stalls(seen: Flow) -> list[Stall]:
    """Stretches in which arrivals fell to under half of what came before and after, while requests were in flight."""
    usual = _usual(seen)
    moving = seen.arrivals[(seen.arrivals > 0) | (seen.in_flight == 0)]
    middle = float(np.median(moving)) if len(moving) else 0.0
    scatter = (1.4826 * float(np.median(np.abs(moving - middle)))) ** 2 / middle if middle else 1.0
    bar = SIGMA * np.sqrt(max(1.0, scatter))
    found = []
    low = seen.arrivals < FALLEN * usual
    low[1:-1] |= low[:-2] & low[2:]  # one lively bin does not end a stall
    for a, b in _stretches(low):
        due, came = float(usual[a:b].sum()), int(seen.arrivals[a:b].sum())
        stuck = float(seen.in_flight[a + 1 : b].min() if b - a > 1 else seen.in_flight[a : b + 1].max())
        if due - came >= bar * np.sqrt(max(due, 1.0)) and stuck > 0:
            # The bins beside the stretch are its ragged edges.
            due, came = due + float(usual[a] + usual[b - 1]), int(seen.arrivals[a - 1 : b + 1].sum())
            found.append(Stall(seen.origin + a * seen.width, seen.origin + b * seen.width, due, came, stuck))
    return found


def _stretches(holds: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """``[a, b)`` of each stretch in which ``holds`` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _usual(seen: Flow) -> NDArray[np.float64]:
    """The rate that is usual around each bin: the lower of the :data:`USUAL` quantiles before and behind it, so that neither a step nor
    the end of a test is a stall. Bins without any arrival while requests wait are no neighbours. 0 where one side is too short to tell."""
    count, reach = seen.arrivals.astype(np.float64), max(8, AROUND_US // seen.width)
    moving = np.flatnonzero((count > 0) | (seen.in_flight == 0))
    kept, place = count[moving], np.searchsorted(moving, np.arange(len(count)))
    out = np.zeros(len(count))
    for i, at in enumerate(place):
        behind = at + int(at < len(moving) and moving[at] == i)
        if at >= SIDE and len(kept) - behind >= SIDE:
            out[i] = min(_quantile(kept[max(0, at - reach) : at]), _quantile(kept[behind : behind + reach]))
    return out


def _quantile(values: NDArray[np.float64]) -> float:
    place = int(USUAL * (len(values) - 1))
    return float(np.partition(values, place)[place])


def model(seen: Flow, stopped: list[Stall]) -> tuple[str, str]:
    """``open``, ``closed`` or ``unknown`` from the arrivals alone, and why."""
    if stopped:
        worst = max(stopped, key=lambda s: s.missing)
        return "closed", f"arrivals fell to {worst.came} of {worst.due:.0f} due while {worst.in_flight:.0f} requests waited: they wait for responses"
    middle, most = float(np.median(seen.in_flight)), int(seen.in_flight.max(initial=0))
    rate = float(np.median(seen.arrivals))
    usual = _usual(seen)
    expected = usual * (middle / rate) if rate else np.full(len(usual), np.inf)
    surge = (usual > 0) & np.isfinite(expected) & (seen.in_flight >= expected + SURGE * (1 + np.sqrt(expected)))
    if any(b - a >= SURGE_BINS for a, b in _stretches(surge)):
        return "open", f"arrivals kept their rate while requests in flight rose from {middle:.0f} to {most}"
    near = float(np.mean(seen.in_flight[1:] >= CONSTANT_SHARE * most)) if len(seen.in_flight) > 20 and most else 0.0
    if near >= CONSTANT_TIME:
        return "closed", f"{most} requests were in flight in {near:.0%} of the time: a new one begins when one ends"
    return "unknown", "nothing slowed enough to tell whether arrivals wait for responses"


def corrected(durations: Times, stopped: list[Stall]) -> tuple[Times, NDArray[np.int64]]:
    """Durations with those of the arrivals that stalls swallowed: each would have waited until the stall's end, and then as usual.

    Distinct values (µs) and their counts. A lower bound: the queue that would have stood behind the stall is not known.
    """
    usual = int(np.median(durations))
    swallowed = [usual + (np.arange(s.missing, dtype=np.int64) + 1) * (s.end - s.start) // (s.missing + 1) for s in stopped if s.missing > 0]
    values, counts = np.unique(np.concatenate([np.asarray(durations, np.int64), *swallowed]), return_counts=True)
    return values, counts
