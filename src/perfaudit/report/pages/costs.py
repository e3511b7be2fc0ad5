"""What does a request cost, and does cost grow without traffic?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from perfaudit.report import charts, text
from perfaudit.report.pages import Chart, Page, Table

_TONES = {"cost grows without traffic": "bad", "cost grows faster than traffic": "bad", "traffic fell, cost did not": "bad", "cost fell less than traffic": "bad", "cost per request fell": "good", "cost follows traffic": "good", "cost is steady": "good"}


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of ``capacity.unit_cost``."""
    part = (result.get("capacity") or {}).get("unit_cost")
    if not part:
        return None
    answer = str(part["answer"])
    said = f"{answer[0].upper()}{answer[1:]}: {str(part['reason']).rstrip('.')}."
    tables = [t for t in (_change(part), _services(part), _events(part)) if t.rows]
    return Page("costs", "Cost", "What does a request cost, and does cost grow without traffic?", said, _TONES.get(answer, "open"), tuple(_facts(part)), tuple(_charts(part)), tuple(tables), tuple(map(str, part.get("notes", []))))


def _facts(part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for label, key in (("Cost", "per_request"), ("Charges", "cost"), ("Credits and refunds", "credits")):
        if key in part and (key != "credits" or part[key]["value"]):
            yield label, part[key]
    if period := part.get("period"):
        yield "Period", f"{text.span(period)}, {text.plural(period['periods'], 'period')}, {period['known']} with known requests"
    if source := part.get("requests_from"):
        yield "Requests from", str(source)


def _charts(part: Mapping[str, Any]) -> Iterator[Chart]:
    series = part.get("series")
    if not series or len(series["start"]) < 3:
        return
    starts = [at.timestamp() for s in series["start"] if (at := text.instant(s)) is not None]
    gaps = sorted(b - a for a, b in itertools.pairwise(starts))
    step = gaps[len(gaps) // 2]
    grid = charts.Grid(starts[0], step, round((starts[-1] - starts[0]) / step) + 1)
    since = text.instant(part.get("since", ""))
    marks = [charts.Mark(since.timestamp(), "unit cost changed")] if since else []
    unit = part["per_request"]["unit"]
    for key, name, high in (("per_request", "Cost of a request over time", 220), ("requests", "Requests over time", 120)):
        values: list[float | None] = [None] * grid.n
        for begin, value in zip(starts, series[key], strict=True):
            values[min(grid.n - 1, round((begin - starts[0]) / step))] = value
        known = [v for v in values if v is not None]
        said = f"{unit if key == 'per_request' else 'requests per period'}: from {text.trimmed(min(known))} to {text.trimmed(max(known))}"
        said += f"; changed {text.clock(part['since'], day=True)}" if since else ""
        svg = charts.line_chart([charts.Line("", values, "p95")], grid, marks=marks, log=False, height=high, form=text.trimmed, title=name, desc=said)
        if svg:
            yield Chart(name, svg, said)


def _change(part: Mapping[str, Any]) -> Table:
    names = {"unit": "cost of a request", "cost": "charges", "requests": "requests"}
    rows = [(names[key], part["change"][key]) for key in ("unit", "cost", "requests")] if "change" in part else []
    return Table("Later against earlier", ("What", "Ratio"), rows, "Geometric means per period, weekdays evened out; intervals at 95 %.")


def _services(part: Mapping[str, Any]) -> Table:
    rows = [(s["service"], text.number(s["cost"], part["currency"]), s.get("before", ""), s.get("after", ""), s.get("difference", "")) for s in part.get("services", [])]
    return Table("Services", ("Service", "Charges", "Before", "After", "Difference"), rows, "Before and after the division, per 1,000 requests; ordered by what they changed.")


def _events(part: Mapping[str, Any]) -> Table:
    rows = [(text.clock(e["time"], day=True), e.get("kind", ""), e.get("service", ""), " ".join(e[k] for k in ("name", "version", "commit") if e.get(k)), text.cut(e.get("detail", ""), 120)) for e in part.get("events", [])]
    return Table("What happened around the change", ("Time (UTC)", "Kind", "Service", "What", "Detail"), rows, "Beside the change in time; not shown to be its cause.")
