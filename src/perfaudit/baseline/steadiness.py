"""Is the stretch that counts as normal steady? Steps of level and load, warm-up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfaudit.baseline.levels import Course
from perfaudit.baseline.note import Note
from perfaudit.model import iso
from perfaudit.stats.changepoint import normal_scores, segment
from perfaudit.stats.steady import truncation

#: A level that moves by less than a tenth is steady for what a baseline decides: comparisons of recordings of this kind tell no less
#: (their minimum detectable effect is printed). Load may move by a quarter (see :data:`perfaudit.baseline.representative.LOAD`).
MOVES, LOAD_MOVES = 0.10, 0.25
#: Fewer bins tell no change from noise (as in :mod:`perfaudit.baseline.windows`).
LEAST_BINS = 20


def notes(run: Course) -> list[Note]:
    """Steps in level and load, warm-up, of the course of what counts as normal."""
    return [*_steps(run), _warm_up(run)]


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
