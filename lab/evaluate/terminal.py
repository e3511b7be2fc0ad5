"""The evaluation as tables in a terminal."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.evaluate.judge import SCOPE, strings

SETS = ("dev", "validation", "earlier", "all")
#: (flag, heading) of the tables per group.
SHORT = (("right", "top-1"), ("accepted", "accepted"), ("top3", "top-3"), ("abstained", "abstained"), ("wrong", "wrong"))
#: (flag, what it says) of the overall table; the order is the reader's.
LONG = (
    ("right", "top-1: names the true class"),
    ("accepted", "… or another defensible answer"),
    ("top3", "top-3: the true class among the first three"),
    ("undecided", "abstained: insufficient evidence"),
    ("abstained", "… though truth holds that it can be decided"),
    ("wrong", "wrong, with failed runs"),
    ("failed", "… failed: crash, timeout, unreadable"),
    ("false_alarm", "false alarm: healthy, but a constraint is named"),
    ("false_alarm_not_accepted", "… and that was not defensible"),
    ("missed", "missed: broken, but called healthy"),
    ("rival_named", "fell for the loud look-alike"),
    ("scope", "scope right in every part (of answers with the true class)"),
    ("route", "… route"),
    ("service", "… service"),
    ("object", "… object"),
    ("statement", "… statement"),
    ("trigger", "trigger right, where there was one"),
    ("innocent_blamed", "an event blamed, where none was to blame"),
    ("onset_told", "onset told"),
    ("onset_in_interval", "… and inside its own interval"),
    ("predicted", "p95 after the fix predicted, where measured"),
    ("predicted_near", "… within ± 25 % of the measured"),
    ("predicted_in_interval", "… and inside its own interval"),
)
#: Columns of what is not a terminal.
WIDE = 150
BAD = {"wrong", "failed", "false_alarm", "false_alarm_not_accepted", "missed", "rival_named", "innocent_blamed"}


def percent(rate: dict[str, Any] | None) -> str:
    """``12/17 71 % (47–87)``, or a dash where nothing applies."""
    if not rate:
        return "–"
    share = f"{rate['value']:.0%}".replace("%", "\u202f%")
    return f"{rate['k']}/{rate['n']} {share} ({rate['low'] * 100:.0f}–{rate['high'] * 100:.0f})"


def show(
    document: dict[str, Any], changes: dict[str, list[tuple[str, str, str, str]]] | None = None, console: Console | None = None
) -> None:
    """Print everything, the list of wrong answers and the overall figures last, where the eye is."""
    out = console or Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    if not document["complete"]:
        out.print(Text(f"PARTIAL: {len(document['not_run'])} cases were not run", style="bold red"))
    for part, title in (("recorded", ""), ("simulated", "Simulated recordings: ")):
        if part in document:
            _part(out, document[part], title)
    _wrong(out, document["cases"])
    _elsewhere(out, document["cases"])
    _cost(out, document["cost"], document["conditions"]["user"])
    if changes is not None:
        _changes(out, changes)


def sets_of(part: dict[str, Any]) -> list[str]:
    """The sets there are; ``all`` only beside several."""
    there = [s for s in SETS if s in part["sets"]]
    return there if len(there) > 2 else there[:1]


def _part(out: Console, part: dict[str, Any], title: str) -> None:
    sets = sets_of(part)
    table = _table(title + "per class", "class", *(name for s in sets for name in (f"{s}: top-1", "acc.", "top-3")))
    for name, row in part["classes"].items():
        table.add_row(name, *(cell for s in sets for cell in _counted(row.get(s))))
    out.print(table)
    for key, heading in (("kinds", "per kind"), ("stacks", "per stack"), ("names", "healthy cases, traps and pairs")):
        if part[key]:
            table = _table(title + heading, heading.removeprefix("per "), "n", *(name for _, name in SHORT))
            for name, row in part[key].items():
                table.add_row(name, str(row["n"]), *(percent(row.get(flag)) for flag, _ in SHORT))
            out.print(table)
    _confusion(out, part["confusion"], title)
    _calibration(out, part, title)
    table = _table(f"{title}overall", "", *sets)
    table.add_row("cases", *(str(part["sets"][s]["n"]) for s in sets))
    for flag, what in LONG:
        if any(flag in part["sets"][s] for s in sets):
            table.add_row(what, *(_coloured(flag, part["sets"][s].get(flag)) for s in sets))
    out.print(table)
    for key, what, form in (
        ("onset_error_s", "onset, told less true (s)", "+.1f"),
        ("predicted_over_measured", "p95 predicted / measured", ".2f"),
    ):
        if row := part["numbers"][key]:
            median, low, high, least, most = (format(row[name], form) for name in ("median", "q1", "q3", "least", "most"))
            out.print(f"{what}: median {median}, middle half {low} to {high}, from {least} to {most} (n {row['n']})")


def _confusion(out: Console, cells: list[dict[str, Any]], title: str) -> None:
    """The rows of the matrix, without the zeros that it mostly consists of."""
    table = _table(f"{title}what is taken for what", "truth", "n", "answers")
    for truth in dict.fromkeys(c["truth"] for c in cells):
        row = sorted((c for c in cells if c["truth"] == truth), key=lambda c: (c["answer"] != truth, -c["n"], c["answer"]))
        table.add_row(truth, str(sum(c["n"] for c in row)), ", ".join(f"{c['answer']} {c['n']}" for c in row))
    out.print(table)


def _counted(row: dict[str, Any] | None) -> tuple[str, str, str]:
    return (percent(row["right"]), str(row["accepted"]["k"]), str(row["top3"]["k"])) if row else ("", "", "")


def _coloured(flag: str, rate: dict[str, Any] | None) -> Text:
    text = Text(percent(rate))
    if rate and flag in BAD and rate["k"]:
        text.stylize("red")
    return text


def _calibration(out: Console, part: dict[str, Any], title: str) -> None:
    found = part["calibration"]["accepted"]
    if not found:
        return
    table = _table(title + "is a confidence to be believed?", "told", "n", "mean told", "right or accepted")
    for row in found["bins"]:
        if row["n"]:
            table.add_row(f"{row['from']:.0%}–{row['to']:.0%}", str(row["n"]), f"{row['confidence']:.0%}", percent(row["right"]))
    out.print(table)
    strict = part["calibration"]["right"]
    brier = f"Brier score {found['brier']:.3f} (strict {strict['brier']:.3f})"
    out.print(
        f"{brier}, expected calibration error {found['ece']:.1%} (strict {strict['ece']:.1%}), {found['n']} answers with a confidence"
    )


def _wrong(out: Console, cases: list[dict[str, Any]]) -> None:
    bad = [c for c in cases if c["outcome"] in ("wrong", "failed", "abstained")]
    if not bad:
        out.print("\nno wrong answer" if cases else "\nno case was run")
        return
    table = _table("wrong answers and abstentions", "case", "truth", "answer", "conf.", "why (development and earlier cases)")
    for c in bad:
        said = c.get("said", {})
        confidence = f"{c['confidence']:.0%}" if c.get("confidence") is not None else ""
        why = c.get("failure") or (
            f"{_how(c, said)} check of the truth: {said['check_of_the_truth']}" if "check_of_the_truth" in said else ""
        )
        table.add_row(
            f"{c['set']}/{c['case']}",
            c["truth"],
            Text(c["answer"], style="yellow" if c["outcome"] == "abstained" else "red"),
            confidence,
            Text(why),
        )
    out.print(table)


def _elsewhere(out: Console, cases: list[dict[str, Any]]) -> None:
    """Answers of the true class that point at another place."""
    table = _table("true class, other scope", "case", "class", "part", "true", "told")
    for c in cases:
        for part in SCOPE:
            if c.get("flags", {}).get(part) is False:
                true, told = (", ".join(strings(where.get(part))) or "–" for where in (c["said"]["true_scope"], c["said"]["scope"]))
                table.add_row(f"{c['set']}/{c['case']}", c["truth"], part, Text(true), Text(told))
    if table.row_count:
        out.print(table)


def _how(case: dict[str, Any], said: dict[str, Any]) -> str:
    return f"{said['name']}, {case['stack']};" if said["name"] != case["truth"] else f"{case['stack']};"


def _cost(out: Console, cost: dict[str, Any], user: str) -> None:
    if cost["wall_s"]:
        told = (
            f"{what} median {cost[key]['median']:.1f}, most {cost[key]['most']:.1f} {unit}"
            for key, what, unit in (("wall_s", "time", "s"), ("cpu_s", "CPU", "s"), ("peak_mb", "memory", "MB"))
        )
        out.print(f"per case: {'; '.join(told)}; run as {user}")


def _changes(out: Console, changes: dict[str, list[tuple[str, str, str, str]]]) -> None:
    table = _table("what changed", "", "case", "truth", "before", "now")
    for kind, rows in changes.items():
        for row in rows:
            table.add_row(Text(kind, style={"newly right": "green", "newly wrong": "bold red"}.get(kind, "")), *row)
    out.print(table if table.row_count else "\nno answer changed")
    out.print(", ".join(f"{len(rows)} {kind}" for kind, rows in changes.items()))


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title="\n" + title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold", no_wrap=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
