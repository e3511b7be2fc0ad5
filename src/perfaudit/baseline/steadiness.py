"""Is the stretch that counts as normal steady, and how much of a cycle does it hold?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.baseline.levels import Course, course
from perfaudit.baseline.note import Note
from perfaudit.model import Window, iso
from perfaudit.stats.changepoint import normal_scores, segment
from perfaudit.stats.steady import truncation

#: A level that moves by less than a tenth is steady for what a baseline decides: comparisons of recordings of this kind tell no less
#: (their minimum detectable effect is printed). Load may move by a quarter (see :data:`perfaudit.baseline.representative.LOAD`).
MOVES, LOAD_MOVES = 0.10, 0.25
#: Fewer bins tell no change from noise (as in :mod:`perfaudit.baseline.windows`).
LEAST_BINS = 20
#: Twice the slowest cycle: once shows its shape, twice that it returns.
PERIODS = 2
DAY, WEEK = 86_400, 604_800


def notes(cube: Cube, normal: Window) -> list[Note]:
    """Steps in level and load, warm-up, cycles of ``normal`` (the reference, else the whole recording)."""
    run = course(cube, normal)
    return [*_steps(run), _warm_up(run), *_cycles(normal)]


def _steps(run: Course) -> list[Note]:
    if len(run) < LEAST_BINS:
        return [Note("stationarity", None, f"{len(run)} points in time tell no step from noise; {LEAST_BINS} are the least", len(run), "points", LEAST_BINS)]
    return [
        _moves("stationarity", "the level of durations, mix held constant,", run, run.rank, run.spent, MOVES),
        _moves("steady load", "the arrival rate", run, run.count / run.seconds, run.count / max(1e-12, run.count.mean()), LOAD_MOVES),
    ]


def _moves(check: str, what: str, run: Course, series: Any, size: Any, most: float) -> Note:
    """Steps of ``series``; their size is told in ``size`` (relative to 1)."""
    starts = segment(normal_scores(series), least=max(3, len(series) // 40)) if float(np.ptp(series)) > 0 else [0]
    level = [float(size[a:b].mean()) for a, b in zip(starts, [*starts[1:], len(size)], strict=True)]
    if len(starts) == 1:
        return Note(check, True, f"no step in {what} over {len(run)} points of {run.seconds:,.0f} s", 0.0, "relative change", most=most)
    moved = max(level) / max(min(level), 1e-12) - 1
    largest = max(range(1, len(starts)), key=lambda i: abs(math.log(max(level[i], 1e-12) / max(level[i - 1], 1e-12))))
    change = level[largest] / max(level[largest - 1], 1e-12) - 1
    said = f"{what} moves by {change:+.0%} at {iso(int(run.start[starts[largest]]))}" + (f", and {len(starts) - 2} more times" if len(starts) > 2 else "")
    return Note(check, moved <= most, said if moved > most else f"{said}: less than what matters", moved, "relative change", most=most)


def _warm_up(run: Course) -> Note:
    """MSER-5 on the level, standardised by route; what it would cut matters where it moved the mean."""
    cut = truncation(run.log)
    if cut.index is None:
        return Note("warm-up", None, f"cannot be told: {cut.reason}")
    bias, seconds = math.expm1(cut.bias), cut.index * run.seconds
    said = f"the first {seconds:,.0f} s lift the mean duration by {bias:+.1%} (MSER-5)" if cut.index else "no warm-up at the beginning (MSER-5)"
    return Note("warm-up", abs(bias) <= MOVES, said, bias, "relative change", most=MOVES)


def _cycles(normal: Window) -> list[Note]:
    """The slowest cycles that traffic is known to have: the day and the week."""
    held = normal.seconds / DAY
    if held < PERIODS:
        return [Note("daily cycle", None, f"holds {held:.2g} of a day: it is normal for this hour of this weekday, and says nothing on others", held, "days", PERIODS)]
    weeks = normal.seconds / WEEK
    found = [Note("daily cycle", True, f"holds {held:.3g} days", held, "days", PERIODS)]
    if weeks < PERIODS:
        found.append(Note("weekly cycle", None, f"holds {weeks:.2g} of a week: it says nothing on other weekdays", weeks, "weeks", PERIODS))
    return found
