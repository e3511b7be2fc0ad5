"""Records of delimited text whose quoted fields may hold line breaks, without losing the rest of the file to one bad quote."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from perfaudit.evidence.source import MAX_LINE

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink
    from perfaudit.evidence.source import Source

#: Quotes that are still open after this many lines never end.
_OPEN_LINES = 10_000


def records(source: Source, sink: Sink, begins: Callable[[bytes], bool]) -> Iterator[tuple[int, int, bytes]]:
    """``(physical lines, offset, text)`` of each record, counted in ``sink.lines``; the caller counts parsed or rejected.

    A record ends where its quotes are balanced. Where they are open, a line of which ``begins`` is sure that it starts a
    record does so: the unfinished one is rejected.
    """
    csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_LINE))
    held: list[bytes] = []
    held_at = size = 0
    odd = False
    for offset, line in source.lines(sink.too_long):
        sink.lines()
        if held and (begins(line) or len(held) >= _OPEN_LINES or size > MAX_LINE):
            sink.reject("quotes that never end", len(held), example=held[0], offset=held_at)
            held, odd, size = [], False, 0
        odd ^= line.count(b'"') & 1 == 1
        if not held:
            if not odd:
                yield 1, offset, line
                continue
            held_at = offset
        held.append(line)
        size += len(line)
        if not odd:
            yield len(held), held_at, b"\n".join(held)
            held, size = [], 0
    if held:
        sink.reject("quotes that never end", len(held), example=held[0], offset=held_at)


def split(text: str, delimiter: str = ",") -> list[str]:
    """The fields of one record; empty when it cannot be split."""
    try:
        return next(csv.reader((text,), delimiter=delimiter), [])
    except csv.Error:
        return []
