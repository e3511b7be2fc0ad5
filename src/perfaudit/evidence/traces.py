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
#: Spans whose critical paths are made at once: the work space (84 bytes a span) stays in the cache, and 50,000 are twice as fast as 200,000.
CHUNK = 50_000
#: Columns of symbols that come with every span.
SYMBOLS = ("service", "operation", "kind")
_KINDS = {"server": 1, "client": 2, "producer": 3, "consumer": 4}


@dataclass(frozen=True)
class Traces:
    """The spans of whole traces, in the order of the traces' first spans, within a trace in input order. Arrays have shape (n,).

    ``offsets``: where each trace begins, shape (traces + 1,); ``trace_ids``: Arrow array, shape (traces,). ``row``: position among the rows read. ``start``, ``end``: µs.
    ``parent``: index, −1 for a root. ``late``: the parent does not wait for it (a consumer of its producer, or it only follows). ``flags``: bits of
    :mod:`perfaudit.kernels.trace_trees`. ``shift``: µs added to the clock, where that was asked for. ``symbols``: codes of texts by column, −1 for null,
    and ``names`` their texts. ``span_ids``: Arrow array by ``row``, where asked for. ``counts``: what was found, for the data quality.
    """

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

    def trace_of(self, span: Any) -> Any:
        """The traces of spans, as indices."""
        return np.searchsorted(self.offsets, span, "right") - 1

    def texts(self, name: str, span: Any) -> Any:
        """The texts of a column of symbols, as an Arrow array."""
        import pyarrow as pa

        codes = self.symbols[name][span]
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(self.names[name], pa.string())).cast(pa.string())

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

    def fragments(self) -> Any:
        """Whether each span is a root only because its parent is missing or it is its own, while its trace has a proper root as well (bool).

        Its time lies within what that root waited for, or nobody waited for it: adding it up would count time twice.
        """
        from perfaudit.kernels.trace_trees import CYCLE, ORPHAN, SELF_PARENT

        root = self.parent < 0
        proper = root & (self.flags & (ORPHAN | SELF_PARENT | CYCLE) == 0)
        has = np.zeros(len(self.offsets) - 1, bool)
        has[self.trace_of(np.flatnonzero(proper))] = True
        at = np.flatnonzero(root & ~proper)
        out = np.zeros(len(self), bool)
        out[at] = has[self.trace_of(at)]
        return out

    def roots(self) -> Any:
        """The root of each span, as an index, int32."""
        above = np.where(self.parent < 0, np.arange(len(self), dtype=np.int32), self.parent)
        while True:
            further = above[above]
            if np.array_equal(further, above):
                return above
            above = further


def read(bundle: Bundle, *, symbols: tuple[str, ...] = SYMBOLS, ids: bool = False, correct_skew: bool = False) -> Traces:
    """All traces of a bundle, with these columns of symbols (:data:`SYMBOLS` at least).

    ``ids`` keeps the spans' identifiers; ``correct_skew`` moves spans of other clocks into their parents.
    """
    traces = _assemble(*_load(bundle, symbols))
    if ids:
        traces = replace(traces, span_ids=_span_ids(bundle))
    return _corrected(traces) if correct_skew else traces


def symbol(bundle: Bundle, name: str) -> tuple[Any, list[str]]:
    """A column of texts of all rows of ``spans`` in input order: codes (int32, −1 for null) and the texts."""
    codes, at = _Codes(bundle.rows("spans")), 0
    for batch in _column(bundle, name):
        codes.column[at : at + len(batch)] = -1 if batch.null_count == len(batch) else codes.of(batch)
        at += len(batch)
    return codes.column, list(codes.known)


def number(bundle: Bundle, name: str) -> Any:
    """A numeric column of all rows of ``spans`` in input order, float64, NaN for null."""
    import pyarrow as pa

    out, at = np.full(bundle.rows("spans"), np.nan), 0
    for batch in _column(bundle, name):
        out[at : at + len(batch)] = batch.cast(pa.float64()).to_numpy(zero_copy_only=False)
        at += len(batch)
    return out


