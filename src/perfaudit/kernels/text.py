"""Reading text in a block of bytes: 32-byte search, literals, numbers. The ground on which the scanner and routes stand.

Every function may read up to :data:`PAD` bytes beyond the range it is given; callers see to it that they exist.
"""

# Numba infers the types of kernels, and compiles loops where it does not compile generators.
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# ruff: noqa: SIM110

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from perfaudit.kernels.jit import inlined, kernel

#: Bytes that must exist after the end of every range.
PAD = 64
#: "No value": no duration, size or instant of a log has it.
NULL = np.iinfo(np.int64).min
_QUOTE = 34
#: A text over a glued place holds at least a time in brackets: ``[23/Nov/2026:08:00:00 +0000] "``, or ``[1795420800] "``.
_SHORTEST_GLUE = 13
#: Numbers are read to 15 digits; with a scale of 1e6 they still fit 64 bits up to 9e12.
_MAX_INTEGER = 9_000_000_000_000


@intrinsic
def equal32(_context: Any, data: Any, position: Any, byte: Any) -> Any:
    """A 32-bit mask of which of the 32 bytes at ``position`` equal ``byte`` (bit 0: the first)."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        vector = ir.VectorType(ir.IntType(8), 32)
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), vector.as_pointer())
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, arguments[2], ir.Constant(ir.IntType(32), 0))
        every = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), 32), [0] * 32))
        return builder.bitcast(builder.icmp_unsigned("==", builder.load(pointer, align=1), every), ir.IntType(32))

    return types.uint32(data, types.intp, types.uint8), codegen


@intrinsic
def load64(_context: Any, data: Any, position: Any) -> Any:
    """The 8 bytes at ``position`` as an integer in the machine's order; no alignment needed."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.intp), codegen


@intrinsic
def trailing_zeros(_context: Any, value: Any) -> Any:
    """Index of the lowest set bit of a 32-bit mask that is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1)), ir.IntType(64))

    return types.int64(types.uint32), codegen


@inlined
def find(data, start, end, byte):
    """Position of ``byte`` in ``data[start:end]``, or ``end``."""
    position = start
    while position < end:
        mask = equal32(data, position, byte)
        if mask:
            return min(position + trailing_zeros(mask), end)
        position += 32
    return end


@inlined
def low_bytes(word, n):
    """The first ``n`` (1–8) of the eight bytes of ``word`` (little-endian)."""
    return word & (np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(8 * (8 - n)))


@inlined
def matches(data, position, end, text, start, length):
    """Whether ``text[start:start+length]`` stands at ``position`` and ends by ``end``."""
    if position + length > end:
        return False
    for i in range(length):
        if data[position + i] != text[start + i]:
            return False
    return True


@inlined
def find_text(data, position, end, text, start, length):
    """Position of ``text[start:start+length]`` in ``data[position:end]``, or -1.

    A quote behind a backslash does not begin it (Apache). No text reaches over ``] "``: there the request of a next line begins, and
    two lines were glued.
    """
    first = text[start]
    here = position
    while True:
        here = find(data, here, end, first)
        if here + length > end:
            return -1
        if first == _QUOTE:
            if _joint(data, position, here):
                return -1
            if matches(data, here, end, text, start, length) and not (data[here - 1] == 92 and escaped(data, position, here)):
                return here
        elif matches(data, here, end, text, start, length):
            return -1 if here - position > _SHORTEST_GLUE and _glued(data, position, here) else here
        here += 1


@inlined
def _joint(data, start, quote):
    """Whether ``quote`` stands behind ``] ``, as the quote of a request does."""
    return quote - 2 >= start and data[quote - 1] == 32 and data[quote - 2] == 93


@kernel
def _glued(data, start, end):
    quote = find(data, start, end, _QUOTE)
    while quote < end:
        if _joint(data, start, quote):
            return True
        quote = find(data, quote + 1, end, _QUOTE)
    return False


@kernel
def escaped(data, start, position):
    """Whether an odd number of backslashes stands before ``position``."""
    count = 0
    while position - 1 - count >= start and data[position - 1 - count] == 92:
        count += 1
    return count % 2 == 1


@inlined
def number(data, position, end, scale):
    """``(value × scale, end)`` of a decimal at ``position``; NULL for ``-``, a negative one or none at all; end -1 if unreadable.

    ``scale`` is 1 (or 0, the same) or a power of ten; what is finer than 1/scale is rounded half up.
    """
    start = position
    negative = position < end and data[position] == 45
    if negative or (position < end and data[position] == 43):
        position += 1
    value = np.int64(0)
    digits = position
    while position < end and 48 <= data[position] <= 57:
        value = value * 10 + (data[position] - 48)
        position += 1
        if position - digits > 15:
            return NULL, -1
    if position == digits and not (position < end and data[position] == 46):
        return NULL, position if negative or position == start else -1
    if scale > 1 and value > _MAX_INTEGER:
        return NULL, -1
    value *= max(scale, 1)
    if position < end and data[position] == 46:
        position += 1
        while position < end and 48 <= data[position] <= 57:
            digit = np.int64(data[position] - 48)
            if scale == 1:
                value += digit >= 5
                scale = 0
            elif scale > 1:
                scale //= 10
                value += digit * scale
            position += 1
    return (NULL if negative else value), position
