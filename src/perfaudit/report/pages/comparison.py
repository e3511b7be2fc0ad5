"""Comparison: is B worse than A, on which routes, at an equal mix and under which load?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfaudit.report import text
from perfaudit.report.pages import Cell, Chart, Page, Table, _shift_chart

TONES = {"worse": "bad", "better": "good", "no practical difference": "good"}
QUESTIONS = {"before-after": "Is it worse than before?", "canary": "Is the canary worse than the stable version that runs beside it?", "environments": "Why is it slower there than here?"}
TITLES = {"before-after": "Before and after", "canary": "Canary", "environments": "Two environments"}
#: Rows of the chart: the routes that own the most.
MOST_ROWS = 12

Row = Mapping[str, Any]


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of two arms; None where the result compares none (deploys have a page of their own)."""
    part = result.get("comparison") or {}
    if "summary" not in part or "deploys" in part:
        return None
    kind = part["as"]
    return Page(
        "comparison", TITLES.get(kind, "Comparison"), QUESTIONS.get(kind, "Is B worse than A?"), sentence(part["summary"]), TONES.get(part["result"], "open"),
        tuple(_facts(part)), tuple(_charts(part)), tuple(t for t in (_routes(part), _why(part), _percentiles(part), _total(part), left_out(part)) if t.rows), tuple(_notes(part)),
    )  # fmt: skip


def sentence(said: str) -> str:
    """A summary as a sentence."""
    return said[:1].upper() + said[1:].rstrip(".") + "."


def _facts(part: Row) -> list[tuple[str, Cell]]:
    out: list[tuple[str, Cell]] = [("Result", part["result"])]
    for arm in part["arms"]:
        out.append((f"{arm['arm']}: {arm['name']}", f"{text.span(arm['window'])}, {text.number(arm['requests'])} requests"))
    load = part.get("load", {})
    if "ratio" in load:
        out.append(("Load", f"{text.number(load['a']['value'], '1/s')} and {text.number(load['b']['value'], '1/s')}: {load['note']}"))
    mix = part.get("mix", {})
    if "distance" in mix:
        moved = text.percent(mix["distance"]["value"])
        out.append(("Mix", f"{moved} of the requests went to other routes" + ("; held constant below" if any("at_mix_of_a" in m for m in part.get("metrics", [])) else "")))
    out += [("Paradox", said) for said in mix.get("paradox", [])]
    least = part["least"]
    out.append(("Least that matters", f"{text.percent(least['share'])} and {text.duration(least['duration_ms'])} of a duration, {text.percent(least['errors'])} of the requests"))
    return out


def name(row: Row) -> str:
    """``POST /checkout``."""
    return f"{row['method']} {row['route']}".strip()


def change(shift: Row | None) -> str:
    """``+45 % (+20 … +80 %)``: a shift with its sign."""
    if not shift or shift.get("value") is None:
        return ""
    low, high = shift.get("ci") or (None, None)
    sizes = [None if v is None else signed(v) for v in (shift["value"], low, high)]
    return str(sizes[0]) + ("" if low is None and high is None else f" ({sizes[1] or 'open'} … {sizes[2] or 'open'})")


def signed(value: float) -> str:
    """A share with its sign; from ten times on, how many times."""
    if value >= 1_000:
        return "more than 1,000 times"
    return f"{value + 1:,.0f} times" if value >= 9 else ("+" if value > 0 else "−" if value < 0 else "±") + text.percent(abs(value))


def _charts(part: Row) -> list[Chart]:
    rows = []
    for route in _sorted(part)[:MOST_ROWS]:
        for metric in ("typical", "p95"):
            shift = (route.get(metric) or {}).get("shift")
            if shift and shift.get("value") is not None and shift["value"] > -1:
                low, high = shift.get("ci") or (None, None)
                if low is None and high is None:  # a bar across the whole chart would look like a measurement
                    continue
                rows.append(_shift_chart.Row(f"{metric} · {name(route)}", 1 + shift["value"], _shift_chart.ratio(low), _shift_chart.ratio(high)))
    if not rows:
        return []
    said = f"Durations of B over those of A with 95 % intervals, {text.plural(len(rows), 'row')}; the band is what does not matter"
    return [Chart("B over A, route by route", _shift_chart.forest(rows, part["least"]["share"], title="B over A, route by route", desc=said), said + ".")]


