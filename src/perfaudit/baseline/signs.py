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


class Arrivals(NamedTuple):
    """Arrivals while the slowest requests were in flight, and how many were due at the rate just before and after; ``seconds``: how long that was."""

    seen: int
    due: float
    seconds: float


def notes(stream: Stream) -> list[Note]:
    """Coordinated omission, resolution of times, bundled times."""
    batches = list(stream.batches())
    if not batches:
        return []
    time, duration = (np.concatenate([b[i] for b in batches]) if len(batches) > 1 else batches[0][i] for i in (0, 1))
    return [_omission(time, duration), _resolution(time, duration)]


def _omission(time: Any, duration: Any) -> Note:
    found = arrivals_while_slow(time, duration)
    if found is None or found.due < DUE:
        return Note("coordinated omission", None, "no stall was long enough, at this rate of arrivals, for arrivals to stop in it")
    kept = found.seen / found.due
    said = f"while the slowest requests ran ({found.seconds:,.1f} s in all) {found.seen:,} requests arrived and {found.due:,.0f} were due: {kept:.0%}"
    why = "; whoever asks waits for answers (a closed loop, or a queue that the log does not see), so the slow time is underrated" if kept < KEPT else "; arrivals do not wait for answers"
    return Note("coordinated omission", kept >= KEPT, said + why, kept, "share of arrivals due", least=KEPT)


def arrivals_while_slow(time: Any, duration: Any) -> Arrivals | None:
    """Arrivals in the spells of the :data:`SPELLS` slowest requests; None where nothing was much slower than the median.

    ``time``: arrivals, µs, ``duration``: µs, negative where unknown; both of shape (n,), in no order.
    """
    known = duration[duration >= 0]
    if len(known) < 2 * DUE:
        return None
    slowest = np.argpartition(duration, len(duration) - SPELLS)[-SPELLS:]
    slowest = slowest[duration[slowest] >= max(1, SLOW * np.median(known))]
    seen, due, length = 0, 0.0, 0
    first, last = int(time.min()), int(time.max()) + 1
    for begin, end in _united(sorted((int(time[i]) + 1, int(time[i] + duration[i])) for i in slowest)):
        end = min(end, last)
        size = end - begin
        if size <= 0:
            continue
        before, after = (max(first, begin - size), begin), (end, min(last, end + size))
        around = [(b - a, int(np.count_nonzero((time >= a) & (time < b)))) for a, b in (before, after) if b - a >= size / 2]
        if around:
            seen += int(np.count_nonzero((time >= begin) & (time < end)))
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


def _resolution(time: Any, duration: Any) -> Note:
    """The coarsest unit that every logged instant is a multiple of; the log may hold the start or the end of a request."""
    step = max(1, len(time) // SAMPLE)
    start = time[::step]
    end = start + np.maximum(duration[::step], 0)
    unit = max((u for u in (1_000_000, 1_000, 1) if min(np.count_nonzero(start % u), np.count_nonzero(end % u)) <= 0.001 * len(start)), default=1)
    second = time // 1_000_000
    span = int(second.max() - second.min()) + 1
    counts = np.bincount(second - second.min(), minlength=span) if span <= 10_000_000 else np.ones(1)
    used = counts[counts > 0]
    empty = 1 - len(used) / len(counts)
    if len(counts) >= 60 and len(time) / len(counts) >= BUSY and empty >= EMPTY and _regular(counts):
        return Note("time stamps", False, f"{empty:.0%} of the seconds are empty at {len(time) / len(counts):,.0f} requests/s: times are written in bundles, so nothing shorter than a bundle can be told", empty, "share of seconds", most=EMPTY)
    said = {1_000_000: "whole seconds: which of two things began first within a second cannot be told", 1_000: "milliseconds", 1: "microseconds"}[unit]
    return Note("time stamps", True, f"times are logged to {said}", unit / 1e6, "s", most=1.0)


def _regular(counts: Any) -> bool:
    """Whether the gaps between busy seconds are many and alike, as bundles are, and not one long interruption."""
    busy = np.flatnonzero(counts)
    gaps = np.diff(busy)
    gaps = gaps[gaps > 1]
    return len(gaps) >= 10 and float(np.percentile(gaps, 90)) <= 3 * float(np.median(gaps))
