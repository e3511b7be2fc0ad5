"""Attributes of spans in bytes to what they say: the kernels find the distinct ones, Python reads each of those once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers._access_columns import Symbols
from perfaudit.evidence.readers._otlp import weight
from perfaudit.evidence.readers._spans_attributes import NUMBERS, Reading, operation
from perfaudit.evidence.readers._spans_batch import Batch, Owner, identifier

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Distinct names of spans that are remembered, bytes of each on average, and what is looked at of one.
_NAMES, _WIDTH, _LONGEST = 32_768, 64, 4_096
_SEED = 0x5EED


class Codes:
    """What attributes and names of one source mean, by their bytes. ``pair`` decodes an attribute, ``text`` a name."""

    def __init__(self, reading: Reading, operations: Symbols, pair: Callable[[bytes], tuple[str, Any]], text: Callable[[bytes], str]) -> None:
        import numpy as np

        from perfaudit.kernels import attributes, hashing

        self.np, self.kernel, self.hashing = np, attributes, hashing
        self.reading, self.operations, self.pair, self.text = reading, operations, pair, text
        self.codes = attributes.new_codes()
        self.view = self.codes.sequence.view(np.uint8)
        self._table = hashing.new_table(_NAMES, _WIDTH, _SEED)
        self._name = np.zeros(_NAMES, np.int64)
        self._word = np.zeros(len(self.codes.sets.hashes), np.int64)
        self._keys = self._pairs = self._waited = self._sets = self._named = 0

    def forget(self) -> None:
        """Forget everything but the keys: the tables are full, or :class:`Reading` forgot."""
        self.kernel.forget(self.codes)
        self._pairs = self._waited = self._sets = 0

    def batches(self, text: bytes | bytearray, data: Array, rows: Array, attributes: Array, owners: list[Owner], widths: tuple[int, int] | None) -> Iterator[tuple[Batch, Array]]:
        """Rows that a scanner wrote as batches with the part of the rows that each holds; as many as the tables need. Positions are in
        ``text``, of which ``data`` is a view; ids are bytes of these ``widths`` (traces, spans) or hexadecimal text."""
        np, kernel, codes = self.np, self.kernel, self.codes
        self._keys_of()
        n = len(rows)
        words, names = np.zeros(n, np.int64), np.zeros(n, np.int64)
        numbers = np.empty((n, len(NUMBERS)), np.int64)
        first = 0
        while first < n:
            last = kernel.pairs(data, rows, first, n, attributes, codes)
            self._meanings(text, attributes)
            last = kernel.sets(rows, first, last, attributes, codes, self.view, numbers, words)
            self._words()
            last = kernel.interned(data, rows, first, last, kernel.NAME, _LONGEST, self._table, names)
            self._new_names()
            part = rows[first:last]
            trace, span, parent = (self._ids(text, data, part, column, widths and widths[column != kernel.TRACE]) for column in (kernel.TRACE, kernel.SPAN, kernel.PARENT))
            batch = Batch(
                trace, span, parent, self._name[names[first:last]], self._word[words[first:last]], numbers[first:last], part[:, kernel.OWNER].copy(), owners,
                part[:, kernel.START].copy(), part[:, kernel.END].copy(), part[:, kernel.KIND].copy(), part[:, kernel.STATUS].copy(),
            )  # fmt: skip
            for i in np.flatnonzero(part[:, kernel.STATE_END]).tolist():
                if found := weight(text[part[i, kernel.STATE] : part[i, kernel.STATE_END]].decode("utf-8", "replace")):
                    batch.weights[i] = found
            yield batch, part
            if last < n:
                self.forget()
                kernel.emptied(self._table)
                self._named = 0
            first = last

    def _ids(self, text: bytes | bytearray, data: Array, rows: Array, column: int, width: int | None) -> Any:
        """A column of ids."""
        import pyarrow as pa

        np, n = self.np, len(rows)
        where = rows[:, column : column + 2]
        digits = 2 * width if width else int((where[:, 1] - where[:, 0]).max())
        if digits in (16, 32):
            out, there = np.empty(digits * n // 8, np.uint64), np.empty(n, bool)
            if self.kernel.hexadecimal(data, rows, column, width, out.view(np.uint8), there) if width else self.kernel.textual(data, rows, column, digits, out, there):
                offsets = np.arange(0, (n + 1) * digits, digits, dtype=np.int32)
                bitmap = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little").tobytes())
                return pa.Array.from_buffers(pa.string(), n, [bitmap, pa.py_buffer(offsets), pa.py_buffer(out)])
        raws = [text[a:b] for a, b in where.tolist()]
        if width:
            return pa.array([id if id.strip("0") else None for id in (raw[:32].hex() for raw in raws)], pa.string())
        return pa.array([identifier(self.text(bytes(raw))) if raw else None for raw in raws], pa.string())

    def _keys_of(self) -> None:
        """Look at new keys."""
        known = self.hashing.strings(self.codes.keys)
        for code in range(self._keys, len(known)):
            self.codes.classes[code] = self.reading.kind(self.text(known[code]))
        self._keys = len(known)

    def _meanings(self, text: bytes | bytearray, attributes: Array) -> None:
        codes = self.codes
        pairs, waited = int(codes.pairs.counts[0]), int(codes.waiting[0])
        limit = len(codes.pairs.hashes)
        for code in (*range(self._pairs, pairs), *range(limit + self._waited, limit + waited)):
            start, end = attributes[codes.born[code], :2].tolist()
            codes.meanings[code], codes.numbers[code], codes.places[code] = self.reading.meaning(*self.pair(bytes(text[start:end])))
        self._pairs, self._waited = pairs, waited

    def _words(self) -> None:
        table, count = self.codes.sets, int(self.codes.sets.counts[0])
        if count == self._sets:
            return
        ends = table.ends[self._sets : count + 1] // 4
        meanings = table.pool[4 * ends[0] : 4 * ends[-1]].view(self.np.int32).tolist()
        self._word[self._sets : count] = [self.reading.word(meanings[a:b]) for a, b in pairwise((ends - ends[0]).tolist())]
        self._sets = count

    def _new_names(self) -> None:
        count = int(self._table.counts[0])
        if count == self._named:
            return
        ends = self._table.ends[self._named : count + 1]
        pool = self._table.pool[ends[0] : ends[-1]].tobytes()
        raws = [pool[a:b] for a, b in pairwise((ends - ends[0]).tolist())]
        self._name[self._named : count] = self.operations.codes([operation(self.text(raw)) if raw else None for raw in raws])
        self._named = count
