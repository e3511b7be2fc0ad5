"""A load test: may its percentiles be believed, and what did it measure?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfaudit.report import charts, text
from perfaudit.report.pages import Chart, Page, Table

#: Stages that are listed: the chart shows all.
MOST_STAGES = 20
MODELS = {"open": "open: arrivals are planned", "closed": "closed: a request waits for the response before it", "unknown": "not known"}

Part = Mapping[str, Any]


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of ``load_test``; None where no load result was read."""
    part = result.get("load_test")
    if not part:
        return None
    return Page(
        "load-test", "Load test", "Can the load test be trusted, and what did it measure?", _answer(part), "good" if part["trusted"] else "bad",
        tuple(_facts(part)), tuple(c for c in (_latency(part), _rate(part)) if c), tuple(t for t in (_checks(part), _stages(part), _thresholds(part)) if t.rows), tuple(_notes(part)),
    )  # fmt: skip


def _answer(part: Part) -> str:
    if not part["trusted"]:
        return f"No: {part['why']}. Nothing is concluded from its percentiles."
    p95 = part["duration_ms"].get("p95")
    said = f": p95 is {text.measured(p95)}" if p95 else ""
    open_ = len(part["not_tested"])
    return f"Yes{said}. {text.plural(len(part['validity']), 'test')} passed" + (f", {open_} could not be made." if open_ else ".")


def _facts(part: Part) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [("Tool", f"{part['tool']}: {', '.join(part['sources'])}"), ("Arrivals", MODELS[part["model"]])]
    facts += [(q, part["duration_ms"][q]) for q in ("p50", "p95", "p99", "max") if q in part["duration_ms"]]
    facts += [(f"{q} with what stalls kept from being sent, at least", m) for q, m in part.get("with_omitted_ms", {}).items()]
    facts.append(("Requests", part["requests"]))
    if "achieved_per_s" in part:
        planned = f" of {part['target_per_s']:,.1f} planned" if "target_per_s" in part else ""
        facts.append(("Arrivals a second", f"{part['achieved_per_s']:,.1f}{planned}"))
    if part.get("failed_ratio"):
        facts.append(("Without a good answer, or refused", text.percent(part["failed_ratio"])))
    if part.get("dropped"):
        facts.append(("Never started", part["dropped"]))
    return facts


def _grid(part: Part) -> charts.Grid | None:
    series = part.get("series")
    start = text.instant(series["start"]) if series else None
    return charts.Grid(start.timestamp(), series["interval_s"], len(series["sent_per_s"])) if series and start else None


def _bands(part: Part) -> list[charts.Band]:
    """Stalls, as shaded stretches."""
    out = []
    for stall in part.get("stalls", []):
        start, end = text.instant(stall["start"]), text.instant(stall["end"])
        if start and end:
            out.append(charts.Band(start.timestamp(), end.timestamp(), "stall", "affected"))
    return out


def _latency(part: Part) -> Chart | None:
    grid = _grid(part)
    known = [v for v in part["series"]["p95_ms"] if v is not None] if grid else []
    if grid is None or not known:
        return None
    said = f"p95 of the requests that began in each interval, from {text.duration(min(known))} to {text.duration(max(known))}"
    svg = charts.line_chart([charts.Line("p95", part["series"]["p95_ms"], "p95")], grid, bands=_bands(part), title="Latency by start of the request", desc=said)
    return Chart("Latency", svg, said)


def _rate(part: Part) -> Chart | None:
    grid = _grid(part)
    if grid is None:
        return None
    sent = part["series"]["sent_per_s"]
    lines = [charts.Line("sent", sent, "p95")]
    planned = _planned(part, grid)
    if any(v is not None for v in planned):
        lines.append(charts.Line("planned", planned, "p50"))
    said = f"requests sent a second, from {text.trimmed(min(sent))} to {text.trimmed(max(sent))}" + (f"; {text.trimmed(part['target_per_s'])} arrivals a second were planned" if "target_per_s" in part else "")
    svg = charts.line_chart(lines, grid, bands=_bands(part), log=False, height=180, form=text.trimmed, title="Requests sent a second", desc=said)
    return Chart("Sent and planned", svg, said)


def _planned(part: Part, grid: charts.Grid) -> Sequence[float | None]:
    """The planned rate of each interval, from the stages."""
    values: list[float | None] = [None] * grid.n
    for stage in part.get("stages", []):
        start = text.instant(stage["start"]) if "start" in stage else None
        if start is None or "target_per_s" not in stage:
            continue
        first = round((start.timestamp() - grid.start) / grid.interval)
        for i in range(max(0, first), min(grid.n, first + max(1, round(stage.get("seconds", 0) / grid.interval)))):
            values[i] = stage["target_per_s"]
    return values


def _checks(part: Part) -> Table:
    rows = [(c["check"], "passed" if c["ok"] else "FAILED", c["detail"]) for c in part["validity"]]
    rows += [(c["check"], "not tested", f"{c['detail']}. Wanted: {c.get('wanted', '')}") for c in part["not_tested"]]
    return Table("Is the result valid?", ("test", "result", "numbers"), rows)


def _stages(part: Part) -> Table:
    stages = part.get("stages", [])
    rows = [
        (
            text.clock(s["start"]) if "start" in s else "whole test", f"{s['seconds']:,.1f} s" if "seconds" in s else "", _rounded(s, "target_per_s"), _rounded(s, "achieved_per_s"), s.get("dropped", ""),
            s.get("virtual_users", ""), *(text.duration(s["duration_ms"][q]) if q in s.get("duration_ms", {}) else "" for q in ("p50", "p95", "p99")),
        )
        for s in stages[:MOST_STAGES]
    ]  # fmt: skip
    note = f"{len(stages) - MOST_STAGES} further stages are in the result" if len(stages) > MOST_STAGES else ""
    return Table("Stages", ("from", "length", "planned /s", "arrived /s", "never started", "virtual users", "p50", "p95", "p99"), rows, note)


def _rounded(stage: Part, key: str) -> float | str:
    return round(stage[key], 1) if key in stage else ""


def _thresholds(part: Part) -> Table:
    rows = [(t["metric"], t["threshold"], "held" if t["ok"] else "crossed") for t in part.get("thresholds", [])]
    return Table("Thresholds of the tool", ("metric", "threshold", "result"), rows)


def _notes(part: Part) -> list[str]:
    notes = [f"{', '.join(o['sources'])} ({o['tool']}): {'trusted' if o['trusted'] else 'not trusted'}{_p95(o)}{': ' + o['why'] if 'why' in o else ''}" for o in part.get("others", [])]
    if not part["trusted"]:
        notes.append("What servers logged during the test stays evidence; the percentiles of the generator do not.")
    return notes


def _p95(other: Part) -> str:
    p95 = other.get("duration_ms", {}).get("p95")
    return f", p95 {text.measured(p95)}" if p95 and other["trusted"] else ""
