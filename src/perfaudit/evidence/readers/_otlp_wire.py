"""Protobuf's wire format in Python, for what few spans have: attributes that were not met before, events, links, resources."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from perfaudit.evidence.readers._spans_attributes import Pairs, exception
from perfaudit.evidence.readers._spans_batch import EXCEPTIONS, LINKS


class Corrupt(Exception):
    """The bytes are no message."""


def varint(data: bytes, position: int) -> tuple[int, int]:
    """``(value, position behind it)``. Raises :class:`Corrupt`."""
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise Corrupt


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """``(number, value)`` of a message: integers, or bytes (also of fixed width). Raises :class:`Corrupt`."""
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        wire = tag & 7
        if wire == 0:
            value, position = varint(data, position)
            yield tag >> 3, value
            continue
        length, position = varint(data, position) if wire == 2 else ({1: 8, 5: 4}.get(wire, -1), position)
        if length < 0 or position + length > len(data):
            raise Corrupt
        yield tag >> 3, data[position : position + length]
        position += length


def attributes(data: bytes, number: int) -> Pairs:
    """``(key, value)`` of the ``KeyValue`` in field ``number``; what cannot be read ends the list."""
    out: list[tuple[str, Any]] = []
    with suppress(Corrupt):
        out.extend(pair(value) for field, value in fields(data) if field == number and isinstance(value, bytes))
    return out


def pair(data: bytes) -> tuple[str, Any]:
    """A ``KeyValue``; what cannot be read has no value."""
    try:
        found = dict(fields(data))
        key, inner = found.get(1), found.get(2)
        return (key.decode("utf-8", "replace"), _any_value(inner)) if isinstance(key, bytes) and isinstance(inner, bytes) else ("", None)
    except Corrupt:
        return "", None


def _any_value(data: bytes) -> Any:
    """An ``AnyValue``: of lists the only element, of other kinds nothing."""
    for field, value in fields(data):
        if field == 1 and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if field == 2:
            return bool(value)
        if field == 3 and isinstance(value, int):
            return value - (1 << 64) if value >> 63 else value
        if field == 4 and isinstance(value, bytes):
            return struct.unpack("<d", value)[0] if len(value) == 8 else None
        if field == 5 and isinstance(value, bytes):
            elements = [inner for number, inner in fields(value) if number == 1 and isinstance(inner, bytes)]
            return _any_value(elements[0]) if len(elements) == 1 else None
    return None


def links_and_exceptions(span: bytes) -> tuple[list[str], list[str]]:
    """``trace:span`` of each link and the types of the exceptions of a ``Span``."""
    links: list[str] = []
    kinds: list[str] = []
    try:
        for field, value in fields(span):
            if field == 13 and len(links) < LINKS:
                ids = dict(fields(value))
                trace, other = ids.get(1), ids.get(2)
                if isinstance(trace, bytes) and isinstance(other, bytes):
                    links.append(f"{trace.hex()}:{other.hex()}")
            elif field == 11 and len(kinds) < EXCEPTIONS and any(f == 2 and v == b"exception" for f, v in fields(value)):
                kinds.append(exception(next((str(v) for k, v in attributes(value, 3) if k == "exception.type" and v), "exception")))
    except (Corrupt, TypeError):
        pass
    return links, kinds
