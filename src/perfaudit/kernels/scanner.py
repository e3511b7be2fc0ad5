"""The scanner: walks lines by a compiled format and fills columns.

A format is a :class:`~perfaudit.kernels.program.Program`, one operation a field: ``(kind, column, argument, literal, length)``.
An operation reads a field and then the literal ``literals[literal:literal+length]`` that follows it. Numbers and times end where they end; texts end at the
first place where their literal stands. When a later field does not fit, the scanner goes back and lets a text reach to the next
place of its literal (a quote inside a request), a bounded number of times. A line that still does not fit is rejected.
"""

# Numba infers the types of kernels, and compiles loops where it does not compile generators.
# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: SIM109, SIM110

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from perfaudit.kernels.hashing import Table, intern, new_table, siphash
from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.program import (
    ADD,
    CLF,
    CLIENT,
    CLOCK,
    COLUMNS,
    DATE,
    FRACTION,
    ISO,
    METHOD,
    NOTHING,
    REASONS,
    REQUEST,
    REST,
    SKIP,
    STATUS,
    SYMBOL,
    TARGET,
    TEXT,
    TEXTS,
    TRIES,
    Program,
)
from perfaudit.kernels.routes import is_target, normalise
from perfaudit.kernels.text import NULL, find, find_text, load64, matches, number
from perfaudit.kernels.times import clf, clock, date, iso

_METHOD, _ROUTE, _UPSTREAM, _TRIES, _CACHE, _SERVICE, _CLIENT = 3, 4, 9, 10, 11, 12, 14
_MISMATCH, _BAD_TIME, _BLANK = 0, 1, 2
_MAX_TEXT = 200
_MAX_CACHE = 40
_MAX_FIELDS = 256
_MAX_TRIES = 64
#: Second chances of a line; a request with more quotes than this is not worth a quadratic search.
_RETRIES = 32
_KEY, _LAST, _WORDS = 0, 2, 7
_SPACE, _DASH, _COMMA, _COLON, _RETURN = 32, 45, 44, 58, 13


class Output(NamedTuple):
    """Columns being filled: numbers and codes by row, texts and tries one behind the other with the row's end."""

    values: Any
    chars: Any
    text_ends: Any
    tries: Any
    tries_ends: Any
    bounds: Any


class State(NamedTuple):
    """What lives across blocks: tables of symbols, room for a route, counts and first places of rejected lines.

    ``words`` holds the key for clients (two) and the last second read (its bytes, four, and its value).
    """

    methods: Table
    routes: Table
    caches: Table
    services: Table
    instances: Table
    scratch: Any
    words: Any
    rejected: Any
    first: Any


def new_output(rows: int) -> Output:
    """Room for ``rows`` rows."""
    return Output(
        np.empty((len(COLUMNS), rows), np.int64),
        np.empty((len(TEXTS), rows * 40), np.uint8),
        np.zeros((len(TEXTS), rows + 1), np.int32),
        np.empty(rows * 2 + _MAX_TRIES, np.int64),
        np.zeros(rows + 1, np.int32),
        np.empty((_MAX_FIELDS, 2), np.int64),
    )


def operations(program: Program) -> tuple[Any, Any]:
    """``(int64[n, 5], literals)``: the form that :func:`scan` runs."""
    literals = b"".join(f.literal for f in program.fields)
    rows, at = [], 0
    for f in program.fields:
        rows.append((f.kind, f.index, f.argument, at, len(f.literal)))
        at += len(f.literal)
    return np.array(rows[:_MAX_FIELDS], np.int64), np.frombuffer(literals + b"\0", np.uint8).copy()


def new_state(key: bytes, max_routes: int, max_route: int) -> State:
    """Empty tables; ``key`` (16 bytes) hashes client addresses."""
    words = np.zeros(_WORDS, np.int64)
    words[_KEY : _KEY + 2] = np.frombuffer(key.ljust(16, b"\0")[:16], "<i8")
    seed = int(words[_KEY])
    return State(
        new_table(64, 20, seed),
        new_table(max_routes, max_route, seed),
        new_table(64, _MAX_CACHE, seed),
        new_table(1_000, _MAX_TEXT, seed),
        new_table(10_000, _MAX_TEXT, seed),
        np.zeros(max_route + 64, np.uint8),
        words,
        np.zeros(len(REASONS), np.int64),
        np.zeros((len(REASONS), 2), np.int64),
    )


@kernel
def scan(data, start, end, program, literals, output, state, row):
    """Scan the lines of ``data[start:end]`` (64 readable bytes must follow) into ``output`` from ``row`` on.

    Returns ``(position, rows)``; the position is before ``end`` when the output is full.
    """
    capacity = output.values.shape[1]
    position = start
    while position < end and row < capacity and _room(output, row):
        stop = find(data, position, end, 10)
        length = stop - position
        if length and data[stop - 1] == _RETURN:
            length -= 1
        problem = _line(data, position, position + length, program, literals, output, state, row)
        if problem < 0:
            row += 1
        else:
            if problem == _MISMATCH and _blank(data, position, stop):
                problem = _BLANK
            if state.rejected[problem] == 0:
                state.first[problem, 0] = position
                state.first[problem, 1] = length
            state.rejected[problem] += 1
        position = stop + 1
    return min(position, end), row


