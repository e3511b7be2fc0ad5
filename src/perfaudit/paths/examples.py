"""Two traces to look at, a usual one and a slow one: their spans as rows of a waterfall, with what the root waited for.

Siblings of the same names that follow each other are one row ("×37"); what does not fit is left out from the shortest on, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfaudit.kernels.critical_path import sections
from perfaudit.paths.traced import Labels
from perfaudit.paths.tracing import AFFECTED, Tracing

#: Rows of a waterfall, and spans of a trace that are considered for them, the longest first.
MOST_ROWS, MOST_SPANS = 40, 4000
#: Sections and spans that a row shows, at most: a screen has no more columns.
MOST_PIECES = 60
#: From so many siblings of the same names on they are one row.
REPEATS = 3


@dataclass
class Row:
    """A span or several of the same names: µs from the trace's start. ``critical``: when the root waited for it itself; ``waits``: what for."""

    depth: int
    service: str
    operation: str
    component: str
    spans: list[tuple[int, int]]
    times: int = 1
    failed: bool = False
    again: bool = False
    critical: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Example:
    """A trace: which one (``what``: median, p95, p99), its id, its duration in µs, rows in order, and how many spans are not shown."""

    what: str
    trace_id: str
    duration: int
    rows: list[Row]
    left_out: int


def examples(tracing: Tracing, found: Labels, flow: int, again: Any) -> list[Example]:
    """The median trace of a flow in the affected window and one at p99 (p95 with fewer than 1,000 traces); ``again``: spans that repeat a failed call."""
    roots = tracing.roots
    at = np.flatnonzero((tracing.flow[roots] == flow) & (tracing.zone[roots] == AFFECTED))
    if not len(at):
        return []
    at = at[np.argsort(tracing.whole[at], kind="stable")]
    n = len(at)
    wanted = [("median", 0.5), ("p99", 0.99) if n >= 1000 else ("p95", 0.95)]
    picks = {what: int(roots[at[min(n - 1, int(q * n))]]) for what, q in wanted}
    return [_example(tracing, found, what, root, again) for what, root in picks.items()]


def _example(tracing: Tracing, found: Labels, what: str, root: int, again: Any) -> Example:
    traces = tracing.traces
    trace = int(traces.trace_of(root))
    a, b = int(traces.offsets[trace]), int(traces.offsets[trace + 1])
    spans = np.arange(a, b)[tracing.root[a:b] == root]
    parent = traces.parent[a:b] - np.int32(a)
    parent[traces.parent[a:b] < 0] = -1
    cut = sections(traces.start[a:b], traces.end[a:b], parent, traces.late[a:b])
    critical: dict[int, list[tuple[int, int]]] = {}
    zero = int(traces.start[root])
    for span, start, end in zip((cut.span + a).tolist(), cut.start.tolist(), cut.end.tolist(), strict=True):
        critical.setdefault(span, []).append((start - zero, end - zero))
    kept = _kept(tracing, spans, root)
    children: dict[int, list[int]] = {}
    for span in sorted(kept, key=lambda s: (int(traces.start[s]), s)):
        children.setdefault(int(traces.parent[span]), []).append(span)
    rows: list[Row] = []
    names = {column: dict(zip(kept, tracing.texts(column, kept), strict=True)) for column in ("service", "operation")}
    kinds = {span: (names["service"][span], names["operation"][span], int(found.codes[span])) for span in kept}
    stack = [(root, 0, [root])]
    while stack:
        span, depth, alike = stack.pop()
        row = Row(depth, names["service"][span], names["operation"][span], found.names[found.codes[span]], [], len(alike))
        for one in alike:
            row.spans.append((int(traces.start[one]) - zero, int(traces.end[one]) - zero))
            row.failed |= bool(tracing.failed[one])
            row.again |= bool(again[one])
            row.critical += critical.get(one, [])
        rows.append(row)
        below = [child for one in alike for child in children.get(one, [])]
        stack += [(group[0], depth + 1, group) for group in reversed(_alike(below, kinds))]
    return Example(what, traces.trace_ids[trace].as_py(), int(traces.end[root]) - zero, *_fitting(rows, len(spans)))


def _kept(tracing: Tracing, spans: Any, root: int) -> list[int]:
    """The longest spans of a trace and everything above them."""
    longest = spans[np.argsort(-tracing.took[spans], kind="stable")][:MOST_SPANS]
    kept = {root}
    for span in longest.tolist():
        while span not in kept:
            kept.add(span)
            span = int(tracing.traces.parent[span])
    return sorted(kept)


def _alike(spans: list[int], kinds: dict[int, tuple[str, str, int]]) -> list[list[int]]:
    """Siblings in order; from :data:`REPEATS` of the same names and component on in one group, where the first stands."""
    groups: dict[tuple[str, str, int], list[int]] = {}
    for span in spans:
        groups.setdefault(kinds[span], []).append(span)
    out: list[list[int]] = []
    for span in spans:
        group = groups[kinds[span]]
        if len(group) < REPEATS:
            out.append([span])
        elif span == group[0]:
            out.append(group)
    return out


def _fitting(rows: list[Row], spans: int) -> tuple[list[Row], int]:
    """At most :data:`MOST_ROWS` rows: a row counts by its time on the path, then by its length; what stands above a row stays with it."""
    above: list[int] = []
    parent = []
    for i, row in enumerate(rows):
        del above[row.depth :]
        parent.append(above[-1] if above else -1)
        above.append(i)

    def worth(i: int) -> tuple[int, int, int]:
        return -sum(b - a for a, b in rows[i].critical), -sum(b - a for a, b in rows[i].spans), i

    keep: set[int] = set()
    for i in sorted(range(len(rows)), key=worth):
        line = []
        while i >= 0 and i not in keep:
            line.append(i)
            i = parent[i]
        if len(keep) + len(line) <= MOST_ROWS:
            keep.update(line)
    shown = [rows[i] for i in sorted(keep)]
    for row in shown:
        row.spans, row.critical = _thin(row.spans), _thin(sorted(row.critical))
    return shown, spans - sum(row.times for row in shown)


def _thin(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most :data:`MOST_PIECES` pieces, neighbours joined where there are more."""
    each = -(-len(pieces) // MOST_PIECES) or 1
    return [(pieces[i][0], max(end for _, end in pieces[i : i + each])) for i in range(0, len(pieces), each)]
