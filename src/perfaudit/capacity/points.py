"""Loads with what the system did at each of them: what every question of capacity is answered from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: What the load of a table is called when its header does not say more.
ANY_LOAD = "load"


@dataclass(frozen=True)
class Points:
    """Measurements at several loads, shape (n,) each.

    ``load``: concurrency or size N, > 0, in ``unit``; ``throughput``: completions per second. ``arrivals``: per second, where known (an open
    system: arrivals, not N, are then what was imposed). ``measured``: what the objective speaks of (ms, or a share of errors; p95 of all
    requests for separate runs), NaN where unknown. ``time``: start of each interval in µs, empty for separate runs. ``sized``: N is what
    would be bought (or run) more of; else it is what users bring. ``notes``: what was left out and why;
    ``whole``: all points, where some of a recording were left out.
    """

    load: Array
    throughput: Array
    measured: Array
    unit: str = ANY_LOAD
    arrivals: Array | None = None
    time: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    step: float = 0.0
    sized: bool = True
    query: str = ""
    notes: tuple[str, ...] = ()
    whole: Points | None = None

    @property
    def ordered(self) -> bool:
        """Whether the points follow each other in time."""
        return len(self.time) > 0

    @property
    def runs(self) -> bool:
        """Whether each point is a run of its own, at a load that was set; else an interval of a recording."""
        return self.arrivals is None

    @property
    def block(self) -> int:
        """How many neighbours to resample together: n^⅓ (Politis & White 2004), 1 for separate runs."""
        return max(1, round(2 * len(self.load) ** (1 / 3))) if self.ordered else 1

    def keep(self, mask: Any, *notes: str) -> Points:
        """Only the points of ``mask``, shape (n,), bool."""
        return replace(
            self, load=self.load[mask], throughput=self.throughput[mask], measured=self.measured[mask],
            arrivals=None if self.arrivals is None else self.arrivals[mask], time=self.time[mask] if self.ordered else self.time, notes=(*self.notes, *notes),
        )  # fmt: skip
