"""What a report says, before any format: the sentences, rows and numbered queries that all renderers share.

Everything is derived from the result object. Texts are raw: a renderer passes them through :func:`~perfaudit.report.text.plain`
and escapes them for its format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfaudit.report import pages, text

STATUS = {"constraint": "Constraint", "healthy": "Healthy", "insufficient-evidence": "Insufficient evidence"}

PERCENTILES = ("p50", "p90", "p95", "p99", "p999", "max")

#: Components of the account of time that another machine, worker or connection can shrink: waiting for one of those.
_SCALABLE = ("queue for a worker", "CPU waiting or throttled", "pool wait")


Part = tuple[str, Mapping[str, Any] | None]
"""A piece of a sentence, with the measurement where it is one."""


@dataclass(frozen=True)
class Fact:
    """A labelled statement about the verdict, in pieces, so that a renderer can link each number to its query."""

    label: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole statement."""
        return "".join(said for said, _ in self.parts)


@dataclass(frozen=True)
class Option:
    """One of the three decisions: what, what it brings, what speaks against it, and whether the evidence favours it."""

    name: str
    action: str
    brings: str
    notes: tuple[str, ...] = ()
    favoured: bool = False


@dataclass(frozen=True)
class Gap:
    """Something that was not examined, why, and the command that would collect the evidence."""

    problem: str
    outcome: str
    reason: str
    collect: str = ""


@dataclass
class Queries:
    """Numbers queries in the order in which they are first cited (from 1)."""

    found: dict[str, int] = field(default_factory=dict)

    def cite(self, query: str | None) -> int:
        """The number of ``query``, given now if it is new; 0 where there is none."""
        return self.found.setdefault(query, len(self.found) + 1) if query else 0


def lead(result: Mapping[str, Any]) -> dict[str, Any]:
    """The finding that the verdict speaks of; {} where there is none."""
    problem = result.get("verdict", {}).get("problem")
    return next((f for f in result.get("findings", []) if f["problem"] == problem and f["type"] == "problem"), {})


#: How the tone of a page is coloured: as a verdict of the same kind.
_TONES = {"good": "healthy", "bad": "constraint", "open": "insufficient-evidence"}


def status(result: Mapping[str, Any]) -> tuple[str, str]:
    """The word of the badge and the status that colours it: of the verdict, else of the first page."""
    if "verdict" in result:
        return STATUS[result["verdict"]["status"]], result["verdict"]["status"]
    first = next(iter(pages.of(result)), None)
    return (first.title, tone(first)) if first else ("Nothing to report", "insufficient-evidence")


