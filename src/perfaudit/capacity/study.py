"""From points, evidence and an audit's result to the ``capacity`` part of a result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from perfaudit.baseline import load_test
from perfaudit.baseline import tiers as tiering
from perfaudit.capacity import demands, objective, observed, pools
from perfaudit.capacity.answer import Answer, Facts, decide, fallen, now, serial
from perfaudit.capacity.points import Points
from perfaudit.config import Objective
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Measurement, Window
from perfaudit.stats import usl
from perfaudit.stats.percentile import Interval

#: Points of the curve, and of the measurements, that a result holds: a chart shows no more.
CURVE, MOST_POINTS = 30, 400
#: An interval in twenty may stand out by chance.
NEARLY_ALL = 0.95
#: A level beyond a knee takes two runs: one has no neighbour that says the same.
LEAST_FLAT = 2
#: A queue that grows over fewer intervals is a burst; by fewer standard deviations it is chance (the largest of some hundred walks reaches 3.5).
LEAST_GROWTH, GROWN = 3, 4.0
#: A queue that grows while less than this share of the plateau is served comes from a fault, not from too much to do.
FULL = 0.9
#: What is served is told of the part of its growth in which four fifths of it came.
QUEUED = 0.8
#: Intervals of a recording from which the quietest are taken for the time that a request holds a worker: until they have a twentieth of all
#: requests, and 200 (a mean of exponential times is then known to ± 14 %).
HOLD_INTERVALS, HOLD_SHARE, HOLD_REQUESTS = 60, 20, 200
#: The quantile of a table and of a load test's stages.
MEASURED = 0.95
_USL = "scalability law, least squares in X; resampled residuals"


@dataclass(frozen=True)
class Study:
    """Everything found; ``part`` is its form in the result."""

    facts: Facts
    answer: Answer
    pools: tuple[dict[str, Any], ...] = ()
    unit_cost: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def of_points(points: Points, wanted: Objective | None, *, why_not: str = "", **known: Any) -> Facts:
    """The facts that points can give, beside what is ``known`` of them. Raises ``ValueError`` as :func:`perfaudit.stats.usl.fit` for values that are no loads."""
    law = usl.fit(points.load, points.throughput, block=points.block) if not why_not else usl.Refusal(why_not, "record while arrivals vary at least threefold (a day with its night), or run a load test with six steps")
    plateau, carried = saturation(points, law), None
    if plateau is not None and not points.runs:
        plateau, carried = overfull(points.whole or points, plateau.value), now(points)[1]
    if plateau is not None:
        carried = None
    elif carried is not None:
        law = usl.Refusal(f"throughput was as large as arrivals up to the largest ones ({carried:,.4g}/s), and no queue kept growing: where it ends was not seen, and the scalability law would extrapolate a fall", "record while more arrives than is served, or run a load test up to that point")
    if plateau is not None:
        law = usl.Refusal(f"throughput stops growing at {plateau.value:,.4g}/s, more sharply than the scalability law can follow: it would extrapolate a fall that was not seen", "the rate at which it stops is the answer; nothing more needs to be fitted")
    facts = Facts(points, law, saturation=plateau, carried=carried, why_not=why_not, **known)
    if wanted is None or not np.isfinite(points.measured).any():
        return replace(facts, objective=wanted.text if wanted else "")
    if points.runs and (wanted.kind != "latency" or wanted.quantile != MEASURED or wanted.route):
        return replace(facts, objective=wanted.text, unjudged="what was measured at these loads is the 95th percentile of all requests, which says nothing of that")
    bound = wanted.bound / 1e3 if wanted.kind == "latency" else wanted.bound
    if why_not:
        return replace(facts, objective=wanted.text, bound=bound, capacity=_kept(points, bound))
    imposed = points.load if points.arrivals is None else points.arrivals
    capacity = objective.largest(imposed, points.measured, bound, block=points.block)
    beyond = None
    if capacity is not None and capacity.kept == "all" and isinstance(law, usl.Scalability) and wanted.kind == "latency":
        load, _ = now(points)
        top = points.load >= np.quantile(points.load, 0.9)
        beyond = objective.modelled(law, float(np.nanmedian(points.measured[top])), load, bound)
    return replace(facts, objective=wanted.text, bound=bound, capacity=capacity, beyond=beyond)


def saturation(points: Points, law: usl.Scalability | usl.Refusal) -> Interval | None:
    """Where throughput levels off: its median beyond the knee, with the middle 95 % of the points there. A queue for a full server has a
    sharp knee; the law bends it into a fall that was not seen. None where no peak was passed, or where throughput really fell."""
    if not isinstance(law, usl.Scalability) or law.peak_load is None or fallen(points, law.peak_load.value):
        return None
    start = _knee(points, law) if points.runs else law.peak_load.value
    if start is None or start >= points.load.max():
        return None
    top = points.throughput[points.load >= start]
    low, high = np.quantile(top, [0.025, 0.975], method="inverted_cdf")
    return Interval(float(np.median(top)), float(low), float(high))


def overfull(points: Points, level: float) -> Interval | None:
    """What was served while a queue kept growing at (nearly) ``level`` per second or more; None where none did. The growth of requests in flight over
    neighbouring intervals is held against that of arrivals and completions that are equal and independent: √(2m) for m of each."""
    assert points.arrivals is not None
    growth = (points.arrivals - points.throughput) * points.step
    follows = np.diff(points.time, prepend=points.time[:1]) == round(points.step * 1e6)
    found: tuple[float, int, int] = (0.0, 0, 0)
    rise, first = 0.0, 0
    for i in range(len(growth)):
        if rise <= 0 or not follows[i]:
            rise, first = 0.0, i
        rise += float(growth[i])
        if i + 1 - first < LEAST_GROWTH:
            continue
        served = points.throughput[first : i + 1]
        if float(np.median(served)) >= FULL * level and rise > max(found[0], GROWN * math.sqrt(2 * float(served.sum()) * points.step)):
            found = rise, first, i + 1
    if not found[0]:
        return None
    begun = np.cumsum(growth[found[1] : found[2]]) >= found[0] * (1 - QUEUED)  # before that the queue was still short
    served = points.throughput[found[1] : found[2]][begun]
    low, high = np.quantile(served, [0.025, 0.975], method="inverted_cdf")
    return Interval(float(np.median(served)), float(low), float(high))


def _knee(points: Points, law: usl.Scalability) -> float | None:
    """The load at which two straight lines, X = min(a·N, C), bend, where they fit separate runs better than the law with its three parameters."""
    order = np.argsort(points.load, kind="stable")
    n, x = points.load[order], points.throughput[order]
    best, at = float(np.sum((law.predicted(n) - x) ** 2)), None
    for k in range(1, len(n) - LEAST_FLAT + 1):
        slope, level = float(n[:k] @ x[:k] / (n[:k] @ n[:k])), float(x[k:].mean())
        loss = float(np.sum((np.minimum(slope * n, level) - x) ** 2))
        if loss < best:
            best, at = loss, level / slope
    return at


def _kept(points: Points, bound: float) -> objective.Capacity | None:
    """Whether a bound was kept, or broken, in (nearly) all intervals: all that can be said where load did not vary."""
    known = points.measured[np.isfinite(points.measured)]
    share = float(np.mean(known <= bound))
    if NEARLY_ALL > share > 1 - NEARLY_ALL:
        return None
    return objective.Capacity("all" if share >= NEARLY_ALL else "none", None, len(known), f"{share:.0%} of {len(known)} intervals keep it; load hardly varied")


def of_evidence(evidence: Evidence, window: Window, wanted: Objective | None, audited: Mapping[str, Any]) -> Facts:
    """The facts of a recording: its intervals, its stations, and what the audit's result says of it."""
    verdict = audited.get("verdict", {})
    unlocked = any(serial(c["problem"]) and c["outcome"] == "clear" for c in audited.get("checks", []))
    tiers = tiering.find(evidence)
    points = observed.observe(evidence, tiers.condition, window, wanted)
    why_not = points if isinstance(points, str) else observed.undriven(points)
    tests = load_test.find(evidence.bundle)
    stages = observed.staged(evidence, [j.run.tests for j in tests.all if j.trusted and j.model == "closed"] if tests else [])
    if stages is not None and (why_not or stages.load.max() >= usl.LEAST_SPAN * stages.load.min()):
        return of_points(stages, wanted, verdict=verdict, unlocked=unlocked)
    if isinstance(points, str):
        return Facts(verdict=verdict, unlocked=unlocked, why_not=why_not)
    return of_points(points, wanted, verdict=verdict, unlocked=unlocked, stations=tuple(demands.stations(evidence, points)), why_not=why_not)


