"""Traces made by hand: rows of ``spans`` from short lines, and a :class:`Tracing` over them."""

from __future__ import annotations

from typing import Any

from perfaudit import testing
from perfaudit.model import Window, Windows
from perfaudit.paths.tracing import Tracing, of_bundle

START = 1_795_420_800_000_000
SECOND = 1_000_000
#: The reference is the first half, the affected window the second.
HALF = 1000
WINDOWS = Windows(Window(START, START + 2 * HALF * SECOND), Window(START + HALF * SECOND, START + 2 * HALF * SECOND), Window(START, START + HALF * SECOND), "found")
Row = dict[str, Any]


def trace(number: int, second: float, *spans: str, **more: Any) -> list[Row]:
    """A trace that begins ``second`` seconds in. A span: ``id<parent service/operation kind from-to [column=value …]`` with times in µs; ``more`` for all."""
    rows = []
    for line in spans:
        names, what, kind, times, *extra = line.split()
        own, _, parent = names.partition("<")
        service, _, operation = what.partition("/")
        begin, _, end = times.partition("-")
        row: Row = {"trace_id": f"{number:032x}", "span_id": own, "parent_span_id": parent or None, "time": START + int(second * SECOND) + int(begin), "duration_us": int(end) - int(begin)}
        row |= {"service": service, "operation": operation.replace("_", " "), "kind": kind, **more, **dict(pair.split("=", 1) for pair in extra)}
        rows.append(row)
    return rows


def tracing(rows: list[Row], windows: Windows = WINDOWS) -> Tracing:
    """The traces of these rows."""
    found = of_bundle(testing.evidence(spans=rows).bundle, windows)
    assert found is not None
    return found


def seconds(zone: str, n: int) -> list[float]:
    """Instants spread over the affected window or the reference."""
    return [(HALF if zone == "affected" else 0) + (i + 0.5) * HALF / n for i in range(n)]