@inlined
def _room(output, row):
    space = output.chars.shape[1] - _MAX_TEXT
    return output.text_ends[0, row] <= space and output.text_ends[1, row] <= space and output.tries_ends[row] + _MAX_TRIES <= len(output.tries)


@kernel
def _blank(data, start, end):
    for i in range(start, end):
        if data[i] != _SPACE and data[i] != 9 and data[i] != _RETURN:
            return False
    return True


@inlined
def _line(data, start, end, program, literals, output, state, row):
    """Read one line into ``row``; the reason of rejection, or -1."""
    for i in range(output.text_ends.shape[0]):
        output.text_ends[i, row + 1] = output.text_ends[i, row]
    output.tries_ends[row + 1] = output.tries_ends[row]
    output.values[_CLIENT, row] = NULL
    operations = len(program)
    bounds = output.bounds
    retries = _RETRIES
    reason = _MISMATCH
    position = start
    k = 0
    while k < operations:
        kind, literal, length = program[k, 0], program[k, 3], program[k, 4]
        bounds[k, 0] = position
        if kind <= TEXT:
            stop = find_text(data, position, end, literals, literal, length) if length else end
            if stop >= 0:
                bounds[k, 1] = stop
                _text(data, position, stop, kind, program[k, 1], program[k, 2], output, state, row)
        else:
            stop = _value(data, position, end, kind, program[k, 1], program[k, 2], output, row, state.words)
            if stop < 0 and CLF <= kind <= CLOCK:
                reason = _BAD_TIME
            if stop >= 0 and (not matches(data, stop, end, literals, literal, length) or (length == 0 and k + 1 == operations and stop != end)):
                stop = -1
        if stop >= 0:
            position = stop + length
            k += 1
            continue
        k, stop = _go_back(data, end, program, literals, bounds, k)
        retries -= 1
        if k < 0 or retries < 0:
            return reason
        bounds[k, 1] = stop
        _again(data, bounds[k, 0], stop, program[k, 0], program[k, 1], program[k, 2], output, state, row)
        position = stop + program[k, 4]
        k += 1
    return -1


@kernel
def _go_back(data, end, program, literals, bounds, k):
    """The last text before operation ``k`` that can end later, and where; -1: none can."""
    for j in range(k - 1, -1, -1):
        if program[j, 0] <= TEXT and program[j, 4]:
            stop = find_text(data, bounds[j, 1] + 1, end, literals, program[j, 3], program[j, 4])
            if stop >= 0:
                return j, stop
    return -1, -1


@kernel
def _again(data, start, end, kind, column, yields, output, state, row):
    """:func:`_text` as a call: going back is rare, and a second way into the loop makes every line a third slower."""
    _text(data, start, end, kind, column, yields, output, state, row)


@inlined
def _text(data, start, end, kind, column, yields, output, state, row):
    if kind == SKIP:
        return
    values = output.values
    nothing = start == end or (end - start == 1 and data[start] == _DASH)
    if kind <= METHOD:
        _request(data, start, end, kind, values, state, row)
    elif kind == SYMBOL:
        table = state.caches if column == _CACHE else state.services if column == _SERVICE else state.instances
        limit = _MAX_CACHE if column == _CACHE else _MAX_TEXT
        values[column, row] = NULL if nothing else intern(table, data, start, min(end, start + limit))
    elif kind == CLIENT:
        if not yields or values[_CLIENT, row] == NULL:
            _client(data, start, end, values, state, row)
    else:
        _keep(data, start, end, output, column, row, nothing)


@inlined
def _request(data, start, end, kind, values, state, row):
    """Method and route of a request line, or the one of them that the field holds; what is unreadable is NULL."""
    space = _method_end(data, start, end) if kind != TARGET else start
    target, stop = space, end
    if kind == REQUEST:
        target = min(space + 1, end)
        stop = find(data, target, end, _SPACE)
        if space == start or space == end or data[space] != _SPACE or not is_target(data, target, stop):
            space, stop = start, target
    elif kind == METHOD:
        space = space if space == end and not (space == start + 1 and data[start] == _DASH) else start
        stop = target
    elif end == start + 1 and data[start] == _DASH:
        stop = start
    if kind != TARGET:
        values[_METHOD, row] = intern(state.methods, data, start, space) if space > start else NULL
    if kind != METHOD:
        values[_ROUTE, row] = intern(state.routes, state.scratch, 0, normalise(data, target, stop, state.scratch)) if stop > target else NULL


@inlined
def _method_end(data, start, end):
    i = start
    while i < end and (65 <= data[i] <= 90 or (i > start and (data[i] == _DASH or data[i] == 95))):
        i += 1
    return i if i - start <= 20 else start


