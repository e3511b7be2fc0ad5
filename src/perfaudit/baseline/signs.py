"""Signs in the requests themselves that a recording does not show what users felt: arrivals that wait for answers, coarse or bundled times."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from perfaudit.baseline.note import Note
from perfaudit.baseline.stream import Stream

#: The slowest requests around which arrivals are counted, and how many arrivals must have been due then to tell.
SPELLS, DUE = 5, 30
#: Less than this share of the arrivals that were due: those who ask wait for answers. In open traffic the share is 1 ± 0.18 at 30 due
#: (Poisson), so that one half lies 2.7 standard deviations away; a closed loop of 20 users at 200/s keeps 5 % through a stall of 2 s.
KEPT = 0.5
#: Durations of this many times the median and more are a stall in which arrivals are counted; shorter ones hold too few arrivals.
SLOW = 5
#: Requests that are looked at for the resolution of times.
SAMPLE = 20_000
#: Times come in bundles when this share of the seconds between the first and the last is empty although at this rate (per second)
#: less than one in a million would be (Poisson: exp(−14)).
EMPTY, BUSY = 0.2, 14


#: Widths of the finest bins in which arrivals are counted, µs, and how many bins there may be.
WIDTHS, MOST_BINS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000), 4_000_000


class Arrivals(NamedTuple):
    """Arrivals while the slowest requests were in flight, and how many were due at the rate just before and after; ``seconds``: how long that was."""

    seen: int
    due: float
    seconds: float


class Counts(NamedTuple):
    """Arrivals up to the end of each bin of ``width`` µs from ``start`` (µs, a whole second); shape (bins,)."""

    start: int
    width: int
    upto: Any

    def between(self, begin: int, end: int) -> int:
        """Arrivals from ``begin`` to ``end``, to the nearest bins."""
        a, b = (min(len(self.upto), max(0, round((t - self.start) / self.width))) for t in (begin, end))
        return int((self.upto[b - 1] if b else 0) - (self.upto[a - 1] if a else 0))

    @property
    def seconds(self) -> Any:
        """Arrivals of each second; nothing where the bins are longer."""
        if self.width > 1_000_000:
            return np.empty(0, np.int64)
        return np.diff(self.upto[1_000_000 // self.width - 1 :: 1_000_000 // self.width], prepend=0)


def notes(stream: Stream, median: float | None) -> list[Note]:
    """Coordinated omission, resolution of times, bundled times. ``median``: of all durations, µs; None where none was logged."""
    batches = [(b[0], b[1]) for b in stream.batches() if len(b[0])]
    if not batches:
        return []
    counts = counted([time for time, _ in batches])
    unit = _unit(*batches[0])
    return [_omission(slowest(batches, median or 0.0), counts, median, unit), _resolution(unit, counts)]


def counted(times: list[Any]) -> Counts:
    """Arrivals over time; ``times``: arrays of instants, µs."""
    start = min(int(t.min()) for t in times) // 1_000_000 * 1_000_000
    seconds = (max(int(t.max()) for t in times) - start) // 1_000_000 + 1
    width = next((w for w in WIDTHS if seconds * 1_000_000 // w <= MOST_BINS), WIDTHS[-1])
    total: Any = np.zeros(-(-seconds * 1_000_000 // width), np.int64)
    for t in times:
        total += np.bincount((t - start) // width, minlength=len(total))
    return Counts(start, width, np.cumsum(total))


def slowest(batches: list[tuple[Any, Any]], median: float) -> list[tuple[int, int]]:
    """Begin and end, µs, of the :data:`SPELLS` slowest requests of all batches (arrivals, durations), if they took :data:`SLOW` medians."""
    found: list[tuple[int, int]] = []
    for time, duration in batches:
        top = np.argpartition(duration, -SPELLS)[-SPELLS:] if len(duration) > SPELLS else np.arange(len(duration))
        found += [(int(duration[i]), int(time[i])) for i in top if duration[i] >= max(1.0, SLOW * median)]
    return sorted((begin, begin + took) for took, begin in sorted(found)[-SPELLS:])


def _omission(slow: list[tuple[int, int]], counts: Counts, median: float | None, unit: int) -> Note:
    found = arrivals_while_slow(slow, counts, unit)
    if median is None or found.due < DUE:
        return Note("coordinated omission", None, "no stall was long enough, at this rate of arrivals, for arrivals to stop in it")
    kept = found.seen / found.due
    said = f"while the slowest requests ran ({found.seconds:,.1f} s in all) {found.seen:,} requests arrived and {found.due:,.0f} were due: {kept:.0%}"
    why = "; whoever asks waits for answers (a closed loop, or a queue that the log does not see), so the slow time is underrated" if kept < KEPT else "; arrivals do not wait for answers"
    return Note("coordinated omission", kept >= KEPT, said + why, kept, "share of arrivals due", least=KEPT)


def arrivals_while_slow(slow: list[tuple[int, int]], counts: Counts, unit: int = 0) -> Arrivals:
    """Arrivals in the spells of the slowest requests against what stretches of the same length just before and after make due.

    ``unit``: the resolution of the clock, µs; a spell shorter than a few of it tells nothing.
    """
    blur = max(counts.width, unit)
    seen, due, length = 0, 0.0, 0
    last = counts.start + len(counts.upto) * counts.width
    for begin, end in _united([(begin + blur, end) for begin, end in slow]):
        end = min(end, last)
        size = end - begin
        if size < 2 * blur:
            continue
        before, after = (max(counts.start, begin - size), begin), (end, min(last, end + size))
        around = [(b - a, counts.between(a, b)) for a, b in (before, after) if b - a >= size / 2]
        if around:
            seen += counts.between(begin, end)
            due += size * sum(n for _, n in around) / sum(s for s, _ in around)
            length += size
    return Arrivals(seen, due, length / 1e6)


def _united(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for begin, end in spans:
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((begin, end))
    return out


def _unit(time: Any, duration: Any) -> int:
    """The coarsest unit, µs, that every logged instant is a multiple of; the log may hold the start or the end of a request."""
    step = max(1, len(time) // SAMPLE)
    start = time[::step]
    end = start + np.maximum(duration[::step], 0)
    return max((u for u in (1_000_000, 1_000, 1) if min(np.count_nonzero(start % u), np.count_nonzero(end % u)) <= 0.001 * len(start)), default=1)


def _resolution(unit: int, counts: Counts) -> Note:
    per_second = counts.seconds
    rate, empty = (float(per_second.mean()), float(np.mean(per_second == 0))) if len(per_second) else (0.0, 0.0)
    if len(per_second) >= 60 and rate >= BUSY and empty >= EMPTY and _regular(per_second):
        return Note("time stamps", False, f"{empty:.0%} of the seconds are empty at {rate:,.0f} requests/s: times are written in bundles, so nothing shorter than a bundle can be told", unit="s", most=1.0)
    said = {1_000_000: "whole seconds: which of two things began first within a second cannot be told", 1_000: "milliseconds", 1: "microseconds"}[unit]
    return Note("time stamps", True, f"times are logged to {said}", unit / 1e6, "s", most=1.0)


def _regular(counts: Any) -> bool:
    """Whether the gaps between busy seconds are many and alike, as bundles are, and not one long interruption."""
    busy = np.flatnonzero(counts)
    gaps = np.diff(busy)
    gaps = gaps[gaps > 1]
    return len(gaps) >= 10 and float(np.percentile(gaps, 90)) <= 3 * float(np.median(gaps))
