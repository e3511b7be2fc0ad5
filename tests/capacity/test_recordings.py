"""Recordings whose capacity is known, because they were made by a queue of eight servers: 133 requests per second."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from perfaudit.audit import opened
from perfaudit.capacity import demands, observed, pools, study
from perfaudit.capacity.answer import Answer, Facts, decide, fallen, serial
from perfaudit.capacity.points import Points
from perfaudit.capacity.study import overfull
from perfaudit.config import objective
from perfaudit.evidence.readers import ReadOptions
from perfaudit.evidence.store import Evidence
from perfaudit.model import Window, iso
from perfaudit.stats import usl
from perfaudit.testing import evidence

from .queue import SERVERS, SERVICE, START, cpu, requests, served

LIMIT = SERVERS / SERVICE
WHOLE = Window(START, START + 1_200_000_000)
CLEAR = {"verdict": {"status": "healthy"}, "checks": []}


@cache
def facts(low: float, high: float, *, metrics: bool = True, wanted: str = "p95<300ms", slow: tuple[float, float, float] | None = None, cores: int = SERVERS) -> Facts:
    at, need, took = served(low, high, slow=slow)
    given: dict[str, Any] = {"requests": requests(at, took)} | ({"metrics": cpu(at, need, cores=cores)} if metrics else {})
    return study.of_evidence(evidence(**given), WHOLE, objective(wanted), CLEAR)


def test_in_flight_completions_and_latency_are_what_the_queue_did() -> None:
    at, _, took = served(20, 100)
    found = observed.observe(evidence(requests=requests(at, took)), "true", WHOLE)
    assert isinstance(found, Points) and found.arrivals is not None
    k = len(found.load) // 3
    begin = (found.time[k] - START) / 1e6
    end = begin + found.step
    overlap = np.clip(np.minimum(at + took, end) - np.maximum(at, begin), 0, None)
    assert found.load[k] == pytest.approx(overlap.sum() / found.step, rel=1e-3)
    assert found.throughput[k] == pytest.approx(np.sum((at + took >= begin) & (at + took < end)) / found.step, rel=1e-3)
    assert found.measured[k] == pytest.approx(np.quantile(took[(at >= begin) & (at < end)], 0.95, method="inverted_cdf") * 1e3, rel=1e-3)
    assert not found.notes and observed.undriven(found) == ""


def test_ample_headroom_is_left_alone() -> None:
    light = facts(10, 50)
    assert isinstance(light.law, usl.Scalability) and not light.law.contention
    assert decide(light).answer == "leave alone"
    assert light.beyond is not None and 1.5 * 50 < min(light.beyond.value, light.ceiling) <= LIMIT * 1.05


def test_a_full_node_is_scaled_and_its_bound_is_the_truth() -> None:
    near = facts(20, 128)
    station = near.stations[0]
    assert station.attributed and station.demand.value == pytest.approx(SERVICE, rel=0.03) and station.servers == SERVERS
    assert near.ceiling == pytest.approx(LIMIT, rel=0.03)
    assert near.capacity is not None and near.capacity.kept in ("some", "all") and decide(near) == Answer("scale", decide(near).reason)
    assert "web1" in decide(near).reason


def test_a_saturated_recording_without_counters_says_what_is_missing() -> None:
    """The law, fitted to a queue's sharp knee, would extrapolate a fall that nobody saw."""
    blind = facts(20, 150, metrics=False)
    assert blind.points is not None and blind.saturation is not None and blind.carried is None
    assert isinstance(blind.law, usl.Refusal) and blind.saturation.value == pytest.approx(LIMIT, rel=0.03)
    answer = decide(blind)
    assert answer.answer == "cannot tell" and "stops growing" in answer.reason and "look the same" in answer.reason and "CPU" in answer.todo
    assert decide(Facts(blind.points, blind.law, saturation=blind.saturation, unlocked=True)).answer == "scale"


def test_the_peak_of_demand_is_no_limit() -> None:
    """128 of 133 a second at the busiest: the queue comes and goes, so it carries at least that, and the law's fall is not believed."""
    blind = facts(20, 128, metrics=False)
    assert blind.points is not None
    law = usl.fit(blind.points.load, blind.points.throughput)
    assert isinstance(law, usl.Scalability) and law.peak_load is not None and law.gain(blind.points.load.max(), 2 * blind.points.load.max()).high < 0.9  # type: ignore[operator]
    assert blind.saturation is None and blind.carried == pytest.approx(126, rel=0.03) and isinstance(blind.law, usl.Refusal)
    answer = decide(blind)
    assert answer.answer == "cannot tell" and "carries at least" in answer.reason and "stops growing" not in answer.reason
    part = study.part(study.study(blind))
    assert part["carried"]["ci"] == [blind.carried, None] and "saturation" not in part


