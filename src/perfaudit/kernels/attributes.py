"""Attributes of spans as codes: equal bytes get equal codes, so that what they mean is worked out once for each distinct attribute,
and what a span says once for each distinct list of meanings.

A scanner of a format writes *rows* (a span each) and *attributes* (:data:`ROW` …), each with the code of its key. :func:`pairs` gives codes
to whole attributes, :func:`sets` to the lists of what they mean. Both stop where a table is full.
"""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from perfaudit.kernels.attribute_keys import ADDRESS, HOST, METHOD, PORT, ROLE, ROUTE, SKIPPED, URL
from perfaudit.kernels.hashing import Table, intern, new_table
from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.text import load64

#: Columns of a row. ``X`` and ``X_END`` are positions of text; ids are text or bytes, ``EXTRA`` and ``MORE`` are what few spans have, as the format gives it.
(
    TRACE, TRACE_END, SPAN, SPAN_END, PARENT, PARENT_END, NAME, NAME_END, STATE, STATE_END, OWNER, KIND, STATUS, START, END, FIRST, LAST, EXTRA, EXTRA_END, MORE, MORE_END, ROW_COLUMNS,
) = range(22)  # fmt: skip
#: Columns of an attribute: where it is, the code of its key, where its text is, its own code in the end.
PAIR, PAIR_END, KEY, TEXT, TEXT_END, CODE, PAIR_COLUMNS = range(7)

#: Kind of a span that serves.
SERVER = 1
#: Distinct keys, attributes and lists that are remembered, and bytes of each on average.
_KEYS, _PAIRS, _SETS = (4_096, 48), (65_536, 96), (65_536, 48)
#: A longer attribute is not remembered, and this many at most wait to be read.
_LONG, _WAITING = 2_048, 4_096
#: Attributes of a span that are looked at.
MOST = 256
_SLASH, _QUESTION, _HASH, _ZERO, _NINE = 47, 63, 35, 48, 57
_SEED = 0x5EED
#: No number.
NULL = np.iinfo(np.int64).min
_SERVES = np.frombuffer(b"server", np.uint8).copy()


class Codes(NamedTuple):
    """What is known of attributes. ``classes`` by key; ``born`` (where an attribute was met first), ``meanings``, ``numbers`` and ``places`` by attribute, ``sets`` the lists of meanings.

    A meaning above 0 is told by its number, 0 says nothing, -1-s is the number of slot s, which yields to one of a lower place.
    """

    keys: Table
    classes: Any
    pairs: Table
    born: Any
    meanings: Any
    numbers: Any
    places: Any
    sets: Table
    scratch: Any
    sequence: Any
    waiting: Any


def new_codes() -> Codes:
    """Nothing is known yet."""
    pairs = _PAIRS[0] + _WAITING
    classes = np.zeros(_KEYS[0] + 1, np.uint8)
    classes[-1] = SKIPPED
    return Codes(
        new_table(*_KEYS, _SEED), classes, new_table(*_PAIRS, _SEED), np.zeros(pairs, np.int64), np.zeros(pairs, np.int32), np.zeros(pairs, np.int64),
        np.zeros(pairs, np.uint8), new_table(*_SETS, _SEED), np.zeros(2 * _LONG + 64, np.uint8), np.zeros(MOST + 16, np.int32), np.zeros(1, np.int64),
    )  # fmt: skip


def emptied(table: Table) -> None:
    """Forget the strings of a table."""
    table.slots[:] = -1
    table.counts[:] = 0


def forget(codes: Codes) -> None:
    """Forget attributes and lists; keys stay."""
    emptied(codes.pairs)
    emptied(codes.sets)
    codes.waiting[0] = 0


@inlined
def _shrunk(data, start, end, key, out):
    """A URL without query, its numbers as 0, behind its key in ``out``; gives the length."""
    out[0] = 255  # no attribute begins so
    out[1] = key & 255
    out[2] = key >> 8
    n = 3
    i = start
    while i < end:
        byte = data[i]
        if byte in (_QUESTION, _HASH):
            break
        out[n] = byte
        n += 1
        i += 1
        if byte == _SLASH:
            k = i
            while k < end and _ZERO <= data[k] <= _NINE:
                k += 1
            if k > i and (k == end or data[k] in (_SLASH, _QUESTION, _HASH)):
                out[n] = _ZERO
                n += 1
                i = k
    return n


@inlined
def _serves(data, start, end):
    if end - start != len(_SERVES):
        return False
    for k in range(len(_SERVES)):  # noqa: SIM110
        if data[start + k] != _SERVES[k]:
            return False
    return True