#: The order in which a person wants to hear of routes.
ORDER = ("worse", "better", "inconclusive", "no practical difference")


def _sorted(part: Row) -> list[Row]:
    return sorted(part.get("routes", []), key=lambda r: ORDER.index(r["result"]) if r["result"] in ORDER else len(ORDER))


def _routes(part: Row) -> Table:
    body = [(name(r), r["result"], change((r.get("typical") or {}).get("shift")), change((r.get("p95") or {}).get("shift"))) for r in _sorted(part)]
    tested = part.get("error_rate", {})
    note = f"{tested['questions']} questions were asked together ({tested['method']}): if nothing had changed, one would be answered with better or worse in at most {text.percent(tested['alpha'])} of comparisons." if tested else ""
    return Table("Routes", ("Route", "Result", "Typical", "p95"), body, note)


def _why(part: Row) -> Table:
    body = []
    for r in _sorted(part):
        weights = r.get("weights", {})
        body.append((name(r), _share(weights.get("a")), _share(weights.get("b")), r["reason"]))
    return Table("Why, and how much of the traffic it is", ("Route", "Share in A", "Share in B", "Why"), body, "Shares are of the requests on common routes.")


def _share(weight: float | None) -> str:
    return "" if weight is None else text.percent(weight)


def _percentiles(part: Row) -> Table:
    routes = _sorted(part)
    failed = any(text.value_of(row.get(arm)) for r in routes if (row := r.get("errors")) for arm in ("a", "b"))
    columns = [(m, label) for m, label in (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("errors", "Errors")) if any(r.get(m) for r in routes) and (m != "errors" or failed)]
    body = [(name(r), *((r.get(m) or {}).get(arm) for m, _ in columns for arm in ("a", "b"))) for r in routes]
    return Table("Percentiles and errors" if failed else "Percentiles", ("Route", *(f"{label} {arm}" for _, label in columns for arm in "AB")), body if columns else [], "" if failed else "No request failed in either arm.")


def _total(part: Row) -> Table:
    body = []
    for m in part.get("metrics", []):
        at_a, at_b, own = (m.get(k) for k in ("at_mix_of_a", "at_mix_of_b", "pooled"))
        shown = at_a or own
        if shown:
            body.append((m["name"], m.get("result", ""), shown["a"], shown["b"], change((at_a or {}).get("shift")), change((at_b or {}).get("shift")), change((own or {}).get("shift"))))
    return Table("All common routes together", ("Metric", "Result", "A", "B", "At A's mix", "At B's mix", "As it was"), body, "At a mix: every route weighs the same in both arms. As it was: each arm with its own mix; where it differs from the others, the mix moved it.")


def left_out(part: Row) -> Table:
    """Routes that were not compared, with what they own of each arm."""
    left = part.get("uncompared")
    if not left or not left["routes"]:  # stored results name the routes only
        rows: list[tuple[Cell, ...]] = [(name(r), f"only in {arm.upper()}") for arm, listed in part.get("only_in", {}).items() for r in listed]
        return Table("Routes that were not compared", ("Route", "Where"), rows[:40], f"{len(rows) - 40} more." if len(rows) > 40 else "")
    sides = ("first stretch", "last stretch") if "deploys" in part else ("A", "B")
    rows = [(name(r), *(_share(r[kind][arm]) for arm in "ab" for kind in ("requests", "seconds"))) for r in left["routes"]]
    if rows:
        rows.append(("all of them", *(_share(left[kind][arm]) for arm in "ab" for kind in ("requests", "seconds"))))
    return Table("Routes that were not compared", ("Route", *(f"{kind} in {side}" for side in sides for kind in ("Requests", "Time"))), rows, "Only one side holds them, or holds too few requests of them; the largest are listed.")


def _notes(part: Row) -> Sequence[str]:
    open_ = [r for r in part.get("routes", []) if r["result"] == "inconclusive" and r.get("needed_times")]
    out = list(part.get("notes", []))
    if open_:
        most = max(open_, key=lambda r: r["needed_times"])
        least = min(open_, key=lambda r: r["needed_times"])
        out.append(f"To decide the open routes at {text.percent(part['least']['share'])}: recordings {text.significant(least['needed_times'], 2)} times as long ({name(least)}) to {text.significant(most['needed_times'], 2)} times ({name(most)}).")
    return out
