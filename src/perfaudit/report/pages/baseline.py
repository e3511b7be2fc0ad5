"""Is this recording fit to conclude from, and what can it prove? What ``perfaudit baseline`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfaudit.report import text, view
from perfaudit.report.pages import Page, Table

QUESTION = "Is this recording fit to conclude from, and what can it prove?"
PERCENTILES = ("p50", "p95", "p99", "p999", "max")
STATES = {True: "ok", False: "weak", None: "open"}
#: Failing one of these, the numbers themselves are in doubt, and not only how far they carry.
DECISIVE = ("length", "sample size", "gaps", "stationarity", "warm-up", "coordinated omission", "sampling", "damage", "durations", "time stamps")


def page(result: Mapping[str, Any]) -> Page | None:
    """The page, where ``perfaudit baseline`` asked for it."""
    baseline = result.get("baseline", {})
    if "limits" not in baseline:
        return None
    tests = sorted(baseline.get("validity", []), key=lambda test: (test["ok"] is not False, test["ok"] is None))
    weak = [test["check"] for test in tests if test["ok"] is False]
    doubt = [check for check in weak if check in DECISIVE]
    total = baseline["requests"]
    facts: list[tuple[str, Any]] = [("Recorded", text.span(result.get("window"))), ("Requests", total["count"])]
    if normal := text.span(result.get("windows", {}).get("reference")):
        facts.append(("Counts as normal", normal))
    facts += [("Rate", {"value": text.value_of(total.get("rate_per_s")), "unit": "1/s"}), ("Errors", total.get("error_ratio_interval"))]
    tables = (
        Table("Percentiles", ("Route", "Requests", *(p.replace("p999", "p99.9") for p in PERCENTILES), "Time"), _percentiles(result), "95 % intervals from order statistics; ? where the sample is too small for a bound"),
        Table("What it can tell", ("Route", "Requests", "p50", "p95", "p99", "Errors"), _limits(baseline), "the least rise that a second window of this length would tell from noise (95 % two-sided, power 80 %); – where there are too few requests for any"),
        Table("Tests of the window", ("", "Test"), [(STATES[test["ok"]], f"{test['check']}: {test.get('detail', '')}") for test in tests]),
    )
    return Page("baseline", "Baseline", QUESTION, _answer(weak, doubt, baseline), "bad" if doubt else "open" if weak else "good", tuple(fact for fact in facts if fact[1]), (), tables)


def _answer(weak: list[str], doubt: list[str], baseline: Mapping[str, Any]) -> str:
    fit = f"Not fit to conclude from: {text.joined(doubt)}." if doubt else f"Fit, with reservations: {text.joined(weak)}." if weak else "Fit to conclude from."
    told = [(row, value) for row in baseline["limits"][1:] if (value := text.value_of(row["rise"].get("p95"))) is not None]
    if not told:
        return f"{fit} No route has enough requests to tell any rise of its p95."
    row, value = told[0]
    return f"{fit} A rise of p95 on {view.route_name(row)} below {text.percent(value)} cannot be told from noise in a window of this length."


def _percentiles(result: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    total = result["baseline"]["requests"]
    rows = [{**total, "name": "all", "share_of_time": 1.0}, *view.routes(result)]
    return [(row["name"], row["count"], *(row["duration_ms"].get(p) for p in PERCENTILES), {"value": text.value_of(row["share_of_time"]), "unit": "share"}) for row in rows]


def _limits(baseline: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(view.route_name(row), row["n"], *(row["rise"].get(p) for p in ("p50", "p95", "p99")), row["errors"]) for row in baseline["limits"]]
