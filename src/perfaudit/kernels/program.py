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
#: Second chances of a line; a request with more quotes than this is not worth a search of all ways.
RETRIES = 32
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
    def steps(self) -> tuple[tuple[re.Pattern[bytes] | None, bytes], ...]:
        """For each field its pattern with the literal behind it; None and the literal for a text, which ends at any place of it."""
        return tuple((re.compile(_PATTERNS[f.kind] + re.escape(f.literal)) if f.kind in _PATTERNS else None, f.literal) for f in self.fields)

    def fit(self, lines: list[bytes]) -> float:
        """The share of ``lines`` that it reads."""
        return sum(map(self.reads, lines)) / len(lines) if lines else 0.0

    def reads(self, line: bytes) -> bool:
        """Whether ``line`` has the format: told as the scanner tells it, with as many second chances, so that no line is costly."""
        places: list[tuple[int, int]] = []  # texts: which step, and where the literal behind it stands
        step = position = 0
        for _ in range(RETRIES + 1):
            while step < len(self.steps):
                pattern, literal = self.steps[step]
                if pattern is None:
                    stop = line.find(literal, position) if literal else len(line)
                    if stop < 0:
                        break
                    if literal:
                        places.append((step, stop))
                    position = stop + len(literal)
                elif match := pattern.match(line, position):
                    position = match.end()
                else:
                    break
                step += 1
            if step == len(self.steps) and position == len(line):
                return True
            while places:
                step, stop = places.pop()
                literal = self.steps[step][1]
                stop = line.find(literal, stop + 1)
                if stop >= 0:
                    break
            else:
                return False
            places.append((step, stop))
            step, position = step + 1, stop + len(literal)
        return False

    def fills(self, column: str) -> bool:
        """Whether some field fills ``column``."""
        return any(f.column == column and f.kind not in (SKIP, NOTHING, REST) for f in self.fields)

    @property
    def readable(self) -> bool:
        """Whether it gives what a request needs: an instant and a status."""
        kinds = {f.kind for f in self.fields}
        return self.fills("time") and STATUS in kinds
