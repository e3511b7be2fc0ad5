"""Is the stretch that counts as normal steady? Steps of level and load, warm-up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from perfaudit.baseline.levels import Course
from perfaudit.baseline.note import Note
from perfaudit.model import iso
from perfaudit.stats.changepoint import Changes, changes
from perfaudit.stats.steady import truncation

#: A level that moves by less than a tenth is steady for what a baseline decides: comparisons of recordings of this kind tell no less
#: (their minimum detectable effect is printed). Load may move by a quarter (see :data:`perfaudit.baseline.representative.LOAD`).
MOVES, LOAD_MOVES = 0.10, 0.25
#: Fewer bins tell no change from noise (as in :mod:`perfaudit.baseline.windows`).
LEAST_BINS = 20


@dataclass(frozen=True)
class Steadiness:
    """What changed, in the level of durations (mix held constant) and in the arrivals of a stretch; None below :data:`LEAST_BINS` points."""

    run: Course
    level: Changes | None
    load: Changes | None


def of(run: Course) -> Steadiness:
    """Search the course of a stretch for changes."""
    if len(run) < LEAST_BINS:
        return Steadiness(run, None, None)
    return Steadiness(run, changes(run.rank), changes(run.count))


def notes(found: Steadiness) -> list[Note]:
    """Steps in level and load, warm-up, of what counts as normal."""
    run = found.run
    if found.level is None or found.load is None:
        return [Note("stationarity", None, f"{len(run)} points in time tell no step from noise; {LEAST_BINS} are the least", len(run), "points", LEAST_BINS), _warm_up(run)]
    return [
        _moves("stationarity", "the level of durations, mix held constant,", run, found.level, run.spent, MOVES),
        _moves("steady load", "the arrival rate", run, found.load, run.count / max(1e-12, run.count.mean()), LOAD_MOVES),
        _warm_up(run),
    ]


def _moves(check: str, what: str, run: Course, seen: Changes, size: Any, most: float) -> Note:
    """Steps and drift; their size is told in ``size`` (relative to 1)."""
    if not seen.can_tell:
        return Note(check, None, f"{what} cannot be judged: {seen.reason}", most=most)
    starts = seen.starts
    level = [float(size[a:b].mean()) for a, b in zip(starts, [*starts[1:], len(size)], strict=True)]
    said = f"no step in {what} over {len(run)} points of {run.seconds:,.0f} s"
    if seen.drift is not None:
        third = max(1, len(size) // 3)
        level = [float(size[:third].mean()), float(size[-third:].mean())]
        said = f"{what} drifts by {level[1] / max(level[0], 1e-12) - 1:+.0%} from its first to its last third"
    moved = max(level) / max(min(level), 1e-12) - 1
    if seen.points:
        largest = max(range(1, len(level)), key=lambda i: abs(math.log(max(level[i], 1e-12) / max(level[i - 1], 1e-12))))
        point = seen.points[largest - 1]
        change = level[largest] / max(level[largest - 1], 1e-12) - 1
        said = f"{what} moves by {change:+.0%} at {iso(int(run.start[point.at]))} ({iso(int(run.start[point.low]))} to {iso(int(run.start[point.high]))})"
        said += f", and {len(seen.points) - 1} more times" if len(seen.points) > 1 else ""
    small = (seen.points or seen.drift is not None) and moved <= most
    return Note(check, moved <= most, f"{said}: less than what matters" if small else said, moved, "relative change", most=most)


def _warm_up(run: Course) -> Note:
    """MSER-5 on the level, standardised by route; what it would cut matters where it moved the mean."""
    cut = truncation(run.log)
    if cut.index is None:
        return Note("warm-up", None, f"cannot be told: {cut.reason}")
    bias, seconds = math.expm1(cut.bias), cut.index * run.seconds
    said = f"the first {seconds:,.0f} s lift the mean duration by {bias:+.1%} (MSER-5)" if cut.index else "no warm-up at the beginning (MSER-5)"
    return Note("warm-up", abs(bias) <= MOVES, said, bias, "relative change", most=MOVES)
