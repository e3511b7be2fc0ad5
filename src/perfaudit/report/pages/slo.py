"""Objectives: kept or broken, what they cost of the error budget, and which alert would have told when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from perfaudit.report import text
from perfaudit.report.pages import Chart, Page, Table, _budget_chart
from perfaudit.slo.model import shorthand

#: Objectives with a chart of their own: the worst ones; every one has its rows.
MOST_CHARTS = 4
#: A burn below a tenth is a flat line at the bottom.
WORTH_A_CHART = 0.1
STATES = {"kept": "kept", "broken": "broken", "unknown": "cannot be judged"}
UNSURE = {"kept": ", not certain", "broken": ", not certain"}

Row = Mapping[str, Any]


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of ``slo``; None where objectives were only compared with a bound, as an audit does."""
    part = result.get("slo") or {}
    rows = [row for row in part.get("objectives", []) if "target" in row]
    if not rows:
        return None
    judged = [row for row in rows if "budget" in row]
    states = [row["state"] for row in rows]
    tone = "bad" if "broken" in states else "good" if "kept" in states else "open"
    return Page(
        "slo", "Objectives", "Were the promises kept, and who would have been told when?", _answer(rows), tone,
        tuple(_facts(rows)), tuple(_charts(judged)), tuple(t for t in (_objectives(rows), _alerts(rows), _feasibility(rows)) if t.rows),
        tuple(_notes(rows, part)),
    )  # fmt: skip


def _answer(rows: Sequence[Row]) -> str:
    broken, kept, open_ = ([r for r in rows if r["state"] == s] for s in ("broken", "kept", "unknown"))
    if broken:
        worst = max(broken, key=_burn)
        said = f"{len(broken)} of {text.plural(len(rows), 'objective')} {'is' if len(broken) == 1 else 'are'} broken: {worst['objective']}"
        if "attained" in worst:
            said += f" ({good(worst, ends=False)} good, promised {_share(worst['target'])})"
        first = _first(worst)
        return said + (f"; the first alert fires at {text.clock(first['at'])} UTC" if first else "; no alert would have fired" if worst.get("alerts") else "") + "."
    if kept:
        unsure = sum(not r.get("sure", True) for r in kept)
        said = f"{text.plural(len(kept), 'objective')} kept"
        who = "it lies" if len(kept) == 1 else f"{unsure} of them lie{'s' * (unsure == 1)}"
        said += f"; {who} within the uncertainty of this recording" if unsure else ""
        return said + (f"; {len(open_)} cannot be judged." if open_ else ".")
    return f"Not one of {text.plural(len(rows), 'objective')} can be judged." if len(rows) > 1 else "The objective cannot be judged."


def _burn(row: Row) -> float:
    return text.value_of(row.get("budget", {}).get("burn")) or 0.0


def good(row: Row, *, ends: bool = True) -> str:
    """The share of good events with a digit more than the promise has: 97.80 % says more than 98 % beside 99.9 %."""
    digits = max(1, 1 - math.floor(math.log10((1 - row["target"]) * 100)))

    def said(share: float) -> str:
        """A share below 1 is never rounded to all."""
        return next(t for d in (digits, digits + 1, digits + 2, 15) if not (t := f"{share * 100:.{d}f}").startswith("100.") or share >= 1 or d == 15)

    value, between = row["attained"]["value"], row["attained"].get("ci") if ends else None
    return f"{said(value)} %" + (f" ({said(between[0])}–{said(between[1])} %)" if between else "")


def _share(share: float) -> str:
    return f"{share * 100:.10g} %"


def _first(row: Row) -> Mapping[str, Any] | None:
    fired = [f for a in row.get("alerts", []) for f in a.get("fired", [])]
    return min(fired, key=lambda f: f["at"], default=None)


def _facts(rows: Sequence[Row]) -> list[tuple[str, Any]]:
    """The worst objective in numbers, in the order a person asks."""
    worst = max((r for r in rows if "budget" in r), key=_burn, default=None)
    if worst is None:
        return []
    spent = worst["budget"]
    facts = [("Objective", worst["objective"]), ("Good", good(worst)), ("Promised", _share(worst["target"])), ("Burn rate", spent["burn"]), ("Of the period's budget", spent["spent"])]
    return facts + ([("A whole budget would last", spent["lasts"])] if "lasts" in spent else [])


