"""The two arms of a comparison: the outermost tier's requests of a recording, by route and time bin.

Durations are kept to the microsecond up to :data:`EXACT` requests and to 11 significant bits (± 0.025 %) above, so that a year of data
fits into memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline import tiers as tiering
from perfaudit.baseline.cube import MOST_BINS, STEPS
from perfaudit.baseline.requests import of_route
from perfaudit.baseline.stream import Key, Stream, Total, by_key
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Window

#: Up to this many requests of an arm every duration is exact.
EXACT = 2_000_000
#: Significant bits above: buckets of 2^-10, that is 0.1 %, a fiftieth of the least difference that is looked for.
BITS = 11
#: Routes that are compared on their own: those that own the most time in either arm.
ROUTES = 40
#: Logs write durations in decimal fractions of a second, the coarsest in whole ones (µs).
COARSEST = 1_000_000
_DURATION_BITS = 40
_LONGEST = (1 << _DURATION_BITS) - 1


@dataclass(frozen=True)
class Part:
    """One route of an arm. ``count``, ``errors``: shape (bins,). ``bin``, ``value`` (µs), ``n``: shape (cells,), ordered by value.

    ``quantum``: the step, in µs, in which the durations of the arm were logged.
    """

    count: Any
    errors: Any
    bin: Any
    value: Any
    n: Any
    quantum: int = 1

    @property
    def requests(self) -> int:
        """How many requests."""
        return int(self.count.sum())

    @property
    def durations(self) -> int:
        """How many of them have a duration."""
        return int(self.n.sum())

    @property
    def seconds(self) -> float:
        """Request-seconds."""
        return float(self.value @ self.n) / 1e6


@dataclass(frozen=True)
class Source:
    """An arm before it is read: its evidence, which requests of it are meant, and their totals per route."""

    name: str
    evidence: Evidence
    condition: str
    window: Window
    totals: dict[Key, Total]

    @property
    def requests(self) -> int:
        """How many requests it holds."""
        return sum(t.count for t in self.totals.values())

    def where(self, key: Key | None = None) -> str:
        """The SQL condition for the requests of the arm, or of one route of it."""
        parts = [self.condition, within(self.window)]
        if key is not None:
            parts += of_route(key)
        return " AND ".join(p for p in parts if p != "true")


@dataclass(frozen=True)
class Arm:
    """An arm that was read. ``step``: seconds a bin; ``start``: the first bin (µs). ``parts``: per compared route."""

    source: Source
    start: int
    step: int
    bins: int
    parts: dict[Key, Part]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.source.name

    @property
    def window(self) -> Window:
        """From its first to its last arrival."""
        return self.source.window


def source(name: str, evidence: Evidence, span: Window | None = None) -> Source | None:
    """The outermost tier's requests of ``evidence`` (within ``span``); None where there are none."""
    found = tiering.find(evidence)
    condition = found.condition
    first, last = evidence.one(f"SELECT epoch_us(min(time)), epoch_us(max(time)) FROM requests WHERE {condition} AND {within(span)}")
    if first is None:
        return None
    window = Window(int(first), int(last) + 1)
    rows = found.outer_totals if span is None else _totals(evidence, f"{condition} AND {within(window)}")
    return Source(name, evidence, condition, window, by_key(rows))


def narrowed(one: Source, window: Window) -> Source | None:
    """The same arm, only the requests in ``window``; None where there are none."""
    rows = _totals(one.evidence, f"{one.condition} AND {within(window)}")
    return Source(one.name, one.evidence, one.condition, window, by_key(rows)) if rows else None


def _totals(evidence: Evidence, where: str) -> list[Total]:
    rows = evidence.rows(f"SELECT service, method, route, count(*), sum(duration_us), count(*) FILTER (status >= 500) FROM requests WHERE {where} GROUP BY ALL")
    return sorted((Total(s or "", m or "", r or "", int(n), int(d or 0), int(e)) for s, m, r, n, d, e in rows), key=lambda t: (t.service, t.method, t.route))


def common(a: Source, b: Source) -> list[Key]:
    """Routes that both arms hold, the most costly first, at most :data:`ROUTES`."""
    spent = {s.name + str(i): max(1, sum(t.micros for t in s.totals.values())) for i, s in enumerate((a, b))}
    shared = [k for k in a.totals if k in b.totals]
    mass = dict(zip(spent, (a, b), strict=True))
    return sorted(shared, key=lambda k: (-sum(s.totals[k].micros / spent[i] + s.totals[k].count / max(1, s.requests) for i, s in mass.items()), k))[:ROUTES]


def step_for(*windows: Window) -> int:
    """The shortest bin, in seconds, with which every window has at most :data:`~perfaudit.baseline.cube.MOST_BINS`."""
    longest = max(w.seconds for w in windows)
    return next((s for s in STEPS if longest / s <= MOST_BINS - 1), STEPS[-1])


def read(one: Source, keys: list[Key], step: int) -> Arm:
    """Read the routes ``keys`` of an arm into bins of ``step`` seconds."""
    length = step * 1_000_000
    first = one.window.start // length
    bins = int((one.window.end - 1) // length - first + 1)
    stream = Stream(one.evidence, one.where(), list(one.totals.values()))
    number = stream.numbered({k: i for i, k in enumerate(keys)}, len(keys))
    count: Any = np.zeros((len(keys) + 1) * bins, np.int64)
    errors: Any = np.zeros_like(count)
    exact = one.requests <= EXACT
    codes, ns = [], []
    quantum = COARSEST
    for time, duration, status, method, route in stream.batches():
        place = number[method, route] * bins + (time // length - first)
        count += np.bincount(place, minlength=len(count))
        errors += np.bincount(place[status >= 500], minlength=len(errors))
        known = (duration >= 0) & (place < len(keys) * bins)
        value = np.minimum(duration[known], _LONGEST)
        while quantum > 1 and (value % quantum).any():
            quantum //= 10
        code, n = np.unique((place[known] << _DURATION_BITS) | (value if exact else _rounded(value)), return_counts=True)
        codes.append(code)
        ns.append(n)
    code, n = _merged(codes, ns)
    place, value = code >> _DURATION_BITS, code & _LONGEST
    edges = np.searchsorted(place, np.arange(len(keys) + 1) * bins)
    count, errors = count.reshape(-1, bins), errors.reshape(-1, bins)
    parts = {}
    for i, key in enumerate(keys):
        cut = slice(edges[i], edges[i + 1])
        order = np.argsort(value[cut], kind="stable")
        parts[key] = Part(count[i], errors[i], (place[cut] - i * bins)[order], value[cut][order], n[cut][order], quantum)
    return Arm(one, int(first * length), step, bins, parts)


def _rounded(value: Any) -> Any:
    """Values ≥ 0 to :data:`BITS` significant bits, the middle of each bucket."""
    shift = np.maximum(np.frexp(value.astype(np.float64))[1].astype(np.int64) - BITS, 0)
    return ((value >> shift) << shift) + ((np.int64(1) << shift) >> 1)


def _merged(codes: list[Any], ns: list[Any]) -> tuple[Any, Any]:
    if not codes:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if len(codes) == 1:
        return codes[0], ns[0].astype(np.int64)
    code, where = np.unique(np.concatenate(codes), return_inverse=True)
    return code, np.bincount(where, np.concatenate(ns)).astype(np.int64)