@inlined
def _client(data, start, end, values, state, row):
    """Hash the first address of a list, without its port; an empty one leaves what an earlier field gave."""
    stop = start
    colons = 0
    while stop < end and data[stop] != _COMMA and data[stop] != _SPACE:
        colons += data[stop] == _COLON
        stop += 1
    if stop > start and data[start] == 91:
        start += 1
        stop = find(data, start, stop, 93)
    elif colons == 1:
        stop = find(data, start, stop, _COLON)
    if stop > start and not (stop - start == 1 and data[start] == _DASH):
        values[_CLIENT, row] = np.int64(siphash(np.uint64(state.words[_KEY]), np.uint64(state.words[_KEY + 1]), data, start, stop))


@inlined
def _keep(data, start, end, output, column, row, nothing):
    """Copy an identifier; of a trace id what identifies it: the second part of a traceparent, the 32 digits of an X-Ray root."""
    begin = output.text_ends[column, row]
    output.text_ends[column, row + 1] = begin
    if nothing:
        return
    trace = column == 0
    if trace and end - start == 55 and data[start + 2] == _DASH and data[start + 35] == _DASH:
        start, end = start + 3, start + 35
    xray = trace and end - start == 40 and data[start + 4] == 61 and data[start + 6] == _DASH and data[start + 15] == _DASH
    if xray:
        start += 7
    position = begin
    for i in range(start, min(end, start + _MAX_TEXT)):
        byte = data[i]
        if xray and byte == _DASH:
            continue
        if trace and 65 <= byte <= 90:
            byte += 32
        output.chars[column, position] = byte if 32 <= byte < 127 else 63
        position += 1
    output.text_ends[column, row + 1] = position


@inlined
def _value(data, position, end, kind, column, scale, output, row, words):
    """Read a number or time at ``position`` into its column; where it ends, or -1."""
    values = output.values
    if kind == NOTHING:
        return position
    if kind == REST:
        return end if position == end or data[position] in (_SPACE, 9, _COMMA, 59, 124) else -1
    if kind <= STATUS:
        value, stop = number(data, position, end, scale)
        if kind == STATUS:
            stop = stop if value <= 0 or 100 <= value <= 999 else -1
            value = max(value, 0)
        elif kind == ADD:
            before = values[column, row]
            value = NULL if value == NULL or before == NULL else before + value
        elif kind == FRACTION and value != NULL and find(data, position, stop, 46) >= stop:
            stop = -1
        values[column, row] = value
        return stop
    if kind == TRIES:
        return _read_tries(data, position, end, column, output, row)
    if kind == CLF:
        value, stop = _same_second(data, position, end, words)
    elif kind == ISO:
        value, stop = iso(data, position, end)
    elif kind == DATE:
        value, stop = date(data, position, end)
    else:
        value, stop = clock(data, position, end)
        value += values[column, row]
    values[column, row] = value
    return stop


@inlined
def _same_second(data, position, end, words):
    """:func:`clf`, remembering the last ``dd/Mon/yyyy:HH:MM:SS +zzzz`` (26 bytes)."""
    if position + 26 > end or data[position + 20] != _SPACE:
        return clf(data, position, end)
    a, b = np.int64(load64(data, position)), np.int64(load64(data, position + 8))
    c, d = np.int64(load64(data, position + 16)), np.int64(load64(data, position + 18))
    if a != words[_LAST] or b != words[_LAST + 1] or c != words[_LAST + 2] or d != words[_LAST + 3]:
        value, stop = clf(data, position, end)
        if stop != position + 26:
            return value, stop
        words[_LAST], words[_LAST + 1], words[_LAST + 2], words[_LAST + 3], words[_LAST + 4] = a, b, c, d, value
    return words[_LAST + 4], position + 26


@kernel
def _read_tries(data, position, end, column, output, row):
    """Upstream times in seconds: ``0.1, 0.2 : 0.3`` is three tries, ``-`` or nothing is none; the sum goes to ``column``."""
    begin = output.tries_ends[row]
    total = NULL
    count = 0
    while True:
        value, stop = number(data, position, end, 1_000_000)
        if stop < 0:
            return -1
        if stop > position:
            if column == _UPSTREAM and count < _MAX_TRIES:
                output.tries[begin + count] = value
            count += 1
            if value != NULL:
                total = value if total == NULL else total + value
        position = stop
        following = stop
        while following < end and (data[following] == _SPACE or data[following] == _COMMA or data[following] == _COLON):
            following += 1
        if following == stop or (following == stop + 1 and data[stop] == _SPACE) or following >= end:
            break
        if not (48 <= data[following] <= 57 or data[following] == _DASH):
            break
        position = following
    output.values[column, row] = total
    if column == _UPSTREAM:
        if count == 1 and total == NULL:
            count = 0
        output.values[_TRIES, row] = count
        output.tries_ends[row + 1] = begin + min(count, _MAX_TRIES) if count > 1 else begin
    return position