def study(facts: Facts, asked: Iterable[pools.Pool] = (), unit_cost: dict[str, Any] | None = None, notes: Iterable[str] = ()) -> Study:
    """The answer to the facts, and the pools beside it."""
    found = tuple(pools.judge(pool) for pool in asked)
    return Study(facts, decide(facts), found, unit_cost or {}, (*(facts.points.notes if facts.points else ()), *notes))


def filled(pool: pools.Pool, evidence: Evidence, window: Window) -> pools.Pool:
    """``pool`` with what the evidence knows: arrivals per second, how long a request holds a worker, and how both vary."""
    if pool.rate > 0 and pool.hold > 0:
        return pool
    condition = tiering.find(evidence).condition
    where = f"{condition} AND {within(window)} AND duration_us > 0 AND status <> 101"
    n, first, last = evidence.one(f"SELECT count(*), epoch_us(min(time)), epoch_us(max(time)) FROM requests WHERE {where}")
    if not n or last <= first:
        return pool
    rate, source = pool.rate, "rate given"
    if rate <= 0:
        # The busiest tenth of the seconds is what a pool must carry.
        (rate,) = evidence.one(f"SELECT quantile_disc(n, 0.9) FROM (SELECT count(*) AS n FROM requests WHERE {where} GROUP BY epoch_us(time) // 1000000)")
        source = "rate: busiest tenth of the seconds"
    if pool.hold > 0:
        return replace(pool, rate=float(rate), source=f"{source}; hold given")
    # Where least arrives least is waited for: the quietest intervals, until they hold enough requests.
    length = max(1_000_000, (last - first) // HOLD_INTERVALS)
    mean, spread, most, least = evidence.one(f"""WITH r AS (SELECT duration_us, epoch_us(time) // {length} AS bin FROM requests WHERE {where}),
c AS (SELECT bin, count(*) AS n FROM r GROUP BY 1), q AS (SELECT bin, n, sum(n) OVER (ORDER BY n, bin) - n AS before FROM c)
SELECT avg(duration_us), var_pop(duration_us), any_value(most), max(q.n) FROM r JOIN q USING (bin), (SELECT quantile_disc(n, 0.95) AS most FROM c)
WHERE q.before < {max(HOLD_REQUESTS, int(n) // HOLD_SHARE)}""")
    hold, cv2 = float(mean) / 1e6, float(spread) / float(mean) ** 2
    quiet = most >= usl.LEAST_SPAN * least
    said = "mean duration of a request in the quietest intervals" if quiet else "mean duration of a request; load hardly varied, so it may include waiting, and is an upper bound"
    return replace(pool, rate=float(rate), hold=hold, hold_cv2=cv2, source=f"{source}; hold: {said}", served=True)


# ------------------------------------------------------------------ the part of the result


def part(found: Study) -> dict[str, Any]:
    """``capacity`` of the result; keys that say nothing are absent."""
    facts = found.facts
    out: dict[str, Any] = {"answer": found.answer.answer, "reason": found.answer.reason}
    if found.answer.todo:
        out["todo"] = found.answer.todo
    if facts.points is not None and len(facts.points.load):
        out |= _loads(facts.points)
    if isinstance(facts.law, usl.Refusal):
        out["refused"] = {"reason": facts.law.reason, "todo": facts.law.todo}
    elif facts.law is not None and facts.points is not None:
        out |= _law(facts.law, facts.points)
    if facts.carried is not None and facts.points is not None:
        out["carried"] = measured(Interval(facts.carried, facts.carried, None), "1/s", len(facts.points.load), "95th percentile of the intervals: a lower bound, no queue kept growing", facts.points.query)
    if facts.saturation is not None and facts.points is not None:
        out["saturation"] = measured(facts.saturation, "1/s", len(facts.points.load), "median throughput beyond the knee, or while a queue kept growing, and the middle 95 % there", facts.points.query)
    if facts.objective:
        out["at_objective"] = _objective(facts)
    out |= {key: value for key, value in (("fixing", _fixing(facts)), ("demands", [_station(s, facts) for s in facts.stations]), ("pools", list(found.pools)), ("unit_cost", found.unit_cost), ("notes", list(found.notes))) if value}
    return out


def measured(interval: Interval, unit: str, n: int, method: str, query: str = "") -> dict[str, Any]:
    """A measurement of an estimate with its interval."""
    return Measurement(interval.value, unit, (interval.low, interval.high), n=n, method=method, query=query).to_json()


def _loads(points: Points) -> dict[str, Any]:
    load, x = now(points)
    largest = float(points.load.max())
    out: dict[str, Any] = {
        "unit": points.unit,
        "limits": {"smallest": float(points.load.min()), "largest": largest, "reach": usl.REACH * largest, "distinct": usl.distinct(points.load), "points": len(points.load)},
        "now": {"load": load, "throughput": Measurement(x, "1/s", n=len(points.load), method="largest load" if points.sized else "95th percentile of the intervals", query=points.query).to_json()},
    }
    order = np.argsort(points.load, kind="stable")
    order = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_POINTS, len(order))).round().astype(int))]
    out["points"] = [{"load": float(points.load[i]), "throughput": float(points.throughput[i])} | ({"measured": float(points.measured[i])} if np.isfinite(points.measured[i]) else {}) for i in order]
    return out