def _column(bundle: Bundle, name: str) -> Iterator[Any]:
    """A column batch by batch; all nulls where a part does not have it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path, _ in bundle.parts("spans"):
        with pq.ParquetFile(path, read_dictionary=[name]) as file:
            if name not in file.schema_arrow.names:
                yield pa.nulls(file.metadata.num_rows)
                continue
            for batch in _batches(file, [name]):
                yield batch.column(0)


def _load(bundle: Bundle, symbols: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, int]]:
    """The columns of ``spans`` in input order, identifiers of spans hashed, those of traces as codes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = bundle.rows("spans")
    wanted = ("trace_id", "span_id", "parent_span_id", "time", "duration_us", "links", *symbols)
    column: dict[str, Any] = {"start": np.zeros(n, np.int64), "length": np.zeros(n, np.int64), "follows": np.zeros(n, bool), "usable": np.zeros(n, bool)}
    column |= {"span": np.zeros(n, np.uint64), "above": np.zeros(n, np.uint64), "has_parent": np.zeros(n, bool), "trace": np.zeros(n, np.int32)}
    codes = {name: _Codes(n) for name in symbols}
    traces, at = _Interned(), 0
    without = {"without trace id": 0, "without span id": 0, "without time": 0, "without duration": 0}
    for path, _ in bundle.parts("spans"):
        with pq.ParquetFile(path, read_dictionary=[*symbols]) as file:
            for batch in _batches(file, [c for c in wanted if c in file.schema_arrow.names]):
                m = batch.num_rows
                have = {name: batch.column(i) for i, name in enumerate(batch.schema.names)}
                to = slice(at, at + m)
                null = {name: np.ones(m, bool) if name not in have else have[name].is_null().to_numpy(False) for name in wanted}
                for name, key in (("trace_id", "without trace id"), ("span_id", "without span id"), ("time", "without time"), ("duration_us", "without duration")):
                    without[key] += int(null[name].sum())
                column["usable"][to] = ~(null["trace_id"] | null["span_id"] | null["time"])
                column["has_parent"][to] = ~null["parent_span_id"]
                for name, key in (("time", "start"), ("duration_us", "length")):
                    if name in have:
                        column[key][to] = (have[name].view(pa.int64()) if name == "time" else have[name]).fill_null(0).to_numpy(False)
                if "links" in have and have["links"].null_count < m:
                    column["follows"][at + _followers(have)] = True
                for name, key in (("span_id", "span"), ("parent_span_id", "above")):
                    if name in have:
                        _hash(have[name], column[key], at)
                if "trace_id" in have:
                    column["trace"][to] = traces.of(have["trace_id"].dictionary_encode())
                for name in symbols:
                    if name in have:
                        codes[name].column[to] = codes[name].of(have[name])
                at += m
    column |= {name: codes[name].column for name in symbols}
    column["names"] = {name: list(codes[name].known) for name in symbols}
    column["trace_ids"] = pa.chunked_array(traces.texts, pa.string())
    return column, {"rows": n, **without}


def _followers(have: dict[str, Any]) -> Any:
    """The rows that have a link to their own parent: a follows-from reference."""
    import pyarrow.compute as pc

    row = pc.list_parent_indices(have["links"])
    own = pc.binary_join_element_wise(have["trace_id"].take(row), have["parent_span_id"].take(row), ":")
    return row.filter(pc.equal(pc.list_flatten(have["links"]), own).fill_null(False)).to_numpy(False)


def _span_ids(bundle: Bundle) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept = []
    for path, _ in bundle.parts("spans"):
        with pq.ParquetFile(path) as file:
            kept += [b.column(0) if b.num_columns else pa.nulls(b.num_rows, pa.string()) for b in _batches(file, [c for c in ("span_id",) if c in file.schema_arrow.names])]
    return pa.chunked_array(kept, pa.string())


