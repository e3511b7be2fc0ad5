"""Traces as JSON: one value a line, however long, or one document of any size; see :mod:`perfaudit.evidence.readers._spans_document`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from perfaudit.evidence.readers import Sample
from perfaudit.evidence.readers._spans_rows import unwatched
from perfaudit.evidence.source import HEAD

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink
    from perfaudit.evidence.readers._spans_rows import SpanTable
    from perfaudit.evidence.source import Source

#: What decoding raises for text that is no JSON (RecursionError: nested too deep).
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: Longest line that is decoded at once; the Collector's file exporter writes requests of some megabytes. A longer first line is
#: a document, which is cut into spans.
LINE = 32 << 20
_PIECE = 4 << 20


class Format(Protocol):
    """What a trace format knows about its JSON. ``lists_of_spans``: a document is a list (of lists) of spans; otherwise spans are in
    arrays of that name, and their groups say what ran them."""

    table: SpanTable
    lists_of_spans: bool

    def value(self, text: bytes) -> str:
        """One whole JSON value into rows; "" or the reason why it gives none. Raises one of :data:`BROKEN` for no JSON."""

    def begin(self, prefix: bytes) -> None:
        """Spans of a group follow; ``prefix`` is its text so far."""

    def run(self, text: bytes) -> None:
        """A list of spans. Raises one of :data:`BROKEN`."""

    def group(self, text: bytes) -> None:
        """A group ends; ``text`` is all of it but its spans."""

    def finish(self) -> None:
        """Write what is gathered."""


def trimmed(line: bytes) -> bytes:
    """A line without what makes it an element of an array that is written over several lines."""
    line = line.strip().strip(b",").strip()
    if line.startswith(b"[") and not line.endswith(b"]"):
        line = line[1:].lstrip()
    elif line.endswith(b"]") and not line.startswith(b"["):
        line = line[:-1].rstrip().rstrip(b",")
    return line


def by_lines(sample: Sample) -> bool:
    """Whether the head is whole JSON values (objects, or arrays) line by line; a first line that has no end yet may be."""
    good = bad = 0
    for line in sample.lines:
        line = trimmed(line)
        if line in (b"", b"[", b"]"):
            continue
        try:
            good += isinstance(msgspec.json.decode(line), (dict, list))
        except BROKEN:
            bad += 1
    return good >= bad and not (good == 0 and len(sample.lines) > 1)


def pieces_of(source: Source, size: int) -> tuple[bool, Iterator[bytes]]:
    """Whether the lines are values, and the text in pieces of ``size`` bytes."""
    pieces = source.pieces(size)
    head = source.head
    lines = by_lines(Sample(source.name, head))
    if lines and len(head) >= HEAD and b"\n" not in head:  # one line so far: a long one, or all there is
        first: list[bytes] = []
        for piece in pieces:
            first.append(piece)
            if b"\n" in piece or sum(map(len, first)) > LINE:
                break
        lines = sum(map(len, first)) <= LINE or b"\n" in b"".join(first)[:LINE]
        pieces = chain(first, pieces)
    return lines, pieces


def read_json(source: Source, sink: Sink, form: Format) -> None:
    """Traces by lines where the lines are values, otherwise as one document."""
    lines, pieces = pieces_of(source, _PIECE)
    with unwatched():
        if lines:
            _read_lines(pieces, sink, form)
        else:
            from perfaudit.evidence.readers._spans_document import read_document

            read_document(pieces, sink, form)
        form.finish()


def _read_lines(pieces: Iterator[bytes], sink: Sink, form: Format) -> None:
    for offset, line in _long_lines(pieces, sink):
        sink.lines()
        text = trimmed(line)
        if text in (b"", b"[", b"]"):
            sink.parsed()
            continue
        try:
            reason = form.value(text)
        except BROKEN:
            reason = "not JSON"
        if reason:
            sink.reject(reason, example=line[:2000], offset=offset)
        else:
            sink.parsed()


def _long_lines(pieces: Iterator[bytes], sink: Sink) -> Iterator[tuple[int, bytes]]:
    """``(offset, line)`` for lines of up to :data:`LINE` bytes; longer ones are counted and rejected."""
    kept: list[bytes] = []
    size = start = 0
    for piece in pieces:
        position = 0
        while (end := piece.find(b"\n", position)) >= 0:
            part = piece[position:end]
            size += len(part)
            if size > LINE:
                _too_long(sink, start, kept)
            else:
                yield start, b"".join((*kept, part)) if kept else part
            start += size + 1
            kept, size, position = [], 0, end + 1
        if position < len(piece):
            size += len(piece) - position
            kept = [*kept, piece[position:]] if size <= LINE else kept[:1]
    if size > LINE:
        _too_long(sink, start, kept)
    elif size:
        yield start, b"".join(kept)


def _too_long(sink: Sink, offset: int, kept: list[bytes]) -> None:
    sink.lines()
    sink.reject("line longer than 32 MiB", example=kept[0][:200] if kept else b"", offset=offset)


def scalar(value: Any) -> Any:
    """A JSON value as an attribute's: text, number, boolean, or the only element of a list; None for anything else."""
    if isinstance(value, (str, int, float)):
        return value
    return scalar(value[0]) if isinstance(value, list) and len(value) == 1 else None
