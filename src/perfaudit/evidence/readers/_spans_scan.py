"""Traces as JSON at the speed of a scanner: a value a line, or one document of any size, which streams with some megabytes in memory.

The scanner gives positions (:mod:`perfaudit.kernels.jsonspans`); what differs between formats is a :class:`Shape`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from perfaudit.evidence.readers._spans_batch import Batch, Owner
from perfaudit.evidence.readers._spans_json import BROKEN, LINE, pieces_of, trimmed
from perfaudit.evidence.readers._spans_rows import SpanTable, unwatched

if TYPE_CHECKING:
    import numpy as np

    from perfaudit.evidence.readers import ReadOptions, Sink
    from perfaudit.evidence.readers._spans_attributes import Pairs
    from perfaudit.evidence.source import Source

    Array = np.ndarray[Any, Any]

_PIECE = 1 << 22
_ROWS = 1 << 15
_LF = 10
_WRONG = "a member has the wrong type"
#: Processes are forgotten when this many are known.
_PROCESSES = 4_096


class Shape(Protocol):
    """What is particular to a format. ``members`` are names with what they are, ``style`` is how attributes are written, both in words of the kernel."""

    @property
    def members(self) -> Sequence[tuple[bytes, str]]: ...
    @property
    def style(self) -> str: ...
    @property
    def per_us(self) -> int: ...

    def pair(self, raw: bytes) -> tuple[str, Any]:
        """Key and value of an attribute."""

    def owner(self, raw: bytes) -> tuple[str | None, Pairs]:
        """Service and attributes of a process or resource."""

    def usual(self, raw: bytes) -> bytes:
        """A span with members of the usual types. Raises one of :data:`BROKEN`."""

    def details(self, batch: Batch, rows: Array, text: bytearray) -> None:
        """What few spans have: links, exceptions."""

    def reason(self, text: bytes, seen: int) -> str:
        """Why a JSON value, in which ``seen`` spans were, gives none; "" where that is no fault."""


class Scan:
    """JSON text into spans."""

    def __init__(self, sink: Sink, options: ReadOptions, shape: Shape) -> None:
        import numpy as np

        from perfaudit.kernels import attributes, jsonspan, jsonspans, jsontokens

        self.np, self.kernel, self.tokens, self.columns, self.sink, self.shape = np, jsonspans, jsontokens, attributes, sink, shape
        self.table = SpanTable(sink, options, shape.per_us)
        self.codes = self.table.coded(shape.pair, _text)
        self.form = jsonspan.form([(name, getattr(jsonspan, role)) for name, role in shape.members], getattr(jsonspan, shape.style))
        self.place = jsonspans.place()
        self.state = self.place.state
        self.rows = np.empty((_ROWS, attributes.ROW_COLUMNS), np.int64)
        self.attributes = np.empty((8 * _ROWS, attributes.PAIR_COLUMNS), np.int32)
        self.nobody = self.table.owner(b"", lambda: (None, ()))
        self.owners = [self.nobody]
        self.awaited: dict[int, Owner] = {}
        self.text, self.data, self.end, self._usual = bytearray(), np.zeros(0, np.uint8), 0, -1
        self.passing = np.ones(4, np.int64)
        self.torn = False

    # ---------------------------------------------------------------- text

    def _open(self, *parts: bytes | bytearray) -> None:
        """The next text to scan, up to ``self.end``."""
        np = self.np
        size = sum(map(len, parts))
        if size + 64 > len(self.text):
            self.text = bytearray(size + size // 4 + 64)
            self.data = np.frombuffer(self.text, np.uint8)
        self._usual, self.end = -1, 0
        for part in parts:
            self.data[self.end : self.end + len(part)] = np.frombuffer(part, np.uint8)
            self.end += len(part)
        self.data[self.end : self.end + 64] = 0

    def _scan(self, function: Any, start: int) -> tuple[int, int]:
        """``(how it ended, where)``; rows that are full are written and odd spans made usual on the way."""
        kernel, state = self.kernel, self.state
        while True:
            how, at = function(self.data, start, self.end, self.rows, self.attributes, self.codes.codes, self.form, self.place)
            start = at
            if how == self.tokens.ODD:
                self._make_usual(at, int(state[kernel.STOP]))
                if function is kernel.lines:
                    start = self.text.rfind(b"\n", 0, at) + 1
            elif how == kernel.CLOSED:
                self._known()
            elif how == kernel.FULL:
                whole = int(state[kernel.N] if function is kernel.lines else state[kernel.SAFE_N])
                if whole:
                    start = at if function is kernel.lines else self._back()
                    self._write(whole)
                else:
                    self.rows = self.np.concatenate([self.rows, self.np.empty_like(self.rows)])
                    self.attributes = self.np.concatenate([self.attributes, self.np.empty_like(self.attributes)])
            else:
                return how, at

    def _back(self) -> int:
        """Go back to where everything before was whole."""
        kernel, state = self.kernel, self.state
        state[kernel.N], state[kernel.USED], state[kernel.DEPTH], state[kernel.PENDING] = state[kernel.SAFE_N], state[kernel.SAFE_USED], state[kernel.SAFE_DEPTH], 0
        return int(state[kernel.SAFE])

    def _make_usual(self, start: int, end: int) -> None:
        """Write a span with members of usual types in its place, or blanks."""
        try:
            usual = self.shape.usual(bytes(self.text[start:end])) if start != self._usual else b""
        except BROKEN:
            usual = b""
        if not usual:
            self.table.aside[_WRONG] += 1
        if len(usual) > end - start:
            self._open(self.text[:start], usual, self.text[end : self.end])
        else:
            self.text[start:end] = usual.ljust(end - start)
        self._usual = start

    # ---------------------------------------------------------------- lines

    def lines(self, pieces: Iterator[bytes]) -> None:
        """One value a line."""
        kernel, state = self.kernel, self.state
        kept: bytes | bytearray = b""
        base, dropped = 0, False
        for piece in _and_end(pieces):
            if dropped:
                end = piece.find(b"\n")
                base += len(kept)
                kept, piece, dropped = b"", piece[end:] if end >= 0 else b"", end < 0
            self._open(kept, piece)
            at = 0
            while True:
                before = int(state[kernel.SEEN])
                state[kernel.LINES] = 0
                how, at = self._scan(kernel.lines, at)
                self.sink.lines(int(state[kernel.LINES]))
                self.sink.parsed(int(state[kernel.LINES]))
                if how == kernel.DONE:
                    break
                stop = int(state[kernel.STOP])
                line = bytes(self.text[at:stop])
                self.sink.lines()
                reason = _WRONG if self._usual >= at and not trimmed(line) else self._other(line, how, int(state[kernel.SEEN]) - before)
                if reason:
                    self.sink.reject(reason, example=line[:2000], offset=base + at)
                else:
                    self.sink.parsed()
                at = stop + 1
            self._write(int(state[kernel.N]))
            base += at
            kept = self.text[at : self.end]
            if len(kept) > LINE:
                self.sink.lines()
                self.sink.reject("line longer than 32 MiB", example=bytes(kept[:200]), offset=base)
                dropped = True

    def _other(self, line: bytes, how: int, seen: int) -> str:
        """The reason why a line gives no span, or "" where it does in other ways or that is no fault."""
        text = trimmed(line)
        if text in (b"", b"[", b"]"):
            return ""
        if how == self.kernel.EMPTY:
            return self._judged(text, seen)
        return self.value(text) if text != line.strip() else "not JSON"

    def value(self, text: bytes) -> str:
        """One whole JSON value into rows; "" or the reason why it gives none."""
        kernel, state = self.kernel, self.state
        self._write(int(state[kernel.N]))
        kept, before = (self.text, self.data, self.end), int(state[kernel.SEEN])
        state[kernel.LINES] = 0
        self.text = bytearray()
        self._open(text.replace(b"\n", b" "), b"\n")
        how, _ = self._scan(kernel.lines, 0)
        self._write(int(state[kernel.N]))
        self.text, self.data, self.end = kept
        self._usual = -1
        if how == kernel.DONE:
            return ""
        return self._judged(text, int(state[kernel.SEEN]) - before) if how == kernel.EMPTY else "not JSON"

    def _judged(self, text: bytes, seen: int) -> str:
        try:
            msgspec.json.decode(text)
        except BROKEN:
            return "not JSON"
        return self.shape.reason(text, seen)

    # ---------------------------------------------------------------- documents

    def document(self, pieces: Iterator[bytes]) -> None:
        """One JSON document, or several behind one another. Its lines count as parsed when there is a span: a document is one piece."""
        kernel, state, np = self.kernel, self.state, self.np
        kept: bytes | bytearray = b""
        lines, last, first = 0, b"\n", b""
        for piece in pieces:
            lines, last, first = lines + int(np.count_nonzero(np.frombuffer(piece, np.uint8) == _LF)), piece[-1:], first or piece[:200]
            if kept and len(kept) + len(piece) < 2 * self._again and len(kept) <= LINE:
                kept += piece
                continue
            self._open(kept, piece)
            kept = self._feed()
        self._open(kept)
        self._feed(final=True)
        self._known()
        self.torn |= bool(state[kernel.DEPTH])
        lines += last != b"\n"
        self.sink.lines(lines)
        if state[kernel.SEEN] or state[kernel.WRONG]:
            self.sink.parsed(lines)
        else:
            self.sink.reject("a JSON document without spans", lines, example=first)
        if self.torn:
            self.sink.note("its JSON is torn: what could be told apart was read")

    #: Length of a text that held no whole group: it is tried again when it is twice as long.
    _again = 0

    def _feed(self, *, final: bool = False) -> bytearray:
        """Scan a text; gives what is left of it: what is cut off, or the group that is open."""
        kernel, state, np = self.kernel, self.state, self.np
        at = self._again = 0
        if not self.passing[3]:
            at = self.tokens.passed(self.data, 0, self.end, self.passing)
        while True:
            how, at = self._scan(kernel.scan, at)
            if how != self.tokens.BAD:
                break
            self.torn = True
            self.table.aside["torn"] += 1
            at = max(self.text.find(b"\n", at, self.end), at) + 1
        if state[kernel.PENDING] and not final:
            if not state[kernel.AWAITED] and (state[kernel.SAFE] or self.end <= LINE):
                at = self._back()
            else:  # a group that is larger than what is held of a text
                self.table.held = True
                state[kernel.AWAITED], state[kernel.PENDING] = 1, 0
        elif how == self.tokens.CUT and at == 0 and self.end > LINE:
            self.table.aside["larger than 32 MiB"] += 1
            self.passing = np.zeros(4, np.int64)
            at = self.tokens.passed(self.data, 0, self.end, self.passing)
        self._again = self.end if at == 0 else 0
        self._write(int(state[kernel.N]))
        self.place.levels[:, 3] -= at
        return self.text[at : self.end]

    def _known(self) -> None:
        """The processes of a long group are known: rows that wait for them get theirs."""
        kernel = self.kernel
        self._name_owners()
        for code, owner in self.awaited.items():
            known = int(self.place.owner[-2 - code])
            owner.known = self.owners[known + 1]
        self.awaited = {}
        self.state[kernel.AWAITED] = 0
        self.table.held = False
        kernel.unnamed(self.place)

    # ---------------------------------------------------------------- rows

    def _name_owners(self) -> None:
        table = self.place.processes
        count = int(table.counts[0])
        for code in range(len(self.owners) - 1, count):
            raw = table.pool[table.ends[code] : table.ends[code + 1]].tobytes()
            self.owners.append(self.table.owner(raw, partial(self.shape.owner, raw)))

    def _write(self, n: int) -> None:
        """The first ``n`` rows, which are all whose positions are in this text, to the table."""
        kernel, state, np = self.kernel, self.state, self.np
        if n:
            self._name_owners()
            rows, owners = self.rows[:n], self.owners
            owner = rows[:, self.columns.OWNER]
            if state[kernel.AWAITED]:
                kernel.resolve(rows, 0, n, self.place)
                codes = sorted(set(owner[owner < -1].tolist()))
                for code in codes:
                    self.awaited.setdefault(code, Owner())
                place = {code: len(owners) + i for i, code in enumerate(codes)}
                owners = [*owners, *(self.awaited[code] for code in codes)]
                rows[:, self.columns.OWNER] = [place[code] if code < -1 else code + 1 for code in owner.tolist()]
            else:
                rows[:, self.columns.OWNER] = np.maximum(owner, -1) + 1
            for batch, part in self.codes.batches(self.text, self.data, rows, self.attributes, owners, None):
                self.shape.details(batch, part, self.text)
                self.table.add(batch)
            self.place.levels[:, 1] = np.maximum(self.place.levels[:, 1] - n, 0)
        state[kernel.N] = state[kernel.USED] = 0
        if len(self.owners) > _PROCESSES and (self.place.owner < 0).all():
            self.columns.emptied(self.place.processes)
            self.owners = [self.nobody]

    def finish(self) -> None:
        """Write the rest and tell what was set aside."""
        kernel, aside = self.kernel, self.table.aside
        for place, reason in ((kernel.NO_TRACE, "no trace id"), (kernel.NO_SPAN, "no span id"), (kernel.NO_START, "no start time"), (kernel.WRONG, _WRONG)):
            if self.state[place]:
                aside[reason] += int(self.state[place])
        self.table.finish()


def read_scanned(source: Source, sink: Sink, options: ReadOptions, shape: Shape) -> None:
    """Traces by lines where the lines are values, otherwise as one document."""
    scan = Scan(sink, options, shape)
    lines, pieces = pieces_of(source, _PIECE)
    with unwatched():
        if lines:
            scan.lines(pieces)
        else:
            scan.document(pieces)
        scan.finish()


def _and_end(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces, with a line feed behind the last if it has none."""
    last = b"\n"
    for piece in pieces:
        last = piece[-1:]
        yield piece
    if last != b"\n":
        yield b"\n"


def _text(raw: bytes) -> str:
    if b"\\" in raw:
        try:
            return str(msgspec.json.decode(b'"%b"' % raw))
        except BROKEN:
            pass
    return raw.decode("utf-8", "replace")
