"""Places of a service at which requests wait outside calls: how much each owns, what passes behind it, and whether one at a time does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.slots import Slot
from perfaudit.paths.tracing import AFFECTED, LEAST_TRACES, REFERENCE, Tracing
from perfaudit.problems._traced import Claim, claim, compared
from perfaudit.problems.latency._serial import Order, Passages, order, passages

#: Medians this close in both windows are the same (median of 20 values of a coefficient of variation of 1: ± 55 %).
SAME = 1.6
#: A place where waiting rose takes this many times as long as in the reference: queues multiply, slower hardware adds.
ROSE = 2.0
#: Pairs that waited at once before passages one by one are called a queue: a single client in a loop, or evenly spaced arrivals, never meet either.
QUEUED = 3
_LOCKS = re.compile(r"lock|mutex|latch|synchroni[sz]ed|monitor", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """One place, or those of one service that requests pass one at a time together.

    ``calls``: the calls behind it in the affected window; ``hold``: their median time, affected over reference; ``wait``, ``was``: median µs at the
    place, now and in the reference; ``others``: median own time elsewhere in the service, affected over reference; ``held``: share of the time of the service's
    requests that passes there.
    """

    service: str
    operations: tuple[str, ...]
    before: str
    said: bool
    claimed: Claim
    passages: Passages
    order: Order
    calls: Any
    hold: float | None
    wait: float
    was: float | None
    others: float | None
    held: float
    components: tuple[str, ...]

    @property
    def locks(self) -> bool:
        """Whether its own name says that it waits for a lock."""
        return self.said and any(_LOCKS.search(o) for o in self.operations)

    @property
    def share(self) -> float:
        """Share of the request-seconds."""
        return float(self.claimed.share.value or 0)

    @property
    def serialised(self) -> bool:
        """One at a time passes: shown by passages that do not overlap, by a queue that nobody overtakes where nothing else can be seen, or said by its name."""
        if self.passages.alone is False or self.order.kept is False:
            return False
        if self.locks or (self.passages.alone and self.order.pairs >= QUEUED):
            return True
        return bool(self.order.kept) and not self.said and not len(self.calls) and self.others is not None and self.others < SAME

    @property
    def place(self) -> str:
        """What a person calls it."""
        return f"{self.service} {self.operations[0]}" + (f" before {self.before}" if self.before else "")

    @property
    def told(self) -> str:
        """How it was judged."""
        return f"{self.passages.seen} passages overlap, {self.passages.expected:.1f} expected by chance; {self.order.pairs} pairs waited at once, {self.order.share:.0%} in order"


def sections(account: TimeAccount, found: list[Slot]) -> list[Section]:
    """The places that own a share that matters (and more than in the reference, where there is one), the largest first; each alone, and those of a service together."""
    tracing = account.tracing
    if tracing is None:
        return []
    out, large = [], []
    least = RELEVANT * float(tracing.on_path[tracing.zone == AFFECTED].sum())
    for slot in (s for s in found if s.spent[tracing.zone[s.span] == AFFECTED].sum() >= least):
        section = _section(account, tracing, [slot], found)
        if section.share < RELEVANT or not _risen(account, section):
            continue
        large.append(slot)
        out.append(section)
    for service in sorted({s.service for s in large}):
        together = [s for s in large if s.service == service and np.any(s.following >= 0)]
        if len(together) > 1:
            section = _section(account, tracing, together, found)
            if section.serialised:
                out.append(section)
    return sorted(out, key=lambda s: (-s.share, s.place))


def _risen(account: TimeAccount, section: Section) -> bool:
    return not compared(account) or section.was is None or section.wait >= ROSE * section.was or section.locks


def _section(account: TimeAccount, tracing: Tracing, parts: list[Slot], found: list[Slot]) -> Section:
    span, since, until, spent, calls = (np.concatenate([getattr(p, name) for p in parts]) for name in ("span", "since", "until", "spent", "following"))
    where, values = np.zeros(len(tracing.traces), bool), np.zeros(len(tracing.traces))
    where[span] = True
    np.add.at(values, span, spent)
    claimed = claim(account, where, values)
    instance = tracing.symbol("instance")[0]
    now, then = tracing.zone[span] == AFFECTED, tracing.zone[span] == REFERENCE
    behind = now & (calls >= 0)
    start, end = tracing.traces.start, tracing.traces.end
    passed = passages(start[calls[behind]], end[calls[behind]], instance[span[behind]])
    was = float(np.median(spent[then])) if np.count_nonzero(then) >= LEAST_TRACES else None
    service = parts[0].service
    whole = now_in(tracing, service)
    return Section(
        service, tuple(dict.fromkeys(p.operation for p in parts)), parts[0].before or _name(tracing, calls[behind]), parts[0].said, claimed, passed,
        order(since[now], until[now], instance[span[now]]), calls[behind], _ratio(tracing, calls[behind], calls[then & (calls >= 0)]),
        float(np.median(spent[now])) if now.any() else 0.0, was, _others(tracing, parts, found), float(spent[now].sum()) / whole if whole else 0.0,
        ("application lock or wait", f"application lock or wait: {service}") if parts[0].said else (f"self: {service}", f"downstream: {service}"),
    )  # fmt: skip


def _name(tracing: Tracing, calls: Any) -> str:
    return tracing.texts("operation", calls[:1])[0] if len(calls) else ""


def _ratio(tracing: Tracing, now: Any, then: Any) -> float | None:
    if min(len(now), len(then)) < LEAST_TRACES:
        return None
    return float(np.median(tracing.took[now]) / max(1.0, float(np.median(tracing.took[then]))))


def now_in(tracing: Tracing, service: str) -> float:
    """µs of critical paths that pass while the service works or waits below its own entry spans, in the affected window."""
    inside = tracing.is_("service", service) & (tracing.zone == AFFECTED)
    parent = tracing.traces.parent
    entry = inside & ((parent < 0) | ~inside[parent])
    return float(tracing.under[entry].sum())


def _others(tracing: Tracing, parts: list[Slot], found: list[Slot]) -> float | None:
    """Median of the ratios of own time, affected over reference, at the service's places of other operations."""
    ours = {p.operation for p in parts}
    ratios = []
    for slot in found:
        if slot.service != parts[0].service or slot.operation in ours or slot.said:
            continue
        now, then = (slot.spent[tracing.zone[slot.span] == zone] for zone in (AFFECTED, REFERENCE))
        if min(len(now), len(then)) >= LEAST_TRACES:
            ratios.append(float(np.median(now)) / max(1.0, float(np.median(then))))
    return float(np.median(ratios)) if ratios else None
