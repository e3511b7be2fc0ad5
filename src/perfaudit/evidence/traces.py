"""Traces as columns: the ``spans`` table grouped by trace, with parents as indices, oddities flagged and counted.

The rows are read from the bundle's files in their order, so that "the first" of two and "input order" mean what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from perfaudit.evidence.bundle import Bundle

#: Rows of a batch read from Parquet.
BATCH = 200_000
#: Spans whose critical paths are made at once: bounds the work space (100 bytes a span), and small enough that memory is used again.
CHUNK = 200_000
#: Columns of symbols that come with every span.
SYMBOLS = ("service", "operation", "kind")
_KINDS = {"server": 1, "client": 2, "producer": 3, "consumer": 4}


@dataclass(frozen=True)
class Traces:
    """The spans of whole traces, in the order of the traces' first spans, within a trace in input order. Arrays have shape (n,).

    ``trace``: code (``trace_ids``); ``offsets``: where each trace begins, shape (traces + 1,). ``row``: position among the rows read. ``start``, ``end``: µs.
    ``parent``: index, −1 for a root. ``late``: the parent does not wait for it (a consumer of its producer, or it only follows). ``flags``: bits of
    :mod:`perfaudit.kernels.trace_trees`. ``shift``: µs added to the clock, where that was asked for. ``symbols``: codes of each of :data:`SYMBOLS`, −1 for null,
    and ``names`` their texts. ``span_ids``: Arrow array by ``row``, where asked for. ``counts``: what was found, for the data quality.
    """

    trace: Any
    offsets: Any
    row: Any
    start: Any
    end: Any
    parent: Any
    late: Any
    flags: Any
    symbols: dict[str, Any]
    names: dict[str, list[str]]
    trace_ids: Any
    counts: dict[str, int]
    span_ids: Any = None
    shift: Any = None

    def __len__(self) -> int:
        return len(self.start)

    def chunks(self, most: int = CHUNK) -> Iterator[tuple[int, int]]:
        """Ranges of whole traces with about ``most`` spans each."""
        at, n = 0, len(self)
        while at < n:
            end = int(self.offsets[max(np.searchsorted(self.offsets, at + most, "right") - 1, np.searchsorted(self.offsets, at, "right"))])
            yield at, end
            at = end

    def sections(self, completion: bool = False) -> Iterator[Any]:
        """The critical paths of all roots, chunk by chunk (:func:`perfaudit.kernels.critical_path.sections`)."""
        from perfaudit.kernels.critical_path import Sections, sections

        for a, b in self.chunks():
            parent = self.parent[a:b] - np.int32(a)
            parent[self.parent[a:b] < 0] = -1
            found = sections(self.start[a:b], self.end[a:b], parent, self.late[a:b], completion)
            yield Sections(found.span + np.int32(a), found.start, found.end)

    def roots(self) -> Any:
        """The root of each span, as an index, int32."""
        above = np.where(self.parent < 0, np.arange(len(self), dtype=np.int32), self.parent)
        while True:
            further = above[above]
            if np.array_equal(further, above):
                return above
            above = further


def read(bundle: Bundle, *, ids: bool = False, correct_skew: bool = False) -> Traces:
    """All traces of a bundle. ``ids`` keeps the spans' identifiers; ``correct_skew`` moves spans of other clocks into their parents."""
    columns, counts = _load(bundle, ids)
    traces = _assemble(columns, counts)
    return _corrected(traces) if correct_skew else traces


def _load(bundle: Bundle, ids: bool) -> tuple[dict[str, Any], dict[str, int]]:
    """The columns of ``spans`` in input order, identifiers of spans hashed, those of traces as codes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from perfaudit.kernels.trace_trees import hash_ids

    n = bundle.rows("spans")
    wanted = ("trace_id", "span_id", "parent_span_id", "time", "duration_us", "follows", *SYMBOLS)
    column: dict[str, Any] = {"start": np.zeros(n, np.int64), "length": np.zeros(n, np.int64), "follows": np.zeros(n, bool), "usable": np.zeros(n, bool)}
    column |= {"span": np.zeros(n, np.uint64), "above": np.zeros(n, np.uint64), "has_parent": np.zeros(n, bool), "trace": np.zeros(n, np.int32)}
    codes = {name: _Codes() for name in SYMBOLS}
    traces, kept, at = _Codes(), [], 0
    without = {"without trace id": 0, "without span id": 0, "without time": 0, "without duration": 0}
    for path, _ in bundle.parts("spans"):
        with pq.ParquetFile(path, read_dictionary=[*SYMBOLS]) as file:
            for batch in file.iter_batches(BATCH, columns=[c for c in wanted if c in file.schema_arrow.names]):
                m = batch.num_rows
                have = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
                to = slice(at, at + m)
                null = {name: np.ones(m, bool) if name not in have else have[name].is_null().to_numpy(False) for name in wanted}
                for name, key in (("trace_id", "without trace id"), ("span_id", "without span id"), ("time", "without time"), ("duration_us", "without duration")):
                    without[key] += int(null[name].sum())
                column["usable"][to] = ~(null["trace_id"] | null["span_id"] | null["time"])
                column["has_parent"][to] = ~null["parent_span_id"]
                for name, key, kind in (("time", "start", pa.int64()), ("duration_us", "length", pa.int64()), ("follows", "follows", pa.bool_())):
                    if name in have:
                        values = have[name].view(kind) if name == "time" else have[name]
                        column[key][to] = values.fill_null(False if name == "follows" else 0).to_numpy(False)
                for name, key in (("span_id", "span"), ("parent_span_id", "above")):
                    if name in have:
                        _, ends, data = have[name].buffers()
                        if data is not None:
                            where = np.frombuffer(ends, np.int32)[have[name].offset : have[name].offset + m + 1]
                            hash_ids(np.frombuffer(data, np.uint8), where, at, column[key])
                if "trace_id" in have:
                    column["trace"][to] = traces.of(have["trace_id"].dictionary_encode())
                for name in SYMBOLS:
                    codes[name].column.append(codes[name].of(have[name]) if name in have else np.full(m, -1, np.int32))
                if ids:
                    kept.append(have["span_id"] if "span_id" in have else pa.nulls(m, pa.string()))
                at += m
    nothing = np.full(0, -1, np.int32)
    column |= {name: np.concatenate([nothing, *codes[name].column]) for name in SYMBOLS}
    column["names"] = {name: list(codes[name].known) for name in SYMBOLS}
    column["trace_ids"] = pa.array(list(traces.known), pa.string())
    column["span_ids"] = pa.chunked_array(kept, pa.string()) if ids else None
    return column, {"rows": n, **without}


class _Codes:
    """Codes of texts, the same over all batches, in order of arrival."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.column: list[Any] = []

    def of(self, array: Any) -> Any:
        """The codes of an Arrow dictionary array, −1 for null."""
        here = np.array([self.known.setdefault(text, len(self.known)) for text in array.dictionary.to_pylist()] or [-1], np.int32)
        index = array.indices.fill_null(-1).to_numpy(False)
        return np.where(index < 0, np.int32(-1), here[index])


