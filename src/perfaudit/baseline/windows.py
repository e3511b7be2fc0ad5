"""Which stretch does the audit speak about, and what is it compared with?

Given by the person, by separate baseline evidence, or found inside the recording: stretches in which a route departs, by a
practical amount, from its calm level. When nothing departs, the whole recording is the window and there is no reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from perfaudit.baseline.cube import REST, Cube, Grid
from perfaudit.model import Window, Windows, iso
from perfaudit.stats.changepoint import Changes, changes

#: A bin holds this many requests on average at least, so that its mean rank is near normal (central limit).
PER_BIN = 6
#: Fewer bins than this cannot tell a change from noise (false alarms of `changes` by simulation: 9 % at 20 bins, φ 0.3).
LEAST_BINS, MOST_BINS = 20, 180
#: The least practical departure: what an operator would act on. A percentile times FACTOR and longer by LEAST_US, or times MUCH
#: and longer by FLOOR_US; or one error in a hundred. Logs in milliseconds tell 1 from 2 only just, and on a shared machine nothing
#: but its neighbours moved p95 of healthy recordings from 7 to 17 ms (tests/cases 031, 121, 131).
FACTOR, LEAST_US = {0.5: 1.3, 0.95: 1.5}, {0.5: 5_000.0, 0.95: 20_000.0}
MUCH, FLOOR_US, ERRORS = 4.0, 2_000.0, 0.01
#: "Extremely slow" is beyond this many times the calm p95, in at least this share of a bin's requests.
EXTREME, EXTREME_SHARE = 3.0, 0.2
#: Below this share of request-seconds (or of requests that fail) nothing is a finding (3-problems: relevance).
RELEVANT = 0.01
#: A warm-up (caches, pools, compilation) is over within this many seconds. A choice, not a measurement: a fault of minutes is never taken for one.
WARM_UP = 60
#: Logs that write whole seconds place an arrival up to a second early.
CLOCK = 1
#: Cycles that people's work has, seconds: a day and a week. Others are found.
CYCLES = (86_400.0, 604_800.0)
#: Parts into which a cycle is divided, and how often it must have been slow to be called recurring.
PHASES, RECURS = 24, 3
#: A departure that begins within this share of the recording began before it, as far as can be told.
EDGE = 0.03


@dataclass(frozen=True)
class Departure:
    """A stretch of one route that lies above its calm level; ``first``: it begins with the recording and ends before it.

    ``began``: the interval in which it begins, as the series tells it; the step of the bins is not in it. ``every``: seconds after which it recurs,
    0 where it does not.
    """

    route: str
    method: str
    window: Window
    calm: Window | None
    added_seconds: float
    added_errors: float
    step: int
    first: bool
    began: tuple[int, int]
    every: float = 0.0


def find(cube: Cube, whole: Window, *, baseline: Window | None = None, given: Window | None = None) -> Windows:
    """The windows of an audit. ``whole``: the recording under audit; ``baseline``: where the separate baseline lies.

    A given window that leaves no rest to compare with is searched as if it were not given.
    """
    rest = _rest(whole, given) if given is not None else None
    if given is not None and (baseline or rest):
        return Windows(whole, given, baseline or rest, "baseline" if baseline else "given", (given.start,) * 3)
    departures, searched = departures_of(cube, baseline is not None)
    warm = [] if baseline else _warm_up(departures, len(cube.keys) - 1)
    notes = tuple(f"{d.method} {d.route} was slower while the recording began (until {iso(d.window.end)}): read as warm-up" for d in warm)
    real = [d for d in departures if d not in warm]
    notes += tuple(dict.fromkeys(f"{d.method} {d.route} is slow again and again, about every {d.every:.3g} s: one such stretch stands for all of them" for d in real if d.every))
    if not real:
        calm = Window(max(d.window.end for d in warm), whole.end) if warm else whole
        return Windows(whole, calm, baseline, "baseline" if baseline else "none", None, notes, searched)
    first = max(real, key=lambda d: (d.added_errors + d.added_seconds, d.added_seconds))
    affected = _clip(_together(real, first), whole)
    reference = baseline or _without(_clip(first.calm, whole) or _rest(whole, affected), [*cube.gaps(), affected])
    inside = affected.start > whole.start + max(2 * first.step * 1_000_000, EDGE * (whole.end - whole.start))
    margin = (2 * first.step + CLOCK) * 1_000_000
    began = next((d.began for d in [first, *real] if d.window.start == affected.start), (affected.start, affected.start))
    onset = (affected.start, min(affected.start - margin, began[0]), max(affected.start + margin, began[1])) if inside else None
    return Windows(whole, affected, reference, "baseline" if baseline else "found", onset, notes, searched)


def _warm_up(departures: list[Departure], routes: int) -> list[Departure]:
    """Departures that are a warm-up: slow at the very beginning, soon over, without errors, and on half of the routes at least."""
    early = [d for d in departures if d.first and d.window.end - d.window.start <= WARM_UP * 1_000_000 and not d.added_errors]
    return early if len({(d.method, d.route) for d in early}) >= max(1, min(routes, 4) / 2) else []


def _clip(window: Window | None, whole: Window) -> Any:
    return window and Window(max(window.start, whole.start), min(window.end, whole.end))


def _without(window: Window | None, holes: list[Window]) -> Window | None:
    """The longest part of ``window`` that no hole in the recording interrupts: two recordings in one folder are no steady state."""
    if window is None:
        return None
    pieces = [window]
    for hole in holes:
        pieces = [p for w in pieces for p in ((w,) if not w.overlap(hole) else (Window(w.start, hole.start), Window(hole.end, w.end))) if p.end > p.start]
    return max(pieces, key=lambda w: w.end - w.start, default=window)


def _together(departures: list[Departure], first: Departure) -> Window:
    """The first departure's window, widened by other routes' departures that overlap most of it."""
    start, end = first.window.start, first.window.end
    for other in departures:
        if first.calm and other.window.overlap(first.calm) > 0.1 * (first.calm.end - first.calm.start):
            continue  # it was slow already while the first one was calm: another story
        shared = other.window.overlap(first.window)
        least = 0.5 * min(first.window.end - first.window.start, other.window.end - other.window.start)
        if shared >= least and other.added_seconds >= 0.25 * first.added_seconds:
            start, end = min(start, other.window.start), max(end, other.window.end)
    return Window(start, end)


def _rest(whole: Window, affected: Window) -> Window | None:
    before, after = Window(whole.start, affected.start), Window(affected.end, whole.end)
    least = 0.05 * (whole.end - whole.start)
    for candidate in (before, after):
        if candidate.end - candidate.start >= least:
            return candidate
    return None


def departures_of(cube: Cube, has_baseline: bool) -> tuple[list[Departure], float]:
    """Every practical departure of a route, the most costly first, and the share of the requests that could be searched.

    Routes with too few requests of their own are searched together, as ``other``.
    """
    own = cube.own.bins
    found: list[Departure] = []
    seen, small = 0, []
    for k, key in enumerate(cube.keys):
        departures = _search(*key, _durations(cube.hist[k], cube.count[k]), cube.errors[k], cube.values, cube.own, has_baseline) if key != REST else None
        if departures is None:
            small.append(k)
        else:
            seen += int(cube.count[k, :own].sum())
            found += departures
    hist, count, errors = (x[small].sum(axis=0) for x in (cube.hist, cube.count, cube.errors))
    together = _search(*REST, _durations(hist, count), errors, cube.values, cube.own, has_baseline)
    if together is not None:
        seen += int(count[:own].sum())
        found += together
    spent = float((cube.whole[:own] * cube.fine).sum()) / 1e6
    total = int(cube.count[:, :own].sum())
    relevant = [d for d in found if d.added_seconds >= RELEVANT * spent > 0 or d.added_errors >= RELEVANT * total]
    return sorted(relevant, key=lambda d: (-(d.added_seconds + d.added_errors), d.method, d.route)), seen / max(1, total)


def _durations(hist: Any, count: Any) -> Any:
    """The histogram; where a log has no durations, all requests at 0, so that errors can still be searched."""
    if hist.any():
        return hist
    bare = np.zeros_like(hist)
    bare[:, 0] = count
    return bare


@dataclass
class _Bins:
    """Merged bins of one route: first and last grid bin of each, counts and errors, and the cells (merged bin, µs, count)."""

    first: Any
    last: Any
    count: Any
    errors: Any
    of: Any
    value: Any
    n: Any


def _search(method: str, route: str, hist: Any, errors: Any, values: Any, grid: Grid, has_baseline: bool) -> list[Departure] | None:
    """Departures of one route; None when it holds too little to tell."""
    own, other = hist[: grid.bins], hist[grid.bins :].sum(axis=0)
    if own.sum() < LEAST_BINS * PER_BIN or (has_baseline and other.sum() < LEAST_BINS):
        return None
    bins = _merged(own, errors[: grid.bins], values)
    k = len(bins.first)
    if k < LEAST_BINS // 2:
        return None
    pooled = own.sum(axis=0) + other
    score, p90 = _normal_scores(pooled), _quantile(values, pooled, 0.9)
    at = np.searchsorted(values, bins.value)
    level = np.bincount(bins.of, bins.n * score[at], k) / bins.count
    series = (level, np.bincount(bins.of, bins.n * (bins.value > p90), k) / bins.count, bins.errors / bins.count)
    slow = _slow_share(bins, level)
    seconds = float(np.median(bins.last - bins.first + 1)) * grid.step
    searched = [(v, changes(v, periods=tuple(c / seconds for c in CYCLES))) for v in series if float(np.ptp(v)) > 0]
    candidates = [(v, found.starts, found) for v, found in searched]
    candidates.append((slow, _episode(slow), Changes()))
    baseline = (values, other, int(errors[grid.bins :].sum())) if has_baseline else None
    best: list[Departure] = []
    for v, starts, seen in candidates:
        if len(starts) > 1 or baseline is not None:
            best = max(best, _departing(method, route, bins, starts, baseline, grid, v, seen), key=lambda ds: sum(d.added_seconds + d.added_errors for d in ds))
    if not best and baseline is None and searched and (searched[0][1].drift or 0) > 0:  # no step, but a slope: the last two thirds against the first
        best = _departing(method, route, bins, [0, k // 3], None, grid, level, Changes())
    if not best and baseline is None:
        best = max((_recurring(method, route, bins, grid, v, found.season) for v, found in searched if found.season), key=len, default=[])
    return best


def _recurring(method: str, route: str, bins: _Bins, grid: Grid, series: Any, period: float) -> list[Departure]:
    """Stretches that a cycle makes slow, each against all that it leaves calm. A day and a week are how people live, not a fault."""
    k = len(series)
    seconds = float(np.median(bins.last - bins.first + 1)) * grid.step
    if any(abs(period * seconds / c - 1) < 0.1 for c in CYCLES):
        return []
    phase = np.floor(np.arange(k) % period / period * min(int(period), PHASES)).astype(int)
    profile = np.bincount(phase, series * bins.count) / np.maximum(np.bincount(phase, bins.count), 1)
    high = profile[phase] > (profile.max() + profile.min()) / 2
    starts = [0, *(int(i) + 1 for i in np.flatnonzero(high[1:] != high[:-1]))]
    calm = ~high[bins.of]
    if not calm.any() or len(starts) < 2 * RECURS:
        return []
    found = _departing(method, route, bins, starts, (bins.value[calm], bins.n[calm], bins.errors[~high].sum()), grid, series, Changes())
    windows = [grid.window(int(bins.first[a]), int(bins.last[b - 1])) for a, b in zip(starts, [*starts[1:], k], strict=True)]
    before = dict(zip((w.start for w in windows[1:]), windows, strict=False))
    return [replace(d, calm=before.get(d.window.start), every=period * seconds) for d in found] if len(found) >= RECURS else []


def _slow_share(bins: _Bins, level: Any) -> Any:
    """Per bin, the share of requests that take over EXTREME times the p95 of the calmest third of the bins."""
    calm = level[bins.of] <= np.quantile(level, 1 / 3)
    bar = EXTREME * (_quantile(bins.value[calm], bins.n[calm], 0.95) + FLOOR_US)
    return np.bincount(bins.of, bins.n * (bins.value > bar), len(level)) / bins.count


def _episode(slow: Any) -> list[int]:
    """Starts of segments around one episode: bins full of extremely slow requests that lie together; ``[0]`` when there is none.

    On and off within the episode is no hindrance (a migration that retries). Were ``m`` such bins spread at random over ``k``, all
    would fall within a stretch of ``h`` with a chance of at most m·(h/k)^(m−1) (scan statistic, Naus 1965).
    """
    k, marked = len(slow), np.flatnonzero(slow >= EXTREME_SHARE)
    m = len(marked)
    if m < 3:
        return [0]
    first, last = int(marked[0]), int(marked[-1])
    h = last - first + 1
    if m < 0.4 * h or m * (h / k) ** (m - 1) > 0.001:
        return [0]
    return sorted({0, first, last + 1} - {k})


def practical(q: float, now: float, before: float) -> bool:
    """Whether a percentile (``q`` 0.5 or 0.95, µs) rose by what an operator would act on."""
    longer = now - before
    return (now >= FACTOR[q] * before and longer >= LEAST_US[q]) or (now >= MUCH * before and longer >= FLOOR_US)


def _departing(method: str, route: str, bins: _Bins, starts: list[int], baseline: Any, grid: Grid, series: Any, seen: Changes) -> list[Departure]:
    ends = [*starts[1:], len(bins.first)]
    parts = [(a, b, (bins.of >= a) & (bins.of < b)) for a, b in zip(starts, ends, strict=True)]
    calm_at = None
    if baseline is None:
        level = [float(np.average(series[a:b], weights=bins.count[a:b])) for a, b, _ in parts]
        lengths = [b - a for a, b, _ in parts]
        least = max(3, len(bins.first) // 10, min(seen.season or 0, max(lengths)))  # a whole cycle where there is one: a night is no reference for a day
        long_enough = [i for i, n in enumerate(lengths) if n >= least] or list(range(len(starts)))
        calm_at = min(long_enough, key=lambda i: level[i])
        a, b, mine = parts[calm_at]
        baseline = (bins.value[mine], bins.n[mine], bins.errors[a:b].sum())
    value, n, failed = baseline
    calm_mean, calm_errors = float(np.average(value, weights=n)), failed / n.sum()
    calm = {q: _quantile(value, n, q) for q in (0.5, 0.95)}
    runs: list[tuple[int, int, float, float]] = []
    for i, (a, b, mine) in enumerate(parts):
        if i == calm_at:
            continue
        value, n, failed, count = bins.value[mine], bins.n[mine], bins.errors[a:b].sum(), bins.count[a:b].sum()
        slower = any(practical(q, _quantile(value, n, q), calm[q]) for q in calm)
        failing = failed / count >= calm_errors + ERRORS
        if not (slower or failing):
            continue
        seconds = max(0.0, float((value * n).sum() - calm_mean * n.sum())) / 1e6 if slower else 0.0
        errors = max(0.0, float(failed - calm_errors * count)) if failing else 0.0
        if runs and runs[-1][1] == a:
            runs[-1] = (runs[-1][0], b, runs[-1][2] + seconds, runs[-1][3] + errors)
        else:
            runs.append((a, b, seconds, errors))
    step = max(1, round(float(np.median(bins.last - bins.first + 1)))) * grid.step
    calm_window = None if calm_at is None else grid.window(int(bins.first[starts[calm_at]]), int(bins.last[ends[calm_at] - 1]))
    whole = len(bins.first)

    places = {p.at: (p.low, p.high) for p in seen.points}

    def at(i: int) -> int:
        return grid.window(int(bins.first[i]), int(bins.first[i])).start

    return [
        Departure(route, method, grid.window(int(bins.first[a]), int(bins.last[b - 1])), calm_window, seconds, errors, step, a == 0 and b <= whole / 4, (at(places.get(a, (a, a))[0]), at(places.get(a, (a, a))[1])))
        for a, b, seconds, errors in runs
    ]


def _merged(hist: Any, errors: Any, values: Any) -> _Bins:
    """Merge neighbouring bins until each holds :data:`PER_BIN` requests on average; empty stretches are skipped."""
    count = hist.sum(axis=1)
    used = np.flatnonzero(count)
    size = max(1, math.ceil(PER_BIN * len(used) / count.sum()), math.ceil(len(used) / MOST_BINS))
    begin = np.arange(0, len(used), size)
    merged = np.add.reduceat(hist[used].astype(np.int64), begin, axis=0)
    of, at = np.nonzero(merged)
    last = np.append(begin[1:], len(used)) - 1
    return _Bins(used[begin], used[last], merged.sum(axis=1), np.add.reduceat(errors[used], begin), of, values[at], merged[of, at])


def _normal_scores(count: Any) -> Any:
    """The normal score of the mid-rank of each bucket (van der Waerden), shape (buckets,)."""
    middle = (np.cumsum(count) - count / 2) / max(1, count.sum())
    normal = NormalDist()
    return np.array([normal.inv_cdf(float(min(max(p, 1e-12), 1 - 1e-12))) for p in middle])


def _quantile(value: Any, n: Any, q: float) -> float:
    order = np.argsort(value, kind="stable")
    ranks = np.cumsum(n[order])
    return float(value[order][int(np.searchsorted(ranks, np.ceil(q * ranks[-1] - 1e-9)))]) if len(ranks) and ranks[-1] else 0.0
