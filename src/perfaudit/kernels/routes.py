"""The rule of :mod:`perfaudit.evidence.routes`, compiled. Names follow the plain functions there; tests fuzz one against the other."""

# Numba infers the types of kernels, and compiles loops where it does not compile generators.
# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: SIM109, SIM110

from __future__ import annotations

import numpy as np

from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.program import MAX_ROUTE

_DIGIT, _LOWER, _UPPER, _HEX, _HIGH, _PLAIN, _CONTROL = 1, 2, 4, 8, 16, 32, 64
_LETTER = _LOWER | _UPPER
_ALNUM = _DIGIT | _LETTER


def _classes() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    table = np.zeros(256, np.uint8)
    for byte in range(256):
        char = chr(byte)
        table[byte] = (
            _DIGIT * ("0" <= char <= "9")
            | _LOWER * ("a" <= char <= "z")
            | _UPPER * ("A" <= char <= "Z")
            | _HEX * (char in "abcdefABCDEF")
            | _HIGH * (byte > 127)
            | _PLAIN * (char in "-_.~!$'()*,+|\"\\^`[]")
            | _CONTROL * (byte < 32 or byte == 127)
        )
    return table


_CLASS = _classes()
_SLASH, _SEMICOLON, _QUERY, _FRAGMENT, _PERCENT, _AT, _EQUALS, _COLON = (ord(c) for c in "/;?#%@=:")


@kernel
def normalise(data, start, end, out):
    """Write the route of the target ``data[start:end]`` to ``out`` (at least MAX_ROUTE bytes); returns its length."""
    position = start
    if start == end or data[start] != _SLASH:
        end = _path_end(data, start, end)
        if end - start == 1 and data[start] == 42:
            out[0] = 42
            return 1
        position = _after_scheme(data, start, end)
        if position == start and _authority(data, start, end):
            for i, byte in enumerate(b"{authority}"):
                out[i] = byte
            return 11
    n = 0
    while position < end and data[position] != _QUERY and data[position] != _FRAGMENT:
        if data[position] == _SLASH:
            position += 1
            continue
        stop, seen = position, 0
        while stop < end:
            byte = data[stop]
            if byte == _SLASH or byte == _SEMICOLON or byte == _QUERY or byte == _FRAGMENT:
                break
            kind = _CLASS[byte]
            seen |= kind if kind else 128
            stop += 1
        if stop > position:
            n = _put(out, n, _SLASH)
            if seen & ~(_LETTER | _HEX | _PLAIN | _HIGH):
                n = _segment(data, position, stop, out, n)
            else:
                for i in range(position, stop):
                    n = _put(out, n, data[i])
        while stop < end and data[stop] != _SLASH and data[stop] != _QUERY and data[stop] != _FRAGMENT:
            stop += 1
        position = stop
    if n == 0 or (position > start and data[position - 1] == _SLASH):
        n = _put(out, n, _SLASH)
    return min(n, MAX_ROUTE)


@kernel
def is_target(data, start, end):
    """Whether a request line may have ``data[start:end]`` as its target (RFC 9112, 3.2): a path, ``*``, a URI or an authority."""
    if start == end:
        return False
    if data[start] == _SLASH or (end - start == 1 and data[start] == 42):
        return True
    return _after_scheme(data, start, end) > start or _authority(data, start, end)


@inlined
def _put(out, n, byte):
    if n < MAX_ROUTE:
        out[n] = byte
    return n + 1


@kernel
def _put_id(out, n):
    return _put(out, _put(out, _put(out, _put(out, n, 123), 105), 100), 125)


@kernel
def _path_end(data, start, end):
    for i in range(start, end):
        if data[i] == _QUERY or data[i] == _FRAGMENT:
            return i
    return end


@kernel
def _after_scheme(data, start, end):
    """Position of the path of an absolute URI, or ``start``."""
    i = start
    while i < end and (_CLASS[data[i]] & _LETTER or (i > start and (_CLASS[data[i]] & _DIGIT or data[i] == 43 or data[i] == 45 or data[i] == 46))):
        i += 1
    if i == start or i + 3 > end or data[i] != _COLON or data[i + 1] != _SLASH or data[i + 2] != _SLASH:
        return start
    i += 3
    while i < end and data[i] != _SLASH:
        i += 1
    return i


@kernel
def _authority(data, start, end):
    colon = False
    for i in range(start, end):
        if data[i] == _SLASH:
            return False
        colon |= data[i] == _COLON
    return colon and data[start] != _COLON