def _law(law: usl.Scalability, points: Points) -> dict[str, Any]:
    n, unit = law.n, points.unit
    fitted: dict[str, Any] = {
        "gamma": measured(law.gamma, f"1/s per {unit}", n, _USL, points.query),
        "sigma": measured(law.sigma, "1", n, _USL),
        "kappa": measured(law.kappa, "1", n, _USL),
        "identified": {"sigma": law.contention, "kappa": law.coherency},
        "error": Measurement(law.error, "share", n=n, method="root mean square residual over mean throughput").to_json(),
    }
    if law.peak_load and law.peak_throughput:
        fitted |= {"peak_load": measured(law.peak_load, unit, n, _USL), "peak_throughput": measured(law.peak_throughput, "1/s", n, _USL)}
    load, _ = now(points)
    end = min(2 * load, law.reach)
    doubling = {"from": load, "to": end, "throughput": measured(law.predict(end), "1/s", n, _USL), "gain": measured(law.gain(load, end), "times", n, _USL)}
    grid = np.union1d(np.geomspace(law.smallest, law.reach, CURVE), np.linspace(law.smallest, law.reach, CURVE))
    curve = [{"load": float(at), "throughput": p.value, "low": p.low, "high": p.high} for at in grid if (p := law.predict(float(at)))]
    return {"usl": fitted, "doubling": doubling, "curve": curve}