def window(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the report speaks of: the affected window of a verdict, else everything that was recorded."""
    affected = result.get("windows", {}).get("affected") if "verdict" in result else None
    return affected or result.get("window")


def tone(page: pages.Page) -> str:
    """The status of a verdict that a page's tone stands for."""
    return _TONES.get(page.tone, "insufficient-evidence")


def said(cell: pages.Cell) -> str:
    """A cell of a page as text: a measurement with its interval, a number, or the text itself."""
    if isinstance(cell, Mapping):
        between = text.interval(cell)
        return text.measured(cell) + (f" ({between})" if between else "")
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return "–" if cell is None else text.number(cell) if isinstance(cell, int | float) else str(cell)


def numeric(table: pages.Table) -> list[bool]:
    """For every column whether it holds numbers, which stand to the right."""
    columns: list[list[Any]] = [[row[i] for row in table.rows if i < len(row) and row[i] not in (None, "")] for i in range(len(table.heads))]
    return [bool(column) and all(isinstance(c, Mapping | int | float) and not isinstance(c, bool) for c in column) for column in columns]


def headline(result: Mapping[str, Any]) -> str:
    """The verdict in one sentence; without a verdict the answer of the first page."""
    if "verdict" not in result:
        first = next(iter(pages.of(result)), None)
        return first.answer if first else "The result holds nothing that a report could show."
    verdict = result["verdict"]
    if verdict["status"] == "constraint":
        title = lead(result).get("title") or f"{text.words(verdict.get('problem', 'a constraint')).capitalize()} {place(verdict.get('scope', {}))}"
        return str(title).rstrip(". ") + "."
    if verdict["status"] == "healthy":
        return "No constraint: nothing in this window departs from normal."
    return "Not enough evidence to name a constraint."


def rivals(verdict: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The explanations that were ruled out, and those that stay open."""
    tests = [(text.words(test.get("problem") or test["test"]), test["passed"]) for test in verdict.get("rejected", [])]
    return [name for name, passed in tests if passed], [name for name, passed in tests if not passed]


def place(scope: Mapping[str, Any]) -> str:
    """``on /checkout in postgresql (inventory)``; "" where nothing is known."""
    parts = [f"{word} {text.joined(text.listed(scope[key]))}" for key, word in (("route", "on"), ("service", "in"), ("object", "at")) if scope.get(key)]
    return " ".join(parts)


def since(verdict: Mapping[str, Any]) -> str:
    """``08:02:23 UTC (08:02:20–08:02:30), 28 s after deploy of shop 2.14.0``; "" where it is not known."""
    onset, trigger = verdict.get("since"), verdict.get("trigger")
    said = ""
    if onset:
        said = f"{text.clock(onset['time'], day=True)} UTC"
        if onset.get("interval"):
            said += f" ({text.clock(onset['interval'][0])}–{text.clock(onset['interval'][1])})"
    if trigger:
        said += f"{', ' if said else ''}after {event_name(trigger)} at {text.clock(trigger['time'])}"
    return said


def event_name(event: Mapping[str, Any]) -> str:
    """``deploy shop 2.14.0 9fceb02``."""
    name = event.get("name") if event.get("name") != event["kind"] else None
    return " ".join(str(part) for part in (event["kind"], event.get("service"), name, event.get("version"), event.get("commit")) if part)


def _number(quantity: Any, unit: str = "") -> list[Part]:
    """A number, then its interval in brackets."""
    between = text.interval(quantity)
    return [(text.measured(quantity, unit), quantity if isinstance(quantity, Mapping) else None), *([(f" ({between})", None)] if between else [])]


#: Key of ``impact`` → what stands before and after the number.
_IMPACT = (
    ("share_of_requests", "", ""),
    ("requests", "", ""),
    ("clients", "", ""),
    ("seconds_lost", "", " lost"),
    ("budget_spent", "", " of the error budget"),
    ("cost", "cost ", ""),
)


def impact(verdict: Mapping[str, Any]) -> list[Part]:
    """``objective broken · 12 % of requests · 518 s lost``."""
    known = verdict.get("impact", {})
    said: list[Part] = [(f"objective {known['objective']}", None)] if known.get("objective") else []
    for key, before, after in _IMPACT:
        if text.value_of(known.get(key)) is not None:
            said += [((" · " if said else "") + before, None), (text.measured(known[key]), known[key]), (after, None)]
    return [part for part in said if part[0]]


def predicted(what_if: Mapping[str, Any]) -> list[Part]:
    """``p95 246 ms (231–290 ms); then capped by the payment call``."""
    durations = what_if.get("duration_ms") or {}
    said: list[Part] = []
    for name in (name for name in PERCENTILES if name in durations):
        said += [(f"{', ' if said else ''}{name} ", None), *_number(durations[name], "ms")]
    if cap := what_if.get("capped_by"):
        said.append((f"{'; then ' if said else ''}capped by {cap}", None))
    return said


def prediction(what_if: Mapping[str, Any]) -> str:
    """:func:`predicted` as one text."""
    return "".join(said for said, _ in predicted(what_if))


def facts(result: Mapping[str, Any]) -> list[Fact]:
    """The verdict as labelled lines, in the order in which a person asks."""
    verdict = result["verdict"]
    rows: dict[str, list[Part]] = {
        "Share": _number(verdict["share"]) if verdict.get("share") else [],
        "Seen": [(step, None) for step in verdict.get("chain", [])[:1] if verdict["status"] != "constraint"],
        "Since": [(since(verdict), None)],
        "Impact": impact(verdict),
        "Decision": [(verdict["decision"], None)],
        "Predicted": predicted(verdict.get("predicted", {})),
    }
    return [fact for fact in (Fact(label, tuple(parts)) for label, parts in rows.items()) if fact.text]


def options(result: Mapping[str, Any]) -> list[Option]:
    """The three decisions: fix (or collect), scale, leave alone."""
    verdict = result["verdict"]
    status = verdict["status"]
    return [_act(result), _scale(result), _leave(result, favoured=status == "healthy")]


def _act(result: Mapping[str, Any]) -> Option:
    verdict = result["verdict"]
    if verdict["status"] == "healthy":
        return Option("Fix", "Nothing to fix in this window.", "No class that was examined owns 1 % of the time or of the failures.")
    if verdict["status"] == "insufficient-evidence":
        wanted = (verdict.get("would_change") or [{}])[0]
        return Option("Collect", wanted.get("collect") or verdict["decision"], wanted.get("effect") or "A verdict becomes possible.", favoured=True)
    fix = (lead(result).get("fixes") or [{}])[0]
    notes = tuple(f"{label} {fix[key]}" for key, label in (("effort", "effort"), ("risk", "risk")) if fix.get(key))
    notes += ("reversible" if fix["reversible"] else "hard to reverse",) if "reversible" in fix else ()
    brings = prediction(verdict.get("predicted", {})) or fix.get("impact") or "Not predicted: no what-if could be computed from this evidence."
    return Option("Fix", fix.get("action") or verdict["decision"], brings, notes, favoured=True)


def _scale(result: Mapping[str, Any]) -> Option:
    account = {row["component"]: text.value_of(row["share"]) or 0.0 for row in result.get("time_account", [])}
    if not account:
        return Option("Scale", "Cannot be judged yet.", "There is no account of time to say what more capacity would shrink.")
    waiting = sum(share for name, share in account.items() if name in _SCALABLE)
    unknown = account.get("unexplained", 0.0)
    if unknown > 0.5:  # a bound of more than half of the time says nothing
        return Option("Scale", "Cannot be judged yet.", f"{text.percent(unknown)} of the request-seconds are unexplained: what more capacity would shrink is not known.")
    brings = f"At most {text.percent(waiting + unknown)} of request-seconds could shrink: {text.percent(waiting)} are seen to wait for a worker, a CPU or a connection"
    brings += f", {text.percent(unknown)} are unexplained." if unknown else "."
    rest = {name: share for name, share in account.items() if name not in _SCALABLE and name != "unexplained"}
    claimed = {row["component"] for row in result["time_account"] if result["verdict"].get("problem") in row.get("problems", [])}
    top = max(rest, key=lambda name: (name in claimed, rest[name]), default="")
    notes = (f"The {text.percent(rest[top])} of {top} would stay",) if top else ()
    return Option("Scale", "Add workers, machines or connections.", brings, notes)


def _leave(result: Mapping[str, Any], *, favoured: bool) -> Option:
    verdict, windows = result["verdict"], result.get("windows", {})
    if favoured:
        return Option("Leave alone", verdict["decision"], "Nothing is lost in this window.", favoured=True)
    lost = text.value_of(verdict.get("impact", {}).get("seconds_lost"))
    hours = text.length(windows.get("affected")) / 3600
    said = f"Goes on losing {text.seconds(lost / hours)} of waiting per hour" if lost and hours else "What it costs is not known"
    objective = verdict.get("impact", {}).get("objective")
    return Option("Leave alone", "Change nothing.", said + (f"; the objective stays {objective}." if objective else "."))


def account(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The account of time, largest share first, *unexplained* last."""
    rows = [dict(row) for row in result.get("time_account", []) if text.value_of(row["share"])]
    return sorted(rows, key=lambda row: (row["component"] == "unexplained", -(text.value_of(row["share"]) or 0.0)))


def route_name(row: Mapping[str, Any]) -> str:
    """``POST /checkout``; a route that could not be read is named so."""
    method = row.get("method")
    return " ".join(str(part) for part in (method if method not in ("-", "*") else None, row.get("route") or "(unreadable)") if part)


def routes(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The routes by their seconds, *other* last, with ``name``."""
    rows = [dict(row) | {"name": route_name(row)} for row in result.get("baseline", {}).get("routes", [])]
    return sorted(rows, key=lambda row: (row.get("route") == "other", -(text.value_of(row.get("seconds")) or text.value_of(row.get("share_of_time")) or 0.0)))


def focus(result: Mapping[str, Any]) -> dict[str, Any]:
    """What before and after are shown of: the verdict's route where it has both windows, else all requests, else the most costly route; {} without."""
    wanted = text.listed(result["verdict"].get("scope", {}).get("route"))
    rows = [row for row in routes(result) if row.get("route") in wanted]
    rows.append(dict(result.get("baseline", {}).get("requests", {})) | {"name": "all requests"})
    rows += routes(result)
    return next((row for row in rows if row.get("affected") and row.get("reference")), {})


def gaps(result: Mapping[str, Any]) -> list[Gap]:
    """What was not examined: every check without an answer."""
    if result.get("coverage"):
        return [Gap(row["problem"], row["outcome"], row["reason"], row.get("collect", "")) for row in result["coverage"]]
    return [
        Gap(row["problem"], row["outcome"], row["reason"], "\n".join(dict.fromkeys(w["collect"] for w in row.get("wanted", []))))
        for row in result.get("checks", [])
        if row["outcome"] in ("no-evidence", "error", "not-applicable")
    ]


def outcomes(result: Mapping[str, Any]) -> dict[str, int]:
    """How many checks came to each outcome, in the order of the contract; only those that occur."""
    order = ("problem", "symptom", "clear", "no-evidence", "not-applicable", "error")
    count = {name: sum(1 for row in result.get("checks", []) if row["outcome"] == name) for name in order}
    return {name: n for name, n in count.items() if n}


def sources(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every source once, with the ``tables`` that it fed."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for table in result.get("inventory", []):
        for source in table.get("sources", []):
            entry = found.setdefault((source["name"], source.get("sha256", "")), {**source, "tables": []})
            entry["tables"].append(table["table"])
    return list(found.values())


def quality(result: Mapping[str, Any]) -> str:
    """``32,500 lines of 4 sources, 28 rejected (0.09 %); 1 file not read``."""
    read = sources(result)
    lines, rejected = sum(s["lines"] for s in read), sum(sum(s["rejected"].values()) for s in read)
    said = f"{text.plural(lines, 'line')} of {text.plural(len(read), 'source')}, {rejected:,} rejected"
    if lines and rejected:
        said += f" ({text.percent(rejected / lines)})"
    ignored = len(result.get("not_read", []))
    return said + (f"; {text.plural(ignored, 'file')} not read" if ignored else "")

