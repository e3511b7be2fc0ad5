"""Keyed hashes and interning: SipHash-2-4, and bounded open-addressing tables from bytes to codes that live across blocks."""

# Numba infers the types of kernels, and compiles loops where it does not compile generators.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.text import load64, low_bytes

_COUNT, _USED, _REFUSED = 0, 1, 2
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Table(NamedTuple):
    """Distinct byte strings by code, in order of arrival; when full, further ones get the code ``limit``.

    ``counts`` is (strings, bytes of the pool in use, how often a string was refused). ``seed`` makes collisions unguessable.
    """

    slots: Any
    hashes: Any
    ends: Any
    pool: Any
    counts: Any
    seed: Any


def new_table(limit: int, width: int, seed: int) -> Table:
    """A table of at most ``limit`` strings of at most ``width`` bytes."""
    size = 1 << (2 * limit - 1).bit_length()
    return Table(
        np.full(size, -1, np.int32),
        np.empty(limit, np.uint64),
        np.zeros(limit + 1, np.int64),
        np.zeros(limit * width + 64, np.uint8),
        np.zeros(3, np.int64),
        np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64),
    )


def strings(table: Table) -> list[bytes]:
    """The strings of a table, by code."""
    ends = table.ends[: int(table.counts[_COUNT]) + 1].tolist()
    pool = table.pool[: ends[-1]].tobytes()
    return [pool[a:b] for a, b in pairwise(ends)]


def refused(table: Table) -> int:
    """How often a string found the table full."""
    return int(table.counts[_REFUSED])


@inlined
def _hash(data, start, length, seed):
    state = (seed ^ np.uint64(length)) * _MULTIPLIER
    i = 0
    while i < length:
        word = load64(data, start + i)
        if length - i < 8:
            word = low_bytes(word, length - i)
        state ^= word
        state *= _MULTIPLIER
        state ^= state >> np.uint64(32)
        i += 8
    return state


@inlined
def intern(table, data, start, end):
    """The code of ``data[start:end]`` in ``table``."""
    length = end - start
    key = _hash(data, start, length, table.seed[0])
    mask = len(table.slots) - 1
    slot = np.int64(key & np.uint64(mask))
    while True:
        code = table.slots[slot]
        if code < 0:
            break
        if table.hashes[code] == key and _same(table, code, data, start, length):
            return np.int64(code)
        slot = (slot + 1) & mask
    count = table.counts[_COUNT]
    used = table.counts[_USED]
    if count >= len(table.hashes) or used + length + 64 > len(table.pool):
        table.counts[_REFUSED] += 1
        return np.int64(len(table.hashes))
    table.slots[slot] = count
    table.hashes[count] = key
    for i in range(length):
        table.pool[used + i] = data[start + i]
    table.ends[count + 1] = used + length
    table.counts[_COUNT] = count + 1
    table.counts[_USED] = used + length
    return np.int64(count)


@kernel
def _same(table, code, data, start, length):
    begin = table.ends[code]
    if table.ends[code + 1] - begin != length:
        return False
    i = 0
    while i + 8 <= length:
        if load64(table.pool, begin + i) != load64(data, start + i):
            return False
        i += 8
    return i == length or low_bytes(load64(table.pool, begin + i), length - i) == low_bytes(load64(data, start + i), length - i)


@inlined
def _rotate(value, n):
    return (value << np.uint64(n)) | (value >> np.uint64(64 - n))


@inlined
def _round(a, b, c, d):
    a += b
    b = _rotate(b, 13) ^ a
    a = _rotate(a, 32)
    c += d
    d = _rotate(d, 16) ^ c
    a += d
    d = _rotate(d, 21) ^ a
    c += b
    b = _rotate(b, 17) ^ c
    return a, b, _rotate(c, 32), d


@inlined
def siphash(k0, k1, data, start, end):
    """SipHash-2-4 of ``data[start:end]`` under the key words ``k0``, ``k1`` (uint64)."""
    a, b = k0 ^ np.uint64(0x736F6D6570736575), k1 ^ np.uint64(0x646F72616E646F6D)
    c, d = k0 ^ np.uint64(0x6C7967656E657261), k1 ^ np.uint64(0x7465646279746573)
    length = end - start
    position = start
    while end - position >= 8:
        word = load64(data, position)
        d ^= word
        a, b, c, d = _round(a, b, c, d)
        a, b, c, d = _round(a, b, c, d)
        a ^= word
        position += 8
    word = np.uint64(length & 0xFF) << np.uint64(56)
    if end > position:
        word |= low_bytes(load64(data, position), end - position)
    d ^= word
    a, b, c, d = _round(a, b, c, d)
    a, b, c, d = _round(a, b, c, d)
    a ^= word
    c ^= np.uint64(0xFF)
    for _ in range(4):
        a, b, c, d = _round(a, b, c, d)
    return a ^ b ^ c ^ d