@kernel
def pairs(data, rows, first, last, attributes, codes):
    """Codes for the attributes of ``rows[first:last]``, -1 for those that say nothing beside the others. Gives the row where a table was full, or ``last``.

    A server's peer, port and address differ in every span and are not kept; nor is a URL where there is a route.
    """
    for row in range(first, last):
        low, high = rows[row, FIRST], rows[row, LAST]
        route = host = http = False
        server = rows[row, KIND] == SERVER
        for j in range(low, high):
            kind = codes.classes[attributes[j, KEY]]
            route |= kind == ROUTE
            host |= kind == HOST
            http |= kind in (ROUTE, URL, METHOD)
            if kind == ROLE:
                server |= _serves(data, attributes[j, TEXT], attributes[j, TEXT_END])
        for j in range(low, high):
            key = attributes[j, KEY]
            kind = codes.classes[key]
            start, end = attributes[j, PAIR], attributes[j, PAIR_END]
            attributes[j, CODE] = -1
            if kind == SKIPPED or (kind == URL and route) or (kind == HOST and server) or (kind == PORT and (server or not host)) or (kind == ADDRESS and (server or (http and not host))):
                continue
            before = codes.pairs.counts[0]
            if end - start > _LONG:
                if codes.waiting[0] >= _WAITING:
                    return row
                code = _PAIRS[0] + codes.waiting[0]
                codes.waiting[0] += 1
                codes.born[code] = j
            else:
                if kind == URL and attributes[j, TEXT_END] > 0:
                    code = intern(codes.pairs, codes.scratch, 0, _shrunk(data, attributes[j, TEXT], attributes[j, TEXT_END], key, codes.scratch))
                else:
                    code = intern(codes.pairs, data, start, end)
                if code == _PAIRS[0]:
                    return row
                if codes.pairs.counts[0] != before:
                    codes.born[code] = j
            attributes[j, CODE] = code
    return last


@kernel
def sets(rows, first, last, attributes, codes, view, numbers, out):
    """Codes for what ``rows[first:last]`` say in words into ``out`` and in ``numbers`` (a column for each slot). Gives the row where a table was full, or ``last``.

    ``view`` is ``codes.sequence`` as bytes.
    """
    slots = numbers.shape[1]
    for row in range(first, last):
        n = 0
        for s in range(slots):
            numbers[row, s] = NULL
        place = np.uint64(0)  # four bits of each slot: the place of its number
        for j in range(rows[row, FIRST], rows[row, LAST]):
            code = attributes[j, CODE]
            if code < 0:
                continue
            meaning = codes.meanings[code]
            if meaning > 0:
                codes.sequence[n] = meaning
                n += 1
            elif meaning < 0:
                s = -1 - meaning
                shift = np.uint64(4 * s)
                mine = np.uint64(codes.places[code])
                if numbers[row, s] == NULL or mine < (place >> shift) & np.uint64(15):
                    numbers[row, s] = codes.numbers[code]
                    place = place & ~(np.uint64(15) << shift) | mine << shift
        code = intern(codes.sets, view, 0, 4 * n)
        if code == _SETS[0]:
            return row
        out[row] = code
    return last


@kernel
def interned(data, rows, first, last, column, longest, table, out):
    """Codes in ``table`` for the texts at ``rows[first:last, column]``, of which ``longest`` bytes count. Gives the row where the table was full, or ``last``."""
    for row in range(first, last):
        start = rows[row, column]
        code = intern(table, data, start, min(rows[row, column + 1], start + longest))
        if code == len(table.hashes):
            return row
        out[row] = code
    return last


_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8).copy()


@kernel
def hexadecimal(data, rows, column, width, out, there):
    """The ids of ``width`` bytes at ``rows[:, column]`` in hexadecimal, one behind the other, and whether each is more than zeros.
    Gives whether all have this length, or none."""
    for i in range(len(there)):
        start, end = rows[i, column], rows[i, column + 1]
        there[i] = False
        if end <= start:
            continue
        if end - start != width:
            return False
        some = np.uint8(0)
        for k in range(width):
            byte = data[start + k]
            some |= byte
            out[2 * (i * width + k)] = _DIGITS[byte >> 4]
            out[2 * (i * width + k) + 1] = _DIGITS[byte & 15]
        there[i] = some != 0
    return True


def _each(byte: int) -> Any:
    """A word of eight equal bytes."""
    return np.uint64(byte * 0x0101010101010101)


_TOP, _ZEROS = _each(0x80), _each(_ZERO)
#: Added to a byte below 128, these set its highest bit from "0", behind "9", from "a" and behind "f" on.
_FROM_0, _PAST_9, _FROM_A, _PAST_F = _each(0x80 - 0x30), _each(0x80 - 0x3A), _each(0x80 - 0x61), _each(0x80 - 0x67)


@kernel
def textual(data, rows, column, width, out, there):
    """The same for ids that are written in ``width`` digits of lower-case hexadecimal; ``out`` are words of eight digits."""
    words = width // 8
    for i in range(len(there)):
        start, end = rows[i, column], rows[i, column + 1]
        there[i] = False
        if end <= start:
            continue
        if end - start != width:
            return False
        some = np.uint64(0)
        good = _TOP
        for k in range(words):
            word = load64(data, start + 8 * k)
            good &= ((word + _FROM_0) & ~(word + _PAST_9) | (word + _FROM_A) & ~(word + _PAST_F)) & ~word
            some |= word ^ _ZEROS
            out[i * words + k] = word
        if good != _TOP:
            return False
        there[i] = some != 0
    return True
