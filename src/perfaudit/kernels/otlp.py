"""OTLP's trace messages on the wire: one pass over the bytes, a row of positions and numbers for each span.

Sources: Protocol Buffers documentation, "Encoding"; opentelemetry-proto 1.7, trace.proto. Fields that are not known are passed over.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

import perfaudit.kernels.attributes as to
from perfaudit.kernels.attribute_keys import SKIPPED
from perfaudit.kernels.hashing import intern
from perfaudit.kernels.jit import inlined, kernel

#: What a call gives instead of a number of rows: the bytes are no such message; there is no room for more rows.
CORRUPT, FULL = -1, -2


@inlined
def _varint(data, position, end):
    """``(value, position behind it)``; the position is -1 where there is none."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while position < end and shift < np.uint64(70):
        byte = data[position]
        position += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return np.int64(value), position
        shift += np.uint64(7)
    return np.int64(0), -1


@inlined
def _field(data, position, end):
    """``(number, wire type, start of the value, end of the value)``; the last is -1 where the bytes are no field. Of a varint the start is its value."""
    tag, position = _varint(data, position, end)
    if position < 0 or tag <= 0:
        return 0, 0, 0, -1
    wire = tag & 7
    number = tag >> 3
    if wire == 2:
        length, position = _varint(data, position, end)
        if position < 0 or length < 0 or length > end - position:
            return 0, 0, 0, -1
        return number, wire, position, position + length
    if wire == 0:
        value, position = _varint(data, position, end)
        return number, wire, value, position
    size = 8 if wire == 1 else 4 if wire == 5 else -1
    if size < 0 or position + size > end:
        return 0, 0, 0, -1
    return number, wire, position, position + size


@inlined
def _fixed64(data, position):
    value = np.uint64(0)
    for k in range(8):
        value |= np.uint64(data[position + k]) << np.uint64(8 * k)
    return min(value, np.uint64(0x7FFFFFFFFFFFFFFF))


@inlined
def _attribute(data, start, end, attributes, n, codes):
    """The ``KeyValue`` in ``data[start:end]`` as ``attributes[n]``, its value as text where it is one; gives the next n."""
    position = start
    key = np.int64(-1)
    text = text_end = 0
    while position < end:
        number, wire, low, position = _field(data, position, end)
        if position < 0:
            break
        if wire == 2 and number == 1:
            key = intern(codes.keys, data, low, position)
            if codes.classes[key] == SKIPPED:
                return n
        elif wire == 2 and number == 2:
            number, wire, text, text_end = _field(data, low, position)
            if text_end != position or number != 1 or wire != 2:
                text = text_end = 0
    if key >= 0:
        attributes[n, to.PAIR], attributes[n, to.PAIR_END], attributes[n, to.KEY], attributes[n, to.TEXT], attributes[n, to.TEXT_END] = start, end, key, text, text_end
        n += 1
    return n


@inlined
def _span(data, start, end, row, attributes, n, codes):
    """One span into ``row`` and ``attributes[n:]``; gives the next n, -1 where it is no span. ``EXTRA`` are its bounds if it has events or links."""
    for k in range(to.ROW_COLUMNS):
        row[k] = 0
    row[to.FIRST], row[to.KIND], row[to.END] = n, -1, -1
    most = min(n + to.MOST, len(attributes))
    position = start
    while position < end:
        number, wire, low, position = _field(data, position, end)
        if position < 0:
            return np.int64(-1)
        if wire == 2:
            if number == 9:
                if n < most:
                    n = _attribute(data, low, position, attributes, n, codes)
            elif number == 1:
                row[to.TRACE], row[to.TRACE_END] = low, position
            elif number == 2:
                row[to.SPAN], row[to.SPAN_END] = low, position
            elif number == 3:
                row[to.STATE], row[to.STATE_END] = low, position
            elif number == 4:
                row[to.PARENT], row[to.PARENT_END] = low, position
            elif number == 5:
                row[to.NAME], row[to.NAME_END] = low, position
            elif number in (11, 13):
                row[to.EXTRA], row[to.EXTRA_END] = start, end
            elif number == 15:
                inner = low
                while inner < position:
                    sub, kind, value, inner = _field(data, inner, position)
                    if inner < 0:
                        return np.int64(-1)
                    if sub == 3 and kind == 0:
                        row[to.STATUS] = value if 0 < value < 3 else 0
        elif wire == 0 and number == 6:
            row[to.KIND] = low - 1 if 0 < low < 6 else -1
        elif wire == 1 and number == 7:
            row[to.START] = np.int64(_fixed64(data, low))
        elif wire == 1 and number == 8:
            ended = np.int64(_fixed64(data, low))
            row[to.END] = ended if ended > 0 else -1
    row[to.LAST] = n
    return n


@kernel
def spans(data, start, end, rows, first, groups, first_group, attributes, used, codes):
    """The request in ``data[start:end]`` as ``rows[first:]``, its resources as ``groups[first_group:]`` (start and end of each), its attributes as ``attributes[used:]``.

    Gives ``(number of rows, number of groups, number of attributes)`` in all, or :data:`CORRUPT` or :data:`FULL` as the first.
    """
    n, g = first, first_group
    position = start
    while position < end:
        number, wire, low, position = _field(data, position, end)
        if position < 0:
            return CORRUPT, g, used
        if number != 1 or wire != 2:
            continue
        if g >= len(groups):
            return FULL, g, used
        groups[g, 0], groups[g, 1] = 0, 0
        inner, high = low, position
        while inner < high:
            sub, kind, value, inner = _field(data, inner, high)
            if inner < 0:
                return CORRUPT, g, used
            if kind == 2 and sub == 1:
                groups[g, 0], groups[g, 1] = value, inner
            elif kind == 2 and sub in (2, 1000):
                deep, stop = value, inner
                while deep < stop:
                    what, how, begin, deep = _field(data, deep, stop)
                    if deep < 0:
                        return CORRUPT, g, used
                    if what == 2 and how == 2:
                        if n >= len(rows) or used + to.MOST > len(attributes):
                            return FULL, g, used
                        used = _span(data, begin, deep, rows[n], attributes, used, codes)
                        if used < 0:
                            return CORRUPT, g, np.int64(0)
                        rows[n, to.OWNER] = g
                        n += 1
        g += 1
    return n, g, used
