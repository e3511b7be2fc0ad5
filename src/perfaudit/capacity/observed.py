"""Loads as production imposed them: requests in flight, completions and latency per interval, from the evidence.

Requests in flight follow from arrivals and completions alone (∫ A(t) − D(t) dt per interval). A slow system holds more of them at the same
arrivals: N is then a symptom, not a load. So intervals in which the relation between arrivals and requests in flight changed are left
out, and arrivals must themselves have varied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfaudit.baseline.cube import MOST_BINS, STEPS
from perfaudit.capacity.points import Points
from perfaudit.config import Objective
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window, iso
from perfaudit.stats.changepoint import changes
from perfaudit.stats.correlation import spearman

#: Requests an interval should hold: its mean rate is then known to ± 10 % (Poisson, 95 %).
PER_INTERVAL = 400
#: Fewer intervals than this say nothing about the relation of load and throughput.
LEAST_INTERVALS = 12
#: A load test with fewer levels of users has no stages.
LEAST_STAGES = 3
#: A generator took part in a stage when it ran for so much of it.
COVERED = 0.8
#: Arrivals (95th over 5th percentile) must vary at least so much, or requests in flight rose for another reason than load.
LEAST_DRIVEN = 1.5
#: Rank correlation of arrivals and requests in flight, below the largest throughput, that a load shows.
DRIVEN = 0.5
#: Groups of like arrivals, and the quantile of their requests in flight that is usual: what goes wrong only adds to them, so a group of
#: which up to three quarters went wrong still says how it should be.
LEVELS, USUAL = 8, 0.25
#: A lasting departure from that by less than this is no change of regime (the least practical size of a change of capacity).
LEAST_CHANGE = 1.25


def observe(evidence: Evidence, condition: str, window: Window, objective: Objective | None = None) -> Points | str:
    """The intervals of ``window`` in which load was imposed from outside; a reason in words where there are none.

    ``condition`` keeps the outermost tier of ``requests``; ``objective`` chooses what is measured (default: p95 of all requests).
    """
    where = f"{condition} AND {within(window)} AND duration_us IS NOT NULL AND status <> 101"
    n, minutes = evidence.one(f"SELECT count(*), count(DISTINCT epoch_us(time) // 60000000) FROM requests WHERE {where}")
    if not n:
        return "no requests with a duration were read"
    spent = min(window.seconds, 60.0 * minutes)
    step = next((s for s in STEPS if n * s / spent >= PER_INTERVAL and spent / s <= MOST_BINS), STEPS[-1])
    if spent / step < LEAST_INTERVALS + 2:  # the first and the last are covered in part
        step = next((s for s in reversed(STEPS) if spent / s >= LEAST_INTERVALS + 2), STEPS[0])
    rows, query = _intervals(evidence, where, step, objective)
    if len(rows["bin"]) < LEAST_INTERVALS:
        return f"{len(rows['bin'])} intervals of {step} s with requests: at least {LEAST_INTERVALS} are needed"
    return _points(rows, step, query)


def staged(evidence: Evidence, tests: Sequence[Sequence[str]]) -> Points | None:
    """The stages of a load test as loads: virtual users, achieved rate and p95 of its own requests. ``tests``: for each test the result files of
    its generators, whose users and rates are added up. Only tests of a closed model: an open one's users follow from how slow the system is.
    None without a test of three levels of users; of several the one with most levels.
    """
    found = [points for files in tests if (points := _stages(evidence, files)) is not None]
    return max(found, key=lambda p: len(p.load), default=None)


def _stages(evidence: Evidence, files: Sequence[str]) -> Points | None:
    """The first generator's stages, with what the others did meanwhile; stages that another one covers only in part are left out."""
    if not evidence.has("load_stages") or not files:
        return None
    names = ", ".join(map(quote, sorted(files)))
    query = f"""WITH own AS (SELECT * FROM load_stages WHERE test = {quote(min(files))} AND virtual_users > 0 AND achieved_per_s > 0),
beside AS (SELECT a.time, b.test, sum(b.virtual_users * part) / sum(part) AS users, sum(b.achieved_per_s * part) / sum(part) AS rate, sum(part) / any_value(a.duration_us) AS covered
  FROM own a JOIN (SELECT * FROM load_stages WHERE test IN ({names}) AND virtual_users IS NOT NULL) b
    ON b.time < a.time + to_microseconds(a.duration_us) AND a.time < b.time + to_microseconds(b.duration_us),
  LATERAL (SELECT epoch_us(least(a.time + to_microseconds(a.duration_us), b.time + to_microseconds(b.duration_us))) - epoch_us(greatest(a.time, b.time)) AS part) GROUP BY 1, 2),
together AS (SELECT time, CAST(round(sum(users)) AS INT) AS users, sum(rate) AS rate FROM beside WHERE covered >= {COVERED} GROUP BY 1 HAVING count(*) = {len(set(files))})
SELECT t.users, avg(t.rate) AS rate, avg((SELECT quantile_disc(r.duration_us, 0.95) / 1e3 FROM requests r
  WHERE r.service = {quote(LOAD_GENERATOR)} AND r.instance IN ({names}) AND r.time >= o.time AND r.time < o.time + to_microseconds(o.duration_us))) AS measured
FROM together t JOIN own o USING (time) WHERE t.rate > 0 GROUP BY 1 ORDER BY 1"""
    found = {k: np.ma.filled(np.ma.asarray(v, dtype=np.float64), np.nan) for k, v in evidence.columns(query).items()}
    if len(found["users"]) < LEAST_STAGES:
        return None
    notes = ["loads are the stages of a load test, averaged per number of virtual users"] + ([f"{len(files)} generators ran at once: their users and rates are added up"] if len(files) > 1 else [])
    return Points(found["users"], found["rate"], found["measured"], unit="virtual users", sized=False, query=query, notes=tuple(notes))


