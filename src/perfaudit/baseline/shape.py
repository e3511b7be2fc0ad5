"""The shape of the recording: series over time, heat map, in-flight, and how much of the time is covered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfaudit.baseline.requests import Grid, RouteRow, Series, gaps, series
from perfaudit.evidence.store import Evidence, quote
from perfaudit.model import Window, iso

#: A chart of about 1,000 pixels shows no more points; ten seconds where the recording allows it.
MOST_BINS, TEN_SECONDS = 360, 10
#: Rows of the heat map: four an octave.
ROWS_PER_OCTAVE = 2
ROUTES = 6


@dataclass
class Shape:
    """Series on one time grid, as ``result.json`` holds them."""

    covered_seconds: float = 0.0
    gaps: list[Window] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)
    route_series: list[dict[str, Any]] = field(default_factory=list)
    heatmap: dict[str, Any] = field(default_factory=dict)
    counts: Any = None
    grid: Grid | None = None


def grid_for(window: Window) -> Grid:
    """Ten-second bins for recordings of ten minutes to an hour; finer below, coarser above."""
    grid = Grid.over(window, MOST_BINS)
    return grid if grid.step >= TEN_SECONDS or window.seconds < 60 * TEN_SECONDS else Grid.over(window, max(60, int(window.seconds / TEN_SECONDS) + 2))


def build(evidence: Evidence, condition: str, span: Window, routes: list[RouteRow]) -> Shape:
    """The shape of all requests in ``span`` (recording and baseline together)."""
    grid = grid_for(span)
    whole = series(evidence, condition, grid)
    shape = Shape(counts=whole.count, grid=grid)
    shape.gaps = gaps(whole.count, grid)
    shape.covered_seconds = max(1e-6, span.seconds - sum(g.seconds for g in shape.gaps))
    shape.series = {
        "interval_s": grid.step,
        "start": iso(grid.start),
        "count": whole.count.tolist(),
        "rate_per_s": [n / grid.step for n in whole.count.tolist()],
        "error_ratio": [e / n if n else 0.0 for e, n in zip(whole.errors.tolist(), whole.count.tolist(), strict=True)],
        "in_flight": in_flight(whole),
        **{name: _ms(_whole_bins(whole.quantile(q), whole, span)) for name, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))},
    }
    for row in routes[:ROUTES]:
        if row.method == "*" or not row.all.durations.n:
            continue
        one = series(evidence, f"({condition}) AND route = {quote(row.route)} AND method {'= ' + quote(row.method) if row.method else 'IS NULL'}", grid)
        shape.route_series.append({"method": row.method or "-", "route": row.route, "p95_ms": _ms(one.quantile(0.95)), "count": one.count.tolist()})
    shape.heatmap = _heatmap(whole)
    return shape


def _whole_bins(values: list[float | None], whole: Series, span: Window) -> list[float | None]:
    """Without the first and last bin where the recording covers less than half of them: a few requests make no percentile."""
    out = list(values)
    for b in {0, len(out) - 1} if out else ():
        if whole.grid.window(b, b).overlap(span) < 500_000 * whole.grid.step:
            out[b] = None
    return out


def _ms(values: list[float | None]) -> list[float | None]:
    return [None if v is None else v / 1e3 for v in values]


def in_flight(whole: Series) -> list[float]:
    """Mean requests in flight per bin, rebuilt from arrivals and durations (Little: N = Σ overlap / bin length).

    Each request is spread over the bins that it spans, from the middle of its arrival bin.
    """
    step = whole.grid.step * 1e6
    bins = whole.grid.bins
    out = np.zeros(bins + 2)
    duration, n, at = whole.bucket.astype(np.float64), whole.number, whole.bin
    # Mean overlap with the arrival bin of a request of length d that arrives uniformly in it: d − d²/2L for d ≤ L, else L/2.
    first = np.where(duration <= step, duration - duration**2 / (2 * step), step / 2)
    np.add.at(out, at, n * first)
    rest = duration - first
    k = 1
    while len(at) and float(rest.max()) > 1:
        part = np.minimum(rest, step)
        ahead = np.minimum(at + k, bins)
        np.add.at(out, ahead, n * part)
        rest, k = rest - part, k + 1
        keep = rest > 1
        at, n, rest = at[keep], n[keep], rest[keep]
    return [float(v) for v in (out[:bins] / step)]


def _heatmap(whole: Series) -> dict[str, Any]:
    if not len(whole.bucket):
        return {}
    lowest = max(100.0, float(np.min(whole.bucket[whole.bucket > 0], initial=1000)))
    row = np.clip(np.floor(np.log2(np.maximum(whole.bucket, lowest) / lowest) * ROWS_PER_OCTAVE), 0, 60).astype(int)
    rows = int(row.max()) + 1
    counts = np.zeros((whole.grid.bins, rows), np.int64)
    np.add.at(counts, (whole.bin, row), whole.number)
    return {
        "interval_s": whole.grid.step,
        "start": iso(whole.grid.start),
        "bounds_ms": [lowest * 2 ** (i / ROWS_PER_OCTAVE) / 1e3 for i in range(rows + 1)],
        "counts": counts.tolist(),
    }
