"""One pass over the requests: counts, errors and histograms of durations per route and time bin, for everything that looks at time.

The histograms keep 5 bits (buckets at most 6 % wide) per route and bin and 8 bits (0.8 %) for all routes together; exact figures come
from :mod:`perfaudit.baseline.requests`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from perfaudit.baseline.stream import Key, Stream, Total
from perfaudit.model import Window

#: A chart of about 1,000 pixels shows no more points, and a change is located to 1/360 of the recording.
MOST_BINS = 360
#: Routes with a histogram of their own: those that own the most time; the rest share one.
ROUTES = 40
FAILING = 4
BITS, WHOLE_BITS = 5, 8
#: Stands for all routes without a histogram of their own.
REST: Key = ("*", "other")
#: Lengths a bin may have, seconds.
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)

@dataclass(frozen=True)
class Grid:
    """A time grid: ``bins`` of ``step`` seconds from ``start`` (µs, a multiple of the step)."""

    start: int
    step: int
    bins: int

    @classmethod
    def over(cls, window: Window, most: int = MOST_BINS) -> Grid:
        """The finest grid over ``window`` with at most ``most`` bins."""
        for step in STEPS:
            first = window.start // (step * 1_000_000)
            bins = (window.end - 1) // (step * 1_000_000) - first + 1
            if bins <= most or step == STEPS[-1]:
                return cls(first * step * 1_000_000, step, int(bins))
        raise AssertionError

    def window(self, first: int, last: int) -> Window:
        """The window of the bins ``first`` … ``last`` (inclusive)."""
        return Window(self.start + first * self.step * 1_000_000, self.start + (last + 1) * self.step * 1_000_000)

    @property
    def starts(self) -> Any:
        """The start of every bin, shape (bins,), µs."""
        return self.start + np.arange(self.bins, dtype=np.int64) * self.step * 1_000_000


@dataclass(frozen=True)
class Cube:
    """The outermost tier's requests by route and time.

    ``own`` is the grid of the recording, ``base`` that of a separate baseline (its bins follow). ``keys``: routes, the most costly
    first; the last one stands for all others. ``count``, ``errors``: shape (keys, bins). ``hist``: shape (keys, bins, buckets),
    ``values`` their middles in µs. ``whole``: shape (bins, fine buckets), ``fine`` their middles.
    """

    own: Grid
    base: Grid | None
    keys: list[Key]
    count: Any
    errors: Any
    hist: Any
    whole: Any
    values: Any
    fine: Any

    @cached_property
    def place(self) -> dict[Key, int]:
        """Where each route stands among ``keys``."""
        return {key: k for k, key in enumerate(self.keys)}

    @property
    def bins(self) -> Any:
        """Start of every bin of both grids, µs."""
        return self.own.starts if self.base is None else np.concatenate([self.own.starts, self.base.starts])

    @property
    def steps(self) -> Any:
        """Length of every bin of both grids, seconds."""
        own = np.full(self.own.bins, self.own.step)
        return own if self.base is None else np.concatenate([own, np.full(self.base.bins, self.base.step)])

    def gaps(self) -> list[Window]:
        """Stretches of the recording without requests that its arrival rate makes implausible: odds under one in a million (Poisson)."""
        count = self.count[:, : self.own.bins].sum(axis=0)
        used = np.flatnonzero(count)
        if len(used) < 2:
            return []
        typical = float(np.median(count[used]))
        least = max(1, math.ceil(14 / max(typical, 0.1)))  # exp(-14) < 1e-6
        return [self.own.window(int(a) + 1, int(b) - 1) for a, b in itertools.pairwise(used) if b - a - 1 >= least]


def build(stream: Stream, whole: Window, baseline: Window | None) -> Cube:
    """Read the requests once. ``baseline``: where separate evidence lies, if any."""
    from perfaudit.kernels import histogram

    own, base = Grid.over(whole), Grid.over(baseline) if baseline else None
    keys = _keys(stream.totals)
    grids = [own] + ([base] if base else [])
    bins = sum(g.bins for g in grids)
    count, errors = np.zeros((len(keys) + 1, bins), np.int64), np.zeros((len(keys) + 1, bins), np.int64)
    hist = np.zeros((len(keys) + 1, bins, histogram.size(BITS)), np.uint32)
    fine = np.zeros((bins, histogram.size(WHOLE_BITS)), np.uint32)
    shape = [np.array([getattr(g, f) * (1_000_000 if f == "step" else 1) for g in grids], np.int64) for f in ("start", "step", "bins")]
    key_of = stream.numbered({key: k for k, key in enumerate(keys)}, len(keys))
    for batch in stream.batches():
        histogram.accumulate(*batch, key_of, *shape, count, errors, hist, fine, BITS, WHOLE_BITS)
    return Cube(own, base, [*keys, REST], count, errors, hist, fine, histogram.middles(BITS), histogram.middles(WHOLE_BITS))


def _keys(totals: dict[Key, Total]) -> list[Key]:
    known = [t for t in totals.values() if t.route]
    costly = sorted(known, key=lambda t: (-t.micros, -t.count, t.key))[:ROUTES]
    failing = [t for t in sorted(known, key=lambda t: (-t.errors, t.key))[:FAILING] if t.errors]
    return list(dict.fromkeys(t.key for t in [*costly, *failing]))
