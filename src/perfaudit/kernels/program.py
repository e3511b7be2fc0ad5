"""The scanner's language: kinds of fields, columns, and programs made of them. Light, so that sniffing needs no compiler."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

# Texts end at their literal and come first, then numbers, then the rest: they end where they end. The order matters to the scanner.
SKIP, REQUEST, TARGET, METHOD, SYMBOL, CLIENT, TEXT = range(7)
NUMBER, FRACTION, ADD, STATUS, CLF, ISO, DATE, CLOCK, TRIES, NOTHING, REST = range(7, 18)

#: Columns that a program may fill, in the order of the scanner's matrix. ``end_time`` is what a format gives beside the arrival.
COLUMNS = (
    "time", "duration_us", "status", "method", "route", "response_bytes", "request_bytes", "upstream_connect_us", "upstream_header_us",
    "upstream_us", "tries", "cache_status", "service", "instance", "client_key", "end_time",
)  # fmt: skip
TEXTS = ("trace_id", "request_id")
#: A route is cut here (bytes); the kernel reserves this much for each.
MAX_ROUTE = 200
REASONS = ("does not match the format", "bad time", "blank line")

_DECIMAL = rb"(?:-?\d*(?:\.\d+)?)"
_CLOCK = rb"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_ZONE = rb"(?: ?(?:Z|[+-]\d\d:?\d\d))?"
_PATTERNS = {
    NUMBER: _DECIMAL,
    FRACTION: rb"(?:\d+\.\d+|-)",
    ADD: _DECIMAL,
    STATUS: rb"(?:[1-9]\d\d|0|-1|-)",
    CLF: rb"\d\d/[A-Z][a-z][a-z]/\d{4}:" + _CLOCK + _ZONE,
    ISO: rb"\d{4}-\d\d-\d\d[T ]" + _CLOCK + _ZONE,
    DATE: rb"\d{4}-\d\d-\d\d",
    CLOCK: _CLOCK,
    TRIES: _DECIMAL + rb"(?:[ ,:]{2,}" + _DECIMAL + rb")*",
    NOTHING: rb"",
    REST: rb"(?:[ \t|,;].*)?",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its kind, its column (of :data:`COLUMNS`; of :data:`TEXTS` for TEXT), an argument, and the literal behind it.

    The argument is a scale for numbers (units of the column in one of the log's) and, for CLIENT, 1 for an address that
    yields to another field's.
    """

    kind: int
    column: str = "time"
    argument: int = 0
    literal: bytes = b""

    @property
    def index(self) -> int:
        """The column's row in the matrix."""
        return (TEXTS if self.kind == TEXT else COLUMNS).index(self.column)


@dataclass(frozen=True)
class Program:
    """A compiled format. ``text`` says it as a person would write it; ``ends``: its time is the end of the request."""

    fields: tuple[Field, ...]
    text: str = ""
    product: str = ""
    ends: bool = False
    zoneless: bool = False
    dash_is_zero: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """The program as a regular expression over one line, a group a field: for sniffing."""
        parts = [b"(" + _PATTERNS.get(f.kind, b".*?" if f.literal else b".*") + b")" + re.escape(f.literal) for f in self.fields]
        return re.compile(b"".join(parts), re.DOTALL)

    def fit(self, lines: list[bytes]) -> float:
        """The share of ``lines`` that it reads."""
        return sum(self.pattern.fullmatch(line) is not None for line in lines) / len(lines) if lines else 0.0

    def fills(self, column: str) -> bool:
        """Whether some field fills ``column``."""
        return any(f.column == column and f.kind not in (SKIP, NOTHING, REST) for f in self.fields)

    @property
    def readable(self) -> bool:
        """Whether it gives what a request needs: an instant and a status."""
        kinds = {f.kind for f in self.fields}
        return self.fills("time") and STATUS in kinds
