"""Spans on their way to a sink: batches become columns."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers._access_columns import Symbols
from perfaudit.evidence.readers._spans_attributes import MOST, NUMBERS, Pairs, Reading, Said, short
from perfaudit.evidence.readers._spans_batch import NULL, Batch, Owner, identifiers, merged

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from perfaudit.evidence.readers import ReadOptions, Sink
    from perfaudit.evidence.readers._spans_codes import Codes

    Array = np.ndarray[Any, Any]

#: Spans that are written together.
BATCH = 32_768
#: Distinct lists of attributes that are remembered; beyond, the memory is emptied.
_REMEMBERED = 65_536
#: Distinct resources that are remembered.
_OWNERS = 10_000
#: Spans whose owners are not known yet that are held at most: 400 bytes each.
_HELD = 2_000_000
#: Distinct operations and services of a source.
_OPERATIONS, _SERVICES = 20_000, 1_000

KINDS = ("internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
_KIND_CODES = {kind: code for code, kind in enumerate(KINDS)}
_CALLS = (2, 3)  # client and producer


_NOBODY = Owner()


class SpanTable:
    """Writes spans of one source."""

    def __init__(self, sink: Sink, options: ReadOptions, per_us: int = 1) -> None:
        self.sink, self.options, self.per_us = sink, options, per_us
        self.pending: list[Batch] = []
        self.reading = Reading(options.route_patterns)
        self.bytes: Codes | None = None
        self.aside: Counter[str] = Counter()
        self.weighted = self.tail = 0
        self.held = False
        self._owners: dict[Any, Owner] = {}
        self.operations = Symbols(_OPERATIONS, "other")
        self._services = Symbols(_SERVICES, "other")

    # ---------------------------------------------------------------- owners and attributes

    def owner(self, key: Any, make: Callable[[], tuple[str | None, Pairs]]) -> Owner:
        """The owner known by ``key`` (bytes of a resource); ``make`` gives its service and attributes."""
        found = self._owners.get(key)
        if found is None:
            if len(self._owners) >= _OWNERS:
                self._owners.clear()
            service, pairs = make()
            fixed = self.options.service if "service" in self.options.labelled or not service else service
            found = self._owners[key] = Owner(short(fixed), self.reading.said(pairs))
            found.known = found
        return found

    def coded(self, pair: Callable[[bytes], tuple[str, Any]], text: Callable[[bytes], str]) -> Codes:
        """For a reader with a scanner of bytes: ``pair`` decodes an attribute, ``text`` a name."""
        from perfaudit.evidence.readers._spans_codes import Codes

        self.bytes = Codes(self.reading, self.operations, pair, text)
        return self.bytes

    # ---------------------------------------------------------------- writing

    def add(self, batch: Batch) -> None:
        """Take a batch over; many small ones are written together."""
        self.pending.append(batch)
        rows = sum(len(batch.starts) for batch in self.pending)
        if rows >= BATCH and not (self.held and rows < _HELD):
            self._write_all()

    def _write_all(self) -> None:
        if self.pending:
            batch = merged(self.pending)
            self.pending = []
            self._write(batch, len(batch.starts))
        if len(self.reading.words) > _REMEMBERED:
            self.reading.forget()
            if self.bytes:
                self.bytes.forget()

    def _write(self, batch: Batch, rows: int) -> None:
        import numpy as np
        import pyarrow as pa

        owners = [owner.known or _NOBODY for owner in batch.owners]
        used, inverse = np.unique(batch.words * len(owners) + batch.owner, return_inverse=True)
        said = [_joined(self.reading.words[i // len(owners)], owners[i % len(owners)].said) for i in used.tolist()]
        kinds, calls = self._kinds(batch.kinds.astype(np.int32), said, inverse)
        time, duration, ended = micros(batch.starts, batch.ends, self.per_us)
        services = np.array(self._services.codes(owner.service for owner in owners), np.int32)
        columns: dict[str, Any] = {
            "trace_id": identifiers(batch.traces), "span_id": identifiers(batch.spans), "parent_span_id": identifiers(batch.parents),
            "time": time, "duration_us": duration if ended.all() else pa.array(duration, mask=~ended),
            "service": Symbols.column(services[batch.owner], self._services.values), "operation": Symbols.column(batch.names.astype(np.int32), self.operations.values),
            "kind": Symbols.column(kinds, KINDS), "status": Symbols.column(self._status(batch.statuses.astype(np.int32), said, inverse), STATUSES),
            "shared": False if batch.shared is None else batch.shared,
        }  # fmt: skip
        for name in Said._fields[2:-1]:
            if self.options.wants("spans", name) and (column := _taken(name, said, inverse, calls)) is not None:
                columns[name] = column
        for i, name in enumerate(NUMBERS):
            values = batch.numbers[:, i]
            there = values != NULL
            if self.options.wants("spans", name) and there.any():
                columns[name] = pa.array(values, mask=~there)
        if self.options.wants("spans", "attributes"):
            columns["attributes"] = _maps(said, inverse)
        for name, sparse in (("links", batch.links), ("exceptions", batch.exceptions)):
            if sparse:
                columns[name] = pa.array([sparse.get(i) for i in range(rows)], pa.list_(pa.string()))
        if "instance" in self.options.labelled and self.options.instance:
            columns["instance"] = self.options.instance
        if batch.weights:
            old = columns["weight"].to_pylist() if "weight" in columns else [None] * rows
            columns["weight"] = pa.array([batch.weights.get(i, old[i]) for i in range(rows)], pa.float64())
        self.weighted += rows - columns["weight"].null_count if "weight" in columns else 0
        self.tail += sum(s.sampler == "tail" for s in said)
        known = columns["trace_id"].is_valid().to_numpy(zero_copy_only=False) & columns["span_id"].is_valid().to_numpy(zero_copy_only=False)
        if not known.all():
            self.aside["no trace id or span id but zeros"] += int((~known).sum())
            columns = {name: value if isinstance(value, (str, bool)) else value.filter(pa.array(known)) if isinstance(value, pa.Array) else value[known] for name, value in columns.items()}
        self.sink.write("spans", columns, int(known.sum()))

    def finish(self) -> None:
        """Write the rest, tell what was set aside and what is known of sampling."""
        self._write_all()
        for reason, n in sorted(self.aside.items()):
            self.sink.note(f"{n:,} span{'s' * (n != 1)} set aside: {reason}")
        if self.tail:
            self.sink.note("its traces were sampled by their outcome (tail sampling): shares of traces say nothing about shares of requests")
        elif self.weighted:
            self.sink.note("its traces are a sample; the column weight says how many spans each stands for")

    @staticmethod
    def _kinds(kinds: Array, said: list[Said], inverse: Array) -> tuple[Array, Array]:
        """Kinds as codes, and whether each row calls somebody."""
        import numpy as np

        known = np.array([_KIND_CODES.get(s.kind or "", -1) for s in said], np.int32)[inverse]
        kinds = np.where(kinds >= 0, kinds, known).astype(np.int32)
        system = np.array([s.system is not None for s in said], bool)[inverse]
        calls = np.isin(kinds, _CALLS) | ((kinds <= 0) & system)
        return np.where(kinds < 0, 0, kinds).astype(np.int32), calls

    @staticmethod
    def _status(statuses: Array, said: list[Said], inverse: Array) -> Array:
        import numpy as np

        told = np.array([0 if s.failed is None else 2 if s.failed else 1 for s in said], np.int32)[inverse]
        return np.where(statuses > 0, statuses, told).astype(np.int32)


@contextmanager
def unwatched() -> Iterator[None]:
    """Without Python's search for cycles: it walks a million new tuples again and again and finds none (a third of the time)."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _joined(span: Said, resource: Said) -> Said:
    """What a span says, and its resource where the span is silent."""
    if not resource.attributes and resource.instance is None:
        return span
    own = {key for key, _ in span.attributes}
    kept = (*span.attributes, *(pair for pair in resource.attributes if pair[0] not in own))[:MOST]
    return span._replace(instance=span.instance or resource.instance, attributes=tuple(sorted(kept)))


