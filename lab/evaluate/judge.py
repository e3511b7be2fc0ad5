"""One answer against one truth: a flag for each thing that can be right or wrong, None where it does not apply."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab.evaluate.cases import Case

HEALTHY, ABSTAINED, NO_ANSWER = "healthy", "insufficient-evidence", "no-answer"
#: The kinds of event that count as the one that truth names.
TRIGGERS = {
    "deploy": {"deploy", "deployment", "release", "commit", "rollout"},
    "migration": {"migration", "schema", "ddl"},
    "job": {"job", "batch", "cron"},
    "flag": {"flag", "config", "configuration"},
}
#: How truth names the parts of a scope.
SCOPE = {"route": "route", "service": "service", "object": "object", "statement": "statement_contains"}
#: A part of a path that stands for a value: a pattern's variable, a number, a UUID, a long hexadecimal text.
VARIABLE = re.compile(r":\w+|<[^>]*>|\{[^}]*\}|\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}")
#: A prediction within this share of what was measured is right.
NEAR = 0.25
Strings = list[str]


@dataclass(frozen=True)
class Judged:
    """A case's judgement: ``flags`` are counted, ``numbers`` are distributed, ``said`` is what a person reads."""

    case: Case
    answer: str
    outcome: str
    confidence: float | None
    flags: dict[str, bool | None]
    numbers: dict[str, float]
    said: dict[str, Any] = field(default_factory=dict)


def judge(case: Case, result: dict[str, Any] | None, failure: str | None = None) -> Judged:
    """Compare a result (None: there is none, because of ``failure``) with the truth of its case."""
    verdict = (result or {}).get("verdict", {})
    answer = answered(verdict) if result else NO_ANSWER
    right, accepted = answer == case.problem, answer in (case.problem, *case.accept)
    abstained = answer == ABSTAINED and not accepted
    outcome = "right" if right else "accepted" if accepted else "abstained" if abstained else "failed" if result is None else "wrong"
    rivals = strings(case.truth.get("rivals"))
    broken = case.problem != HEALTHY
    flags: dict[str, bool | None] = {
        "right": right,
        "accepted": accepted,
        "top3": case.problem in ranked(answer, result),
        "undecided": answer == ABSTAINED,
        "abstained": abstained,
        "wrong": outcome in ("wrong", "failed"),
        "failed": result is None,
        "false_alarm": None if broken else answer not in (HEALTHY, ABSTAINED, NO_ANSWER),
        "false_alarm_not_accepted": None if broken else not accepted and answer not in (HEALTHY, ABSTAINED, NO_ANSWER),
        "missed": answer == HEALTHY and not accepted if broken else None,
        "rival_named": answer in rivals and not accepted if rivals else None,
    }
    numbers: dict[str, float] = {}
    if right and broken:
        flags |= scope(case.truth, verdict.get("scope", {})) | trigger(case.truth, verdict.get("trigger"))
        flags |= since(case.truth, verdict.get("since"), numbers) | prediction(case.truth, verdict, numbers)
    confidence = verdict.get("confidence") if answer != ABSTAINED else None
    return Judged(case, answer, outcome, confidence, flags, numbers, _said(case, result, failure))


def answered(verdict: dict[str, Any]) -> str:
    """The class that is named, else ``healthy`` or ``insufficient-evidence``."""
    return str(verdict["problem"]) if verdict["status"] == "constraint" and "problem" in verdict else str(verdict["status"])


def ranked(answer: str, result: dict[str, Any] | None) -> Strings:
    """The answer and what the findings name after it: the first three, each once."""
    return list(dict.fromkeys([answer, *(f["problem"] for f in (result or {}).get("findings", ()))]))[:3]


def scope(truth: dict[str, Any], told: dict[str, Any]) -> dict[str, bool | None]:
    """Is each part that truth names named, and right? ``scope``: all of them."""
    flags: dict[str, bool | None] = {
        "route": _overlap(truth.get("route"), told.get("route"), route),
        "service": _overlap(truth.get("service"), told.get("service"), str.lower),
        "object": _overlap(truth.get("object"), told.get("object"), thing),
        "statement": None,
    }
    if truth.get("statement_contains"):
        wanted = [" ".join(w.lower().split()) for w in strings(truth["statement_contains"])]
        flags["statement"] = any(w in " ".join(text.lower().split()) for text in strings(told.get("statement")) for w in wanted)
    known = [flags[part] for part in SCOPE if flags[part] is not None]
    return flags | {"scope": all(known) if known else None}