def test_a_queue_that_keeps_growing() -> None:
    rng = np.random.default_rng(5)
    n = 200
    time = START + np.arange(n) * 10_000_000

    def points(offered: Any) -> Points:
        came, left, waiting = rng.poisson(offered * 10), [], 0.0
        for a in came:
            done = min(waiting + a, rng.poisson(400))
            waiting += a - done
            left.append(done / 10)
        return Points(np.full(n, 9.0), np.array(left), np.full(n, np.nan), arrivals=came / 10, time=time, step=10.0, sized=False)

    found = overfull(points(np.where(np.arange(n) < 100, 30.0, 44.0)), 40)
    assert found is not None and found.value == pytest.approx(40, rel=0.01)
    assert not any(overfull(points(np.full(n, 36.0)), 40) for _ in range(40))
    burst = points(np.where(np.arange(n) == 50, 80.0, 20.0))
    assert not overfull(burst, 40)


def test_intervals_in_which_the_system_was_slow_are_left_out() -> None:
    slowed = facts(20, 90, slow=(800, 950, 1.6))
    assert slowed.points is not None and any("left out" in note for note in slowed.points.notes)
    times = (slowed.points.time - START) / 1e6
    assert not np.any((times > 820) & (times < 940)) and len(times) > 90
    assert isinstance(slowed.law, usl.Scalability) and slowed.law.gamma.value == pytest.approx(1 / SERVICE, rel=0.06)


def test_a_pool_is_not_held_while_waiting() -> None:
    """Eight members, held 60 ms each; at the busiest, requests wait several times that."""
    at, _, took = served(10, 150)
    found = study.filled(pools.parse(f"size={SERVERS}"), evidence(requests=requests(at, took)), WHOLE)
    assert found.hold == pytest.approx(SERVICE, rel=0.1) and took.mean() > 2 * SERVICE and "quietest" in found.source
    flat, _, slow = served(128, 128)
    full = study.filled(pools.parse("size=6"), evidence(requests=requests(flat, slow)), WHOLE)
    assert "upper bound" in full.source
    row = pools.judge(full)
    assert row["answer"] == "cannot tell" and "all requests were served" in row["reason"] and "hold=" in row["reason"]


def test_more_capacity_is_not_advised_beside_fix() -> None:
    surge = {"status": "constraint", "problem": "worker-saturation", "decision": "Add capacity."}
    slow, flat = facts(20, 100, wanted="p95<20ms"), facts(60, 60, metrics=False, wanted="p95<20ms")
    answer = decide(replace(slow, verdict=surge))
    assert answer.answer == "fix" and "Add capacity" not in answer.reason and "Worker saturation comes on top" in answer.reason
    assert decide(replace(flat, verdict=surge)).answer != "fix" and decide(replace(flat, verdict=surge, unlocked=True)).answer == "scale"


def test_load_that_hardly_varied_is_no_load_test() -> None:
    flat = facts(60, 60)
    assert isinstance(flat.law, usl.Refusal) and "hardly varied" in flat.law.reason
    assert decide(flat).answer == "leave alone" and "hardly varied" in decide(flat).reason
    blind = facts(60, 60, metrics=False)
    assert decide(blind).answer == "cannot tell" and "threefold" in decide(blind).todo
    assert decide(facts(60, 60, metrics=False, wanted="p95<20ms")).answer == "fix"


