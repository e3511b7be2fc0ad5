"""One self-contained page: no script, no network, readable by keyboard and screen reader, on paper, in light and dark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from perfaudit.report import charts, pages, text, view

if TYPE_CHECKING:
    from jinja2 import Template

NAME = "HTML"
SUFFIXES = (".html", ".htm")
PREFIX = "html"

#: Rows that are shown of a list; what is left out is told with its number.
TOP_ROUTES, TOP_SMALL, TOP_COMPONENTS, TOP_CLEAR, TOP_SOURCES, TOP_ROWS = 25, 6, 7, 60, 60, 100
#: A text of the evidence is cut here, so that the page stays small; the result holds all of it.
MAX_TEXT = 2000


def render(result: Mapping[str, Any]) -> str:
    """The page of a result."""
    page = _Page(result)
    return _template().render(
        r=result, v=result.get("verdict", {}), pages=pages.of(result), view=view, text=text, page=page, css=_asset("report.css"), lead=view.lead(result), top=TOP_ROUTES, top_clear=TOP_CLEAR, top_sources=TOP_SOURCES, top_rows=TOP_ROWS
    )


def _asset(name: str) -> str:
    return (files("perfaudit.report") / "assets" / name).read_text("utf-8")


@cache
def _template() -> Template:
    from jinja2 import ChainableUndefined, Environment, FunctionLoader

    def finalize(value: Any) -> Any:
        return value if hasattr(value, "__html__") else _clipped(text.plain(value))

    environment = Environment(loader=FunctionLoader(_asset), autoescape=True, finalize=finalize, undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template("report.html.jinja")


def _clipped(said: str) -> str:
    return said if len(said) <= MAX_TEXT else f"{said[:MAX_TEXT]}… ({len(said) - MAX_TEXT:,} more characters)"


def _seconds(instant: str | None) -> float:
    moment = text.instant(instant or "")
    return moment.timestamp() if moment else 0.0


class _Page:
    """What the template asks for: numbers with their query, and the charts."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.queries = view.Queries()
        self.baseline: Mapping[str, Any] = result.get("baseline", {})

    # ---------------------------------------------------------------- numbers

    def num(self, quantity: Any, unit: str = "", *, short: bool = False) -> Any:
        """A number that opens its query, with interval, n and method as a tooltip; ``short`` leaves out what a share is of."""
        own = quantity.get("unit", unit) if isinstance(quantity, Mapping) else unit
        said = text.number(text.value_of(quantity), own) if short else text.measured(quantity, unit)
        return self.cited(said, quantity.get("query") if isinstance(quantity, Mapping) else None, text.provenance(quantity))

    def cited(self, said: str, query: str | None, tip: str = "") -> Any:
        """Text that opens ``query``."""
        from markupsafe import Markup

        said = _clipped(text.plain(said))
        if number := self.queries.cite(query):
            return Markup('<a class="n" href="#q{}" title="{}">{}</a>').format(number, tip or "opens its query", said)
        return Markup('<span class="n" title="{}">{}</span>').format(tip, said) if tip else said

    def cell(self, cell: pages.Cell) -> Any:
        """A cell of a page: a measurement opens its query and shows its interval."""
        from markupsafe import Markup

        if not isinstance(cell, Mapping):
            return _clipped(text.plain(view.said(cell)))
        between = text.interval(cell)
        return self.num(cell) + (Markup(' <span class="ci">{}</span>').format(text.plain(between)) if between else "")

    def anchor(self, page: pages.Page) -> str:
        """The page's id in this document."""
        return "page" + re.sub("[^a-z0-9]", "", page.key.lower())

    def drawn(self, chart: pages.Chart) -> Any:
        """The picture of a page."""
        return _safe(chart.svg)

    def lines(self, said: str) -> Any:
        """Text whose line breaks stay: a command, a query."""
        from markupsafe import escape

        return escape(_clipped(text.plain(said, lines=True)))

    # ---------------------------------------------------------------- account

    def account(self) -> list[dict[str, Any]]:
        """Rows of the account of time with the class of their colour (one of its own for what the verdict claims); small ones are folded."""
        rows = view.account(self.result)
        named = [row for row in rows if row["component"] != "unexplained"]
        keep = TOP_COMPONENTS if len(named) > TOP_COMPONENTS + 1 else len(named)
        constraint = self.result.get("verdict", {}).get("problem")
        shown = [row | {"css": "k-claimed" if constraint in row.get("problems", []) else f"k{i}"} for i, row in enumerate(named[:keep])]
        if rest := named[keep:]:
            total = sum(text.value_of(row["share"]) or 0.0 for row in rest)
            spent = sum(text.value_of(row.get("seconds")) or 0.0 for row in rest)
            shown.append({"component": f"{len(rest)} smaller", "share": total, "seconds": spent, "css": "k7", "detail": text.joined([row["component"] for row in rest])})
        return shown + [row | {"css": "k-none"} for row in rows if row["component"] == "unexplained"]

    def account_bar(self) -> Any:
        """The account of time as one bar."""
        rows = [(row["component"], text.value_of(row["share"]) or 0.0, row["css"]) for row in self.account()]
        said = ", ".join(f"{name} {text.percent(share)}" for name, share, _ in rows)
        return _safe(charts.stacked_bar(rows, title="Account of time", desc=f"Request-seconds by where they were spent: {said}"))

    # ---------------------------------------------------------------- time

    def _grid(self, series: Mapping[str, Any], points: int) -> charts.Grid:
        start, interval = _seconds(series["start"]), float(series["interval_s"])
        counts = self.baseline.get("series", {}).get("count") or []
        return charts.Grid(start, interval, points, charts.long_gaps(counts, start, interval) if len(counts) == points else ())

    def _bands(self) -> list[charts.Band]:
        windows = self.result.get("windows", {})
        if not windows.get("reference"):
            return []
        return [charts.Band(_seconds(w["start"]), _seconds(w["end"]), name, name) for name in ("reference", "affected") if (w := windows.get(name))]

    def _marks(self) -> list[charts.Mark]:
        events = sorted(self.result.get("events", []), key=lambda e: (e["kind"] != "deploy", e["time"]))
        return [charts.Mark(_seconds(event["time"]), view.event_name(event)) for event in events[: charts.MAX_MARKS]]

    def latency(self) -> Any:
        """p50, p95 and p99 over time on a logarithmic axis."""
        series = self.baseline.get("series", {})
        lines = [charts.Line(p, series[f"{p}_ms"], p) for p in ("p50", "p95", "p99") if series.get(f"{p}_ms")]
        if not lines:
            return ""
        said = "; ".join(f"{line.label} from {text.duration(min(known))} to {text.duration(max(known))}" for line in lines if (known := [v for v in line.values if v is not None]))
        grid = self._grid(series, len(lines[0].values))
        return _safe(charts.line_chart(lines, grid, bands=self._bands(), marks=self._marks(), title="Latency over time", desc=said))

    def strips(self) -> list[tuple[str, Any]]:
        """Arrival rate, error ratio and requests in flight on the time axis of the latency."""
        series = self.baseline.get("series", {})
        out = []
        for key, title, form in (("rate_per_s", "Arrivals per second", text.trimmed), ("in_flight", "Requests in flight", text.trimmed), ("error_ratio", "Errors (status ≥ 500)", text.percent)):
            values = series.get(key) or []
            if any(values):
                known = [v for v in values if v is not None]
                svg = charts.line_chart(
                    [charts.Line("", values, "p95")], self._grid(series, len(values)), bands=self._bands(), marks=self._marks(), log=False, height=110, form=form, named=False,
                    title=title, desc=f"from {form(min(known))} to {form(max(known))}",
                )  # fmt: skip
                out.append((title, _safe(svg)))
        return out

    def left_out(self) -> str:
        """What the charts leave out, "" where they show every interval."""
        series = self.baseline.get("series", {})
        n = len(series.get("p95_ms", []))
        said = f"{n:,} intervals drawn as the largest of each {-(-n // charts.MAX_POINTS)}. " if n > charts.MAX_POINTS else ""
        gaps = self._grid(series, n).skipped if series else ()
        return said + "".join(f"Nothing was recorded for {text.stretch(b - a)}: the axis is broken there. " for a, b in gaps)

    def heat(self) -> Any:
        """Requests by time and duration."""
        heat = self.baseline.get("heatmap")
        if not heat or not heat["counts"]:
            return ""
        desc = f"{sum(map(sum, heat['counts'])):,} requests by arrival and duration; a stronger colour is more"
        return _safe(charts.heat_map(heat["counts"], heat["bounds_ms"], self._grid(heat, len(heat["counts"])), bands=self._bands(), title="Every request", desc=desc))

    def small(self) -> list[tuple[str, Any]]:
        """p95 over time of the top routes on one shared axis."""
        series, rows = self.baseline.get("series", {}), self.baseline.get("route_series", [])[:TOP_SMALL]
        scale = charts.scale_for([row["p95_ms"] for row in rows], 8, 88, log=True)
        if scale is None or not series:
            return []
        out = []
        for row in rows:
            known = [v for v in row["p95_ms"] if v is not None]
            desc = f"p95 from {text.duration(min(known))} to {text.duration(max(known))}" if known else "no requests"
            name = view.route_name(row)
            out.append((name, _safe(charts.small_multiple(row["p95_ms"], self._grid(series, len(row["p95_ms"])), scale, bands=self._bands(), title=name, desc=desc))))
        return out

    # ---------------------------------------------------------------- routes

    def shift(self, row: Mapping[str, Any]) -> Any:
        """p95 of a route, reference and affected, with intervals, on an axis that all routes share."""
        before, after = (_bounds(row.get(window, {}).get("duration_ms", {}).get("p95")) for window in ("reference", "affected"))
        scale = self._shift_scale()
        if scale is None or not (before or after):
            return ""
        said = " to ".join(text.duration(values[0]) for values in (before, after) if values)
        return _safe(charts.dumbbell(before, after, scale, title=f"p95 of {view.route_name(row)}", desc=said))

    def _shift_scale(self) -> tuple[float, float] | None:
        ends = [x for row in view.routes(self.result)[:TOP_ROUTES] for w in ("reference", "affected") for x in _bounds(row.get(w, {}).get("duration_ms", {}).get("p95"))]
        return (max(min(ends), 0.01), max(max(ends), 0.02)) if ends else None


def _bounds(quantity: Any) -> list[float]:
    """``[value, low, high]`` of a measurement, [] without one."""
    value = text.value_of(quantity)
    if value is None:
        return []
    low, high = (quantity.get("ci") if isinstance(quantity, Mapping) else None) or (None, None)
    return [value, value if low is None else low, value if high is None else high]


def _safe(svg: str) -> Any:
    from markupsafe import Markup

    return Markup(svg)