def _taken(name: str, said: list[Said], inverse: Array, calls: Array) -> Any:
    """A column of what attributes say, or None where nothing does."""
    import numpy as np
    import pyarrow as pa

    values = [getattr(s, name) for s in said]
    if all(v is None for v in values):
        return None
    if name == "weight":
        return pa.array(values, pa.float64()).take(pa.array(inverse.astype(np.int32)))
    column = pa.array(values, pa.string()).dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy()[inverse]
    if name == "peer":
        codes = np.where(calls, codes, -1)
    return Symbols.column(codes, column.dictionary.to_pylist())


def _maps(said: list[Said], inverse: Array) -> pa.MapArray:
    """The maps of attributes of all rows."""
    import numpy as np
    import pyarrow as pa

    lengths = np.array([len(s.attributes) for s in said], np.int64)
    starts = np.cumsum(lengths) - lengths
    each = lengths[inverse]
    ends = np.cumsum(each)
    flat = pa.array(np.repeat(starts[inverse] - (ends - each), each) + np.arange(ends[-1]))
    pairs = [pair for s in said for pair in s.attributes]
    keys, items = (pa.array([pair[i] for pair in pairs], pa.string()).take(flat) for i in (0, 1))
    return pa.MapArray.from_arrays(pa.array(np.concatenate([[0], ends]).astype(np.int32)), keys, items)


def micros(begin: Array, finish: Array, per_us: int) -> tuple[Array, Array, Array]:
    """``(time µs, duration µs, has ended)``; both ends are cut to µs, so that spans keep nesting."""
    import numpy as np

    ended = finish >= 0
    time = begin // per_us
    return time, np.where(ended, finish // per_us - time, 0), ended