def _batches(file: Any, columns: list[str]) -> Iterator[Any]:
    """A row group at a time: over several, Arrow decodes far ahead."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(BATCH, row_groups=[group], columns=columns)


class _Codes:
    """Codes of few texts, the same over all batches, in order of arrival."""

    def __init__(self, rows: int) -> None:
        self.known: dict[str, int] = {}
        self.column = np.full(rows, -1, np.int32)

    def of(self, array: Any) -> Any:
        """The codes of an Arrow dictionary array, −1 for null."""
        here = np.array([self.known.setdefault(text, len(self.known)) for text in array.dictionary.to_pylist()] or [-1], np.int32)
        index = array.indices.fill_null(-1).to_numpy(False)
        return np.where(index < 0, np.int32(-1), here[index])


class _Interned:
    """Codes of many texts, by a 64-bit hash: of a million, two are taken for one with a probability of 3·10⁻⁸ (birthday bound)."""

    def __init__(self) -> None:
        self.texts: list[Any] = []
        self.hashes = np.empty(1 << 14, np.uint64)
        self.slots = np.full(1 << 15, -1, np.int32)
        self.count = 0

    def of(self, array: Any) -> Any:
        """The codes of an Arrow dictionary array; 0 for null."""
        from perfaudit.kernels.trace_trees import intern

        m = len(array.dictionary)
        hashed, codes = np.empty(m, np.uint64), np.zeros(max(m, 1), np.int32)
        _hash(array.dictionary, hashed, 0)
        while self.count + m > len(self.hashes):
            self.hashes = np.concatenate([self.hashes, np.empty_like(self.hashes)])
        if 2 * len(self.hashes) > len(self.slots):
            self.slots = np.full(2 * len(self.hashes), -1, np.int32)
            intern(self.hashes[: self.count], self.hashes, self.slots, 0, np.empty(self.count, np.int32))
        count = intern(hashed, self.hashes, self.slots, self.count, codes)
        self.texts.append(array.dictionary.filter(codes[:m] >= self.count) if count > self.count else array.dictionary.slice(0, 0))
        self.count = count
        return codes[array.indices.fill_null(0).to_numpy(False)]


def _hash(array: Any, out: Any, at: int) -> None:
    """Hash the texts of an Arrow array into ``out`` from ``at`` on."""
    from perfaudit.kernels.trace_trees import hash_ids

    _, ends, data = array.buffers()
    if len(array) and data is not None:
        hash_ids(np.frombuffer(data, np.uint8), np.frombuffer(ends, np.int32)[array.offset : array.offset + len(array) + 1], at, out)


def _assemble(column: dict[str, Any], counts: dict[str, int]) -> Traces:
    from perfaudit.kernels import trace_trees

    rows = np.flatnonzero(column.pop("usable")).astype(np.int32)
    trace = column.pop("trace")
    trace = trace if len(rows) == len(trace) else trace[rows]
    offsets = np.zeros(len(column["trace_ids"]) + 1, np.int64)
    np.cumsum(np.bincount(trace, minlength=len(offsets) - 1), out=offsets[1:])
    order = np.empty(len(rows), np.int32)
    trace_trees.group(trace, offsets[:-1].copy(), order)
    row = rows[order]
    del rows, order, trace
    kind = np.array([*(_KINDS.get(name, 0) for name in column["names"]["kind"]), 0], np.uint8)[column["kind"][row]]
    n = len(row)
    parent, flags = np.empty(n, np.int32), np.zeros(n, np.uint8)
    slots = np.empty(1 << (2 * int(np.diff(offsets).max(initial=1))).bit_length(), np.int32)
    ids = column.pop("span")[row], column.pop("above")[row], column.pop("has_parent")[row]
    trace_trees.link(offsets, *ids, kind, slots, np.empty(n, np.int32), np.zeros(n, np.int32), parent, flags)
    del ids, slots
    counts["duplicates"] = int((parent == trace_trees.DUPLICATE).sum())
    if counts["duplicates"]:
        keep = parent != trace_trees.DUPLICATE
        place = np.cumsum(keep, dtype=np.int32) - np.int32(1)
        parent = np.where(parent[keep] < 0, np.int32(-1), place[parent[keep]])
        row, flags, kind = row[keep], flags[keep], kind[keep]
        offsets = np.concatenate([[0], np.cumsum(keep)])[offsets]
    start, end = column.pop("start")[row], column.pop("length")[row]
    flags[end < 0] |= trace_trees.NEGATIVE
    np.maximum(end, 0, out=end)
    end += start
    below = parent >= 0
    late = below & ((column.pop("follows")[row] & (flags & trace_trees.SHARED == 0)) | ((kind == trace_trees.CONSUMER) & (kind[parent] == trace_trees.PRODUCER)))
    traces = Traces(
        offsets, row, start, end, parent, late, flags, {name: column.pop(name)[row] for name in column["names"]},
        column["names"], column["trace_ids"], counts,
    )  # fmt: skip
    outside = np.flatnonzero(below & ~late & ((start < start[parent]) | (end > end[parent])))
    flags[outside] |= trace_trees.OUTSIDE
    above = parent[outside]
    fits = end[outside] - start[outside] <= end[above] - start[above]
    flags[outside[fits & _apart(traces, outside)]] |= trace_trees.SKEWED
    names = (("orphans", "ORPHAN"), ("self-parents", "SELF_PARENT"), ("cycles", "CYCLE"), ("shared", "SHARED"), ("negative durations", "NEGATIVE"), ("outside their parent", "OUTSIDE"), ("skewed", "SKEWED"))
    counts |= {said: int((flags & getattr(trace_trees, bit) != 0).sum()) for said, bit in names}
    counts |= {"asynchronous": int(late.sum()), "spans": len(row), "traces": int((np.diff(offsets) > 0).sum()), "roots": int((~below).sum())}
    return traces


def _apart(traces: Traces, span: Any) -> Any:
    """Which of these spans have a parent that waits and is of another service, so maybe of another clock."""
    service, above = traces.symbols["service"], traces.parent[span]
    return (above >= 0) & ~traces.late[span] & (service[span] != service[above])


def _corrected(traces: Traces) -> Traces:
    from perfaudit.kernels.trace_trees import unskew

    n = len(traces)
    shift = np.zeros(n, np.int64)
    unskew(traces.start, traces.end, traces.parent, _apart(traces, np.arange(n)), np.empty(n, np.int32), shift, np.zeros(n, bool))
    counts = traces.counts | {"shifted": int((shift != 0).sum()), "largest shift, µs": int(np.abs(shift).max(initial=0))}
    return replace(traces, start=traces.start + shift, end=traces.end + shift, shift=shift, counts=counts)
