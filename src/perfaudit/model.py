"""The nouns of an audit, frozen.

A number that reaches a person is always a :class:`Measurement`. Instants are integers: microseconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Micros = int
"""An instant or a duration in integer microseconds (instants: since 1970-01-01T00:00:00Z)."""


def iso(instant: Micros) -> str:
    """``2026-11-23T08:02:23.770000Z`` for an instant in microseconds; the microseconds are dropped when they are zero."""
    moment = datetime.fromtimestamp(instant // 1_000_000, UTC)
    fraction = instant % 1_000_000
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction:06d}" if fraction else "") + "Z"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open stretch of time ``[start, end)`` in microseconds, UTC."""

    start: Micros
    end: Micros

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / 1e6

    def overlap(self, other: Window) -> Micros:
        """Microseconds that two windows share."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def __str__(self) -> str:
        return f"{iso(self.start)} – {iso(self.end)}"


@dataclass(frozen=True, slots=True)
class Windows:
    """What an audit speaks about: the ``affected`` window and, where there is one, the ``reference`` to compare with.

    ``source`` says where the reference comes from: ``given`` (by the person), ``baseline`` (separate evidence), ``found``
    (inside the recording) or ``none``. ``onset`` is the instant at which the affected window begins, with its interval. ``searched`` is the share of the requests in
    which a departure could have been seen.
    """

    whole: Window
    affected: Window
    reference: Window | None = None
    source: str = "none"
    onset: tuple[Micros, Micros, Micros] | None = None
    notes: tuple[str, ...] = ()
    searched: float = 1.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with all that is needed to trust it: unit, interval with its level, sample size, method, and the query.

    ``interval`` is ``(low, high)`` in the same unit; an end is ``None`` where the sample gives no finite bound.
    """

    value: float | int | None
    unit: str
    interval: tuple[float | None, float | None] | None = None
    level: float = 0.95
    n: int | None = None
    method: str = ""
    query: str = ""

    def to_json(self) -> dict[str, Any]:
        """The form of ``result.json``; keys that say nothing are absent."""
        out: dict[str, Any] = {"value": self.value, "unit": self.unit}
        if self.interval is not None:
            out["ci"] = list(self.interval)
            out["level"] = self.level
        if self.n is not None:
            out["n"] = self.n
        if self.method:
            out["method"] = self.method
        if self.query:
            out["query"] = self.query
        return out


