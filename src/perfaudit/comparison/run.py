"""From evidence to a comparison: which requests make the arms, which kind of comparison that is, and what stands in its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from perfaudit.comparison import environments, twice, units
from perfaudit.comparison.arms import Source, common, narrowed, read, source, step_for
from perfaudit.comparison.compare import Compared, compare, least_part, part
from perfaudit.comparison.decide import undecide
from perfaudit.comparison.shift import OPEN, Least
from perfaudit.errors import InsufficientEvidence, UsageError
from perfaudit.evidence.store import Evidence
from perfaudit.model import Window, iso

KINDS = ("before-after", "canary", "environments", "deploys")
#: Arms run together when they share at least this much of the shorter one.
TOGETHER = 0.5


@dataclass(frozen=True)
class Asked:
    """What is asked of a comparison. ``kind`` "" is found from the arms; ``span`` narrows every arm."""

    kind: str = ""
    least: Least = field(default_factory=Least)
    since: int | None = None
    until: int | None = None

    @property
    def span(self) -> Window | None:
        """The window that every arm is narrowed to; None for all."""
        return None if self.since is None and self.until is None else Window(self.since or 0, self.until if self.until is not None else 1 << 62)


def arm(name: str, evidence: Evidence, asked: Asked) -> Source:
    """One arm. Raises :class:`InsufficientEvidence` when it holds no request."""
    found = source(name, evidence)
    span = asked.span
    if found is not None and span is not None:
        window = Window(max(span.start, found.window.start), min(span.end, found.window.end))
        if window.end <= window.start or (short := narrowed(found, window)) is None:
            raise InsufficientEvidence(f"the arm {name} holds no request in the window", where=f"recorded {found.window}", todo="say --since and --until within both recordings; for before and after in one recording use --split TIME")
        return short
    if found is None:
        raise InsufficientEvidence(f"the arm {name} holds no request", where=name, todo="give an access log with request times (perfaudit inventory shows what a folder holds)")
    return found


def halves(name: str, evidence: Evidence, at: int, asked: Asked) -> tuple[Source, Source]:
    """One recording before and after an instant. Raises :class:`UsageError` when one side is empty."""
    whole = arm(name, evidence, asked)
    first, second = (narrowed(whole, w) if w.end > w.start else None for w in (Window(whole.window.start, at), Window(at, whole.window.end)))
    if first is None or second is None:
        raise UsageError("one side of --split holds no request", where=f"--split {iso(at)}; recorded {whole.window}", todo="split within the recording; times without a zone are UTC")
    return replace(first, name="before"), replace(second, name="after")


def compared(a: Source, b: Source, asked: Asked) -> tuple[dict[str, Any], Compared | None]:
    """The ``comparison`` part, and what it was made from (None where nothing could be compared)."""
    same = a.window == b.window and a.totals == b.totals and _content(a) == _content(b)
    shared = Window(max(a.window.start, b.window.start), min(a.window.end, b.window.end))
    concurrent = a.window.overlap(b.window) >= TOGETHER * min(a.window.end - a.window.start, b.window.end - b.window.start)
    kind = asked.kind or ("canary" if concurrent else "before-after")
    notes: list[str] = []
    if kind == "canary":
        if shared.end <= shared.start:
            raise UsageError("the arms do not run at the same time", where=f"A {a.window}; B {b.window}", todo="a canary needs concurrent arms; leave --as out to compare before and after")
        cut_a, cut_b = narrowed(a, shared), narrowed(b, shared)
        if cut_a is None or cut_b is None:
            raise InsufficientEvidence("an arm holds no request in the time that both share", where=str(shared), todo="record both arms at the same time")
        a, b = cut_a, cut_b
    keys = common(a, b)
    if not keys:
        raise InsufficientEvidence("the arms have no route in common", where=f"A {_some(a)}; B {_some(b)}", todo="give --route PATTERN where identifiers stand in paths, or compare recordings of the same service")
    step = step_for(a.window, b.window)
    arms = read(a, keys, step), read(b, keys, step)
    done = compare(*arms, keys, asked.least, concurrent=kind == "canary")
    if dropped := len([k for k in a.totals if k in b.totals]) - len(keys):
        notes.append(f"{dropped} more common routes own little time and were left out")
    if not any(p.n for pair in done.found for p in (pair.a, pair.b)):
        notes.append("no durations were logged: only errors and load are compared")
    doubled = [text for s in (a, b) if (text := twice.note(s))]
    notes += [text for text in (units.coarse(arms, asked.least), *doubled) if text]
    only = {"a": set(a.totals) - set(b.totals), "b": set(b.totals) - set(a.totals)}
    out = part(done, kind, only, notes)
    out["summary"] = "; ".join([out["summary"], *doubled])
    if kind == "environments" and (added := environments.part(a, b, keys)):
        out |= added
        out["summary"] += "; " + environments.sentence(added, (a.name, b.name))
    if same:
        undecide(out, "both arms are the same recording: that says nothing")
    elif odd := units.suspicious(done):
        undecide(out, odd)
    return out, done


def _content(one: Source) -> list[str]:
    return sorted(s["text_sha256"] for s in one.evidence.bundle.sources if "requests" in s["tables"])


def _some(one: Source) -> str:
    names = sorted({r for _, r in one.totals})
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def nothing(asked: Asked, why: InsufficientEvidence) -> dict[str, Any]:
    """``comparison`` where the evidence is too little to begin with: every report is still written."""
    return {"as": asked.kind or "before-after", "result": OPEN, "summary": f"inconclusive: {why.what}", "arms": [], "least": least_part(asked.least), "notes": [n for n in (why.where, why.todo) if n]}


def window(arms: Sequence[Source]) -> dict[str, str]:
    """``window`` of the result: from the first to the last arrival of any arm."""
    return {"start": iso(min(a.window.start for a in arms)), "end": iso(max(a.window.end for a in arms))}
