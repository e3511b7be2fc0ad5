"""Traces as JSON: one value a line, however long, or one document of any size; see :mod:`perfaudit.evidence.readers._spans_document`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sample, Sink
    from perfaudit.evidence.source import Source

#: What decoding raises for text that is no JSON (RecursionError: nested too deep).
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: Longest line that is decoded at once; the Collector's file exporter writes requests of some megabytes. A longer first line is
#: a document, which is cut into spans.
LINE = 32 << 20
_PIECE = 4 << 20


class Format(Protocol):
    """What a trace format knows about its JSON."""

    def value(self, text: bytes) -> str:
        """One whole JSON value into rows; "" or the reason why it gives none. Raises one of :data:`BROKEN` for no JSON."""

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


def read_lines(source: Source, sink: Sink, form: Format) -> None:
    """Every line is a JSON value, or an element of an array."""
    for offset, line in long_lines(source, sink):
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
    form.finish()


def long_lines(source: Source, sink: Sink) -> Iterator[tuple[int, bytes]]:
    """``(offset, line)`` for lines of up to :data:`LINE` bytes; longer ones are counted and rejected."""
    kept: list[bytes] = []
    size = start = 0
    for piece in chain(source.pieces(_PIECE), (None,)):
        if piece is None:
            if 0 < size <= LINE:
                yield start, b"".join(kept)
            elif size > LINE:
                _too_long(sink, start, kept)
            return
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
            part = piece[position:]
            size += len(part)
            if size <= LINE:
                kept.append(part)
            else:
                kept = kept[:1]


def _too_long(sink: Sink, offset: int, kept: list[bytes]) -> None:
    sink.lines()
    sink.reject("line longer than 32 MiB", example=kept[0][:200] if kept else b"", offset=offset)


def scalar(value: Any) -> Any:
    """A JSON value as an attribute's: text, number, boolean, or the only element of a list; None for anything else."""
    if isinstance(value, (str, int, float)):
        return value
    return scalar(value[0]) if isinstance(value, list) and len(value) == 1 else None


def read_json(source: Source, sink: Sink, form: Format) -> None:
    """Traces by lines, or as a document."""
    read_lines(source, sink, form)
