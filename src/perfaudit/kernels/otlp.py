"""OTLP's trace messages on the wire: one pass over the bytes, a row of positions and numbers for each span.

Sources: Protocol Buffers documentation, "Encoding"; opentelemetry-proto 1.7, trace.proto. Fields that are not known are passed over.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.kernels.jit import inlined, kernel

(
    TRACE, TRACE_LENGTH, SPAN, SPAN_LENGTH, PARENT, PARENT_LENGTH, NAME, NAME_LENGTH, KIND, START, END, STATUS, STATE, STATE_LENGTH, FIRST, LAST, EVENTS, LINKS, GROUP, SAID, SAID_END, COLUMNS,
) = range(22)  # fmt: skip
#: What a call gives instead of a number of rows: the bytes are no such message; there is no room for more rows.
CORRUPT, FULL = -1, -2
_SERVER = 2
#: Attributes of a span that are told apart; with more all are kept.
_MOST = 128

#: Attributes that differ in every span and that nothing is read from: always, on servers, where there is ``http.route``.
_ALWAYS = (b"thread.id", b"thread.name", b"net.sock.peer.port", b"net.sock.peer.addr", b"net.sock.host.port", b"network.peer.port", b"network.peer.address", b"client.port", b"client.address", b"http.client_ip", b"url.query")
_OF_SERVERS = (b"net.peer.port", b"net.peer.ip", b"net.peer.name", b"user_agent.original", b"http.user_agent")
_WITH_ROUTE = (b"http.target", b"url.path", b"url.full", b"http.url")
_KEYS = (*_ALWAYS, *_OF_SERVERS, *_WITH_ROUTE, b"http.route")
_TEXT = np.frombuffer(b"".join(_KEYS), np.uint8).copy()
_ENDS = np.cumsum([len(key) for key in _KEYS]).astype(np.int64)
_N_ALWAYS, _N_SERVERS, _N_KEYS = len(_ALWAYS), len(_ALWAYS) + len(_OF_SERVERS), len(_KEYS)


def scratch() -> Any:
    """Where a call keeps a span's attributes."""
    return np.zeros((_MOST, 3), np.int64)


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
def _class(data, start, end):
    """Which of ``_KEYS`` the key of the ``KeyValue`` in ``data[start:end]`` is; -1: none."""
    if end - start < 2 or data[start] != 10:
        return -1
    length = np.int64(data[start + 1])
    if length > 127 or start + 2 + length > end:
        return -1
    low = np.int64(0)
    for k in range(_N_KEYS):
        high = _ENDS[k]
        if high - low == length:
            j = 0
            while j < length and data[start + 2 + j] == _TEXT[low + j]:
                j += 1
            if j == length:
                return k
        low = high
    return -1


@inlined
def _span(data, start, end, row, said, used, marks):
    """One span into ``row`` (``FIRST`` and ``LAST`` are its own bounds in the end), its attributes into ``said[used:]``; gives how much of that is used, -1 where it is no span."""
    for k in range(COLUMNS):
        row[k] = 0
    row[FIRST] = -1
    n = 0
    route = False
    position = start
    while position < end:
        at = position
        number, wire, low, position = _field(data, position, end)
        if position < 0:
            return np.int64(-1)
        if wire == 2:
            if number == 1:
                row[TRACE], row[TRACE_LENGTH] = low, position - low
            elif number == 2:
                row[SPAN], row[SPAN_LENGTH] = low, position - low
            elif number == 3:
                row[STATE], row[STATE_LENGTH] = low, position - low
            elif number == 4:
                row[PARENT], row[PARENT_LENGTH] = low, position - low
            elif number == 5:
                row[NAME], row[NAME_LENGTH] = low, position - low
            elif number == 9:
                if row[FIRST] < 0:
                    row[FIRST] = at
                row[LAST] = position
                if n < _MOST:
                    marks[n, 0], marks[n, 1] = at, position
                    key = _class(data, low, position)
                    marks[n, 2] = key
                    route = route or key == _N_KEYS - 1
                n += 1
            elif number == 11:
                row[EVENTS] = 1
            elif number == 13:
                row[LINKS] = 1
            elif number == 15:
                inner = low
                while inner < position:
                    sub, kind, value, inner = _field(data, inner, position)
                    if inner < 0:
                        return np.int64(-1)
                    if sub == 3 and kind == 0:
                        row[STATUS] = value
        elif wire == 0 and number == 6:
            row[KIND] = low
        elif wire == 1 and number == 7:
            row[START] = np.int64(_fixed64(data, low))
        elif wire == 1 and number == 8:
            row[END] = np.int64(_fixed64(data, low))
    row[SAID] = used
    if n > _MOST:
        for k in range(row[FIRST], row[LAST]):
            said[used + k - row[FIRST]] = data[k]
        used += row[LAST] - row[FIRST]
    else:
        for m in range(n):
            key = marks[m, 2]
            if not (0 <= key < _N_ALWAYS or (_N_ALWAYS <= key < _N_SERVERS and row[KIND] == _SERVER) or (_N_SERVERS <= key < _N_KEYS - 1 and route)):
                for k in range(marks[m, 0], marks[m, 1]):
                    said[used + k - marks[m, 0]] = data[k]
                used += marks[m, 1] - marks[m, 0]
    row[SAID_END] = used
    row[FIRST], row[LAST] = start, end
    return used


@kernel
def spans(data, start, end, rows, first, groups, first_group, said, used, marks):
    """The request in ``data[start:end]`` as ``rows[first:]``, its resources as ``groups[first_group:]`` (start and end of each), its attributes in ``said``.

    Gives ``(number of rows, number of groups, used of said)`` in all, or :data:`CORRUPT` or :data:`FULL` as the first.
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
                        if n >= len(rows):
                            return FULL, g, used
                        used = _span(data, begin, deep, rows[n], said, used, marks)
                        if used < 0:
                            return CORRUPT, g, np.int64(0)
                        rows[n, GROUP] = g
                        n += 1
        g += 1
    return n, g, used