@kernel
def _segment(data, start, end, out, n):
    if _address(data, start, end) or _escaped_ascii(data, start, end) or _random(data, start, end):
        return _put_id(out, n)
    joined = -1
    position = start
    while position < end:
        stop, variable, token = _next(data, start, position, end)
        if variable:
            n = joined if joined >= 0 else _put_id(out, n)
            joined = n
        else:
            if token:
                joined = -1
            for i in range(position, stop):
                n = _put(out, n, 63 if _CLASS[data[i]] & _CONTROL else data[i])
            if stop == position + 1 and data[position] == _EQUALS:
                return _put_id(out, n)
        position = stop
    return n


@kernel
def _next(data, start, position, end):
    """``(end of the piece, whether it varies, whether it is a token)``."""
    byte = data[position]
    if position == start and byte == _COLON:
        stop = _parameter(data, position, end)
        if stop > position:
            return stop, True, False
    if byte == 123 or byte == 60:
        stop = _template(data, position, end)
        if stop > position:
            return stop, True, False
    if _uuid(data, position, end):
        return position + 36, True, False
    stop = position
    while stop < end:
        if _CLASS[data[stop]] & (_ALNUM | _HIGH):
            stop += 1
        elif data[stop] == _PERCENT and _escape(data, stop, end):
            stop += 3
        else:
            break
    if stop == position:
        return position + 1, False, False
    return stop, _varies(data, position, stop), True


@kernel
def _hex(byte):
    return _CLASS[byte] & (_DIGIT | _HEX) != 0


@kernel
def _escape(data, position, end):
    """Whether ``%XX`` of a byte above ASCII stands here."""
    return position + 3 <= end and _hex(data[position + 1]) and (data[position + 1] > 55) and _hex(data[position + 2])


@kernel
def _parameter(data, position, end):
    i = position + 1
    while i < end and (_CLASS[data[i]] & _LETTER or data[i] == 95 or (i > position + 1 and _CLASS[data[i]] & _DIGIT)):
        i += 1
    return i if i > position + 1 else position


@kernel
def _template(data, position, end):
    opening = data[position]
    closing = opening + 2
    for i in range(position + 1, end):
        if data[i] == closing:
            return i + 1
        if data[i] == opening:
            break
    return position


@kernel
def _uuid(data, position, end):
    if position + 36 > end or data[position + 8] != 45 or data[position + 13] != 45 or data[position + 18] != 45 or data[position + 23] != 45:
        return False
    for i in range(36):
        if not _hex(data[position + i]) and not (i == 8 or i == 13 or i == 18 or i == 23):
            return False
    return position + 36 == end or not (_CLASS[data[position + 36]] & (_ALNUM | _HIGH) or data[position + 36] == _PERCENT)


@kernel
def _varies(data, start, end):
    digits, row, longest, changes, before = 0, 0, 0, 0, 0
    not_hex = False
    for i in range(start, end):
        kind = _CLASS[data[i]]
        if not kind & _ALNUM:
            return False
        not_hex |= kind & (_DIGIT | _HEX) == 0
        digit = kind & _DIGIT
        digits += digit
        row = row + 1 if digit else 0
        longest = max(longest, row)
        changes += i > start and digit != before
        before = digit
    if digits == 0:
        return False
    length = end - start
    if digits == length:
        return True
    if digits <= 2 and changes == 1 and before:
        return False
    return bool((length >= 6 and not not_hex) or longest >= 5 or (length >= 20 and digits >= 2) or (length >= 8 and digits >= 2 and changes >= 3))


@kernel
def _random(data, start, end):
    digits, changes, before = 0, 0, 0
    length = end - start
    while end > start and data[end - 1] == _EQUALS:
        end -= 1
    if end - start < 20:
        return False
    for i in range(start, end):
        kind = _CLASS[data[i]] & _ALNUM
        if not kind and not (data[i] == 45 or data[i] == 95 or data[i] == 43):
            return False
        digits += kind == _DIGIT
        changes += kind != 0 and before != 0 and kind != before
        before = kind
    return digits > 0 and changes * 3 >= length - 1


@kernel
def _escaped_ascii(data, start, end):
    for i in range(start, end - 2):
        if data[i] == _PERCENT and 48 <= data[i + 1] <= 55 and _hex(data[i + 2]):
            return True
    return False


@kernel
def _address(data, start, end):
    dotted = False
    for i in range(end - 1, start, -1):
        if data[i] == _AT:
            if dotted and i + 1 < end and _CLASS[data[i + 1]] & _LETTER and data[i - 1] != _AT:
                return True
            dotted = False
        elif data[i] == 46:
            dotted = True
    return False
