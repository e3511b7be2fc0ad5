"""Shifts with their intervals on one axis of ratios, one row each (a forest plot), and the least practical difference as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfaudit.report import charts
from perfaudit.report.text import cut, trimmed

ROW, TOP, BOTTOM, LEFT, RIGHT = 26, 12, 34, 330, 60
#: Ratios beyond these are drawn at the edge.
MOST = 100.0
#: Half the axis is at least this ratio, so that a small shift looks small.
LEAST = 1.25


@dataclass(frozen=True)
class Row:
    """A row: B over A with the ends of the interval (None: open), ratios > 0."""

    label: str
    ratio: float
    low: float | None
    high: float | None


def ratio(share: float | None) -> float | None:
    """B over A for a change as a share of A; None where it is open."""
    return None if share is None or share <= -1 else 1 + share


def forest(rows: Sequence[Row], least: float, *, title: str, desc: str) -> str:
    """The chart. ``least``: the least practical difference as a share of A."""
    known = [v for r in rows for v in (r.ratio, r.low, r.high) if v is not None and v > 0]
    edge = min(MOST, max(LEAST, *(max(v, 1 / v) for v in known)) * 1.05) if known else LEAST
    right, bottom = charts.WIDTH - RIGHT, TOP + ROW * len(rows)

    def x(ratio: float) -> float:
        place = math.log(min(edge, max(1 / edge, ratio))) / math.log(edge)
        return LEFT + (right - LEFT) * (1 + place) / 2

    n = charts.number
    body = [f'<rect class="reference" x="{n(x(1 / (1 + least)))}" y="{TOP}" width="{n(x(1 + least) - x(1 / (1 + least)))}" height="{n(bottom - TOP)}"/>']
    for tick in _ticks(edge):
        body.append(f'<path class="{"axis" if tick == 1 else "grid"}" d="M{n(x(tick))} {TOP}V{n(bottom)}"/>' + charts.label(x(tick), bottom + 18, f"{trimmed(tick)}×", "tick", "middle"))
    for i, row in enumerate(rows):
        y = TOP + ROW * (i + 0.5)
        low, high = (1 / edge if row.low is None else row.low), (edge if row.high is None else row.high)
        css = "dot-after" if row.low is not None and row.low > 1 else "dot-before"
        body.append(charts.label(LEFT - 14, y + 4, cut(row.label, 48), "", "end"))
        body.append(f'<path class="whisker {css}" d="M{n(x(low))} {n(y)}H{n(x(high))}"/><circle class="{css}" cx="{n(x(row.ratio))}" cy="{n(y)}" r="4.5"/>')
    return charts.figure(body, width=charts.WIDTH, height=bottom + BOTTOM, title=title, desc=desc)


def _ticks(edge: float) -> list[float]:
    """1 and round ratios on both sides, far enough apart for their labels: a fifth of half the axis."""
    chosen: list[float] = []
    for tick in (100.0, 50.0, 20.0, 10.0, 5.0, 3.0, 2.0, 1.5, 1.2, 1.1):
        if tick <= edge and math.log(tick) >= 0.2 * math.log(edge) and (not chosen or math.log(chosen[-1] / tick) >= 0.2 * math.log(edge)):
            chosen.append(tick)
    return sorted({1.0, *chosen, *(1 / t for t in chosen)})
