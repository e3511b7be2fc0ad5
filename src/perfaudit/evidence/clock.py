"""Time stamps as files write them → microseconds since the epoch, UTC.

A :class:`Clock` belongs to one source. It remembers whether a zone had to be assumed, so that the reader can say so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from perfaudit.model import Micros

_ISO = re.compile(
    r"\s*(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"\s?(Z|z|[+-]\d\d(?::?\d\d){0,2}|[A-Z][A-Za-z]{1,5}(?![\w/])|[+-]\d\d\b)?"
)
_CLF = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4})[: ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ([+-]\d{4}))?")
_MAIL = re.compile(r"(?:[A-Z][a-z]{2}, ?)?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? ?([+-]\d{4}|[A-Z]{1,5})?")
_CTIME = re.compile(r"(?:[A-Z][a-z]{2} )([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (\d{4})(?: ([+-]\d{4}))?")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_MONTHS = {name: i for i, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}
_UTC_NAMES = frozenset({"Z", "z", "UTC", "GMT", "UCT", "Zulu"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Distinct minutes and seconds that are remembered; more than a day of either.
_REMEMBERED = 100_000
#: The longest stamp with milliseconds and a zone's name.
_STAMP_LENGTH = 36
#: Instants are believed between 1971 and 2200; a number outside is not an epoch of any unit.
_FIRST, _LAST = 31_536_000, 7_258_118_400


def epoch(value: float | int | str) -> Micros | None:
    """A number since the epoch in seconds, milli-, micro- or nanoseconds (told by its magnitude) → µs; None: not an instant.

    Between 1971 and 2200 the four ranges do not overlap.
    """
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text) or len(text) > 40:
            return None
        value = int(text) if text.lstrip("+-").isdigit() else float(text)
    for scale in (1, 1_000, 1_000_000, 1_000_000_000):
        if _FIRST * scale <= value < _LAST * scale:
            return value * 1_000_000 // scale if isinstance(value, int) else round(value * (1_000_000 / scale))
    return None


def fraction(digits: str | None) -> int:
    """The digits behind the decimal point of a second → µs (cut, not rounded)."""
    return int(digits[:6].ljust(6, "0")) if digits else 0


class Clock:
    """Reads the time stamps of one source. ``zone`` (an IANA name) is used where a stamp names no UTC offset.

    Raises ``ZoneInfoNotFoundError`` (a ``KeyError``) for an unknown ``zone``.
    """

    def __init__(self, zone: str | None = None) -> None:
        self.zone: tzinfo = UTC
        self.given = zone
        if zone:
            from zoneinfo import ZoneInfo

            self.zone = ZoneInfo(zone)
        self.assumed: str | None = None
        self._minutes: dict[tuple[str, str | None], int | None] = {}
        self._seconds: dict[str, int] = {}

    def note(self) -> str:
        """What to tell the person about an assumed zone; "" when nothing was assumed."""
        if self.assumed is None:
            return ""
        which = f"the zone {self.assumed} is ambiguous" if self.assumed else "its times have no zone"
        return f"{which}: read as UTC; say otherwise with --timezone SOURCE=Zone"

    def read(self, text: str) -> Micros | None:
        """Any supported stamp: ISO 8601 / RFC 3339, epoch, common log format, RFC 2822, ctime. None: not an instant."""
        text = text.strip().strip("[]")
        return self.iso(text) if _ISO.match(text) else (epoch(text) or self._named(text))

    def iso(self, text: str) -> Micros | None:
        """``2026-11-23 08:02:23.770 UTC``, ``2026-11-23T08:02:23,77+01:00``, … ; what follows the stamp is ignored."""
        whole = ""
        if text[23:24] == " " and len(text) <= _STAMP_LENGTH:  # databases: "… 08:02:23.770 UTC"; a second is parsed once
            whole, millis = text[:20] + text[23:], text[20:23]
            known = self._seconds.get(whole)
            if known is not None and millis.isdigit():
                return known + int(millis) * 1_000
        match = _ISO.match(text)
        if match is None:
            return None
        year, month, day, hour, minute, second, digits, zone = match.groups()
        key = (text[: match.end(5)], zone)
        start = self._minutes.get(key, -1)
        if start == -1:
            if len(self._minutes) > _REMEMBERED:
                self._minutes.clear()
            start = self._minutes[key] = self.instant((int(year), int(month), int(day), int(hour), int(minute), 0), zone)
        if start is None:
            return None
        if second is None:
            return start
        start += int(second) * 1_000_000
        if whole and digits and len(digits) == 3:
            if len(self._seconds) > _REMEMBERED:
                self._seconds.clear()
            self._seconds[whole] = start
        return start + (fraction(digits) if digits else 0)

    def instant(self, fields: tuple[int, int, int, int, int, int], zone: str | None) -> Micros | None:
        """Year … second in ``zone`` (an offset, a name, or None) → µs; None for a date that does not exist."""
        if fields[5] == 60:  # a leap second counts as the next one
            start = self.instant((*fields[:5], 59), zone)
            return None if start is None else start + 1_000_000
        try:
            moment = datetime(*fields)
        except ValueError:
            return None
        where: tzinfo = UTC
        shift = timedelta()
        if zone is None or zone[0] not in "+-":
            if zone not in _UTC_NAMES:
                where = self.zone
                if not self.given:
                    self.assumed = zone or ""
        else:
            digits = zone[1:].replace(":", "")
            shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4] or 0), seconds=int(digits[4:6] or 0))
            shift = -shift if zone[0] == "-" else shift
        try:
            return (moment.replace(tzinfo=where) - _EPOCH - shift) // timedelta(microseconds=1)
        except OverflowError:
            return None

    def _named(self, text: str) -> Micros | None:
        if match := _CLF.match(text) or _MAIL.match(text):
            day, month, year, hour, minute, second, digits, zone = match.groups()
        elif match := _CTIME.match(text):
            month, day, hour, minute, second, digits, year, zone = match.groups()
        else:
            return None
        if month not in _MONTHS:
            return None
        start = self.instant((int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second)), zone)
        return None if start is None else start + fraction(digits)