class Status(StrEnum):
    """What a check concluded (``checks[].outcome``)."""

    PROBLEM = "problem"
    SYMPTOM = "symptom"
    CLEAR = "clear"
    NO_EVIDENCE = "no-evidence"
    NOT_APPLICABLE = "not-applicable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison that a check made: the decisive test, or a rival that it tried.

    ``problem`` names the rival that was tested ("" for the check's own decisive test). ``passed`` means: the evidence
    supports the finding (for a rival: the rival is ruled out). ``None``: could not be decided with this evidence.
    """

    test: str
    value: float | str | None
    bound: str
    passed: bool | None
    problem: str = ""
    query: str = ""

    def to_json(self) -> dict[str, Any]:
        """The form of ``findings[].tests`` and ``findings[].rejected``."""
        out: dict[str, Any] = {"test": self.test, "value": self.value, "bound": self.bound, "passed": self.passed}
        if self.problem:
            out["problem"] = self.problem
        if self.query:
            out["query"] = self.query
        return out


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A statement of a finding with the number, query and source that carry it."""

    statement: str
    measurement: Measurement
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """The form of ``findings[].evidence``."""
        out: dict[str, Any] = {"statement": self.statement, "measurement": self.measurement.to_json()}
        if self.measurement.query:
            out["query"] = self.measurement.query
        if self.source:
            out["source"] = self.source
        return out


@dataclass(frozen=True, slots=True)
class Fix:
    """Something that can be done. ``effort`` and ``risk`` are ``low``, ``medium`` or ``high``; ``basis`` says why."""

    action: str
    impact: str
    effort: str
    risk: str
    basis: str
    reversible: bool
    rollback: str
    verify: str

    def to_json(self) -> dict[str, Any]:
        """The form of ``findings[].fixes``."""
        return {k: getattr(self, k) for k in ("action", "impact", "effort", "risk", "basis", "reversible", "rollback", "verify")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Evidence that is missing: what, the exact read-only command that collects it, and what it could change."""

    evidence: str
    collect: str
    effect: str

    def to_json(self) -> dict[str, str]:
        """The form of ``verdict.would_change``."""
        return {"evidence": self.evidence, "collect": self.collect, "effect": self.effect}


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem (or a symptom) that is really there, with what it owns, its evidence, its rivals and its fixes.

    ``share`` says of what in its unit (for example ``share of added request-seconds``). ``added_seconds`` is what the
    verdict compares: user-visible request-seconds that would not have been spent without the problem. ``onset`` is an
    instant with an interval, where one could be told. ``explains`` is the share of the window's added time that goes with the
    problem, the queues behind it included (None: unknown); ``components`` names the rows of the account of time that it claims.
    """

    problem: str
    title: str
    scope: dict[str, str | list[str]]
    share: Measurement
    added_seconds: float = 0.0
    explains: float | None = None
    components: tuple[str, ...] = ()
    type: str = "problem"
    parents: tuple[str, ...] = ()
    confidence: float = 0.0
    mechanism: str = ""
    cause: str = ""
    evidence: tuple[Exhibit, ...] = ()
    tests: tuple[Test, ...] = ()
    rejected: tuple[Test, ...] = ()
    benefit: dict[str, Any] = field(default_factory=dict)
    fixes: tuple[Fix, ...] = ()
    onset: tuple[Micros, Micros, Micros] | None = None

    def with_(self, **changes: Any) -> Finding:
        """A copy with some fields replaced."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``examine`` returns: a status, the reason in one line, at most a few findings, and missing evidence."""

    status: Status
    reason: str
    findings: tuple[Finding, ...] = ()
    wanted: tuple[Wanted, ...] = ()

    @staticmethod
    def problem(*findings: Finding) -> Outcome:
        """The problem is here."""
        return Outcome(Status.PROBLEM, findings[0].title, findings)

    @staticmethod
    def of(*findings: Finding) -> Outcome:
        """The problem is here, or what is here is a symptom: as the first finding says."""
        return Outcome(Status.SYMPTOM if findings[0].type == "symptom" else Status.PROBLEM, findings[0].title, findings)

    @staticmethod
    def clear(reason: str, *, findings: tuple[Finding, ...] = ()) -> Outcome:
        """The problem was looked for with enough evidence and is not here."""
        return Outcome(Status.CLEAR, reason, findings)

    @staticmethod
    def no_evidence(reason: str, *wanted: Wanted) -> Outcome:
        """Too little evidence to say either way."""
        return Outcome(Status.NO_EVIDENCE, reason, (), wanted)

    @staticmethod
    def not_applicable(reason: str) -> Outcome:
        """The question does not arise here."""
        return Outcome(Status.NOT_APPLICABLE, reason)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: ``constraint``, ``healthy`` or ``insufficient-evidence``, and everything that defends it.

    ``to_json`` gives the ``verdict`` object of ``result.json``; keys that do not apply are absent.
    """

    status: str
    decision: str
    confidence: float
    finding: Finding | None = None
    since: dict[str, Any] | None = None
    trigger: dict[str, Any] | None = None
    impact: dict[str, Any] = field(default_factory=dict)
    chain: tuple[str, ...] = ()
    rejected: tuple[Test, ...] = ()
    predicted: dict[str, Any] = field(default_factory=dict)
    would_change: tuple[Wanted, ...] = ()

    @property
    def problem(self) -> str:
        """The class that constrains the system, "" where none does."""
        return self.finding.problem if self.finding else ""

    def to_json(self) -> dict[str, Any]:
        """The form of ``result.json``'s ``verdict``."""
        out: dict[str, Any] = {"status": self.status}
        if self.finding:
            out |= {"problem": self.finding.problem, "scope": self.finding.scope, "share": self.finding.share.to_json()}
        out["confidence"] = self.confidence
        for key, value in (("since", self.since), ("trigger", self.trigger), ("impact", self.impact), ("predicted", self.predicted)):
            if value:
                out[key] = value
        if self.chain:
            out["chain"] = list(self.chain)
        out["rejected"] = [t.to_json() for t in self.rejected]
        out["decision"] = self.decision
        out["would_change"] = [w.to_json() for w in self.would_change]
        return out
