"""A trace as a waterfall: one row for each span (or for several of the same names), from when to when; solid where the user waited for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from perfaudit.report import charts, text
from perfaudit.report.pages import _components

_LEFT, _RIGHT, _ROW, _TOP = 336.0, 78.0, 22.0, 26.0
_INDENT = 12.0
#: Deeper rows are indented no further: names must keep their room.
_DEEPEST = 9
#: What is shorter than this on the screen would not be seen.
_LEAST = 1.0


def draw(example: Mapping[str, Any], *, title: str, desc: str) -> str:
    """The trace as SVG; "" without a row."""
    rows: Sequence[Mapping[str, Any]] = example["rows"]
    if not rows:
        return ""
    last = max(1, example["duration"], *(end for row in rows for _, end in row["spans"]))
    bottom = _TOP + _ROW * len(rows)
    wide = charts.WIDTH - _LEFT - _RIGHT

    def x(micros: float) -> float:
        return float(_LEFT + wide * min(1.0, max(0.0, micros / last)))

    body = list(_axis(x, last, bottom))
    outer = ""
    for i, row in enumerate(rows):
        body += _row(row, x, _TOP + _ROW * i, outer)
        outer = row["service"]
    body += _components.legend((_components.css(row["component"]) for row in rows if row["critical"]), _LEFT, bottom + 22)
    return charts.figure(body, width=charts.WIDTH, height=bottom + 32, title=title, desc=desc)


def _axis(x: Any, last: float, bottom: float) -> Iterator[str]:
    for tick in charts.Scale(0.0, last / 1e3, 0.0, 1.0).ticks(5):
        place = x(tick * 1e3)
        yield f'<path class="grid" d="M{charts.number(place)} {_TOP - 4:g}V{charts.number(bottom)}"/>' + charts.label(place, _TOP - 10, charts.milliseconds(tick), "tick", "middle")


def _row(row: Mapping[str, Any], x: Any, y: float, outer: str) -> Iterator[str]:
    """Name, bars and duration; the service is named where it is another than in the row above."""
    n, css = charts.number, _components.css(row["component"])
    marks = f" ×{row['times']}" * (row["times"] > 1) + " ↻" * row["again"] + " failed" * row["failed"]
    name = row["operation"] or row["component"]
    name = f"{row['service']}: {name}" if row["service"] and row["service"] != outer else name
    inset = _INDENT * min(row["depth"], _DEEPEST)
    room = int((_LEFT - 14 - inset) / 6.3) - len(marks)
    spent, waited = (sum(b - a for a, b in row[key]) / 1e3 for key in ("spans", "critical"))
    told = f"{row['service']}: {row['operation']}{marks}; {row['component']}; {text.duration(spent)}, of which the user waited {text.duration(waited)} for it"
    yield charts.label(4 + inset, y + 15, text.cut(name, room) + marks, "failed" if row["failed"] else "")
    for begin, end in row["spans"]:
        yield f'<rect class="span" x="{n(x(begin))}" y="{n(y + 7)}" width="{n(max(_LEAST, x(end) - x(begin)))}" height="8"><title>{escape(text.plain(told))}</title></rect>'
    for begin, end in row["critical"]:
        yield f'<rect class="{css}" x="{n(x(begin))}" y="{n(y + 4)}" width="{n(max(_LEAST, x(end) - x(begin)))}" height="14"><title>{escape(text.plain(told))}</title></rect>'
    yield charts.label(charts.WIDTH - 4, y + 15, text.duration(spent), "tick", "end")
