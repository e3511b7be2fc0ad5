"""Worse after every deploy: what each deploy changed, and what all of them added up to.

Between two deploys nothing was deployed, so each deploy is judged by the stretch before it against the stretch after it, on the routes
that both hold, at one mix for all (that of the whole recording). Where every stretch holds the same routes, steps are differences of the same
figures and add up to the total exactly; the total has its own interval, which steps that are each too small to see may well exceed.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfaudit.baseline.cube import STEPS
from perfaudit.baseline.stream import Key
from perfaudit.baseline.trigger import CHANGES, Event
from perfaudit.comparison import coverage, twice, units
from perfaudit.comparison.arms import Arm, Source, narrowed, read
from perfaudit.comparison.compare import LEAST_REQUESTS, arm_part, askable, asked_of, least_part, needed, percent, signed
from perfaudit.comparison.decide import ALPHA, Answer, adjusted, failed_more, result_of, together
from perfaudit.comparison.load import LIKE
from perfaudit.comparison.sample import Sample, normal
from perfaudit.comparison.shift import BETTER, OPEN, SAME, WORSE, Least, Shift
from perfaudit.errors import InsufficientEvidence
from perfaudit.model import Measurement, Window, iso

if TYPE_CHECKING:
    from perfaudit.comparison.run import Asked

#: Deploys that follow each other faster than this are one rollout, seconds: what lies between is too short to be judged.
ROLLOUT = 60
#: What comes right after a deploy (empty caches, compilation) is left out, seconds, where the stretch is ten times as long.
WARM_UP = 60
#: A stretch shorter than this, seconds, has less than half a minute after its warm-up: its deploy is judged with the next. The first and the last stay.
SHORT = WARM_UP + 30
#: Share of the error rate that the total of all deploys gets: it is asked once, the steps many times.
TOTAL = 0.5
#: The latest deploys are shown; more are merged into what stands before them, and said.
MOST = 40
#: Routes that are read: those that own the most; the rest is counted as not compared.
ROUTES = 200


@dataclass(frozen=True)
class Deploy:
    """A rollout: its first and last event, and what was deployed."""

    time: int
    last: int
    events: tuple[Event, ...]

    def words(self) -> str:
        """``deploy of shop 1.4.2``, and how many more."""
        return self.events[-1].words() + (f" and {len(self.events) - 1} more" if len(self.events) > 1 else "")


def deploys_of(sources: Sequence[Source]) -> list[Deploy]:
    """The rollouts inside the recordings, oldest first; commits only where nothing else is recorded."""
    events: set[tuple[Any, ...]] = set()
    for one in {id(s.evidence): s for s in sources}.values():
        events.update(one.evidence.rows("SELECT epoch_us(time), kind, service, name, version, commit FROM events WHERE time IS NOT NULL"))
    found = sorted((Event(int(t), *(str(v or "") for v in rest)) for t, *rest in events if rest[0] in CHANGES), key=lambda e: (e.time, e.kind, e.service, e.version, e.name, e.commit))
    found = [e for e in found if e.kind != "commit"] or found
    first, last = min(s.window.start for s in sources), max(s.window.end for s in sources)
    out: list[Deploy] = []
    for event in found:
        if not first < event.time < last:
            continue
        if out and event.time - out[-1].last < ROLLOUT * 1_000_000:
            out[-1] = Deploy(out[-1].time, event.time, (*out[-1].events, event))
        else:
            out.append(Deploy(event.time, event.time, (event,)))
    return out


def stretches(sources: Sequence[Source], deploys: Sequence[Deploy]) -> list[list[Source]]:
    """The requests between deploys: one list of sources before the first, between each two, and after the last."""
    first, last = min(s.window.start for s in sources), max(s.window.end for s in sources)
    starts, ends = [first, *(d.last for d in deploys)], [*(d.time for d in deploys), last]
    out = []
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if i and end - start >= 10 * WARM_UP * 1_000_000:
            start += WARM_UP * 1_000_000
        cut = [narrowed(s, Window(max(start, s.window.start), min(end, s.window.end))) for s in sources if min(end, s.window.end) > max(start, s.window.start)]
        out.append([c for c in cut if c is not None])
    return out


def compare(sources: Sequence[Source], asked: Asked) -> dict[str, Any]:
    """``comparison`` as deploys. Raises :class:`InsufficientEvidence` without a deploy between requests."""
    deploys = deploys_of(sources)
    notes = []
    if len(deploys) > MOST:
        notes.append(f"the latest {MOST} of {len(deploys)} deploys are judged")
        deploys = deploys[-MOST:]
    parts = [_joined(part) for part in stretches(sources, deploys)]
    held = [i for i, part in enumerate(parts) if part is not None]
    if len(held) < 2:
        raise InsufficientEvidence("no deploy lies between requests", where=", ".join(f"{s.name} {s.window}" for s in sources), todo="add the deploys as events: lines of {\"time\": …, \"kind\": \"deploy\", \"service\": …, \"version\": …}, or git log")
    kept = [i for i in held if i in (held[0], held[-1]) or _long_enough(parts[i])]
    if merged := held[-1] - held[0] + 1 - len(kept):
        one = merged == 1
        notes.append(f"{merged} stretch{'' if one else 'es'} between deploys {'is' if one else 'are'} too short to be judged (under {SHORT} s or {needed(0.95)} requests): the deploy before is judged together with the next")
    notes += filter(None, [twice.note(s) for s in sources])
    ledger = Ledger([s for i in kept if (s := parts[i]) is not None], [deploys[a:b] for a, b in itertools.pairwise(kept)], asked.least)
    return ledger.part(sources, notes)


def _joined(parts: Sequence[Source]) -> Source | None:
    """The longest of several recordings of one stretch: two recordings side by side would count everything twice."""
    return max(parts, key=lambda s: (s.requests, s.name), default=None)


def _long_enough(one: Source | None) -> bool:
    return one is not None and one.window.seconds >= SHORT and one.requests >= needed(0.95)


@dataclass(frozen=True)
class Step:
    """Two stretches on the routes that both hold often enough: their samples, the shifts, what was left out, and the load of b over a."""

    keys: list[Key]
    a: Sample | None
    b: Sample | None
    shifts: dict[str, Shift]
    left: dict[str, Any]
    load: float

    @property
    def like_for_like(self) -> bool:
        """Whether both carried the same load."""
        return 1 / LIKE <= self.load <= LIKE


class Ledger:
    """Stretches in order, the deploys between each two, and the steps."""

    def __init__(self, stretches: Sequence[Source], between: Sequence[Sequence[Deploy]], least: Least) -> None:
        self.between, self.least = between, least
        self.mix, micros = Counter[Key](), Counter[Key]()
        for one in stretches:
            self.mix.update({k: t.count for k, t in one.totals.items()})
            micros.update({k: t.micros for k, t in one.totals.items()})
        whole = self.mix.total(), max(1, micros.total())
        judged = set(sorted(self.mix, key=lambda k: (-self.mix[k] / whole[0] - micros[k] / whole[1], k))[:ROUTES])
        step, last = _step([s.window.seconds for s in stretches]), len(stretches) - 1
        self.arms = [read(s, [k for k, t in sorted(s.totals.items()) if k in judged and t.count >= LEAST_REQUESTS], step) for s in stretches]
        self.steps = [self._between(i, i + 1) for i in range(last)]
        self.total = self._between(0, last)
        if not any(s.keys for s in (self.total, *self.steps)):
            raise InsufficientEvidence("no route has enough requests on both sides of a deploy", where=f"{len(stretches)} stretches", todo="record longer, or compare two stretches: --split TIME")
        self._judge()

    def _sample(self, arm: Arm, keys: Sequence[Key]) -> Sample:
        whole = sum(self.mix[k] for k in keys)
        return Sample([arm.parts[k] for k in keys], [self.mix[k] / whole for k in keys], _size(arm))

    def _between(self, i: int, j: int) -> Step:
        a, b = self.arms[i], self.arms[j]
        keys = [k for k in a.parts if k in b.parts]
        left, load = coverage.uncompared(a.source, b.source, set(keys)), (b.source.requests / b.window.seconds) / (a.source.requests / a.window.seconds)
        if not keys:
            return Step(keys, None, None, {}, left, load)
        x, y = self._sample(a, keys), self._sample(b, keys)
        shifts = {m: Shift(m, x, y, self.least) for m in askable(x, y)}
        return Step(keys, x, y, {m: shifts[m] for m in asked_of(shifts.values())}, left, load)

    def _judge(self) -> None:
        """Holm over all steps and the total."""
        names = [(i, m) for i in range(-1, len(self.steps)) for m in self._at(i).shifts]
        among = max(1, sum(i >= 0 for i, _ in names))
        weights = [TOTAL / len(self.total.shifts) if i < 0 else (1 - TOTAL) / among for i, _ in names]
        self.p = dict(zip(names, adjusted([self._at(i).shifts[m].p for i, m in names], weights), strict=True))
        self.results = {(i, m): result_of([self._at(i).shifts[m]], self.p[i, m]) for i, m in names}

    def _at(self, i: int) -> Step:
        return self.total if i < 0 else self.steps[i]

    def answer(self, i: int) -> Answer:
        """The answer of a step, of the total for −1; no practical difference only where next to nothing was left out."""
        step = self._at(i)
        results = {m: self.results[i, m] for m in step.shifts}
        found = together(results, failed_more=failed_more(step.shifts.get("errors"), results.get("errors", OPEN)))
        return Answer(OPEN, "", results) if found.result == SAME and coverage.too_much(step.left) else found

    @property
    def level(self) -> float:
        """The level of each interval so that all of them hold together at 95 % (Bonferroni)."""
        return 1 - ALPHA / max(1, len(self.steps))

    # ---------------------------------------------------------------- load

    def slope(self) -> tuple[float, float] | None:
        """How the log of the typical duration moves with the log of the arrival rate inside the stretches: slope and standard error, None where that cannot be told."""
        x, y = [], []
        for arm in self.arms:
            if not arm.parts:
                continue
            sample = self._sample(arm, list(arm.parts))
            count = np.bincount(np.arange(arm.bins) // sample.size, np.sum([p.count for p in arm.parts.values()], axis=0), sample.bins)
            level = sample.log_mean.influence / np.maximum(count / max(1.0, float(count.mean())), 1e-9)
            used = count > 0
            if used.sum() >= 8:
                rate = np.log(count[used])
                x.append(rate - rate.mean())
                y.append(level[used] - level[used].mean())
        if not x:
            return None
        u, v = np.concatenate(x), np.concatenate(y)
        spread = float(u @ u)
        if spread <= 0 or len(u) < 20:
            return None
        slope = float(u @ v) / spread
        residual = v - slope * u
        return slope, math.sqrt(float(residual @ residual) / max(1, len(u) - 2 - len(x)) / spread)

    # ---------------------------------------------------------------- the form of the result

    def part(self, sources: Sequence[Source], notes: Sequence[str]) -> dict[str, Any]:
        """``comparison``."""
        total, words = self.answer(-1).result, [self.answer(i).result for i in range(len(self.steps))]
        slope = self.slope()
        rows = [self._row(i, slope) for i in range(len(self.steps))]
        whole = sum(self.mix[k] for k in self.total.keys)
        return {
            "as": "deploys", "result": total if total in (WORSE, BETTER) else next((w for w in (WORSE, BETTER) if w in words), total), "summary": self._summary(rows), "least": least_part(self.least),
            "arms": [arm_part(chr(65 + i), Arm(s, s.window.start, 1, 1, {})) for i, s in enumerate(sources[:26])],
            "routes_compared": [{"method": m or "-", "route": r or "(unreadable)", "weight": self.mix[m, r] / whole} for m, r in self.total.keys], "uncompared": self.total.left,
            "deploys": rows, "cumulative": self._cumulative(),
            "error_rate": {"alpha": ALPHA, "questions": len(self.p), "method": "Holm over all steps and the total, half of the error rate for the total"},
            "notes": [*notes, *self._said(slope)],
        }  # fmt: skip

    def _said(self, slope: tuple[float, float] | None) -> list[str]:
        said = ["whatever else changed at the time of a deploy counts with it", "every figure is at the mix of the whole recording, on the routes that both stretches hold"]
        said += filter(None, [units.coarse(self.arms, self.least)])
        if slope is not None:
            said.append(f"inside the stretches, twice the arrivals go with {signed(math.expm1(slope[0] * math.log(2)))} typical duration (± {percent(1.96 * slope[1] * math.log(2))})")
        return said

    def _row(self, i: int, slope: tuple[float, float] | None) -> dict[str, Any]:
        deploys, step, (a, b) = self.between[i], self.steps[i], (self.arms[i], self.arms[i + 1])
        event, answer = deploys[-1].events[-1], self.answer(i)
        out: dict[str, Any] = {"time": iso(deploys[0].time), "what": " and ".join(d.words() for d in deploys), "kind": event.kind}
        out |= {k: v for k in ("service", "version", "commit", "name") if (v := getattr(event, k))}
        out |= {
            "result": answer.result, "before": {"start": iso(a.window.start), "end": iso(a.window.end)}, "after": {"start": iso(b.window.start), "end": iso(b.window.end)},
            "requests": {"a": a.source.requests, "b": b.source.requests}, "uncompared": step.left,
        }  # fmt: skip
        for metric, shift in step.shifts.items():
            unit, scale = ("share", 1.0) if metric == "errors" else ("ms", 1e3)
            value = shift.estimates()
            out[metric] = {
                "a": Measurement(value[0].value / scale, unit, n=shift.a.n, method="at the mix of the whole recording").to_json(),
                "b": Measurement(value[1].value / scale, unit, n=shift.b.n, method="at the mix of the whole recording").to_json(),
                "shift": shift.measurement(self.level, f"all {len(self.steps)} intervals hold together").to_json(),
                "result": self.results[i, metric], "p": self.p[i, metric],
            }  # fmt: skip
        if not step.shifts:
            out["reason"] = f"too little between the deploys around it ({a.window.seconds:,.0f} s before, {b.window.seconds:,.0f} s after)"
        elif answer.result not in (WORSE, BETTER) and (left := coverage.said(step.left, ("before", "after"))):
            out["reason"] = left
        out["load"] = {"ratio": Measurement(step.load, "times before", n=sum(out["requests"].values()), method="arrivals").to_json(), "like_for_like": step.like_for_like}
        if slope is not None and "typical" in step.shifts:
            known = step.shifts["typical"]
            effect, error = known.effect - slope[0] * math.log(step.load), slope[1] * abs(math.log(step.load))
            half = math.hypot((known.interval(self.level)[2] or effect) - known.effect, normal(self.level) * error)
            out["at_equal_load"] = Measurement(math.expm1(effect), "share of before", (math.expm1(effect - half), math.expm1(effect + half)), self.level, out["requests"]["b"], "typical duration less what the change of load brings, by the slope inside the stretches").to_json()
        return out

    def _cumulative(self) -> dict[str, Any]:
        sums = [self._between(0, j) for j in range(1, len(self.arms))]
        out: dict[str, Any] = {}
        for metric, shift in self.total.shifts.items():
            points = [
                {"time": iso(deploys[0].time), "what": deploys[-1].words(), "shift": by.shifts[metric].measurement(self.level, "against the first stretch; all intervals hold together").to_json()}
                for deploys, by in zip(self.between, sums, strict=True)
                if metric in by.shifts
            ]
            out[metric] = {"result": self.results[-1, metric], "p": self.p[-1, metric], "total": shift.measurement(0.95, "last stretch against the first").to_json(), "points": points}
        return out

    def _summary(self, rows: Sequence[Mapping[str, Any]]) -> str:
        named = [i for i, r in enumerate(rows) if r["result"] in (WORSE, BETTER)]
        each = "; ".join(f"{rows[i]['what']}: {rows[i]['result']}, {_moved(self.steps[i], self.answer(i))}" for i in named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        said = [self._answered(f"{len(rows)} deploy{'s' if len(rows) != 1 else ''}", each)]
        if not self.total.like_for_like:
            said.append(f"not like for like: the last stretch carried {self.total.load:.2g} times the load of the first")
        elif unlike := [i for i in range(len(rows)) if i not in named and not self.steps[i].like_for_like]:
            said.append(f"not like for like: the load changed at {len(unlike)} other deploy{'s' if len(unlike) > 1 else ''}")
        return "; ".join(filter(None, [*said, coverage.said(self.total.left, ("the first stretch", "the last"))]))

    def _answered(self, count: str, each: str) -> str:
        answer = self.answer(-1)
        if not self.total.shifts:
            return f"inconclusive over {count}: too little in the first or the last stretch to tell" + (f"; {each}" if each else "")
        sum_ = f"{_moved(self.total, answer, load=False)} from the first stretch to the last"
        if answer.metric:
            return f"{answer.result} after {count}: {sum_}" + (f"; {each}" if each else "; no single deploy is to blame: each step is too small to be told alone")
        if each:
            return f"{count}: {each}; over all of them {answer.result} ({sum_})"
        return f"{answer.result} over {count}: {sum_}" + ("" if answer.result == SAME else ", and no step stands out")


def _moved(step: Step, answer: Answer, *, load: bool = True) -> str:
    """``typical duration +12 %``: the metric that decided, else the one that says most: failures where they rose."""
    errors = step.shifts.get("errors")
    metric = answer.metric or ("errors" if errors and failed_more(errors, answer.results["errors"]) else next(iter(step.shifts)))
    shift = step.shifts[metric]
    if metric == "errors":
        a, b = shift.estimates()
        said = f"errors {percent(a.value)} → {percent(b.value)}"
    else:
        said = f"{'typical duration' if metric == 'typical' else metric} {signed(math.expm1(shift.effect))}"
    return said + ("" if step.like_for_like or not load else f" at {step.load:.2g} times the load, not like for like")


def _step(lengths: Sequence[float]) -> int:
    """Seconds a bin: one length for all stretches, so that they share their autocorrelation; the shortest has 40 where the longest then keeps within 1,500."""
    wanted = max(min(lengths) / 40, max(lengths) / 1500)
    return max((s for s in STEPS if s <= wanted), default=STEPS[0])


def _size(arm: Arm) -> int:
    """Bins that make one, so that a bin holds two requests on average (as between two arms)."""
    return max(1, math.ceil(2 * arm.bins / max(1, sum(p.requests for p in arm.parts.values()))))
