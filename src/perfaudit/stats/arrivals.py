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

#: Arrivals that a bin should hold: with 20 a Poisson bin falls below half its mean in 1 of 200, and a run of two almost never.
PER_BIN = 20
#: The shortest bin: load generators answer to tens of milliseconds.
LEAST_BIN_US = 100_000
#: How far around a bin its usual rate is looked for; stalls up to three quarters of it are seen.
AROUND_US = 10_000_000
#: A bin below this share of its usual rate is a candidate of a stall.
FALLEN = 0.5
#: A stall swallows at least this many standard deviations (Poisson) of what was due.
SIGMA = 6.0
#: In flight at this share of its highest value, in this share of the time: the number of users bounds it.
CONSTANT_SHARE, CONSTANT_TIME = 0.9, 0.8
#: In flight this many times its median while no arrival is missing: arrivals do not wait.
SURGE = 3.0


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
    width = int(max(LEAST_BIN_US, resolution, PER_BIN * span / len(starts)))
    n = span // width + 1
    edges = starts[0] + np.arange(n) * width
    arrivals = np.bincount((starts - starts[0]) // width, minlength=n)
    return Flow(int(starts[0]), width, arrivals.astype(np.int64), np.searchsorted(starts, edges, "left") - np.searchsorted(ends, edges, "right"))


def stalls(seen: Flow) -> list[Stall]:
    """Stretches in which arrivals fell to under half of what came before and after, while requests were in flight."""
    usual = _usual(seen)
    low = seen.arrivals[:-1] < FALLEN * usual[:-1]  # the last bin is cut short
    edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    found = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        a, b = int(a), int(b)
        # The bins beside a run are its ragged edges: part of them belongs to the stall.
        first, last = max(0, a - 1), min(len(low), b + 1)
        due, came = float(usual[first:last].sum()), int(seen.arrivals[first:last].sum())
        stuck = float(seen.in_flight[a + 1 : b + 1].min()) if b + 1 <= len(seen.in_flight) else 0.0
        if due - came >= SIGMA * np.sqrt(max(due, 1.0)) and stuck > 0:
            found.append(Stall(seen.origin + a * seen.width, seen.origin + b * seen.width, due, came, stuck))
    return found


def _usual(seen: Flow) -> NDArray[np.float64]:
    """The rate that is usual around each bin: the lower of the 75th percentiles before and behind it, so that a step is no stall."""
    count, reach = seen.arrivals.astype(np.float64), max(8, AROUND_US // seen.width)
    out = np.zeros(len(count))
    for i in range(len(count)):
        before, behind = count[max(0, i - reach) : i], count[i + 1 : i + 1 + reach]
        sides = [float(np.quantile(side, 0.75)) for side in (before, behind) if len(side) >= 4]
        out[i] = min(sides) if sides else 0.0
    return out


def model(seen: Flow, stopped: list[Stall]) -> tuple[str, str]:
    """``open``, ``closed`` or ``unknown`` from the arrivals alone, and why."""
    if stopped:
        worst = max(stopped, key=lambda s: s.missing)
        return "closed", f"arrivals fell to {worst.came} of {worst.due:.0f} due while {worst.in_flight:.0f} requests waited: they wait for responses"
    middle, most = float(np.median(seen.in_flight)), int(seen.in_flight.max(initial=0))
    if most >= 8 and most >= SURGE * max(middle, 1.0):
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