def _assemble(column: dict[str, Any], counts: dict[str, int]) -> Traces:
    from perfaudit.kernels import trace_trees

    rows = np.flatnonzero(column["usable"]).astype(np.int32)
    trace = column["trace"][rows]
    offsets = np.zeros(len(column["trace_ids"]) + 1, np.int64)
    np.cumsum(np.bincount(trace, minlength=len(offsets) - 1), out=offsets[1:])
    order = np.empty(len(rows), np.int32)
    trace_trees.group(trace, offsets[:-1].copy(), order)
    row = rows[order]
    del rows, order, trace
    kinds = np.array([*(_KINDS.get(name, 0) for name in column["names"]["kind"]), 0], np.uint8)
    kind = kinds[column["kind"][row]]
    n = len(row)
    parent, flags = np.empty(n, np.int32), np.zeros(n, np.uint8)
    largest = int(np.diff(offsets).max(initial=1))
    slots = np.empty(1 << (2 * largest).bit_length(), np.int32)
    trace_trees.link(offsets, column["span"][row], column["above"][row], column["has_parent"][row], kind, slots, np.empty(n, np.int32), np.zeros(n, np.int32), parent, flags)
    counts["duplicates"] = int((parent == trace_trees.DUPLICATE).sum())
    if counts["duplicates"]:
        keep = parent != trace_trees.DUPLICATE
        place = np.cumsum(keep, dtype=np.int32) - np.int32(1)
        parent = np.where(parent[keep] < 0, np.int32(-1), place[parent[keep]])
        row, flags, kind = row[keep], flags[keep], kind[keep]
        offsets = np.concatenate([[0], np.cumsum(keep)])[offsets]
    start, length = column["start"][row], column["length"][row]
    flags[length < 0] |= trace_trees.NEGATIVE
    end = start + np.maximum(length, 0)
    below = parent >= 0
    late = below & (column["follows"][row] | ((kind == trace_trees.CONSUMER) & (kind[parent] == trace_trees.PRODUCER)))
    traces = Traces(
        np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets)), offsets, row, start, end, parent, late, flags, {name: column[name][row] for name in SYMBOLS},
        column["names"], column["trace_ids"], counts, column["span_ids"],
    )  # fmt: skip
    outside = below & ~late & ((start < start[parent]) | (end > end[parent]))
    flags[outside] |= trace_trees.OUTSIDE
    flags[outside & _apart(traces) & (end - start <= end[parent] - start[parent])] |= trace_trees.SKEWED
    names = (("orphans", "ORPHAN"), ("self-parents", "SELF_PARENT"), ("cycles", "CYCLE"), ("shared", "SHARED"), ("negative durations", "NEGATIVE"), ("outside their parent", "OUTSIDE"), ("skewed", "SKEWED"))
    counts |= {said: int((flags & getattr(trace_trees, bit) != 0).sum()) for said, bit in names}
    counts |= {"asynchronous": int(late.sum()), "spans": len(row), "traces": int((np.diff(offsets) > 0).sum()), "roots": int((~below).sum())}
    return traces


def _apart(traces: Traces) -> Any:
    """Where the parent waits and is of another service, so maybe of another clock."""
    service = traces.symbols["service"]
    return (traces.parent >= 0) & ~traces.late & (service != service[traces.parent])


def _corrected(traces: Traces) -> Traces:
    from perfaudit.kernels.trace_trees import unskew

    n = len(traces)
    shift = np.zeros(n, np.int64)
    unskew(traces.start, traces.end, traces.parent, _apart(traces), np.empty(n, np.int32), shift, np.zeros(n, bool))
    counts = traces.counts | {"shifted": int((shift != 0).sum()), "largest shift, µs": int(np.abs(shift).max(initial=0))}
    return replace(traces, start=traces.start + shift, end=traces.end + shift, shift=shift, counts=counts)
