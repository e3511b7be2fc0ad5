"""The shape of the recording as charts show it: series over time, heat map, requests in flight, gaps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfaudit.baseline.cube import MOST_BINS, Cube
from perfaudit.model import Window, iso

#: Ten seconds a point, the usual scrape interval, where the recording is long enough for sixty of them.
TEN_SECONDS, LEAST_POINTS = 10, 60
#: Rows of the heat map, per octave of duration.
ROWS_PER_OCTAVE = 2
#: Routes with a series of their own.
ROUTES = 6


@dataclass
class Shape:
    """Series on one time grid, as ``result.json`` holds them."""

    covered_seconds: float = 0.0
    gaps: list[Window] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)
    route_series: list[dict[str, Any]] = field(default_factory=list)
    heatmap: dict[str, Any] = field(default_factory=dict)


def build(cube: Cube, spans: list[Window]) -> Shape:
    """``spans``: the recording and, where there is one, the baseline; a near baseline is shown on the same axis."""
    at, step, bins, start = _axis(cube)
    shape = Shape(gaps=cube.gaps())
    shape.covered_seconds = max(1e-6, spans[0].seconds - sum(g.seconds for g in shape.gaps))
    shown = np.flatnonzero(at >= 0)
    shown = shown[np.argsort(at[shown], kind="stable")]
    whole = _gather(cube.whole[shown], at[shown], bins)
    count, errors = (_gather(x.sum(axis=0)[shown], at[shown], bins) for x in (cube.count, cube.errors))
    edges = _cut_bins(start, step, bins, spans)
    common = {"interval_s": step, "start": iso(start)}
    shape.series = {
        **common,
        "count": count.tolist(),
        "rate_per_s": (count / step).tolist(),
        "error_ratio": (errors / np.maximum(count, 1)).tolist(),
        "in_flight": in_flight(whole, cube.fine, step),
        **{name: _quantiles(whole, cube.fine, q, edges) for name, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))},
    }
    for k, (method, route) in enumerate(cube.keys[:-1][:ROUTES]):
        hist = _gather(cube.hist[k][shown], at[shown], bins)
        if hist.any():
            n = _gather(cube.count[k][shown], at[shown], bins)
            shape.route_series.append({"method": method or "-", "route": route, "p95_ms": _quantiles(hist, cube.values, 0.95, edges), "count": n.tolist()})
    shape.heatmap = common | _heatmap(whole, cube.fine) if whole.any() else {}
    return shape


def _axis(cube: Cube) -> tuple[Any, int, int, int]:
    """For every bin of the cube its place on the chart (−1: not shown), the step, the number of places and the start."""
    own = cube.own
    step = own.step
    if step < TEN_SECONDS and own.bins * step >= LEAST_POINTS * TEN_SECONDS:
        step = TEN_SECONDS
    near = cube.base is not None and max(cube.bins[-1], own.starts[-1]) - min(cube.bins.min(), own.start) <= MOST_BINS * step * 1_000_000
    starts = cube.bins.copy()
    if not near:
        starts = starts[: own.bins]
    place = starts // (step * 1_000_000)
    first = int(place.min())
    at = np.full(len(cube.bins), -1)
    at[: len(place)] = place - first
    return at, step, int(place.max()) - first + 1, first * step * 1_000_000


def _gather(rows: Any, at: Any, bins: int) -> Any:
    """Rows summed by their (ascending) place."""
    out = np.zeros((bins, *rows.shape[1:]), np.int64)
    starts = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    out[at[starts]] = np.add.reduceat(rows, starts, axis=0, dtype=np.int64)
    return out


def _cut_bins(start: int, step: int, bins: int, spans: list[Window]) -> set[int]:
    """Bins that a span covers by less than half: a few requests make no percentile."""
    length = step * 1_000_000
    touched = {(edge - start) // length for s in spans for edge in (s.start, s.end - 1)}
    return {b for b in touched if 0 <= b < bins and sum(Window(start + b * length, start + (b + 1) * length).overlap(s) for s in spans) < length / 2}


def _quantiles(hist: Any, values: Any, q: float, cut: set[int]) -> list[float | None]:
    ranks = np.cumsum(hist, axis=1)
    n = ranks[:, -1]
    index = (ranks < np.ceil(q * n - 1e-9)[:, None]).sum(axis=1)
    return [None if not n[b] or b in cut else float(values[min(index[b], len(values) - 1)]) / 1e3 for b in range(len(hist))]


def in_flight(hist: Any, values: Any, step: int) -> list[float]:
    """Mean requests in flight per bin, rebuilt from arrivals and durations (Little: N = Σ overlap / length).

    ``hist``: shape (bins, buckets), arrivals per bin and duration; ``values``: µs. Each request is spread over the bins that it
    spans, as if it arrived uniformly within its bin.
    """
    length, bins = step * 1e6, len(hist)
    out = np.zeros(bins + 1)
    at, bucket = np.nonzero(hist)
    n, duration = hist[at, bucket].astype(np.float64), values[bucket].astype(np.float64)
    # Mean overlap with the bin of arrival of a request of length d: d − d²/2L for d ≤ L, else L/2.
    part = np.where(duration <= length, duration - duration**2 / (2 * length), length / 2)
    rest = duration
    while len(at):
        np.add.at(out, np.minimum(at, bins), n * part)
        rest = rest - part
        keep = (rest > 1) & (at < bins)
        at, n, rest = at[keep] + 1, n[keep], rest[keep]
        part = np.minimum(rest, length)
    return [float(v) for v in out[:bins] / length]


def _heatmap(hist: Any, values: Any) -> dict[str, Any]:
    used = np.flatnonzero(hist.any(axis=0))
    lowest = max(100.0, float(values[used[0]]))
    row = np.clip(np.floor(np.log2(np.maximum(values[used], lowest) / lowest) * ROWS_PER_OCTAVE), 0, 60).astype(int)
    rows = int(row.max()) + 1
    counts = np.zeros((len(hist), rows), np.int64)
    np.add.at(counts.T, row, hist[:, used].T)
    return {"bounds_ms": [lowest * 2 ** (i / ROWS_PER_OCTAVE) / 1e3 for i in range(rows + 1)], "counts": counts.tolist()}
