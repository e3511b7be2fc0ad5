"""Charts of error budgets: what a recording spent of what it was allowed, and the burn rate against the thresholds of the alerts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from perfaudit.report import charts, text
from perfaudit.slo.model import shorthand

#: A bar ends here and is marked as going on: ten times the allowed errors is far beyond any nuance.
MOST_BURN = 10.0
#: Burn rates below this are drawn on the axis: a logarithmic scale has no zero.
LEAST_BURN = 0.1
_ROW, _NAMES = 30.0, 300.0


def bars(rows: Sequence[tuple[str, float, float | None, float | None]], *, title: str, desc: str) -> str:
    """One bar for each ``(name, burn, low, high)``: errors over allowed errors; a line marks what is allowed, whiskers the interval. "" without rows."""
    if not rows:
        return ""
    longest = min(MOST_BURN, max(1.25, *(max(burn, high or 0.0) * 1.05 for _, burn, _, high in rows)))
    wide = charts.WIDTH - _NAMES - 90

    def x(value: float) -> float:
        return _NAMES + wide * min(value, longest) / longest

    body = []
    for i, (name, burn, low, high) in enumerate(rows):
        top = 8 + i * _ROW
        said = f"{text.significant(burn)}×" + (" →" if burn > longest else "")
        css = "k2" if burn <= 1 else "k4"
        body.append(charts.label(_NAMES - 10, top + 15, text.cut(name, 44), "tick", "end"))
        body.append(f'<rect class="part {css}" x="{charts.number(_NAMES)}" y="{charts.number(top)}" width="{charts.number(max(1.0, x(burn) - _NAMES))}" height="20"><title>{escape(text.plain(f"{name} {said}"))}</title></rect>')
        if low is not None and high is not None:
            body.append(f'<path class="axis" d="M{charts.number(x(low))} {charts.number(top + 24)}H{charts.number(x(high))}"/>')
        body.append(charts.label(max(x(burn), x(high or burn)) + 8, top + 15, said, "tick"))
    bottom = 8 + len(rows) * _ROW
    body.append(f'<path class="mark" d="M{charts.number(x(1))} 2V{charts.number(bottom)}"/>' + charts.label(x(1), bottom + 12, "allowed", "mark-name", "middle"))
    return charts.figure(body, width=charts.WIDTH, height=bottom + 20, title=title, desc=desc)


def burn(series: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]], *, title: str, desc: str) -> str:
    """Burn rate in the long window of the two fastest alerts that can fire, with their thresholds as level lines. "" without a value."""
    start = text.instant(series["start"])
    shown = sorted((a for a in alerts if a["feasible"]), key=lambda a: a["long_s"])[:2]
    if start is None or not shown:
        return ""
    lines = []
    for alert, css in zip(shown, ("p99", "p95"), strict=False):
        values: list[float | None] = next((line["burn"] for line in series["lines"] if line["window_s"] == alert["long_s"]), [])
        drawn = [None if v is None or not math.isfinite(v) else max(LEAST_BURN, v) for v in values]
        lines.append(charts.Line(shorthand(alert["long_s"]), drawn, css))
        lines.append(charts.Line(f"{alert['factor']:.3g}×", [alert["factor"]] * len(values), "p50"))
    n = max(len(line.values) for line in lines)
    marks = [charts.Mark(at.timestamp(), f"{a['severity']} {a['factor']:.3g}×") for a in shown for f in a["fired"][:3] if (at := text.instant(f["at"]))]
    grid = charts.Grid(start.timestamp(), series["interval_s"], n)
    return charts.line_chart(lines, grid, title=title, desc=desc, marks=marks, form=lambda v: f"{v:.3g}×", height=240) if n else ""
