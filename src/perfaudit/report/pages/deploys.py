"""Deploys: what each one changed, and what all of them added up to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfaudit.report import charts, text
from perfaudit.report.pages import Cell, Chart, Page, Table, _shift_chart
from perfaudit.report.pages.comparison import TONES, change, left_out, sentence

Row = Mapping[str, Any]
NAMES = {"typical": "Typical", "p95": "p95", "p99": "p99", "errors": "Errors"}
#: Rows of the chart.
MOST_ROWS = 20


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of deploys; None where none were compared."""
    part = result.get("comparison") or {}
    if "deploys" not in part:
        return None
    return Page(
        "deploys", "Deploys", "Which deploy made it worse, and what did all of them add up to?", sentence(part["summary"]), TONES.get(part["result"], "open"),
        tuple(_facts(part)), tuple(_charts(part)), tuple(t for t in (_steps(part), _ledger(part), left_out(part)) if t.rows), tuple(part.get("notes", ())),
    )  # fmt: skip


def _facts(part: Row) -> list[tuple[str, Cell]]:
    out: list[tuple[str, Cell]] = [("Result", part["result"]), ("Deploys", len(part["deploys"]))]
    for metric, row in part["cumulative"].items():
        out.append((f"{NAMES[metric]}, all deploys", f"{moved(metric, row['total'])}: {row['result']}"))
    least = part["least"]
    out.append(("Least that matters", f"{text.percent(least['share'])} and {text.duration(least['duration_ms'])}"))
    return out


def _charts(part: Row) -> list[Chart]:
    rows = [
        _shift_chart.Row(f"{text.clock(d['time'])} {d['what']}", 1 + s["value"], _shift_chart.ratio(s["ci"][0]), _shift_chart.ratio(s["ci"][1]))
        for d in part["deploys"][-MOST_ROWS:]
        if (s := (d.get("typical") or {}).get("shift")) and s["value"] > -1
    ]
    out = []
    if rows:
        said = "Typical duration after each deploy over that before it; all intervals hold together at 95 %, the band is what does not matter"
        out.append(Chart("Each deploy", _shift_chart.forest(rows, part["least"]["share"], title="Each deploy", desc=said), said + "."))
    points = part["cumulative"].get("typical", {}).get("points", [])
    if len(points) > 1:
        rows = [_shift_chart.Row(f"after {p['what']}", 1 + p["shift"]["value"], _shift_chart.ratio(p["shift"]["ci"][0]), _shift_chart.ratio(p["shift"]["ci"][1])) for p in points[-MOST_ROWS:] if p["shift"]["value"] > -1]
        said = "Typical duration after each deploy over that before the first one: what the deploys add up to"
        out.append(Chart("All deploys so far", _shift_chart.forest(rows, part["least"]["share"], title="All deploys so far", desc=said), said + "."))
    return out


def moved(metric: str, shift: Row | None) -> str:
    """A shift in its own words: points of the error ratio, shares of a duration."""
    if metric != "errors" or not shift:
        return change(shift)
    low, high = shift.get("ci") or (None, None)
    sizes = [f"{'+' if v > 0 else '−' if v < 0 else '±'}{text.significant(100 * abs(v), 2)}" for v in (shift["value"], low, high) if v is not None]
    return f"{sizes[0]} points" + (f" ({sizes[1]} … {sizes[2]})" if len(sizes) == 3 else "")


def _metrics(part: Row) -> list[str]:
    return [m for m in NAMES if m in part["cumulative"] or any(m in d for d in part["deploys"])]


def _steps(part: Row) -> Table:
    metrics = _metrics(part)
    body = []
    for d in part["deploys"]:
        load = d["load"]["ratio"]["value"]
        unlike = "" if d["load"]["like_for_like"] else " not like for like"
        body.append((text.clock(d["time"], day=True), d["what"], d["result"], *(moved(m, (d.get(m) or {}).get("shift")) for m in metrics), f"{text.significant(load, 3)}×{unlike}", change(d.get("at_equal_load")), d.get("reason", "")))
    note = f"Before: since the deploy before it; after: until the next one. Intervals hold for all {charts.number(len(body))} deploys together."
    return Table("Each deploy", ("Time (UTC)", "Deploy", "Result", *(NAMES[m] for m in metrics), "Load", "Typical at equal load", "Why not told"), body, note)


def _ledger(part: Row) -> Table:
    cumulative, metrics = part["cumulative"], [m for m in NAMES if m in part["cumulative"]]
    points = {m: {p["time"]: p["shift"] for p in cumulative[m]["points"]} for m in metrics}
    body = [(text.clock(d["time"], day=True), d["what"], *(moved(m, points[m].get(d["time"])) for m in metrics)) for d in part["deploys"]]
    return Table("The ledger: against the first stretch", ("Time (UTC)", "After", *(NAMES[m] for m in metrics)), body if metrics else [], "The last row is the total; steps add up to it where all stretches hold the same routes. It can be real while every step is too small to be told alone.")
