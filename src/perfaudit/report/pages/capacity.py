"""Should we scale? What it carries, what twice of it brings, what fixing brings, and the pools on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from perfaudit.report import text
from perfaudit.report.pages import Chart, Page, Table, _load_chart

_TONES = {"leave alone": "good", "scale": "open", "fix": "bad", "do not scale": "bad", "cannot tell": "open"}
_KEPT = {"all": "kept at every load seen", "some": "kept up to a load", "none": "kept at no load seen", "unknown": "whether it is kept cannot be told"}
#: Points drawn at most; a result holds no more either.
MOST_POINTS = 400


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of ``capacity``; None where it speaks of nothing but costs."""
    part = result.get("capacity") or {}
    if not part or (not {"points", "pools", "demands", "usl", "refused", "fixing"} & part.keys() and part.get("unit_cost")):
        return None
    tables = [t for t in (_bringing(part), _law(part), _demands(part), _pools(part)) if t.rows]
    return Page("capacity", "Capacity", "Should we scale, or fix something first?", _answer(part), _TONES.get(part["answer"], "open"), tuple(_facts(part)), tuple(_charts(part)), tuple(tables), tuple(_notes(part)))


def _answer(part: Mapping[str, Any]) -> str:
    answer = str(part["answer"])
    todo = f" {part['todo'][0].upper()}{part['todo'][1:]}." if part.get("todo") else ""
    return f"{answer[0].upper()}{answer[1:]}: {str(part['reason']).rstrip('.')}.{todo}"


