"""JSON (RFC 8259) token by token: where strings and values end. What cannot be JSON is told from what is only cut off."""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import numpy as np

from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.text import equal32, trailing_zeros

#: Instead of a position: the text ends before the value does; it is no JSON; it is none of the kind that was asked for.
CUT, BAD, ODD = -1, -2, -3
QUOTE, BACKSLASH, LF, OPEN, CLOSE, LIST, LIST_END, COLON, COMMA, SPACE = 34, 92, 10, 123, 125, 91, 93, 58, 44, 32
_FAR = np.int64(0x7FFFFFFFFFFFFFFF)


@inlined
def blank(data, i, end):
    """The next position that is no white space."""
    while i < end and data[i] <= SPACE:
        i += 1
    return i


@inlined
def string(data, i, end):
    """``(position of the closing quote, whether it has escapes)`` of the string whose inside begins at ``i``; :data:`CUT` or :data:`BAD`."""
    escapes = False
    while i < end:
        mask = equal32(data, i, QUOTE) | equal32(data, i, BACKSLASH) | equal32(data, i, LF)
        if mask == 0:
            i += 32
            continue
        i += trailing_zeros(mask)
        if i >= end:
            return CUT, escapes
        if data[i] == QUOTE:
            return i, escapes
        if data[i] == LF:
            return BAD, escapes
        escapes = True
        i += 2
    return CUT, escapes


@inlined
def plain(data, i, end):
    """The end of a number, true, false or null."""
    start = i
    while i < end and (48 <= data[i] <= 57 or 97 <= data[i] <= 122 or data[i] in (43, 45, 46, 69)):
        i += 1
    if i >= end:
        return CUT
    return i if i > start and (data[start] in (45, 102, 110, 116) or 48 <= data[start] <= 57) else BAD


@kernel
def skip(data, i, end):
    """The end of the value that begins at ``i``, or :data:`CUT` or :data:`BAD`."""
    depth = 0
    while i < end:
        c = data[i]
        if c == QUOTE:
            i, _ = string(data, i + 1, end)
            if i < 0:
                return i
            i += 1
        elif c in (OPEN, LIST):
            depth += 1
            i += 1
            continue
        elif c in (CLOSE, LIST_END):
            depth -= 1
            i += 1
        elif c <= SPACE or (c in (COMMA, COLON) and depth > 0):
            i += 1
            continue
        else:
            i = plain(data, i, end)
            if i < 0:
                return i
        if depth == 0:
            return i
        if depth < 0:
            return BAD
    return CUT


@kernel
def passed(data, i, end, state):
    """Pass over a value, or a member, of any size: ``state`` (depth, in a string, behind a backslash, done) goes on in the next text. Gives where it stopped."""
    while i < end and not state[3]:
        c = data[i]
        i += 1
        if state[2]:
            state[2] = 0
        elif c == QUOTE:
            state[1] = 1 - state[1]
        elif state[1]:
            state[2] = c == BACKSLASH
        elif c in (OPEN, LIST):
            state[0] += 1
        elif c in (CLOSE, LIST_END) and state[0] > 0:
            state[0] -= 1
            state[3] = state[0] == 0
        elif c in (CLOSE, LIST_END, COMMA) and state[0] == 0:
            state[3] = 1
            i -= 1
    return i


@inlined
def member(data, i, end):
    """``(start of its name, end of its name, start of its value)`` of the member of an object that begins at ``i``, after a comma if there is one. The
    first is :data:`CUT` or :data:`BAD`, or 0 where the object ends, at the third."""
    i = blank(data, i, end)
    if i < end and data[i] == COMMA:
        i = blank(data, i + 1, end)
    if i >= end:
        return CUT, 0, 0
    if data[i] == CLOSE:
        return 0, 0, i
    if data[i] != QUOTE:
        return BAD, 0, 0
    start = i + 1
    stop, _ = string(data, start, end)
    if stop < 0:
        return stop, 0, 0
    i = blank(data, stop + 1, end)
    if i >= end:
        return CUT, 0, 0
    if data[i] != COLON:
        return BAD, 0, 0
    i = blank(data, i + 1, end)
    if i >= end:
        return CUT, 0, 0
    return start, stop, i


@inlined
def same(data, start, end, text, low, high):
    """Whether ``data[start:end]`` is ``text[low:high]``."""
    if end - start != high - low:
        return False
    for k in range(end - start):  # noqa: SIM110
        if data[start + k] != text[low + k]:
            return False
    return True


@inlined
def whole(data, start, end):
    """``(value, whether it is one)`` of an integer in ``data[start:end]``, cut to what 64 bits hold."""
    negative = start < end and data[start] == 45
    start += negative
    if start >= end or end - start > 20:
        return np.int64(0), False
    value = np.int64(0)
    for i in range(start, end):
        digit = np.int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return np.int64(0), False
        value = _FAR if value > (_FAR - digit) // 10 else value * 10 + digit
    return (-value if negative else value), True
