"""A sink that keeps everything, and ``read(module, data)``: sniff, read, and check that no line was lost."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perfaudit.evidence.readers import ReadOptions, Sample
from perfaudit.evidence.source import Source
from perfaudit.evidence.tables import TABLES


class FakeSink:
    """A :class:`perfaudit.evidence.readers.Sink` in memory. ``rows[table]`` is a list of dicts with plain Python values.

    Columns that a reader leaves out are absent from the dicts' source and read as None: use ``row.get(name)``.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.n_lines = 0
        self.n_parsed = 0
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, tuple[bytes, int]] = {}
        self.notes: list[str] = []

    @property
    def n_rejected(self) -> int:
        return sum(self.rejected.values())

    def column(self, table: str, name: str) -> list[Any]:
        return [row.get(name) for row in self.rows.get(table, [])]

    def write(self, table: str, columns: Mapping[str, Any], rows: int) -> None:
        assert rows >= 0
        unknown = set(columns) - set(TABLES[table].names)
        assert not unknown, f"{table} has no column {unknown}"
        plain = {name: _plain(values, rows) for name, values in columns.items()}
        for name, values in plain.items():
            assert len(values) == rows, f"{table}.{name}: {len(values)} values for {rows} rows"
        self.rows.setdefault(table, []).extend({name: values[i] for name, values in plain.items()} for i in range(rows))

    def lines(self, n: int = 1) -> None:
        self.n_lines += n

    def parsed(self, n: int = 1) -> None:
        self.n_parsed += n

    def reject(self, reason: str, n: int = 1, *, example: bytes = b"", offset: int = 0) -> None:
        assert reason, "a rejection needs a reason"
        assert isinstance(example, bytes)
        self.rejected[reason] += n
        self.examples.setdefault(reason, (example, offset))

    def too_long(self, offset: int, first: bytes) -> None:
        self.lines()
        self.reject("line longer than 1 MiB", example=bytes(first), offset=offset)

    def note(self, text: str) -> None:
        self.notes.append(text)


def _plain(values: Any, rows: int) -> list[Any]:
    if isinstance(values, np.ma.MaskedArray):
        raise AssertionError("masked arrays are not part of the contract")
    if isinstance(values, np.ndarray):
        return list(values.tolist())
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.int64())
        return list(values.to_pylist())
    if isinstance(values, (list, tuple)):
        return list(values)
    return [values] * rows


def read_into(sink: FakeSink, reader: ModuleType, data: bytes, name: str = "x.log", options: ReadOptions | None = None) -> FakeSink:
    """Sniff ``data`` (decompressed by :class:`Source`), assert that it is recognised, read it, and check the count of lines."""
    options = options or ReadOptions()
    with Source(name, stream=io.BytesIO(data)) as source:
        recognised = reader.sniff(Sample(name, source.head, options))
        assert recognised is not None, f"{reader.NAME} does not recognise this sample"
        assert 0 < recognised.confidence <= 1
        reader.read(source, sink, recognised, options)
    assert sink.n_parsed + sink.n_rejected == sink.n_lines, (sink.n_parsed, dict(sink.rejected), sink.n_lines)
    assert set(sink.rows) <= set(reader.TABLES)
    return sink


@pytest.fixture
def read() -> Callable[..., FakeSink]:
    """``read(reader_module, data, name="x.log", options=None) -> FakeSink``."""

    def run(reader: ModuleType, data: bytes, name: str = "x.log", options: ReadOptions | None = None) -> FakeSink:
        return read_into(FakeSink(), reader, data, name, options)

    return run


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()
