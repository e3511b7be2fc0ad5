"""What the slowest requests wait for that the usual ones do not: the critical path by percentile.

The traces of a flow are ranked by duration. What those beyond a percentile spend on a component, less what the median band (p40 to p60) spends on it, adds up over
the components to the difference of the two durations. Intervals come from a cluster bootstrap with whole traces as clusters, in which the bands are ranked
anew each time (Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapters 8 and 13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.model import Measurement
from perfaudit.paths.traced import Labels
from perfaudit.paths.tracing import AFFECTED, Tracing

#: The bands: the slowest 5 % and 1 %, against the middle; the slowest quarter where there are too few traces for either.
SLOW = {"p95": 0.95, "p99": 0.99}
QUARTER = {"p75": 0.75}
MIDDLE = (0.4, 0.6)
#: Fewer traces beyond the percentile are single events, not a pattern (the interval of a mean of 10 is ± 0.7 standard deviations).
LEAST_SLOW = 10
#: Resamples for the ends of 95 % intervals (Efron & Tibshirani 1993, chapter 13: 1,000).
RESAMPLES = 1000
#: More traces than this are thinned to every k-th in order of time: then 200 lie beyond p99, and an interval costs a fifth of a second.
MOST_TRACES = 20_000
_SEED = 6


@dataclass(frozen=True)
class Part:
    """A component's part of the difference: ms in the slow band less ms in the middle, and the ms in both."""

    component: str
    difference: Measurement
    slow: float
    middle: float


@dataclass(frozen=True)
class Band:
    """What the traces beyond a percentile wait for. ``threshold``: the percentile in ms; ``difference``: of the mean durations; ``parts`` sum to it, the largest first."""

    percentile: str
    threshold: float
    traces: int
    difference: Measurement
    parts: tuple[Part, ...]


def bands(tracing: Tracing, found: Labels, flow: int) -> tuple[list[Band], str]:
    """The bands of a flow in the affected window, and why one is missing ("" where none is)."""
    roots = tracing.roots
    at = np.flatnonzero((tracing.flow[roots] == flow) & (tracing.zone[roots] == AFFECTED))
    n = len(at)
    at = at[:: -(-n // MOST_TRACES) or 1]
    at = at[np.argsort(tracing.whole[at], kind="stable")]
    matrix = _matrix(tracing, found, at)
    least = {name: round(LEAST_SLOW / (1 - q)) for name, q in (SLOW | QUARTER).items()}
    wanted = SLOW if len(at) >= least["p95"] else QUARTER
    out = [_band(name, q, tracing.whole[at], matrix, found.names) for name, q in wanted.items() if len(at) >= least[name]]
    missing = [name for name in SLOW if len(at) < least[name]]
    return out, f"{n:,} traces are too few for {' and '.join(missing)}: {least[missing[0]]:,} are needed" if missing else ""


def _matrix(tracing: Tracing, found: Labels, traces: Any) -> Any:
    """ms that each of these traces spends on each label, shape (traces, labels)."""
    position = np.full(len(tracing.roots), -1, np.int64)
    position[traces] = np.arange(len(traces))
    where = np.full(len(tracing.traces), -1, np.int64)
    inside = tracing.place >= 0
    where[inside] = position[tracing.place[inside]]
    span = np.flatnonzero(where >= 0)
    size = len(found.names)
    return np.bincount(where[span] * size + found.codes[span], tracing.on_path[span], len(traces) * size).reshape(-1, size) / 1e3


def _band(name: str, q: float, whole: Any, matrix: Any, labels: list[str]) -> Band:
    n = len(whole)
    once = np.ones(n)
    slow, middle = _means(once, matrix, q, 1.0), _means(once, matrix, *MIDDLE)
    rng, draws = np.random.default_rng(_SEED), np.empty((RESAMPLES, matrix.shape[1]))
    for i in range(RESAMPLES):
        times = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        draws[i] = _means(times, matrix, q, 1.0) - _means(times, matrix, *MIDDLE)
    count = int(n - np.floor(q * n))

    def measured(value: float, drawn: Any) -> Measurement:
        low, high = np.quantile(drawn, [0.025, 0.975])
        return Measurement(value, "ms", (float(low), float(high)), n=n, method=f"beyond {name} less the middle fifth; cluster bootstrap over traces, {RESAMPLES:,} resamples")

    order = np.argsort(-np.abs(slow - middle), kind="stable").tolist()
    parts = tuple(
        Part(labels[j], measured(float(slow[j] - middle[j]), draws[:, j]), float(slow[j]), float(middle[j])) for j in order if slow[j] > 0 or middle[j] > 0
    )  # fmt: skip
    return Band(name, float(whole[min(n - 1, int(np.ceil(q * n)) - 1)]) / 1e3, count, measured(float((slow - middle).sum()), draws.sum(axis=1)), parts)


def _means(times: Any, matrix: Any, low: float, high: float) -> Any:
    """Mean of the rows whose rank lies from ``low`` to ``high`` (shares) when row i occurs ``times[i]`` times; rows at the ends count in part."""
    end = np.cumsum(times)
    n = end[-1]
    first, last = int(np.searchsorted(end, low * n, "right")), min(len(end), int(np.searchsorted(end, high * n, "left")) + 1)
    upper = end[first:last]
    weight = np.minimum(upper, high * n) - np.maximum(upper - times[first:last], low * n)
    return np.maximum(weight, 0.0) @ matrix[first:last] / ((high - low) * n)
