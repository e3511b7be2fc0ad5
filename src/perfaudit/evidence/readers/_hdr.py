"""HdrHistogram's encoded histograms (version 2): base64, zlib, a header, counts as ZigZag LEB128 numbers, negative ones skip.

Source: HdrHistogram, "AbstractHistogram.encodeIntoCompressedByteBuffer" and "ZigZagEncoding" as its ports document them. Checked against
histograms that the Python port wrote.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib

_COMPRESSED, _PLAIN = 0x1C849304, 0x1C849303
#: Cookies carry a word size in their second nibble; it says nothing in version 2.
_MASK = 0xFFFFFF0F
#: An encoded histogram expands to this at most; 24 bits of buckets hold a nanosecond to a day at three digits.
_MOST_BYTES = 8 << 20
#: Indices beyond this hold no duration of any unit.
_MOST_SLOTS = 1 << 20


def decode(text: str) -> list[tuple[int, int]]:
    """``(value, count)`` of every slot that holds something, values in the middle of their slot. Raises ``ValueError``."""
    try:
        data = base64.b64decode(text, validate=True)
        cookie, length = struct.unpack_from(">II", data)
        if cookie & _MASK != _COMPRESSED & _MASK:
            raise ValueError("not a compressed histogram of version 2")
        engine = zlib.decompressobj()
        plain = engine.decompress(data[8 : 8 + length], _MOST_BYTES)
        if not engine.eof:
            raise ValueError("the encoded histogram is cut short, or larger than one of durations")
        cookie, size, _, digits, lowest, _, _ = struct.unpack_from(">IIIIqqd", plain)
    except (binascii.Error, struct.error, zlib.error) as error:
        raise ValueError(f"the encoded histogram is damaged: {error}") from None
    if cookie & _MASK != _PLAIN & _MASK or not 1 <= digits <= 5 or lowest < 1 or len(plain) < 40 + size:
        raise ValueError("not a histogram of version 2")
    return _slots(plain[40 : 40 + size], digits, lowest)


def _slots(payload: bytes, digits: int, lowest: int) -> list[tuple[int, int]]:
    half_bits = max((2 * 10**digits - 1).bit_length(), 1) - 1
    unit_bits = lowest.bit_length() - 1
    half = 1 << half_bits
    found: list[tuple[int, int]] = []
    index = position = 0
    while position < len(payload):
        number, position = _number(payload, position)
        if number < 0:
            index -= number
        else:
            if number:
                bucket, slot = (index >> half_bits) - 1, (index & (half - 1)) + half
                if bucket < 0:
                    bucket, slot = 0, slot - half
                width = 1 << (bucket + unit_bits)
                found.append((slot * width + width // 2, number))
            index += 1
        if index > _MOST_SLOTS:
            raise ValueError("more slots than a histogram of durations has")
    return found


def _number(payload: bytes, position: int) -> tuple[int, int]:
    """A ZigZag LEB128 number of up to nine bytes (the ninth holds eight bits), and where the next one begins."""
    value = 0
    for i in range(9):
        if position >= len(payload):
            raise ValueError("the encoded histogram ends in the middle of a number")
        byte = payload[position]
        position += 1
        if i == 8:
            value |= byte << 56
            break
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            break
    return (value >> 1) ^ -(value & 1), position
