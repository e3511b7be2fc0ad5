"""What cost readers share: dates of periods, amounts as people write them, and charges summed per period and service."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING

from perfaudit import redact
from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers._rows import Rows

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink

DAY, HOUR = 86_400_000_000, 3_600_000_000
#: Periods that are held before they are handed on: about 100 MB.
MOST_KEYS = 200_000
#: A charge beyond this is a mistake in the file: it would hide all others, and a float would not hold its cents.
LARGEST = Decimal(10) ** 13
#: The longest name of a service that is kept.
NAME_LENGTH = 120
_DATE = re.compile(r"(\d{4})[-/.](\d\d)(?:[-/.](\d\d))?")
_COMPACT = re.compile(r"(20\d\d)(\d\d)(\d\d)")
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_CODE = re.compile(r"[A-Z]{3}")
_AMOUNT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")

Key = tuple[int, int | None, str | None, str | None, str | None]


def period(text: str, clock: Clock) -> tuple[int, int | None] | None:
    """``(start, length)`` in µs of ``2026-11-01`` (a day), ``2026-11`` (a month) or an instant (length unknown); None for anything else."""
    text = text.strip()
    match = _DATE.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        instant = clock.read(text) if text else None
        return None if instant is None else (instant, None)
    year, month, day = int(match[1]), int(match[2]), int(match[3] or 1)
    start = clock.instant((year, month, day, 0, 0, 0), None)
    if start is None:
        return None
    if match[3]:
        return start, DAY
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - datetime(year, month, 1, tzinfo=UTC)
    return start, following.days * DAY


def amount(text: str, *, comma: bool = False) -> tuple[Decimal, str | None] | None:
    """A charge and the currency that stands beside it: ``1,234.56``, ``$12.30``, ``(12.30)``, ``-12,30 €`` (``comma``). None: no number."""
    if _AMOUNT.fullmatch(text):  # what machines write
        value = Decimal(text)
        return (value, None) if abs(value) <= LARGEST else None
    text = text.strip().replace("\u00a0", " ").replace("−", "-")
    currency = next((code for symbol, code in _SYMBOLS.items() if symbol in text), None)
    if code := re.search(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])", text):
        currency, text = code[0], text.replace(code[0], "")
    negative = text.startswith("(") and text.endswith(")")
    digits = re.sub(r"[\s()$€£¥₹']", "", text)
    if comma and digits.count(",") == 1 and "." not in digits.rpartition(",")[2]:
        digits = digits.replace(".", "").replace(",", ".")
    elif "," in digits:
        if not re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", digits):
            return None
        digits = digits.replace(",", "")
    if not _AMOUNT.fullmatch(digits):
        return None
    try:
        value = Decimal(digits)
    except InvalidOperation:
        return None
    return (-value if negative else value, currency) if abs(value) <= LARGEST else None


def currency(text: str) -> str | None:
    """An ISO 4217 code; None for anything else."""
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) else _SYMBOLS.get(code)


@lru_cache(maxsize=4_096)
def name(text: str) -> str | None:
    """What was bought, without what could be a secret or a person; None when empty."""
    return redact.note(text.strip())[:NAME_LENGTH] or None


class Anonymous:
    """A sink whose rejected lines leave no example: bills name accounts, people and contracts. A reader gives the cells at fault instead."""

    def __init__(self, sink: Sink) -> None:
        self.lines, self.parsed, self.note, self.write = sink.lines, sink.parsed, sink.note, sink.write
        self._sink = sink

    def reject(self, reason: str, n: int = 1, *, example: bytes = b"", offset: int = 0, cells: str = "") -> None:
        """Count rejected lines; ``cells`` is what may be shown of the first."""
        self._sink.reject(reason, n, example=cells.encode(), offset=offset)

    def too_long(self, offset: int, first: bytes) -> None:
        """Count an over-long line."""
        self._sink.too_long(offset, b"")


class Charges:
    """The ``costs`` table: charges of one period, service, kind and currency are one row."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.rows = Rows(sink, "costs", ("time", "duration_us", "service", "kind", "currency", "amount", "requests", "lines"))
        self.sums: dict[Key, tuple[Decimal, int | None, int]] = {}
        self.times: set[int] = set()

    def add(self, time: int, length: int | None, service: str | None, kind: str | None, code: str | None, value: Decimal, requests: int | None = None) -> None:
        """One charge; ``length`` None: the step between periods, known at the end."""
        key = (time, length, service, kind, code)
        old, asked, lines = self.sums.get(key, (Decimal(0), None, 0))
        self.sums[key] = (old + value, asked if requests is None else max(asked or 0, requests), lines + 1)
        self.times.add(time)
        if len(self.sums) >= MOST_KEYS:
            self.flush()

    def flush(self) -> None:
        """Hand over what is summed, in order of time."""
        ordered = sorted(self.times)
        step = min((b - a for a, b in itertools.pairwise(ordered)), default=DAY)
        for (time, length, service, kind, code), (total, requests, lines) in sorted(self.sums.items(), key=lambda item: tuple(str(k) for k in item[0])):
            self.rows.add(time, min(step, 31 * DAY) if length is None else length, service, kind, code, float(total), requests, lines)
        self.rows.flush()
        self.sums = {}

    def close(self) -> None:
        """The end of the file: several currencies are told."""
        codes = sorted({key[4] for key in self.sums if key[4]})
        if len(codes) > 1:
            self.sink.note(f"charges in {', '.join(codes)} are kept apart: nothing is converted")
        self.flush()
