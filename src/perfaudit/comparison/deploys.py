"""Worse after every deploy: what each deploy changed, and what all of them added up to.

Between two deploys nothing was deployed, so each deploy is judged by the stretch before it against the stretch after it, at one mix for
all (that of the first stretch). Steps are differences of the same figures, so they add up to the total exactly; the ledger shows the total with
its own interval, which small steps that are each too small to see may well exceed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfaudit.baseline.cube import STEPS
from perfaudit.baseline.trigger import CHANGES, Event
from perfaudit.comparison.arms import Arm, Source, narrowed, read
from perfaudit.comparison.compare import LEAST_REQUESTS, RELEVANT, arm_part, askable, least_part, percent, signed
from perfaudit.comparison.decide import ALPHA, adjusted, result_of
from perfaudit.comparison.load import LIKE
from perfaudit.comparison.sample import Sample, normal
from perfaudit.comparison.shift import BETTER, OPEN, SAME, WORSE, Least, Shift
from perfaudit.errors import InsufficientEvidence
from perfaudit.model import Measurement, Window, iso

if TYPE_CHECKING:
    from perfaudit.comparison.run import Asked

METRICS = ("typical", "p95")
#: Deploys that follow each other faster than this are one rollout, seconds: what lies between is too short to be judged.
ROLLOUT = 60
#: What comes right after a deploy (empty caches, compilation) is left out, seconds, where the stretch is ten times as long.
WARM_UP = 60
#: Share of the error rate that the total of all deploys gets: it is asked once, the steps many times.
TOTAL = 0.5
#: The latest deploys are shown; more are merged into what stands before them, and said.
MOST = 40


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
    parts = stretches(sources, deploys)
    kept = [i for i, part in enumerate(parts) if part]
    if len(kept) < 2:
        raise InsufficientEvidence("no deploy lies between requests", where=", ".join(f"{s.name} {s.window}" for s in sources), todo="add the deploys as events: lines of {\"time\": …, \"kind\": \"deploy\", \"service\": …, \"version\": …}, or git log")
    if len(kept) < len(parts):
        notes.append(f"{len(parts) - len(kept)} stretches between deploys hold no request: their deploys are judged together with the next")
    ledger = Ledger([_joined(parts[i]) for i in kept], [deploys[a:b] for a, b in itertools.pairwise(kept)], asked.least)
    return ledger.part(sources, notes)


def _joined(parts: Sequence[Source]) -> Source:
    """The longest of several recordings of one stretch: two recordings side by side would count everything twice."""
    return max(parts, key=lambda s: (s.requests, s.name))


class Ledger:
    """Stretches in order, the deploys between each two, and the steps."""

    def __init__(self, stretches: Sequence[Source], between: Sequence[Sequence[Deploy]], least: Least) -> None:
        self.between, self.least = between, least
        shared = set.intersection(*(set(s.totals) for s in stretches))
        enough = [k for k in shared if min(s.totals[k].count for s in stretches) >= LEAST_REQUESTS]
        counts = {k: sum(s.totals[k].count for s in stretches) for k in enough}
        micros = {k: sum(s.totals[k].micros for s in stretches) for k in enough}
        whole = max(1, sum(counts.values())), max(1, sum(micros.values()))
        self.keys = sorted((k for k in enough if max(counts[k] / whole[0], micros[k] / whole[1]) >= RELEVANT), key=lambda k: (-micros[k], k))
        if not self.keys:
            raise InsufficientEvidence("no route has enough requests in every stretch between deploys", where=f"{len(stretches)} stretches", todo="record longer, or compare two stretches: --split TIME")
        step = _step([s.window.seconds for s in stretches])
        self.arms = [read(s, self.keys, step) for s in stretches]
        first = [self.arms[0].parts[k].requests for k in self.keys]
        self.weights = [n / sum(first) for n in first]
        self.samples = [Sample([a.parts[k] for k in self.keys], self.weights, _size(a)) for a in self.arms]
        self.rates = [sum(p.requests for p in a.parts.values()) / a.window.seconds for a in self.arms]
        self.steps = [self._shifts(i, i + 1) for i in range(len(self.arms) - 1)]
        self.total = self._shifts(0, len(self.arms) - 1)
        self._judge()

    def _shifts(self, i: int, j: int) -> dict[str, Shift]:
        a, b = self.samples[i], self.samples[j]
        told = askable(a, b)
        return {m: Shift(m, a, b, self.least) for m in METRICS if m in told}

    def _judge(self) -> None:
        """Holm over all steps and the total."""
        steps = [(i, m) for i, by in enumerate(self.steps) for m in by]
        names: list[tuple[int, str]] = [*((-1, m) for m in self.total), *steps]
        weights = [TOTAL / max(1, len(self.total)) if i < 0 else (1 - TOTAL) / len(steps) for i, _ in names]
        shifts = [(self.total if i < 0 else self.steps[i])[m] for i, m in names]
        self.p = dict(zip(names, adjusted([s.p for s in shifts], weights), strict=True)) if names else {}
        self.results = {name: result_of([shift], self.p[name]) for name, shift in zip(names, shifts, strict=True)}

    def word(self, i: int) -> str:
        """The result of a step, of the total for −1: worse before better."""
        words = [r for (j, _), r in self.results.items() if j == i]
        return next((w for w in (WORSE, BETTER) if w in words), SAME if words and all(w == SAME for w in words) else OPEN)

    @property
    def level(self) -> float:
        """The level of each interval so that all of them hold together at 95 % (Bonferroni)."""
        return 1 - ALPHA / max(1, len(self.steps))

    # ---------------------------------------------------------------- load

    def slope(self) -> tuple[float, float] | None:
        """How the log of the typical duration moves with the log of the arrival rate inside the stretches: slope and standard error, None where that cannot be told."""
        x, y = [], []
        for arm, sample in zip(self.arms, self.samples, strict=True):
            count = np.bincount(np.arange(arm.bins) // sample.size, np.sum([arm.parts[k].count for k in self.keys], axis=0), sample.bins)
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
        words = [self.word(i) for i in range(-1, len(self.steps))]
        result = self.word(-1) if self.word(-1) in (WORSE, BETTER) else WORSE if WORSE in words else BETTER if BETTER in words else self.word(-1)
        slope = self.slope()
        rows = [self._row(i, slope) for i in range(len(self.steps))]
        out = {
            "as": "deploys", "result": result, "summary": "", "least": least_part(self.least),
            "arms": [arm_part(chr(65 + i), Arm(s, s.window.start, 1, 1, {})) for i, s in enumerate(sources[:26])],
            "routes_compared": [{"method": m or "-", "route": r or "(unreadable)", "weight": w} for (m, r), w in zip(self.keys, self.weights, strict=True)],
            "deploys": rows, "cumulative": self._cumulative(),
            "error_rate": {"alpha": ALPHA, "questions": len(self.p), "method": "Holm over all steps and the total, half of the error rate for the total"},
            "notes": [*notes, *self._said(slope)],
        }  # fmt: skip
        out["summary"] = self._summary(rows)
        return out

    def _said(self, slope: tuple[float, float] | None) -> list[str]:
        said = ["whatever else changed at the time of a deploy counts with it", f"every figure is at the mix of the first stretch, over {len(self.keys)} routes that every stretch holds"]
        if slope is not None:
            said.append(f"inside the stretches, twice the arrivals go with {signed(math.expm1(slope[0] * math.log(2)))} typical duration (± {percent(1.96 * slope[1] * math.log(2))})")
        return said

    def _row(self, i: int, slope: tuple[float, float] | None) -> dict[str, Any]:
        deploys, (a, b) = self.between[i], (self.arms[i], self.arms[i + 1])
        event = deploys[-1].events[-1]
        out: dict[str, Any] = {"time": iso(deploys[0].time), "what": " and ".join(d.words() for d in deploys), "kind": event.kind}
        out |= {k: v for k in ("service", "version", "commit", "name") if (v := getattr(event, k))}
        out |= {
            "result": self.word(i), "before": {"start": iso(a.window.start), "end": iso(a.window.end)}, "after": {"start": iso(b.window.start), "end": iso(b.window.end)},
            "requests": {"a": self.samples[i].requests, "b": self.samples[i + 1].requests},
        }  # fmt: skip
        for metric, shift in self.steps[i].items():
            value = shift.estimates()
            out[metric] = {
                "a": Measurement(value[0].value / 1e3, "ms", n=shift.a.n, method="at the mix of the first stretch").to_json(),
                "b": Measurement(value[1].value / 1e3, "ms", n=shift.b.n, method="at the mix of the first stretch").to_json(),
                "shift": shift.measurement(self.level, f"all {len(self.steps)} intervals hold together").to_json(),
                "result": self.results[i, metric], "p": self.p[i, metric],
            }  # fmt: skip
        if not self.steps[i]:
            out["reason"] = f"too little between the deploys around it ({a.window.seconds:,.0f} s before, {b.window.seconds:,.0f} s after)"
        ratio = self.rates[i + 1] / self.rates[i]
        out["load"] = {"ratio": Measurement(ratio, "times before", n=sum(out["requests"].values()), method="arrivals on compared routes").to_json(), "like_for_like": 1 / LIKE <= ratio <= LIKE}
        if slope is not None and "typical" in self.steps[i]:
            effect, error = self.steps[i]["typical"].effect - slope[0] * math.log(ratio), slope[1] * abs(math.log(ratio))
            half = math.hypot((self.steps[i]["typical"].interval(self.level)[2] or effect) - self.steps[i]["typical"].effect, normal(self.level) * error)
            out["at_equal_load"] = Measurement(math.expm1(effect), "share of before", (math.expm1(effect - half), math.expm1(effect + half)), self.level, out["requests"]["b"], "typical duration less what the change of load brings, by the slope inside the stretches").to_json()
        return out

    def _cumulative(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for metric, shift in self.total.items():
            points = []
            for j in range(1, len(self.arms)):
                step = self._shifts(0, j).get(metric)
                if step is not None:
                    points.append({"time": iso(self.between[j - 1][0].time), "what": self.between[j - 1][-1].words(), "shift": step.measurement(self.level, "against the first stretch; all intervals hold together").to_json()})
            out[metric] = {"result": self.results[-1, metric], "p": self.p[-1, metric], "total": shift.measurement(0.95, "last stretch against the first").to_json(), "points": points}
        return out

    def _summary(self, rows: Sequence[Mapping[str, Any]]) -> str:
        count = f"{len(rows)} deploy{'s' if len(rows) != 1 else ''}"
        named = [r for r in rows if r["result"] in (WORSE, BETTER)]
        each = "; ".join(f"{r['what']}: {r['result']}, {_best(r)}" for r in named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        metric = next((m for m in METRICS if self.results.get((-1, m)) in (WORSE, BETTER)), next(iter(self.total), ""))
        if not metric:
            return f"inconclusive: too little between {count} to tell"
        total = self.total[metric]
        name = "typical duration" if metric == "typical" else metric
        sum_ = f"{name} {signed(math.expm1(total.effect))} from the first stretch to the last"
        word = self.word(-1)
        if word in (WORSE, BETTER):
            return f"{word} after {count}: {sum_}" + (f"; {each}" if each else "; no single deploy is to blame: each step is too small to be told alone")
        if named:
            return f"{count}: {each}; over all of them {word} ({sum_})"
        return f"{word} over {count}: {sum_}" if word == SAME else f"inconclusive over {count}: {sum_}, and no step stands out"


def _best(row: Mapping[str, Any]) -> str:
    metric = next(m for m in METRICS if m in row and row[m]["result"] in (WORSE, BETTER))
    return f"{'typical duration' if metric == 'typical' else metric} {signed(row[metric]['shift']['value'])}"


def _step(lengths: Sequence[float]) -> int:
    """Seconds a bin: one length for all stretches, so that they share their autocorrelation; the shortest has 40 where the longest then keeps within 1,500."""
    wanted = max(min(lengths) / 40, max(lengths) / 1500)
    return max((s for s in STEPS if s <= wanted), default=STEPS[0])


def _size(arm: Arm) -> int:
    """Bins that make one, so that a bin holds two requests on average (as between two arms)."""
    return max(1, math.ceil(2 * arm.bins / max(1, sum(p.requests for p in arm.parts.values()))))
