"""Instants and durations as logs write them: ISO 8601, epoch numbers, CLF times, Go and .NET durations, units from names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from math import isfinite, log10
from statistics import median
from typing import Any

#: Seconds of one unit.
SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
_SUFFIX = re.compile(r"(?:^|[_.])(?:(ns|nanos|nanoseconds?|nsec)|(us|micros|microseconds?|usec|µs)|(ms|millis|milliseconds?|msec)|(s|secs?|seconds?))$")
_GO = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ns|us|µs|μs|ms|s|m|h)")
_GO_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SPAN = re.compile(r"(?:(\d+)\.)?(\d\d):(\d\d):(\d\d(?:\.\d+)?)$")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?$")
_CLF = re.compile(r"\[?(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? ([+-]\d{4})\]?$")
_MONTHS = {m: i for i, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)}
#: Middle of what a web request takes (s): from 1 ms, the least through a proxy, to 10 s, after which people have left
#: (Nielsen, "Response Times: The 3 Important Limits", 1993). A best guess at a unit is the one that puts the median nearest.
_TYPICAL = 0.1


def unit_of_name(name: str) -> str | None:
    """The unit that a snake-case key ends in (``duration_ms`` → ``ms``), or None."""
    match = _SUFFIX.search(name)
    return match and ("ns", "µs", "ms", "s")[match.lastindex - 1] if match and match.lastindex else None


def best_unit(values: Iterable[float]) -> str:
    """The unit in which the median of ``values`` is most like a web request; whole numbers are not taken for seconds."""
    positive = [value for value in values if value > 0]
    if not positive:
        return "ms"
    whole = all(value == int(value) for value in positive)
    units = ["ms", "µs", "ns"] if whole else ["s", "ms", "µs"]
    middle = median(positive)
    return min(units, key=lambda unit: abs(log10(middle * SECONDS[unit] / _TYPICAL)))


def duration_text(text: str) -> float | None:
    """Seconds of ``12.3ms``, ``1m2.5s``, ``350µs`` (Go), ``00:00:01.5`` (.NET), ``PT1.5S``; None for anything else."""
    text = text.strip()
    if text[:2] == "PT":
        text = text[2:].lower()
    span = _SPAN.match(text)
    if span:
        return int(span[1] or 0) * 86400 + int(span[2]) * 3600 + int(span[3]) * 60 + float(span[4])
    total, position = 0.0, 0
    while match := _GO.match(text, position):
        total += float(match[1]) * _GO_SECONDS[match[2]]
        position = match.end()
    return total if position and position == len(text) else None


class Clock:
    """Instants in µs from what a JSON value holds; whole seconds are remembered, so a busy log costs a look-up per line.

    ``zoneless`` tells afterwards whether an instant without a zone was met (and read as UTC).
    """

    def __init__(self) -> None:
        self.zoneless = False
        self._seconds: dict[tuple[str, str], int | None] = {}

    def __call__(self, value: Any) -> int | None:
        """µs since the epoch, or None for what is no instant."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return epoch(value)
        return None

    def column(self, values: list[Any]) -> list[int | None]:
        """The instants of ``values``; epoch seconds, the usual case, all at once."""
        if values and all(type(value) is float for value in values) and 1e8 <= min(values) <= max(values) < 1e11:
            import numpy as np

            return list(np.rint(np.array(values) * 1e6).astype(np.int64).tolist())
        return list(map(self, values))

    def text(self, text: str) -> int | None:
        """An instant written as ISO 8601, CLF, or an epoch number in quotes."""
        iso = _ISO.match(text)
        if iso is None:
            return self._other(text)
        key = (text[:19], iso[4] or "")
        if key not in self._seconds:
            if len(self._seconds) > 10_000:
                self._seconds.clear()
            self._seconds[key] = self._iso_seconds(*key)
        second = self._seconds[key]
        return None if second is None else second + (int(iso[3][:6].ljust(6, "0")) if iso[3] else 0)

    def _iso_seconds(self, text: str, zone: str) -> int | None:
        if not zone:
            self.zoneless = True
        if zone in ("Z", "UTC", ""):
            zone = "+00:00"
        try:
            return int(datetime.fromisoformat(text.replace(" ", "T") + zone).timestamp()) * 1_000_000
        except (ValueError, OverflowError):
            return None

    def _other(self, text: str) -> int | None:
        clf = _CLF.match(text)
        if clf and clf[2] in _MONTHS:
            iso = f"{clf[3]}-{_MONTHS[clf[2]]:02d}-{clf[1]}T{clf[4]}:{clf[5]}:{clf[6]}"
            second = self._iso_seconds(iso, clf[8])
            return None if second is None else second + int((clf[7] or "").ljust(6, "0"))
        try:
            return epoch(float(text))
        except ValueError:
            return None


def epoch(value: float) -> int | None:
    """µs of an epoch number in s, ms, µs or ns, told by its size (seconds reach 1e11 in the year 5138); None before 1973."""
    if not isfinite(value) or value < 1e8:
        return None
    for limit, factor in ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1)):
        if value < limit:
            return round(value * factor)
    return round(value / 1_000) if value < 1e20 else None