def test_capacity_at_an_objective_is_where_latency_crosses_it() -> None:
    near = facts(20, 128, metrics=False, wanted="p95<150ms")
    found = near.capacity
    assert found is not None and found.kept == "some" and found.load is not None and found.load.low is not None
    at, _, took = served(20, 128, seed=9)  # another day of the same system
    bins = (at // 10).astype(int)
    rate = np.bincount(bins)[:120] / 10
    p95 = np.array([np.quantile(took[bins == b], 0.95) for b in range(120)])
    assert np.mean(p95[rate < 0.85 * found.load.low] < 0.15) > 0.95
    assert found.load.high is None or np.mean(p95[rate > 1.05 * found.load.high] > 0.15) > 0.8


def test_the_verdict_speaks_first() -> None:
    locked = {"status": "constraint", "problem": "row-lock-contention", "scope": {"object": "stock"}, "decision": "Take the lock last."}
    near = facts(20, 128)
    answer = decide(Facts(near.points, near.law, stations=near.stations, verdict=locked))
    assert answer.answer == "do not scale" and "stock" in answer.reason and "Take the lock last" in answer.reason
    slow = {"status": "constraint", "problem": "missing-index", "scope": {"route": "/list"}, "decision": "Add it."}
    assert decide(Facts(near.points, near.law, stations=near.stations, verdict=slow)).answer == "fix"
    assert decide(Facts(verdict={"status": "constraint", "problem": "traffic-surge"}, unlocked=True)).answer == "scale"
    assert [serial(p) for p in ("row-lock-contention", "table-lock", "hot-key", "missing-index", "blocked-event-loop")] == [True, True, True, False, False]


def test_cpu_that_runs_without_requests_is_not_theirs() -> None:
    at, need, took = served(60, 60)
    full = study.of_evidence(evidence(requests=requests(at, took), metrics=cpu(at, need * 0.02, idle=7.8)), WHOLE, None, CLEAR)
    assert full.stations[0].idle.value == pytest.approx(7.8, rel=0.01) and full.stations[0].demand.value < 0.002
    assert decide(full).answer == "fix" and "without requests" in decide(full).reason
    noise = np.random.default_rng(2)
    rows = cpu(at, need * 0.02, idle=7.0)
    wild = dict(zip(sorted({r["time"] for r in rows}), np.cumsum(noise.uniform(0, 1, 200)).tolist(), strict=False))
    for row in rows:
        row["value"] += wild[row["time"]] if row["labels"]["mode"] == "user" else 0.0
    blurred = study.of_evidence(evidence(requests=requests(at, took), metrics=rows), WHOLE, None, CLEAR)
    assert not blurred.stations[0].attributed and blurred.stations[0].doubled is None
    assert decide(blurred).answer == "cannot tell"


def test_counters_that_reset_and_levels_of_stations() -> None:
    at, need, took = served(20, 100)
    rows = cpu(at, need)
    half = START + 600_000_000
    for row in rows:
        if row["time"] > half:
            row["value"] -= next(r["value"] for r in rows if r["labels"] == row["labels"] and r["time"] == half)  # the exporter began again
    process = [{"time": r["time"], "name": "process_cpu_seconds_total", "labels": {"job": "shop", "pid": r["labels"]["cpu"]}, "value": r["value"]} for r in cpu(at, need) if r["labels"]["mode"] == "user"]
    store = evidence(requests=requests(at, took), metrics=[*rows, *process])
    points = observed.observe(store, "true", WHOLE)
    assert isinstance(points, Points)
    found = {s.name: s for s in demands.stations(store, points)}
    assert found["web1"].demand.value == pytest.approx(SERVICE, rel=0.05)
    assert found["shop"].demand.value == pytest.approx(SERVICE, rel=0.05) and found["shop"].bound is None


def test_evidence_without_requests_or_with_few() -> None:
    assert study.of_evidence(evidence(), WHOLE, None, CLEAR).why_not == "no requests with a duration were read"
    few = evidence(requests=requests(np.arange(5.0), np.full(5, 0.1)))
    assert decide(study.of_evidence(few, WHOLE, None, CLEAR)).answer == "cannot tell"


def test_a_route_and_errors_as_objectives() -> None:
    at, _, took = served(20, 100)
    store = evidence(requests=requests(at, took))
    for text in ("/items/{id} p99<2s", "errors<1%"):
        found = study.of_evidence(store, WHOLE, objective(text), CLEAR)
        assert found.capacity is not None and found.capacity.kept == "all"
    assert study.of_evidence(store, WHOLE, objective("/nothing p95<1s"), CLEAR).capacity is None


USERS = [1, 18, 36, 72, 108, 144, 216]
RATES = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2]


def stages(name: str, scale: float = 1.0, shift: int = 0) -> list[dict[str, Any]]:
    return [{"time": START + shift + i * 60_000_000, "duration_us": 60_000_000, "virtual_users": n, "achieved_per_s": x * scale, "test": name} for i, (n, x) in enumerate(zip(USERS, RATES, strict=True))]


