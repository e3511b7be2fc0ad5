"""``comparison``: two arms, their routes and their total at an equal mix, as it stands in the result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from perfaudit.baseline.stream import Key
from perfaudit.comparison import coverage
from perfaudit.comparison import load as loads
from perfaudit.comparison.arms import Arm
from perfaudit.comparison.decide import Answer, adjusted, failed_more, result_of, together
from perfaudit.comparison.sample import Sample
from perfaudit.comparison.shift import BETTER, DECIDING, METRICS, NAMES, OPEN, QUANTILES, SAME, WORSE, Least, Shift
from perfaudit.model import Measurement, iso
from perfaudit.stats.percentile import wilson

#: A route below this share of the requests and of the time of both arms is listed, not judged (the common bar of relevance).
RELEVANT = 0.01
#: Requests a time bin holds on average at least: the variance comes from the slowest waves over the bins, which finer ones do not change.
PER_BIN = 2
#: Fewer requests than this of a route say nothing (as in the account of time).
LEAST_REQUESTS = 20
#: Share of the error rate that the total gets; the routes, which say where, get the rest.
TOTAL = 1 / 3
#: A percentile is a question where this many requests of the smaller arm lie beyond it on average: with fewer, it only costs the others power.
BEYOND = 20
#: Beyond, how many times is no information: one of the figures is next to nothing.
MANY = 1_000
#: Time bins without which nothing can be said of autocorrelation.
LEAST_BINS = 8


@dataclass(frozen=True)
class Pair:
    """A route in both arms. ``weights``: its share of the requests of each arm; ``relevant``: it owns enough of requests or time to matter;
    ``owned``: mean of its shares of the requests and of the time of both arms together."""

    key: Key
    a: Sample
    b: Sample
    weights: tuple[float, float]
    relevant: bool
    owned: float


def pairs(a: Arm, b: Arm, keys: Sequence[Key]) -> list[Pair]:
    """Every route that both arms hold, in the order of ``keys``."""
    out = []
    spent = [sum(p.seconds for p in arm.parts.values()) for arm in (a, b)]
    counted = [max(1, sum(arm.parts[k].requests for k in keys)) for arm in (a, b)]
    for key in keys:
        pa, pb = a.parts[key], b.parts[key]
        size = _size(a, b, min(pa.requests, pb.requests))
        weights = (pa.requests / counted[0], pb.requests / counted[1])
        times = [p.seconds / s if s > 0 else w for p, s, w in zip((pa, pb), spent, weights, strict=True)]
        owned = (pa.requests + pb.requests) / sum(counted) / 2 + ((pa.seconds + pb.seconds) / sum(spent) if sum(spent) > 0 else sum(weights) / 2) / 2
        out.append(Pair(key, Sample((pa,), (1.0,), size), Sample((pb,), (1.0,), size), weights, max(*weights, *times) >= RELEVANT, max(owned, 1e-6)))
    return out


def _size(a: Arm, b: Arm, least: int) -> int:
    return max(1, math.ceil(PER_BIN * min(a.bins, b.bins) / max(1, least)))


def totals(a: Arm, b: Arm, found: Sequence[Pair]) -> list[tuple[Sample, Sample]]:
    """Both arms at A's mix, and both at B's."""
    size = _size(a, b, min(sum(p.a.requests for p in found), sum(p.b.requests for p in found)))
    parts = [[arm.parts[p.key] for p in found] for arm in (a, b)]
    return [(Sample(parts[0], w, size), Sample(parts[1], w, size)) for w in ([p.weights[i] for p in found] for i in (0, 1))]


def pooled(a: Arm, b: Arm, found: Sequence[Pair]) -> tuple[Sample, Sample]:
    """Both arms at their own mix: what a look at the totals would show."""
    (own, _), (_, other) = totals(a, b, found)
    return own, other


def askable(a: Sample, b: Sample) -> list[str]:
    """The metrics for which both samples can have a finite interval: enough requests over enough time bins; errors where there is one."""
    if min(a.bins, b.bins) < LEAST_BINS or min(a.requests, b.requests) < LEAST_REQUESTS:
        return []
    n = min(a.n, b.n)
    failed = any(p.errors.any() for s in (a, b) for p in s.parts)
    least = {"typical": LEAST_REQUESTS} | {name: needed(q) for name, q in QUANTILES.items()}
    return [m for m in METRICS if (failed if m == "errors" else n >= least[m])]


def needed(q: float) -> int:
    """Independent requests without which the ``q``-quantile has no finite two-sided 95 % interval: 72 for p95, 368 for p99 (Hahn & Meeker 1991)."""
    return max(math.ceil(math.log(0.025) / math.log(q)), math.ceil(math.log(0.025) / math.log(1 - q))) if 0 < q < 1 else 1


@dataclass
class Compared:
    """Everything that was compared: shifts per route and for the total (at A's and at B's mix), and the answers."""

    a: Arm
    b: Arm
    found: list[Pair]
    routes: dict[Key, dict[str, Shift]]
    total: dict[str, tuple[Shift, Shift]]
    answers: dict[Key | None, Answer]
    adjusted: dict[tuple[Key | None, str], float]
    least: Least
    concurrent: bool

    @property
    def result(self) -> str:
        """Worse before better, over the total and every route; no practical difference where the total and every judged route that could tell say so."""
        words = [a.result for a in self.answers.values()]
        if WORSE in words:
            return WORSE
        if BETTER in words:
            return BETTER
        total = self.answers.get(None)
        return SAME if total is not None and total.result == SAME and not coverage.too_much(self.left) else OPEN

    @cached_property
    def left(self) -> dict[str, Any]:
        """What no figure tells of: routes of one arm, and those that matter and are too rare in one to be judged."""
        told = {p.key for p in self.found if not p.relevant or min(p.a.requests, p.b.requests) >= LEAST_REQUESTS}
        return coverage.uncompared(self.a.source, self.b.source, told)

    def named(self, word: str) -> list[Key]:
        """The routes with this result."""
        return [k for k, a in self.answers.items() if k is not None and a.result == word]


def compare(a: Arm, b: Arm, keys: Sequence[Key], least: Least, *, concurrent: bool = False) -> Compared:
    """Judge B against A on ``keys``. ``concurrent``: both arms have the same time bins."""
    found = pairs(a, b, keys)
    routes = {p.key: {m: Shift(m, p.a, p.b, least, concurrent) for m in askable(p.a, p.b)} for p in found if p.relevant}
    total: dict[str, tuple[Shift, Shift]] = {}
    if found:
        (aa, ba), (ab, bb) = totals(a, b, found)
        for m in askable(aa, ba):
            first = Shift(m, aa, ba, least, concurrent)
            total[m] = first, first if len(found) == 1 else Shift(m, ab, bb, least, concurrent)
    questions: list[tuple[Key | None, str, tuple[Shift, ...]]] = [(None, m, total[m]) for m in asked_of(s[0] for s in total.values())]
    if len(found) > 1 or not total:
        questions += [(k, m, (by[m],)) for k, by in routes.items() for m in asked_of(by.values())]
    asked = {key: sum(k == key for k, _, _ in questions) for key in {k for k, _, _ in questions}}
    owned = {pair.key: pair.owned for pair in found}
    weights = [(TOTAL if key is None else (1 - TOTAL) * owned[key]) / asked[key] for key, _, _ in questions]
    p = adjusted([max(s.p for s in shifts) for _, _, shifts in questions], weights)
    results: dict[Key | None, dict[str, str]] = {}
    for (key, metric, shifts), adjusted_p in zip(questions, p, strict=True):
        results.setdefault(key, {})[metric] = result_of(shifts, adjusted_p)
    if len(found) == 1 and total and found[0].relevant:
        results[found[0].key] = dict(results[None])
    errors: dict[Key | None, Shift] = {key: by["errors"] for key, by in routes.items() if "errors" in by}
    if "errors" in total:
        errors[None] = total["errors"][0]
    answers = {key: together(by, failed_more=failed_more(errors.get(key), by.get("errors", OPEN))) for key, by in results.items()}
    return Compared(a, b, found, routes, total, answers, {(k, m): x for (k, m, _), x in zip(questions, p, strict=True)}, least, concurrent)


def asked_of(shifts: Iterable[Shift]) -> list[str]:
    """The metrics that a result is decided from: those of :data:`DECIDING` with enough behind them."""
    return [s.metric for s in shifts if s.metric in DECIDING and min(s.a.n, s.b.n) * (1 - QUANTILES.get(s.metric, 0.0)) >= (BEYOND if s.metric in QUANTILES else 0)]


# -------------------------------------------------------------------- the form of the result


def part(compared: Compared, kind: str, only: Mapping[str, Iterable[Key]], notes: Sequence[str] = ()) -> dict[str, Any]:
    """``comparison`` of the result, without what environments and deploys add."""
    load = loads.compare(compared.a, compared.b, canary=kind == "canary")
    out: dict[str, Any] = {
        "as": kind,
        "result": compared.result,
        "summary": "",
        "arms": [arm_part(label, arm) for label, arm in zip("AB", (compared.a, compared.b), strict=True)],
        "least": least_part(compared.least),
        "metrics": [_total(compared, m) for m in compared.total],
        "routes": [_route(compared, p) for p in compared.found],
        "mix": _mix(compared),
        "load": load,
        "uncompared": compared.left,
        "only_in": {arm: [{"method": m or "-", "route": r or "(unreadable)"} for m, r in sorted(keys)] for arm, keys in only.items()},
        "error_rate": {"alpha": 0.05, "questions": sum(len(a.results) for a in compared.answers.values()), "method": "Holm over all metrics of all routes and of the total"},
        "notes": list(notes),
    }
    unlike = "" if load["like_for_like"] or kind == "canary" else load["note"]
    out["summary"] = "; ".join(filter(None, [summary(compared), unlike, coverage.said(compared.left, (compared.a.name, compared.b.name))]))
    return out




def arm_part(label: str, arm: Arm) -> dict[str, Any]:
    """One of ``arms``."""
    n = arm.source.requests
    return {
        "arm": label, "name": arm.name, "window": {"start": iso(arm.window.start), "end": iso(arm.window.end)}, "requests": n,
        "rate": Measurement(n / arm.window.seconds, "1/s", n=n, method="arrivals over the window", query=f"SELECT count(*) / {arm.window.seconds:.6f} AS per_s FROM requests WHERE {arm.source.where() or 'true'}").to_json(),
    }  # fmt: skip


def least_part(least: Least) -> dict[str, Any]:
    """``least``: the least practical differences."""
    return {"share": least.share, "duration_ms": least.micros / 1e3, "errors": least.errors}


def _figures(compared: Compared, shift: Shift, key: Key | None) -> dict[str, Any]:
    """``a``, ``b`` and ``shift`` of one metric as measurements."""
    out: dict[str, Any] = {}
    for name, arm, sample, e in zip("ab", (compared.a, compared.b), (shift.a, shift.b), shift.estimates(), strict=True):
        where = arm.source.where(key) or "true"
        if shift.metric == "errors":
            query = f"SELECT avg((status >= 500)::INT) AS share FROM requests WHERE {where}"
            out[name] = Measurement(e.value, "share", (e.low, e.high), n=sample.requests, method="Wilson on the effective sample size", query=query if key else "").to_json()
        else:
            query = f"SELECT quantile_disc(duration_us, {QUANTILES[shift.metric]}) / 1e3 AS ms FROM requests WHERE {where}" if shift.metric in QUANTILES else f"SELECT exp(avg(ln(greatest(duration_us, {sample.least:g})))) / 1e3 AS ms FROM requests WHERE {where}"
            method = "order statistics on the effective sample size" if shift.metric in QUANTILES else "geometric mean, long-run variance"
            out[name] = Measurement(e.value / 1e3, "ms", _ms(e.low, e.high), n=sample.n, method=method, query=query if key else "").to_json()
    out["shift"] = shift.measurement().to_json()
    return out


def _ms(*ends: float | None) -> tuple[float | None, float | None]:
    return tuple(None if e is None else e / 1e3 for e in ends)  # type: ignore[return-value]


def _total(compared: Compared, metric: str) -> dict[str, Any]:
    at_a, at_b = compared.total[metric]
    own = Shift(metric, *pooled(compared.a, compared.b, compared.found), compared.least, compared.concurrent)
    answer = compared.answers.get(None)
    out: dict[str, Any] = {"metric": metric, "name": NAMES.get(metric, metric)}
    if answer and metric in answer.results:
        out |= {"result": answer.results[metric], "p": compared.adjusted[(None, metric)]} | _would(at_a)
    return out | {"at_mix_of_a": _figures(compared, at_a, None), "at_mix_of_b": _figures(compared, at_b, None), "pooled": _figures(compared, own, None)}


def _would(shift: Shift) -> dict[str, Any]:
    """What could be found, and how much longer both arms would have to be to find the least practical difference."""
    out: dict[str, Any] = {}
    if shift.detectable is not None:
        value = shift.detectable if shift.metric == "errors" else math.expm1(min(shift.detectable, 50.0))
        out["detectable"] = Measurement(value, "share of requests" if shift.metric == "errors" else "share of A", method="found with a chance of 80 % at the 95 % level", n=min(shift.a.n, shift.b.n)).to_json()
    if shift.times_longer is not None:
        out["needed"] = {"times": shift.times_longer, "requests": math.ceil(min(shift.a.requests, shift.b.requests) * min(shift.times_longer, 1e9))}
    return out


def _route(compared: Compared, pair: Pair) -> dict[str, Any]:
    answer = compared.answers.get(pair.key)
    shifts = compared.routes.get(pair.key, {})
    method, route = pair.key
    out: dict[str, Any] = {
        "method": method or "-", "route": route or "(unreadable)", "result": answer.result if answer else OPEN, "reason": _reason(compared, pair, answer),
        "weights": {"a": pair.weights[0], "b": pair.weights[1]}, "requests": {"a": pair.a.requests, "b": pair.b.requests},
    }  # fmt: skip
    for metric in shifts:
        row = _figures(compared, shifts[metric], pair.key)
        if answer and metric in answer.results:
            row |= {"result": answer.results[metric]} | _would(shifts[metric])
        out[metric] = row
    if "errors" not in shifts:
        out["errors"] = {n: Measurement(k / c, "share", wilson(k, c), n=c, method="Wilson").to_json() for n, s in (("a", pair.a), ("b", pair.b)) if (c := s.requests) and ((k := int(s.parts[0].errors.sum())) >= 0)}
    if answer and answer.result == OPEN:
        slow = [s.times_longer for m, s in shifts.items() if answer.results.get(m) == OPEN and s.times_longer]
        if slow:
            out["needed_times"] = max(slow)
    return out


def _reason(compared: Compared, pair: Pair, answer: Answer | None) -> str:
    if not pair.relevant:
        return "owns less than 1 % of the requests and of the time: not judged"
    if not answer or not answer.results:
        return f"too few requests to judge ({pair.a.requests:,} and {pair.b.requests:,}, in {min(pair.a.bins, pair.b.bins)} time bins)"
    shifts = compared.routes[pair.key]
    if answer.metric:
        return told(shifts[answer.metric])
    if answer.result == SAME:
        missing = [m for m in ("p95", "p99") if m not in answer.results]
        return "every interval lies within the least practical difference" + (f"; too few requests for {' and '.join(missing)}" if missing else "")
    open_ = [m for m, r in answer.results.items() if r == OPEN]
    seen = [s.detectable for m in open_ if (s := shifts[m]).detectable is not None and m != "errors"]
    found = f"; a difference of {percent(math.expm1(min(max(seen), 50.0)))} would have been found" if seen else ""
    return f"{', '.join(open_)} cannot be told{found}"


def told(shift: Shift) -> str:
    """``p95 313 ms → 2,800 ms (+794 %, at least +320 %)`` for a shift that decided."""
    a, b = shift.estimates()
    _, low, high = shift.interval(0.95)
    name = "typical duration" if shift.metric == "typical" else "errors" if shift.metric == "errors" else shift.metric
    if shift.metric == "errors":
        return f"{name} {percent(a.value)} → {percent(b.value)}"
    sure = low if shift.effect > 0 else high
    return f"{name} {_size_ms(a.value)} → {_size_ms(b.value)} ({signed(math.expm1(shift.effect))}" + (f", at least {signed(math.expm1(sure))})" if sure is not None and sure * shift.effect > 0 else ")")


def _size_ms(micros: float) -> str:
    return f"{micros / 1e3:,.0f} ms" if micros >= 1e5 else f"{micros / 1e3:.3g} ms"


def percent(share: float) -> str:
    """A share or a change for a sentence; from ten times on, how many times."""
    if share >= MANY:
        return f"more than {MANY:,} times"
    return f"{share + 1:,.0f} times" if share >= 9 else f"{share * 100:.0f} %" if share >= 0.0095 else f"{share * 100:.2g} %"


def signed(change: float) -> str:
    """A change with its sign: ``+45 %``; from ten times on, how many times."""
    return percent(change) if change >= 9 else f"{'−' if change < 0 else '+'}{abs(change) * 100:.0f} %"


def _mix(compared: Compared) -> dict[str, Any]:
    """How far the mixes lie apart (half the sum of the differences of weights), and whether that alone moved the totals."""
    a, b = compared.a.source, compared.b.source
    counts = [{k: t.count / max(1, s.requests) for k, t in s.totals.items()} for s in (a, b)]
    distance = sum(abs(counts[0].get(k, 0.0) - counts[1].get(k, 0.0)) for k in sorted(set(a.totals) | set(b.totals))) / 2
    out: dict[str, Any] = {"distance": Measurement(distance, "share of requests", n=a.requests, method="half the sum of differences of route shares, over the routes of both").to_json()}
    said = []
    if compared.found:
        own = pooled(compared.a, compared.b, compared.found)
        for metric in compared.total:
            whole, fixed = Shift(metric, *own, compared.least, compared.concurrent).effect, [s.effect for s in compared.total[metric]]
            if all(f * whole < 0 for f in fixed) and abs(whole) >= compared.total[metric][0].bound:
                said.append(f"{metric}: pooled B looks {'worse' if whole > 0 else 'better'}, at an equal mix it is {'worse' if fixed[0] > 0 else 'better'} (Simpson's paradox)")
    out["paradox"] = said
    return out


def summary(compared: Compared) -> str:
    """The answer in a line."""
    a, b = compared.a.name, compared.b.name
    result = compared.result
    if result in (WORSE, BETTER):
        routes = compared.named(result)
        reasons = [f"{m} {r}: {told(compared.routes[(m, r)][compared.answers[(m, r)].metric])}" for m, r in routes[:3]]
        total = compared.answers.get(None)
        if total and total.result == result and not reasons:
            reasons = ["all routes together: " + told(compared.total[total.metric][0])]
        more = f" and {len(routes) - 3} more" if len(routes) > 3 else ""
        other = compared.named(BETTER) if result == WORSE else []
        mixed = f"; {len(other)} {'route is' if len(other) == 1 else 'routes are'} better" if other else ""
        return f"{b} is {result} than {a}: {'; '.join(reasons)}{more}{mixed}"
    if result == SAME:
        left = len([p for p in compared.found if p.relevant and (p.key not in compared.answers or compared.answers[p.key].result == OPEN)])
        return f"no practical difference between {a} and {b} over all routes" + (f"; {left} {'route' if left == 1 else 'routes'} could not be told alone" if left else "")
    return f"inconclusive: {_undecided(compared)}"


def _undecided(compared: Compared) -> str:
    if not compared.total:
        n = min(compared.a.source.requests, compared.b.source.requests)
        return f"too little to compare ({n:,} requests in the smaller arm, {min(compared.a.bins, compared.b.bins)} time bins)"
    answer = compared.answers[None]
    if answer.result == SAME:
        return "no practical difference on the routes that both hold often enough, but they are not all"
    open_ = [m for m in answer.results if answer.results[m] == OPEN] or list(answer.results)
    shifts = [compared.total[m][0] for m in open_]
    seen = [f"{s.metric} changes of {percent(s.detectable if s.metric == 'errors' else math.expm1(min(s.detectable, 50.0)))}" for s in shifts if s.detectable is not None]
    times = max((s.times_longer for s in shifts if s.times_longer), default=None)
    minutes = times * min(compared.a.window.seconds, compared.b.window.seconds) / 60 if times else None
    return f"this evidence finds {', '.join(seen[:3])} and more" + (f"; {minutes:,.0f} minutes per arm would decide at {percent(compared.least.share)}" if minutes and minutes < 1e6 else "")