def _objective(facts: Facts) -> dict[str, Any]:
    out: dict[str, Any] = {"objective": facts.objective} | ({"bound": facts.bound} if facts.bound else {})
    capacity, points = facts.capacity, facts.points
    if capacity is None or points is None:
        return out | {"kept": "unknown", "reason": facts.unjudged or facts.why_not or "no latency was measured at these loads"}
    out |= {"kept": capacity.kept, "reason": capacity.method}
    unit = points.unit if points.arrivals is None else "1/s"
    if capacity.load is not None:
        out["load"] = measured(capacity.load, unit, capacity.n, capacity.method, points.query)
    if facts.beyond is not None:
        out["modelled"] = measured(facts.beyond, "1/s", capacity.n, "latency grown with N/X(N) of the law, up to twice the largest load seen")
    return out


def _fixing(facts: Facts) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    verdict = facts.verdict
    if verdict.get("status") == "constraint" and (predicted := verdict.get("predicted", {}).get("duration_ms")):
        out.append({"what": str(verdict["problem"]), "duration_ms": predicted})
    if isinstance(facts.law, usl.Scalability) and facts.points is not None:
        load, _ = now(facts.points)
        at = facts.law.predict(load).value
        for what, identified, gone in (
            ("contention (σ → 0)", facts.law.contention, facts.law.without(load, contention=True)),
            ("coherency (κ → 0)", facts.law.coherency, facts.law.without(load, coherency=True)),
        ):
            if identified:
                gain = Interval(gone.value / at, None if gone.low is None else gone.low / at, None if gone.high is None else gone.high / at)
                out.append({"what": what, "throughput": measured(gone, "1/s", facts.law.n, _USL), "gain": measured(gain, "times", facts.law.n, _USL)})
    return out


def _station(station: demands.Station, facts: Facts) -> dict[str, Any]:
    method = "non-negative least squares of CPU seconds on completions; moving blocks" if station.attributed else "utilisation law, U/X: everything that ran there"
    ms = Interval(*(None if v is None else v * 1e3 for v in station.demand))  # type: ignore[arg-type]
    row: dict[str, Any] = {"station": station.name, "level": station.level, "demand": measured(ms, "ms", station.n, method), "idle": measured(station.idle, "busy servers", station.n, method)}
    row["busy"] = Measurement(station.busy, "busy servers", n=station.n, method="at the busiest load").to_json()
    row["attributed"] = station.attributed
    row["explained"] = Measurement(station.explained, "share", n=station.n, method="R²").to_json()
    if station.servers is not None:
        row["servers"] = station.servers
    if station.utilisation is not None:
        row["utilisation"] = Measurement(station.utilisation, "share", n=station.n, method="busy servers over servers, at the busiest load").to_json()
    if station.bound is not None:
        row["bound"] = measured(station.bound, "1/s", station.n, "asymptotic bound, (c − idle)/D")
    if station.doubled is not None:
        row["doubling"] = {"gain": measured(station.doubled, "times", station.n, "exact mean value analysis with two of it at twice the load")} | ({"then": station.then} if station.then else {})
    return row