def _overlap(true: Any, told: Any, normal: Any) -> bool | None:
    return bool({normal(t) for t in strings(true)} & {normal(t) for t in strings(told)}) if true else None


def route(text: str) -> str:
    """A route without method, query and trailing slash, every variable or literal id as ``{id}``."""
    path = re.sub(r"^[A-Z]+ +(?=/)", "", text.strip()).partition("?")[0]
    return "/".join("{id}" if VARIABLE.fullmatch(part) else part for part in path.rstrip("/").split("/")) or "/"


def thing(text: str) -> str:
    """An object's name: lower case, without quotes and the default schema, variable parts of a key as ``{id}``."""
    return re.sub(r"\{[^}]*\}|<[^>]*>", "{id}", re.sub(r"[\"`]", "", text.strip().lower()).removeprefix("public."))


def trigger(truth: dict[str, Any], told: dict[str, Any] | None) -> dict[str, bool | None]:
    """Is the event that began it named; is none named where none did? Neither applies where events were withheld."""
    true = truth.get("trigger")
    if "events" in (truth.get("withheld") or ()):
        return {}
    if true is None:
        return {"innocent_blamed": told is not None}
    return {"trigger": told is not None and str(told.get("kind", "")).lower() in TRIGGERS.get(true, {true})}


def since(truth: dict[str, Any], told: dict[str, Any] | None, numbers: dict[str, float]) -> dict[str, bool | None]:
    """Is the onset told, and within its own interval? Its error in seconds goes into ``numbers`` (late is positive)."""
    if not truth.get("onset"):
        return {}
    if not told or "time" not in told:
        return {"onset_told": False}
    true = instant(truth["onset"])
    numbers["onset_error_s"] = (instant(told["time"]) - true).total_seconds()
    flags: dict[str, bool | None] = {"onset_told": True}
    if told.get("interval"):
        low, high = (instant(t) for t in told["interval"])
        flags["onset_in_interval"] = low <= true <= high
    return flags


def prediction(truth: dict[str, Any], verdict: dict[str, Any], numbers: dict[str, float]) -> dict[str, bool | None]:
    """Is there a predicted p95 of a route whose p95 was measured after the fix, and is it near? Where the prediction names its route, that route's p95 is asked."""
    after = truth.get("after") or {}
    if not after.get("p95_ms"):
        return {}
    predicted = verdict.get("predicted") or {}
    p95 = predicted.get("duration_ms", {}).get("p95")
    value = p95.get("value") if isinstance(p95, dict) else p95
    told = verdict.get("scope", {}).get("route")
    if value is None or (told and after.get("route") and not _overlap(after["route"], told, route)):
        return {"predicted": False}
    measured = truth.get("measured", {}).get("fixed", {}).get("routes", {}).get(predicted.get("route"), {}).get("p95") or after["p95_ms"]
    numbers |= {"predicted_p95_ms": float(value), "measured_p95_ms": float(measured)}
    flags: dict[str, bool | None] = {"predicted": True, "predicted_near": abs(value / measured - 1) <= NEAR}
    if isinstance(p95, dict) and p95.get("ci") and None not in p95["ci"]:
        flags["predicted_in_interval"] = p95["ci"][0] <= measured <= p95["ci"][1]
    return flags


def _said(case: Case, result: dict[str, Any] | None, failure: str | None) -> dict[str, Any]:
    """What helps to understand an answer while developing; shown of validation cases only when asked for."""
    if result is None:
        return {"failure": failure}
    verdict = result["verdict"]
    said: dict[str, Any] = {"name": case.name, "findings": ranked(answered(verdict), result)}
    said |= {"scope": verdict.get("scope", {}), "chain": verdict.get("chain", [])}
    if verdict.get("trigger"):
        said["trigger"] = verdict["trigger"].get("kind")
    checks = {c["problem"]: f"{c['outcome']}: {c['reason']}" for c in result.get("checks", ())}
    if case.problem != HEALTHY:
        said["true_scope"] = {part: case.truth[key] for part, key in SCOPE.items() if case.truth.get(key)}
        said["check_of_the_truth"] = checks.get(case.problem, "there is no check of this class yet")
    return said


def strings(value: Any) -> Strings:
    """None, a text or several, as a list."""
    return [] if value is None else [value] if isinstance(value, str) else [str(v) for v in value]


def instant(text: str) -> datetime:
    """An RFC 3339 time; one without a zone is UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def names(judged: Iterable[Judged]) -> Strings:
    """Every flag that occurs."""
    return sorted({flag for j in judged for flag in j.flags})