def test_the_stages_of_a_load_test_are_loads() -> None:
    inside = {"time": [START + i * 60_000_000 + 1_000 for i in range(7)], "duration_us": [(i + 1) * 100_000 for i in range(7)], "status": 200, "route": "/", "method": "GET", "service": "load-generator", "instance": "t"}
    others = {"time": [START + i * 60_000_000 + 2_000 for i in range(7) for _ in range(50)], "duration_us": 5_000_000, "status": 200, "route": "/", "method": "GET", "service": "web"}
    store = evidence(load_stages=stages("t"), requests=[{k: v[i] if isinstance(v, list) else v for k, v in rows.items()} for rows in (inside, others) for i in range(len(rows["time"]))])
    points = observed.staged(store, [("t",)])
    assert points is not None and not points.sized
    found = study.of_points(points, objective("p95<350ms"))
    assert isinstance(found.law, usl.Scalability) and round(found.law.sigma.value, 5) == 0.02773
    assert found.capacity is not None and found.capacity.load is not None and (found.capacity.load.low, found.capacity.load.high) == (36, 72)
    assert decide(found).answer == "do not scale"
    assert observed.staged(evidence(load_stages=stages("t")[:2]), [("t",)]) is None
    assert observed.staged(store, []) is None and observed.staged(store, [("another",)]) is None


def test_generators_that_run_at_once_are_added_up() -> None:
    points = observed.staged(evidence(load_stages=[*stages("a"), *stages("b", 0.5, shift=500_000)]), [("a", "b")])
    assert points is not None and points.load[1:] == pytest.approx([2 * n for n in USERS[1:]], rel=0.01)
    assert points.throughput[2:] == pytest.approx([1.5 * x for x in RATES[2:]], rel=0.01) and "2 generators" in points.notes[1]
    apart = observed.staged(evidence(load_stages=[*stages("a"), *stages("b", shift=120_000_000)]), [("a", "b")])
    assert apart is not None and len(apart.load) == 5


def open_test(rates: list[int], per: int = 40) -> list[dict[str, Any]]:
    """k6 with planned arrivals: answers take eight times as long from 100 requests a second on, and users follow."""
    rng = np.random.default_rng(3)
    points = []
    for second in range(per * len(rates)):
        rate = rates[second // per]
        took = 0.05 if rate < 100 else 0.4
        points.append((float(second), "vus", float(max(1, int(rate * took)) + rng.integers(0, 3))))
        for at, d in zip(second + np.sort(rng.random(rate)), rng.exponential(took, rate), strict=True):
            points.append((float(at + d), "http_req_duration", float(d * 1e3)))
    points.append((100.0, "dropped_iterations", 1.0))
    return [
        {"metric": name, "type": "Point", "data": {"time": iso(START + int(t * 1e6)), "value": v, "tags": {"status": "200", "method": "GET", "name": "http://x/a"} if name.startswith("http") else {}}}
        for t, name, v in sorted(points)
    ]  # fmt: skip


def test_users_of_an_open_test_are_no_load(tmp_path: Any) -> None:
    (tmp_path / "k6.json").write_text("".join(json.dumps(row) + "\n" for row in open_test([20, 40, 60, 80, 100, 120])))
    store = Evidence(opened([str(tmp_path / "k6.json")], tmp_path / "evidence", ReadOptions()))
    assert observed.staged(store, [("k6.json",)]) is not None  # what it would say if it were closed
    found = study.of_evidence(store, Window(START, START + 240_000_000), None, CLEAR)
    assert found.points is not None and found.points.unit == "requests in flight"
    assert decide(found).answer != "do not scale"


def test_no_answer_at_all_is_an_error() -> None:
    at, _, took = served(20, 100)
    rows = requests(at, took) | {"status": [0 if i % 20 == 0 else 200 for i in range(len(at))]}
    assert study.of_evidence(evidence(requests=rows), WHOLE, objective("errors<1%"), CLEAR).capacity.kept == "none"  # type: ignore[union-attr]


def test_a_fall_counts_only_while_work_was_offered() -> None:
    load, arrivals = np.array([2.0, 4, 6, 8, 9, *range(14, 20)]), np.array([10.0, 20, 30, 40, 40, 42, 41, 42, 41, 42, 43])
    done = np.array([10.0, 20, 30, 40, 40, 30, 28, 29, 30, 28, 27])
    falls = Points(load, done, done, arrivals=arrivals, sized=False)
    drains = Points(load, done, done, arrivals=np.where(load > 10, 20.0, arrivals), sized=False)
    assert fallen(falls, 8.0) and not fallen(drains, 8.0)
    assert not fallen(Points(load, arrivals, done, arrivals=arrivals, sized=False), 8.0)
    assert not fallen(falls.keep(load < 17), 8.0)