def _intervals(evidence: Evidence, where: str, step: int, objective: Objective | None) -> tuple[dict[str, NDArray[Any]], str]:
    length = step * 1_000_000
    chosen = f" FILTER (route = {quote(objective.route.rpartition(':')[2])})" if objective and objective.route else ""
    wanted = f"quantile_disc(duration_us, {objective.quantile if objective and objective.kind == 'latency' else 0.95}){chosen} / 1e3"
    if objective and objective.kind == "errors":
        wanted = f"avg((status >= 500 OR status = 0)::INT){chosen}"
    query = f"""WITH came AS (SELECT epoch_us(time) // {length} AS bin, count(*) AS n, sum({length} - epoch_us(time) % {length}) AS area, {wanted} AS measured FROM requests WHERE {where} GROUP BY 1),
went AS (SELECT (epoch_us(time) + duration_us) // {length} AS bin, count(*) AS n, sum({length} - (epoch_us(time) + duration_us) % {length}) AS area FROM requests WHERE {where} GROUP BY 1)
SELECT bin, coalesce(c.n, 0) AS arrived, coalesce(w.n, 0) AS completed, measured,
((sum(coalesce(c.n, 0) - coalesce(w.n, 0)) OVER (ORDER BY bin) - coalesce(c.n, 0) + coalesce(w.n, 0)) * {length} + coalesce(c.area, 0) - coalesce(w.area, 0)) / {length} AS in_flight
FROM came c FULL JOIN went w USING (bin) ORDER BY bin"""
    found = evidence.columns(query)
    return {k: np.ma.filled(np.ma.asarray(v, dtype=np.float64), np.nan) if k != "bin" else np.asarray(v, np.int64) for k, v in found.items()}, query


def _points(rows: dict[str, NDArray[Any]], step: int, query: str) -> Points | str:
    bins = rows["bin"]
    whole = np.ones(len(bins), bool)
    whole[[0, -1]] = False  # covered in part
    whole &= (rows["arrived"] > 0) & (rows["completed"] > 0) & (rows["in_flight"] > 0)
    points = Points(
        load=rows["in_flight"], throughput=rows["completed"] / step, measured=rows["measured"], arrivals=rows["arrived"] / step, unit="requests in flight",
        time=bins * step * 1_000_000, step=float(step), sized=False, query=query,
    ).keep(whole)  # fmt: skip
    if len(points.load) < LEAST_INTERVALS:
        return f"{len(points.load)} whole intervals of {step} s: at least {LEAST_INTERVALS} are needed"
    return steady(points)


def steady(points: Points) -> Points:
    """Without the intervals in which requests in flight departed, for good or for a while, from what their arrivals gave elsewhere."""
    regimes = _regimes(_departure(points))
    if len(set(regimes)) == 1:
        return points
    lengths = {r: int(np.sum(regimes == r)) for r in sorted(set(regimes.tolist()))}
    kept = regimes == max(lengths, key=lambda r: (lengths[r], -r))
    left = np.flatnonzero(~kept)
    first, last = int(points.time[left[0]]), int(points.time[left[-1]]) + int(points.step * 1e6)
    return replace(points, whole=points).keep(kept, f"{len(left)} of {len(kept)} intervals ({iso(first)} to {iso(last)}) are left out: requests in flight changed there at the same arrivals, so they were a symptom, not a load")


def _departure(points: Points) -> NDArray[np.float64]:
    """Log of requests in flight over what is usual at such arrivals; their ratio, the response time by Little's law, hardly varies among like arrivals."""
    assert points.arrivals is not None
    rate = np.log(points.arrivals)
    ratio = np.log(points.load) - rate
    groups = np.array_split(np.argsort(rate, kind="stable"), max(2, min(LEVELS, len(rate) // 6)))
    centre = np.array([np.median(rate[g]) for g in groups])
    usual = np.array([np.quantile(ratio[g], USUAL) for g in groups])
    distinct, first = np.unique(centre, return_index=True)
    out: NDArray[np.float64] = ratio - np.interp(rate, distinct, usual[first])
    return out


def _regimes(series: NDArray[np.float64]) -> NDArray[np.int64]:
    """The regime of every interval: segments whose medians are alike are one regime."""
    starts = changes(series, least=float(np.log(LEAST_CHANGE))).starts
    levels: list[float] = []
    out = np.zeros(len(series), np.int64)
    for begin, end in zip(starts, [*starts[1:], len(series)], strict=True):
        level = float(np.median(series[begin:end]))
        near = next((i for i, other in enumerate(levels) if abs(level - other) < np.log(LEAST_CHANGE)), None)
        if near is None:
            near = len(levels)
            levels.append(level)
        out[begin:end] = near
    return out


def undriven(points: Points) -> str:
    """Why requests in flight were no load here; "" where arrivals drove them."""
    if points.arrivals is None:
        return ""
    low, high = np.quantile(points.arrivals, [0.05, 0.95])
    if high < LEAST_DRIVEN * low:
        return f"arrivals hardly varied ({low:.3g} to {high:.3g} per second), so requests in flight say how slow it was, not how much load it had"
    rising = points.load <= points.load[points.throughput.argmax()]
    rank = spearman(points.arrivals[rising], points.load[rising])
    if rising.sum() >= 8 and rank.r < DRIVEN:
        return f"requests in flight do not follow arrivals (rank correlation {rank.r:.2f})"
    return ""
