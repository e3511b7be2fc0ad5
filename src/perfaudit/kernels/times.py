"""Instants as access logs write them, from bytes to µs since the epoch."""

# Numba infers the types of kernels, and compiles loops where it does not compile generators.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import numpy as np

from perfaudit.kernels.jit import kernel
from perfaudit.kernels.text import NULL

_DAYS = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int64)
_MONTH_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8).copy()


@kernel
def _digits(data, position, end, count):
    """The number that ``count`` digits at ``position`` write, or -1."""
    if position + count > end:
        return -1
    value = 0
    for i in range(position, position + count):
        if not 48 <= data[i] <= 57:
            return -1
        value = value * 10 + (data[i] - 48)
    return value


@kernel
def day(year, month, date):
    """Days since 1970-01-01 of a date of the Gregorian calendar from 1970 on, or NULL."""
    if not (1970 <= year <= 9999 and 1 <= month <= 12 and 1 <= date <= _MONTH_DAYS[month - 1]):
        return NULL
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if month == 2 and date == 29 and not leap:
        return NULL
    before = year - 1
    days = (year - 1970) * 365 + (before // 4 - 492) - (before // 100 - 19) + (before // 400 - 4)
    return days + _DAYS[month - 1] + (1 if leap and month > 2 else 0) + date - 1


@kernel
def clock(data, position, end):
    """``(µs of the day, end)`` of ``HH:MM:SS`` with an optional fraction behind ``.`` or ``,``; end -1 if unreadable."""
    hours = _digits(data, position, end, 2)
    minutes = _digits(data, position + 3, end, 2)
    seconds = _digits(data, position + 6, end, 2)
    if not (0 <= hours <= 23 and 0 <= minutes <= 59 and 0 <= seconds <= 60) or data[position + 2] != 58 or data[position + 5] != 58:
        return NULL, -1
    value = np.int64((hours * 60 + minutes) * 60 + seconds) * 1_000_000
    position += 8
    if position + 1 < end and (data[position] == 46 or data[position] == 44) and 48 <= data[position + 1] <= 57:
        position += 1
        unit = 100_000
        while position < end and 48 <= data[position] <= 57:
            value += unit * (data[position] - 48)
            unit //= 10
            position += 1
    return value, position


@kernel
def _zone(data, position, end):
    """``(offset in µs, end)`` of ``Z``, ``+0100`` or ``+01:00``, also behind a space; ``(0, position)`` if there is none."""
    here = position
    if here < end and data[here] == 32:
        here += 1
    if here < end and data[here] == 90:
        return np.int64(0), here + 1
    if here >= end or not (data[here] == 43 or data[here] == 45):
        return np.int64(0), position
    hours = _digits(data, here + 1, end, 2)
    colon = 1 if here + 3 < end and data[here + 3] == 58 else 0
    minutes = _digits(data, here + 3 + colon, end, 2)
    if not (0 <= hours <= 15 and 0 <= minutes <= 59):
        return np.int64(0), position
    offset = np.int64(hours * 60 + minutes) * 60_000_000
    return (-offset if data[here] == 45 else offset), here + 5 + colon


@kernel
def _join(days, data, position, end):
    value, position = clock(data, position, end)
    if days == NULL or position < 0:
        return NULL, -1
    offset, position = _zone(data, position, end)
    return days * 86_400_000_000 + value - offset, position


@kernel
def clf(data, position, end):
    """``(µs, end)`` of ``23/Nov/2026:08:02:23.770 +0000`` (fraction and zone optional); end -1 if unreadable."""
    if position + 20 > end or data[position + 2] != 47 or data[position + 6] != 47:
        return NULL, -1
    month = 0
    for m in range(12):
        if data[position + 3] == _MONTHS[3 * m] and data[position + 4] == _MONTHS[3 * m + 1] and data[position + 5] == _MONTHS[3 * m + 2]:
            month = m + 1
    return _join(day(_digits(data, position + 7, end, 4), month, _digits(data, position, end, 2)), data, position + 12, end)


@kernel
def date(data, position, end):
    """``(µs of midnight, end)`` of ``2026-11-23``; end -1 if unreadable."""
    if position + 10 > end or data[position + 4] != 45 or data[position + 7] != 45:
        return NULL, -1
    days = day(_digits(data, position, end, 4), _digits(data, position + 5, end, 2), _digits(data, position + 8, end, 2))
    return (NULL, -1) if days == NULL else (days * 86_400_000_000, position + 10)


@kernel
def iso(data, position, end):
    """``(µs, end)`` of ``2026-11-23T08:02:23.770+00:00`` (or a space; fraction and zone optional); end -1 if unreadable."""
    midnight, here = date(data, position, end)
    if here < 0 or here >= end or not (data[here] == 84 or data[here] == 32):
        return NULL, -1
    return _join(midnight // 86_400_000_000, data, here + 1, end)
