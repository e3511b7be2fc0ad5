"""Traces as JSON: one value a line, however long, or one document of any size; :mod:`perfaudit.evidence.readers._spans_scan` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import Sample
from perfaudit.evidence.source import HEAD

if TYPE_CHECKING:
    from perfaudit.evidence.source import Source

#: What decoding raises for text that is no JSON (RecursionError: nested too deep).
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: Longest line that is decoded at once; the Collector's file exporter writes requests of some megabytes. A longer first line is
#: a document, which is cut into spans.
LINE = 32 << 20


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


def decoded(raw: bytes, kind: type) -> Any:
    """A JSON value of this kind; an empty one where it is none."""
    try:
        value = msgspec.json.decode(raw)
    except BROKEN:
        return kind()
    return value if isinstance(value, kind) else kind()


def scalar(value: Any) -> Any:
    """A JSON value as an attribute's: text, number, boolean, or the only element of a list; None for anything else."""
    if isinstance(value, (str, int, float)):
        return value
    return scalar(value[0]) if isinstance(value, list) and len(value) == 1 else None
