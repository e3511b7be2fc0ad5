"""Where does the time of requests go? Account of time, flows, hot paths, who calls whom, slow against usual, two traces to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from perfaudit.report import charts, text, view
from perfaudit.report.pages import Chart, Page, Table, _components, _graph, _waterfall

QUESTION = "Where does the time of requests go?"
#: Values of attributes that are named in one row.
TOGETHER = 3
#: Flows whose components are listed, and components under this share of a flow that are not.
CLOSER, LEAST = 5, 0.01
#: A flow is told to be slower from here on: less nobody feels (the common bar is a tenth, :func:`perfaudit.baseline.windows.practical`).
SLOWER = 1.1
#: It carries at least this part of what was added: less is a bystander.
CARRIES = 0.2
#: Standard errors from which on it is beyond chance: the flow is the worst of many, and of 30 in a steady system one passes two of them.
SURE = 3.0
#: Rows of the longer tables; the result holds more.
ROWS = 12
#: A chain with more steps is cut in its middle.
STEPS = 6


def page(result: Mapping[str, Any]) -> Page | None:
    """The page, where the audit had traces or ``perfaudit paths`` asked for it."""
    part = result.get("paths")
    if not part:
        return None
    traced = "traces" in part
    tables = (_account(result), _what_if(part), _blind(part), *((_flows(part), _pieces(part), _hot(part), _bands(part), _attributes(part), _edges(part), _own(part), _completion(part)) if traced else ()))
    shown = tuple(table for table in tables if table.rows)
    return Page("paths", "Paths", QUESTION, _answer(result, part), "good" if traced else "open", tuple(_facts(result, part)), tuple(_charts(result, part)), shown, tuple(_notes(part)))


def _answer(result: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    rows = [row for row in view.account(result) if row["component"] != "unexplained"][:2]
    said = text.joined([f"{text.percent(text.value_of(row['share']) or 0.0)} {'went to ' if i == 0 else 'to '}{row['component']}" for i, row in enumerate(rows)])
    if "traces" not in part:
        return f"No traces of this window were read: of the request-seconds, {said}; the rest is not split." if said else "No traces of this window were read: nothing splits the time behind the access log."
    said = f"Of the request-seconds, {said}." if said else "The traces hold no time."
    return said + _slower(part["flows"])


def _slower(flows: Sequence[Mapping[str, Any]]) -> str:
    """Which flow takes longer than in the reference and what for, of those that carry the added time, the most first; "" where none does."""
    added = sum(max(0.0, flow["added"]["value"]) for flow in flows if "added" in flow)
    for flow in flows:
        if "added" in flow and flow["added"]["value"] >= CARRIES * added and _beyond(flow):
            longer = flow["affected"]["value"] - flow["reference"]["value"]
            largest = max((p for p in flow["pieces"] if "difference" in p), key=lambda p: p["difference"]["value"], default=None)
            why = f", {text.duration(largest['difference']['value'])} of that in {largest['component']}" if largest and largest["difference"]["value"] > 0 else ""
            return f" {flow['flow']} takes {text.duration(longer)} longer than in the reference{why}."
    return ""


def _beyond(flow: Mapping[str, Any]) -> bool:
    """Whether a flow is slower than in the reference beyond chance and by what matters."""
    before, now, added = (text.value_of(flow[key]) or 0.0 for key in ("reference", "affected", "added"))
    low = (flow["added"].get("ci") or [None])[0]
    return low is not None and added > 0 and added >= SURE * (added - low) / 1.96 and now >= SLOWER * before


def _what_if(part: Mapping[str, Any]) -> Table:
    rows = []
    for asked in part.get("what_if") or ():
        if not asked["flows"]:
            rows.append((asked["scenario"], "none changes", "–", "–", asked["saved"], asked.get("capped_by", "–")))
        for flow in asked["flows"][:TOGETHER]:
            change = [f"{text.duration(flow[name]['before']['value'])} → {text.measured(flow[name]['after'])}" for name in ("mean_ms", "p95_ms")]
            rows.append((asked["scenario"], flow["operation"] or flow["service"], *change, asked["saved"], asked.get("capped_by", "–")))
    return Table("What if", ("Scenario", "Flow", "Mean", "p95", "Saves of all", "Owns most then"), rows, "the traces of the affected window, replayed; gains of several scenarios overlap: never add them")


def _facts(result: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    window = (result.get("windows") or {}).get("affected") or result.get("window")
    if "verdict" not in result and text.span(window):
        yield "Affected window", text.span(window)
    if traces := part.get("traces"):
        beside = f", {traces['reference']:,} in the reference" if traces["reference"] else ", none in the reference"
        yield "Traces", f"{traces['affected']:,} in the affected window{beside}; {text.plural(traces['spans'], 'span')} in all"
    if part.get("sampling"):
        yield "Sampling", part["sampling"]
    if shifted := part.get("shifted"):
        yield "Clocks", f"{text.plural(shifted['spans'], 'span')} moved, by {text.duration(shifted['largest_us'] / 1e3)} at most"


def _notes(part: Mapping[str, Any]) -> Iterator[str]:
    odd = {k: v for k, v in part.get("quality", {}).items() if k not in ("rows", "spans", "traces", "roots")}
    if odd:
        yield f"Spans: {', '.join(f'{n:,} {name}' for name, n in odd.items())}."
    for row in [*part.get("percentiles", []), *part.get("attributes", [])]:
        if row.get("note"):
            yield f"{row['flow']}: {row['note']}."


# ------------------------------------------------------------ pictures


def _charts(result: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[Chart]:
    if "verdict" not in result and (rows := view.account(result)):
        bar = [(row["component"], text.value_of(row["share"]) or 0.0, "k-none" if row["component"] == "unexplained" else _components.css(row["component"])) for row in rows]
        said = ", ".join(f"{name} {text.percent(share)}" for name, share, _ in bar)
        yield Chart("Account of time", charts.stacked_bar(bar, title="Account of time", desc=f"Request-seconds by where they were spent: {said}"), said)
    if graph := part.get("graph"):
        said = f"{text.plural(len(graph['nodes']), 'node')}, {text.plural(len(graph['edges']), 'edge')}; an edge is as wide as the share of the request-seconds that passes through it; × calls per request, ↻ those that repeat a failed one"
        if svg := _graph.draw(graph, title="Who calls whom", desc=said):
            yield Chart("Who calls whom", svg, said + (f"; {graph['left_out']} smaller edges are left out" if graph["left_out"] else ""))
    for example in part.get("examples", []):
        title = f"{example['flow']}, {'a usual' if example['what'] == 'median' else 'a slow'} trace ({example['what']}): {text.duration(example['duration'] / 1e3)}"
        said = f"trace {example['trace_id']}; solid: the user waited for it, grey: for what it called"
        said += f"; {text.plural(example['left_out'], 'span')} not shown" if example["left_out"] else ""
        if svg := _waterfall.draw(example, title=title, desc=said):
            yield Chart(title, svg, said)


# ------------------------------------------------------------ tables


def _account(result: Mapping[str, Any]) -> Table:
    rows = [(row["component"], _short(row["share"]), _seconds(row.get("seconds")), row.get("evidence", "")) for row in view.account(result)]
    return Table("Account of time", ("Component", "Share", "Seconds", "Split by"), rows, "request-seconds, exclusive; the shares sum to 1")


def _short(share: Any) -> Any:
    """A share of what the table says."""
    return {**share, "unit": "share"} if isinstance(share, Mapping) else {"value": share, "unit": "share"}


def _seconds(value: Any) -> Any:
    return {"value": text.value_of(value), "unit": "s"}


def _ms(value: float | None) -> Any:
    return {"value": value, "unit": "ms"} if value is not None else None


def _blind(part: Mapping[str, Any]) -> Table:
    rows = [(spot["inside"], spot["what"], _short(spot["share"]), spot["collect"]) for spot in part["blind_spots"]]
    return Table("What cannot be told apart", ("Inside", "Could be", "At most", "This evidence would tell"), rows)


def _more(rows: Sequence[Any], left_out: int) -> str:
    return f"{len(rows)} of {len(rows) + left_out}" if left_out else ""


def _flows(part: Mapping[str, Any]) -> Table:
    rows = [(f["flow"], f["traces"][0], _short(f["share"]), f.get("reference"), f["affected"], f.get("added")) for f in part["flows"]]
    note = "mean per request; added: request-seconds beyond what these requests cost in the reference"
    return Table("Flows by root operation", ("Flow", "Traces", "Share", "Reference", "Affected", "Added"), rows, _noted(note, _more(rows, part["left_out"]["flows"])))


def _noted(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _pieces(part: Mapping[str, Any]) -> Table:
    rows = [
        (f["flow"], p["component"], _short(p["share"]), _ms(p.get("reference")), _ms(p["affected"]), p.get("difference"))
        for f in part["flows"][:CLOSER]
        for p in f["pieces"]
        if (p["share"]["value"] or 0.0) >= LEAST or abs(p.get("difference", {}).get("value", 0.0)) >= LEAST * f["affected"]["value"]
    ]
    return Table("What flows wait for", ("Flow", "Component", "Share of the flow", "Reference", "Affected", "Difference"), rows, _noted("mean per request", _more(part["flows"][:CLOSER], len(part["flows"][CLOSER:])) and f"the first {CLOSER} flows"))


def _hot(part: Mapping[str, Any]) -> Table:
    rows = [(_chain(h["steps"]), h["component"], _short(h["share"]), _short(h["reference"]) if "reference" in h else None, _seconds(h["seconds"])) for h in part["hot"][:ROWS]]
    return Table("Hot paths", ("From the root to who owns the time", "Component", "Share", "Reference", "Seconds"), rows, _more(rows, part["left_out"]["hot"] + len(part["hot"]) - len(rows)))


def _chain(steps: Sequence[Mapping[str, Any]]) -> str:
    """``shop: POST /checkout → update``: a service is named where it is another than the one before."""
    said, outer = [], None
    for step in steps:
        name = step["operation"] or "(unnamed)"
        said.append((f"{step['service']}: {name}" if step["service"] and step["service"] != outer else name) + (f" ×{step['again']}" if step["again"] > 1 else ""))
        outer = step["service"]
    if len(said) > STEPS:
        said = [*said[:2], f"… {len(said) - STEPS + 1} more …", *said[3 - STEPS :]]
    return " → ".join(said)


def _bands(part: Mapping[str, Any]) -> Table:
    rows = []
    for flow in part["percentiles"]:
        for band in flow["bands"]:
            rows.append((f"{flow['flow']}, beyond {band['percentile']} ({text.duration(band['threshold'])})", "all", band["difference"], None, None))
            rows += [("", p["component"], p["difference"], _ms(p["middle"]), _ms(p["slow"])) for p in band["parts"] if abs(p["difference"]["value"]) >= LEAST * abs(band["difference"]["value"])]
    return Table("What slow requests wait for", ("Slow requests", "Component", "More than usual", "Usual", "Slow"), rows, "mean of the traces beyond a percentile less that of the middle fifth (p40–p60); the parts sum to all; intervals by resampling traces")


def _attributes(part: Mapping[str, Any]) -> Table:
    rows = [row for flow in part["attributes"] for row in _values(flow)]
    tested = sum(flow["tested"] for flow in part["attributes"])
    left_out = sum(flow.get("left_out", 0) for flow in part["attributes"])
    note = f"slowest tenth against the faster half; Fisher's exact test, false discovery rate 5 % over {tested} values; it says where to look, not why"
    return Table("What slow traces have in common", ("Flow", "Value", "Slow traces", "Fast traces", "Odds ratio", "Adjusted p"), rows, _noted(note, f"{left_out} more values" if left_out else ""))


def _values(flow: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """A row for each set of traces: values that as many slow and fast traces have stand together, since they mostly are the same traces."""
    groups: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for value in flow["values"]:
        groups.setdefault((value["slow"], value["fast"]), []).append(value)
    rows = []
    for (slow, fast), values in groups.items():
        names = [f"{v['attribute']} {v['value']}" for v in values]
        said = "; ".join(names[:TOGETHER]) + (f"; {len(names) - TOGETHER} more" if len(names) > TOGETHER else "")
        odds = values[0]["odds"]
        rows.append((flow["flow"], said, f"{slow} of {flow['slow']}", f"{fast} of {flow['fast']}", {"value": odds[0], "unit": "", "ci": odds[1:]}, _p(values[0]["p"])))
    return rows


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else text.significant(value, 2)


def _edges(part: Mapping[str, Any]) -> Table:
    rows = []
    for e in part["graph"]["edges"]:
        before, now = e.get("reference") or {}, e.get("affected") or {}
        rows.append((f"{e['caller'] or '(unnamed)'} → {e['callee']}", _short(e["share"]), *(_shift(before, now, key) for key in ("per_request", "p50", "p95", "failed", "again"))))
    note = "reference → affected; a share counts all that happens below the call, so shares of nested calls overlap"
    return Table("Calls", ("Caller → callee", "Share", "Calls per request", "p50", "p95", "Failed", "Repeated"), rows, _noted(note, _more(rows, part["graph"]["left_out"])))


def _shift(before: Mapping[str, Any], now: Mapping[str, Any], key: str) -> str:
    form = text.duration if key in ("p50", "p95") else text.trimmed if key == "per_request" else text.percent
    old, new = (form(side[key]) if key in side else "–" for side in (before, now))
    return new if not before else old if old == new else f"{old} → {new}"


def _own(part: Mapping[str, Any]) -> Table:
    rows = [
        (f"{o['service']}: {o['operation'] or '(unnamed)'}" if o["service"] else o["operation"], o["component"], _short(o["share"]), _short(o["reference"]) if "reference" in o else None, _seconds(o["seconds"]), _calls(o["calls"]))
        for o in part["own"][:ROWS]
    ]
    return Table("Time that operations own", ("Operation", "Component", "Share", "Reference", "Seconds", "Per request"), rows, _noted("on critical paths, without what is called", _more(rows, part["left_out"]["own"] + len(part["own"]) - len(rows))))


def _calls(calls: Sequence[float | None]) -> str:
    now, before = (text.trimmed(value) if value is not None else "–" for value in calls)
    return now if before in ("–", now) else f"{before} → {now}"


def _completion(part: Mapping[str, Any]) -> Table:
    rows = [
        (f"{row['service']}: {row['operation']}", row["traces"], _ms(row["response"]), _ms(row["completion"]), ", ".join(f"{c['component']} {text.percent(c['share']['value'])}" for c in row["components"] if c["share"]["value"] >= LEAST))
        for row in part.get("completion", [])
    ]
    return Table("Until nothing is left to do", ("Flow", "Traces", "Until the answer", "Until the end", "Which is"), rows, "mean per request, with consumers and work after the answer")
