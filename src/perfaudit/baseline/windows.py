"""Which stretch does the audit speak about, and what is it compared with?

Given by the person, by separate baseline evidence, or found inside the recording: stretches in which a route departs, by a
practical amount, from its calm level. When nothing departs, the whole recording is the window and there is no reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from perfaudit.baseline.requests import Grid, eight_bits, gaps
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window, Windows
from perfaudit.stats.changepoint import normal_scores, segment

#: Routes that are searched: those that own the most time. Whole-site figures hide single routes.
ROUTES = 16
#: A bin holds this many requests on average at least, so that its mean rank is near normal (central limit).
PER_BIN = 6
#: Fewer bins than this cannot tell a change from noise (false alarms of `segment` by simulation: 8 % at 20 bins, φ 0.3).
LEAST_BINS, MOST_BINS = 20, 180
#: The least practical departure: what an operator would act on. p50 × 1.3, p95 × 1.5 and 2 ms, or one error in a hundred.
P50, P95, FLOOR_US, ERRORS = 1.3, 1.5, 2000.0, 0.01
#: "Extremely slow" is beyond this many times the calm p95, in at least this share of a bin's requests.
EXTREME, EXTREME_SHARE = 3.0, 0.2
#: Below this share of request-seconds (or of requests that fail) nothing is a finding (3-problems: relevance).
RELEVANT = 0.01
#: A departure that begins with the recording and is over within this share of it is a warm-up.
WARM_UP = 0.25
#: A departure that begins within this share of the recording began before it, as far as can be told.
EDGE = 0.03


@dataclass(frozen=True)
class Departure:
    """A stretch of one route that lies above its calm level."""

    route: str
    method: str
    window: Window
    calm: Window | None
    added_seconds: float
    added_errors: float
    step: int
    warm_up: bool


def find(
    evidence: Evidence,
    condition: str,
    whole: Window,
    *,
    baseline: Window | None = None,
    given: Window | None = None,
) -> Windows:
    """The windows of an audit. ``whole``: the recording under audit; ``baseline``: where the separate baseline lies."""
    if given is not None:
        reference, source = (baseline, "baseline") if baseline else (_rest(whole, given), "given")
        return Windows(whole, given, reference, source if reference else "given", (given.start,) * 3)
    departures = departures_of(evidence, condition, whole, baseline)
    notes = tuple(f"{d.method} {d.route} was slower while the recording began (until {d.window.end // 1_000_000}): read as warm-up" for d in departures if d.warm_up)
    real = [d for d in departures if not d.warm_up]
    if not real:
        calm = _without_warm_up(whole, departures)
        return Windows(whole, calm, baseline, "baseline" if baseline else "none", None, notes)
    first = max(real, key=lambda d: (d.added_errors + d.added_seconds, d.added_seconds))
    affected = _together(real, first)
    holes = _holes(evidence, condition, whole)

    reference = baseline or _without(first.calm or _rest(whole, affected), holes)
    inside = affected.start > whole.start + max(2 * first.step * 1_000_000, EDGE * (whole.end - whole.start))
    onset = (affected.start, affected.start - first.step * 1_000_000, affected.start + first.step * 1_000_000) if inside else None
    return Windows(whole, affected, reference, "baseline" if baseline else "found", onset, notes)


def _holes(evidence: Evidence, condition: str, whole: Window) -> list[Window]:
    grid = Grid.over(whole, MOST_BINS)
    count = np.zeros(grid.bins, np.int64)
    for b, n in evidence.rows(f"SELECT {grid.sql()} AS b, count(*) FROM requests WHERE ({condition}) AND {within(whole)} GROUP BY 1"):
        count[int(b)] = n
    return gaps(count, grid)


def _without(window: Window | None, holes: list[Window]) -> Window | None:
    """The longest part of ``window`` that no hole in the recording interrupts: two recordings in one folder are no steady state."""
    if window is None:
        return None
    pieces = [window]
    for hole in holes:
        pieces = [p for w in pieces for p in ((w,) if not w.overlap(hole) else (Window(w.start, hole.start), Window(hole.end, w.end))) if p.end > p.start]
    return max(pieces, key=lambda w: w.end - w.start, default=window)


def _without_warm_up(whole: Window, departures: list[Departure]) -> Window:
    ends = [d.window.end for d in departures if d.warm_up]
    return Window(max(ends), whole.end) if ends else whole


def _together(departures: list[Departure], first: Departure) -> Window:
    """The first departure's window, widened by other routes' departures that overlap most of it."""
    start, end = first.window.start, first.window.end
    for other in departures:
        if other.window.overlap(first.window) >= 0.5 * min(first.window.end - first.window.start, other.window.end - other.window.start) and other.added_seconds >= 0.25 * first.added_seconds:
            start, end = min(start, other.window.start), max(end, other.window.end)
    return Window(start, end)


def _rest(whole: Window, affected: Window) -> Window | None:
    before, after = Window(whole.start, affected.start), Window(affected.end, whole.end)
    least = 0.05 * (whole.end - whole.start)
    for candidate in (before, after):
        if candidate.end - candidate.start >= least:
            return candidate
    return None


def departures_of(evidence: Evidence, condition: str, whole: Window, baseline: Window | None) -> list[Departure]:
    """Every practical departure of a busy route, the most costly first."""
    grid = Grid.over(whole, MOST_BINS)
    spans = f"({within(whole)}" + (f" OR {within(baseline)})" if baseline else ")")
    busiest = evidence.rows(
        f"SELECT method, route, count(*), sum(duration_us) / 1e6 AS s FROM requests WHERE ({condition}) AND {within(whole)} AND route IS NOT NULL AND status <> 101"
        f" GROUP BY ALL ORDER BY s DESC NULLS LAST, count(*) DESC, method, route LIMIT {ROUTES}"
    )
    total_seconds = float(evidence.one(f"SELECT sum(duration_us) / 1e6 FROM requests WHERE ({condition}) AND {within(whole)}")[0] or 0)
    total_count = sum(int(n) for _, _, n, _ in busiest)
    failing = evidence.rows(
        f"SELECT method, route, count(*), 0.0 FROM requests WHERE ({condition}) AND {within(whole)} AND route IS NOT NULL AND status >= 500 GROUP BY ALL ORDER BY 3 DESC, method, route LIMIT 3"
    )
    found: list[Departure] = []
    for method, route in dict.fromkeys((m, r) for m, r, _, _ in [*busiest, *failing]):
        where = f"({condition}) AND {spans} AND route = {quote(route)} AND method {'= ' + quote(method) if method else 'IS NULL'}"
        data = evidence.columns(
            f"SELECT CASE WHEN {within(whole)} THEN {grid.sql()} ELSE -1 END AS b, {eight_bits('coalesce(duration_us, 0)')} AS d, count(*) AS n, count(*) FILTER (status >= 500) AS e FROM requests WHERE {where} GROUP BY ALL ORDER BY ALL"
        )
        cells = np.stack([np.asarray(data[k]).astype(np.int64) for k in ("b", "d", "n", "e")])
        found += _search(method or "", route, cells, grid, baseline)
    return sorted(
        (d for d in found if d.added_seconds >= RELEVANT * total_seconds or d.added_errors >= RELEVANT * total_count),
        key=lambda d: -(d.added_seconds + d.added_errors),
    )


@dataclass
class _Bins:
    """Merged bins of one route: first and last grid bin, and cells sorted by merged bin."""

    first: Any
    last: Any
    of: Any
    bucket: Any
    n: Any
    e: Any


def _search(method: str, route: str, cells: Any, grid: Grid, baseline: Window | None) -> list[Departure]:
    own, other = cells[:, cells[0] >= 0], cells[:, cells[0] < 0]
    if own[2].sum() < LEAST_BINS * PER_BIN or (baseline is not None and other[2].sum() < LEAST_BINS):
        return []
    bins = _merged(own)
    k = len(bins.first)
    if k < LEAST_BINS // 2:
        return []
    weight = np.bincount(bins.of, bins.n, k)
    score = _normal_scores(cells[1], cells[2])
    p90 = _quantile(cells[1], cells[2], 0.9)
    series = {
        "level": np.bincount(bins.of, bins.n * _look_up(score, bins.bucket), k) / weight,
        "tail": np.bincount(bins.of, bins.n * (bins.bucket > p90), k) / weight,
        "errors": np.bincount(bins.of, bins.e, k) / weight,
    }
    best: list[Departure] = []
    slow = _slow_share(bins, series["level"], k)
    candidates = [(values, segment(normal_scores(values), least=max(3, k // 40))) for values in series.values() if float(np.ptp(values)) > 0]
    candidates.append((slow, _episode(slow)))
    for values, starts in candidates:
        if len(starts) == 1 and baseline is None:
            continue
        best = max(best, _departing(method, route, bins, starts, other, grid, values), key=lambda ds: sum(d.added_seconds + d.added_errors for d in ds))
    return best


def _slow_share(bins: _Bins, level: Any, k: int) -> Any:
    """Per bin, the share of requests that take over EXTREME times the p95 of the calmest third of the bins."""
    calm = level[bins.of] <= np.quantile(level, 1 / 3)
    bar = EXTREME * (_quantile(bins.bucket[calm], bins.n[calm], 0.95) + FLOOR_US)
    return np.bincount(bins.of, bins.n * (bins.bucket > bar), k) / np.bincount(bins.of, bins.n, k)


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


def _departing(method: str, route: str, bins: _Bins, starts: list[int], baseline: Any, grid: Grid, values: Any) -> list[Departure]:
    ends = [*starts[1:], len(bins.first)]
    parts = [np.isin(bins.of, np.arange(a, b)) for a, b in zip(starts, ends, strict=True)]
    if baseline.shape[1]:
        calm_cells, calm_at = (baseline[1], baseline[2], baseline[3]), None
    else:
        weight = np.bincount(bins.of, bins.n, len(bins.first))
        level = [float(np.average(values[a:b], weights=weight[a:b])) for a, b in zip(starts, ends, strict=True)]
        long_enough = [i for i, (a, b) in enumerate(zip(starts, ends, strict=True)) if b - a >= max(3, len(bins.first) // 10)] or list(range(len(starts)))
        calm_at = min(long_enough, key=lambda i: level[i])
        calm_cells = (bins.bucket[parts[calm_at]], bins.n[parts[calm_at]], bins.e[parts[calm_at]])
    calm_mean, calm_errors = float(np.average(calm_cells[0], weights=calm_cells[1])), calm_cells[2].sum() / calm_cells[1].sum()
    calm = {q: _quantile(calm_cells[0], calm_cells[1], q) for q in (0.5, 0.95)}
    runs: list[tuple[int, int, float, float]] = []
    for i, (a, b) in enumerate(zip(starts, ends, strict=True)):
        if i == calm_at:
            continue
        bucket, n, e = bins.bucket[parts[i]], bins.n[parts[i]], bins.e[parts[i]]
        slower = any(_quantile(bucket, n, q) >= factor * calm[q] + FLOOR_US * (factor - 1) for q, factor in ((0.5, P50), (0.95, P95)))
        failing = e.sum() / n.sum() >= calm_errors + ERRORS
        if not (slower or failing):
            continue
        seconds = max(0.0, float((bucket * n).sum() - calm_mean * n.sum())) / 1e6 if slower else 0.0
        errors = max(0.0, float(e.sum() - calm_errors * n.sum())) if failing else 0.0
        if runs and runs[-1][1] == a:
            runs[-1] = (runs[-1][0], b, runs[-1][2] + seconds, runs[-1][3] + errors)
        else:
            runs.append((a, b, seconds, errors))
    step = max(1, round(float(np.median(bins.last - bins.first + 1)))) * grid.step
    calm_window = None if calm_at is None else grid.window(int(bins.first[starts[calm_at]]), int(bins.last[ends[calm_at] - 1]))
    whole = len(bins.first)
    return [
        Departure(route, method, grid.window(int(bins.first[a]), int(bins.last[b - 1])), calm_window, seconds, errors, step, warm_up=a == 0 and b <= WARM_UP * whole and b < whole)
        for a, b, seconds, errors in runs
    ]


def _merged(cells: Any) -> _Bins:
    """Merge neighbouring grid bins until each holds :data:`PER_BIN` requests on average; empty stretches are skipped."""
    used, position = np.unique(cells[0], return_inverse=True)
    per_bin = np.bincount(position, cells[2])
    size = max(1, int(np.ceil(PER_BIN * len(used) / per_bin.sum())))
    group = np.arange(len(used)) // size
    first, last = used[np.searchsorted(group, np.unique(group))], used[np.searchsorted(group, np.unique(group), side="right") - 1]
    return _Bins(first, last, group[position], cells[1], cells[2], cells[3])


def _normal_scores(bucket: Any, n: Any) -> tuple[Any, Any]:
    """Distinct buckets and the normal score of their mid-rank (van der Waerden)."""
    distinct, position = np.unique(bucket, return_inverse=True)
    count = np.bincount(position, n)
    middle = (np.cumsum(count) - count / 2) / count.sum()
    normal = NormalDist()
    return distinct, np.array([normal.inv_cdf(float(p)) for p in middle])


def _look_up(scores: tuple[Any, Any], bucket: Any) -> Any:
    return scores[1][np.searchsorted(scores[0], bucket)]


def _quantile(bucket: Any, n: Any, q: float) -> float:
    order = np.argsort(bucket, kind="stable")
    ranks = np.cumsum(n[order])
    return float(bucket[order][int(np.searchsorted(ranks, np.ceil(q * ranks[-1] - 1e-9)))])