def _facts(part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    law, now, at = part.get("usl", {}), part.get("now"), part.get("at_objective")
    if now:
        yield "Throughput now", now["throughput"]
    if at:
        yield "Objective", f"{at['objective']}, {_KEPT[at['kept']]}"
        if "load" in at:
            yield "Capacity at the objective", at["load"]
        if "modelled" in at:
            yield "Modelled up to", at["modelled"]
    if "carried" in part:
        yield "Carries at least", part["carried"]
    if "saturation" in part:
        yield "Stops growing at", part["saturation"]
    if "peak_throughput" in law:
        yield "Peak throughput", law["peak_throughput"]
        yield "Peak at", law["peak_load"]
    if "doubling" in part:
        yield "Twice the load brings", part["doubling"]["gain"]
    if limits := part.get("limits"):
        yield "Loads seen", f"{text.trimmed(limits['smallest'])} to {text.trimmed(limits['largest'])} ({limits['distinct']} distinct); nothing is said beyond {text.trimmed(limits['reach'])}"


def _charts(part: Mapping[str, Any]) -> Iterator[Chart]:
    points: Sequence[Mapping[str, float]] = part.get("points", [])[:MOST_POINTS]
    if not points:
        return
    limits, unit = part["limits"], str(part.get("unit", "load"))
    curve = part.get("curve", [])
    curves = [_load_chart.Curve([(p["load"], p[k]) for p in curve if p.get(k) is not None], css, name) for k, css, name in (("low", "p50", ""), ("high", "p50", ""), ("throughput", "p95", "law"))]
    peak = text.value_of(part.get("usl", {}).get("peak_load"))
    marks = [(peak, f"peak {text.trimmed(peak)}")] if peak else []
    said = f"{len(points)} measurements from {text.trimmed(limits['smallest'])} to {text.trimmed(limits['largest'])} {unit}" + (f"; throughput peaks at {text.trimmed(peak)}" if peak else "")
    svg = _load_chart.scatter(
        [(p["load"], p["throughput"]) for p in points], curves=curves if curve else (), measured=limits["largest"], reach=limits["reach"], marks=marks, x_name=unit,
        form=lambda v: f"{text.trimmed(v)}/s", title="Throughput against load", desc=said,
    )  # fmt: skip
    yield Chart("Throughput against load", svg, said + ("; the line is the scalability law with its 95 % interval" if curve else ""))
    with_latency = [(p["load"], p["measured"]) for p in points if "measured" in p]
    if with_latency:
        yield _latency(part, with_latency, unit)


def _latency(part: Mapping[str, Any], points: list[tuple[float, float]], unit: str) -> Chart:
    at = part.get("at_objective", {})
    objective = str(at.get("objective", ""))
    errors = "error" in objective
    largest = max(load for load, _ in points)
    marks = []
    if at.get("kept") == "some" and at["load"]["unit"] == unit:
        marks = [(at["load"]["value"], "objective")]
    title = "Errors against load" if errors else f"{objective.split('<')[0].strip() or 'p95'} against load"
    said = f"from {_value(points[0][1], errors)} at the smallest load to {_value(points[-1][1], errors)} at the largest" + (f"; objective {objective}" if objective else "")
    bound = at.get("bound")
    svg = _load_chart.scatter(
        points, measured=largest, reach=largest, marks=marks, bound=(bound, objective) if bound is not None else None, x_name=unit,
        form=lambda v: _value(v, errors), title=title, desc=said,
    )  # fmt: skip
    return Chart(title, svg, said)


def _value(value: float, errors: bool) -> str:
    return text.percent(value) if errors else text.duration(value)


def _bringing(part: Mapping[str, Any]) -> Table:
    rows: list[tuple[Any, ...]] = []
    if doubling := part.get("doubling"):
        rows.append((f"load {text.trimmed(doubling['from'])} → {text.trimmed(doubling['to'])}", doubling["throughput"], doubling["gain"], ""))
    for d in part.get("demands", []):
        if "doubling" in d:
            rows.append((f"twice of {d['station']}", "", d["doubling"]["gain"], f"then {d['doubling']['then']} limits" if d["doubling"].get("then") else ""))
    for fix in part.get("fixing", []):
        latency = fix.get("duration_ms", {}).get("p95")
        rows.append((f"without {text.words(fix['what'])}", fix.get("throughput", ""), fix.get("gain", ""), f"p95 {text.measured(latency)}" if latency else ""))
    return Table("What scaling and fixing bring", ("What", "Throughput", "Gain", "And"), rows, "Each alone, at the busiest load; gains do not add up.")


def _law(part: Mapping[str, Any]) -> Table:
    law = part.get("usl")
    if not law:
        return Table("", (), ())
    identified = law["identified"]
    rows = [
        ("γ, throughput of one", law["gamma"], ""),
        ("σ, contention", law["sigma"], "" if identified["sigma"] else "not identified: its interval holds 0"),
        ("κ, coherency", law["kappa"], "" if identified["kappa"] else "not identified: its interval holds 0"),
        ("residual", law["error"], ""),
    ]
    return Table("The scalability law", ("Parameter", "Value", "Note"), rows, "X(N) = γN / (1 + σ(N−1) + κN(N−1)); intervals at 95 %.")


def _demands(part: Mapping[str, Any]) -> Table:
    rows = [(f"{d['station']} ({d['level']})" + ("" if d.get("attributed") else ", all that ran there"), d["demand"], d["idle"], d["busy"], d.get("servers", ""), d.get("utilisation", ""), d.get("bound", "")) for d in part.get("demands", [])]
    return Table("CPU per request", ("Station", "Demand", "Idle", "Busy", "Servers", "Utilisation", "Carries at most"), rows, "Processes, containers and nodes hold each other: their demands do not add up.")


def _pools(part: Mapping[str, Any]) -> Table:
    rows = [
        (p["name"], p["size"], p.get("offered", ""), p.get("utilisation", ""), p.get("wait_probability", ""), p.get("wait_p95", ""), p.get("size_needed", ""), p["answer"])
        for p in part.get("pools", [])
    ]
    return Table("Pools", ("Pool", "Size", "Busy on average", "Utilisation", "Must wait", "p95 wait", "Size for the target", "Answer"), rows, _targets(part))


def _targets(part: Mapping[str, Any]) -> str:
    return "; ".join(f"{p['name']}: {p['target']} ({p['source']})" for p in part.get("pools", []) if "target" in p)


def _notes(part: Mapping[str, Any]) -> Iterator[str]:
    yield from map(str, part.get("notes", []))
    for p in part.get("pools", []):
        yield f"Pool {p['name']}: {p['reason']}."
    if "usl" in part:
        yield "The load is the law's N: twice of it stands for twice as many of what was counted (workers, instances; users bring only more work) on the same shared parts. Two systems that share nothing would carry twice."
