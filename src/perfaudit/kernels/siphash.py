"""SipHash-2-4 (Aumasson and Bernstein, 2012) in plain Python: the keyed hash of client addresses, and the kernel's reference."""

from __future__ import annotations

_MASK = 0xFFFFFFFFFFFFFFFF


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a = (a + b) & _MASK
    b = ((b << 13 | b >> 51) & _MASK) ^ a
    a = (a << 32 | a >> 32) & _MASK
    c = (c + d) & _MASK
    d = ((d << 16 | d >> 48) & _MASK) ^ c
    a = (a + d) & _MASK
    d = ((d << 21 | d >> 43) & _MASK) ^ a
    c = (c + b) & _MASK
    b = ((b << 17 | b >> 47) & _MASK) ^ c
    c = (c << 32 | c >> 32) & _MASK
    return a, b, c, d


def key_words(key: bytes) -> tuple[int, int]:
    """The two little-endian 64-bit words of a 16-byte key."""
    return int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little")


def siphash(key: bytes, data: bytes) -> int:
    """SipHash-2-4 of ``data`` under a 16-byte ``key``, as an unsigned 64-bit integer."""
    k0, k1 = key_words(key)
    a, b, c, d = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    tail = len(data) & ~7
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, tail, 8)]
    for word in [*words, int.from_bytes(data[tail:], "little") | (len(data) & 0xFF) << 56]:
        d ^= word
        a, b, c, d = _round(*_round(a, b, c, d))
        a ^= word
    c ^= 0xFF
    for _ in range(4):
        a, b, c, d = _round(a, b, c, d)
    return a ^ b ^ c ^ d