def _objectives(rows: Sequence[Row]) -> Table:
    body = []
    for r in rows:
        spent = r.get("budget", {})
        state = STATES[r["state"]] + (UNSURE.get(r["state"], "") if r.get("sure") is False else "")
        bad = f"{text.number(r['bad'])} of {text.number(r['total'])}" if "bad" in r else ""
        body.append((r["objective"], state, good(r) if "attained" in r else r.get("measured", ""), _share(r["target"]) if r["target"] < 1 else "always", bad, spent.get("burn", ""), spent.get("spent", "")))
    return Table(
        "Objectives and their budgets", ("Objective", "State", "Good", "Promised", "Bad", "Burn rate", "Of the period's budget"), body,
        "Burn rate: errors over allowed errors; at 1 the budget lasts exactly the period. The share of the period's budget is counted over the last period of the recording; of a shorter one it is extrapolated: the period is taken to have its load.",
    )  # fmt: skip


def _alerts(rows: Sequence[Row]) -> Table:
    body = []
    for r in rows:
        for a in r.get("alerts", []):
            now = " / ".join(f"{text.significant(v, 2)}×" if (v := text.value_of(m)) is not None else "–" for m in a.get("burn_now", {}).values())
            outage = text.stretch(a["outage_detected_s"]) if "outage_detected_s" in a else "–"
            body.append((r["objective"], alert(a), text.percent(a["threshold"]), outage, now, _told(a)))
    return Table(
        "Alerts on the burn rate", ("Objective", "Alert", "Above", "Outage told", "Burn at the end", "Would fire (UTC)"), body,
        "An alert fires while the error ratio of every window is above the threshold and the long window holds enough bad events, so that chance at low traffic fires none. Outage told: after a total outage of this long.",
    )  # fmt: skip


def alert(a: Mapping[str, Any]) -> str:
    """``page 14.4× 1h/5m``."""
    windows = "/".join(shorthand(a[k]) for k in ("long_s", "short_s") if a.get(k))
    return f"{a['severity']} {text.trimmed(a['factor'])}× {windows}" + (f", for {shorthand(a['after_s'])}" if a.get("after_s") else "")


def _told(a: Mapping[str, Any]) -> str:
    fired = a.get("fired", [])
    if not a["feasible"]:
        return f"never: {a['reason']}"
    if not fired:
        return "did not" if a.get("burn_now") else "–"
    times = [f"{text.clock(f['at'], day=True)} to {text.clock(f['until']) if 'until' in f else 'the end'}" for f in fired[:3]]
    more = len(fired) - 3 + a.get("fired_more", 0)
    return "; ".join(times) + (f"; {more} more" if more > 0 else "")


def _feasibility(rows: Sequence[Row]) -> Table:
    body = [(r["objective"], f["check"], "no" if f["ok"] is False else "open", f["detail"]) for r in rows for f in r.get("feasibility", []) if not f["ok"]]
    return Table("What stands in the way of measuring them", ("Objective", "Check", "Ok", "Detail"), body)


def _charts(judged: Sequence[Row]) -> list[Chart]:
    ranked = sorted(judged, key=_burn, reverse=True)
    out = []
    spent = [(r["objective"], _burn(r), *r["budget"]["burn"].get("ci", (None, None))) for r in ranked]
    said = "; ".join(f"{name}: {text.significant(burn)} times the allowed errors" for name, burn, *_ in spent)
    if svg := _budget_chart.bars(spent, title="Errors over allowed errors", desc=said):
        out.append(Chart("Errors over allowed errors, this recording", svg, said))
    for r in ranked[:MOST_CHARTS]:
        if _burn(r) < WORTH_A_CHART and not _first(r):
            continue
        first = _first(r)
        said = "of its long windows, with the factor of each alert; " + (f"the first alert fires at {text.clock(first['at'])} UTC" if first else "no alert fires")
        if svg := _budget_chart.burn(r["series"], r["alerts"], title=f"Burn rate of {r['objective']}", desc=said):
            out.append(Chart(f"Burn rate of {r['objective']}", svg, said))
    return out


def _notes(rows: Sequence[Row], part: Mapping[str, Any]) -> list[str]:
    out = [f"{r['objective']}: {r['reason']}" for r in rows if r.get("reason")]
    out += [f"{r['objective']}: {note}" for r in rows for note in r.get("notes", [])]
    return [*dict.fromkeys([*out, *part.get("notes", [])])]
