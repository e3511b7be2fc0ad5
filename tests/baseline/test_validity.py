"""Is a recording fit to conclude from? Every test against recordings with known faults, and none of them against a steady one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from perfaudit.audit import Audit
from perfaudit.baseline import steadiness
from perfaudit.baseline.independent import IN_FLIGHT, REQUESTS
from perfaudit.baseline.levels import course
from perfaudit.baseline.signs import arrivals_while_slow, counted, slowest
from perfaudit.report import schema
from perfaudit.testing import audit, evidence
from tests.traffic import START, requests


def validity(**tables: Any) -> dict[str, dict[str, Any]]:
    """The notes by their check; the result keeps its schema."""
    result = audit(**tables)
    schema.validate(result)
    return {note["check"]: note for note in result["baseline"]["validity"]}


def at(second: float) -> int:
    return START + round(second * 1e6)


def gauge(name: str, values: Any, *, every: float = 1.0, kind: str = "gauge", labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"time": [at(i * every) for i in range(len(values))], "name": name, "kind": kind, "labels": [labels or {}] * len(values), "value": [float(v) for v in values]}


def test_a_steady_recording_fails_nothing() -> None:
    failed: Counter[str] = Counter()
    for seed in range(4):
        failed.update(check for check, note in validity(requests=requests(300, seed=seed)).items() if note["ok"] is False)
    assert sum(failed.values()) <= 1, failed


def test_every_number_stands_beside_its_bound() -> None:
    for note in validity(requests=requests(200, seed=1)).values():
        if "value" in note and ("least" in note or "most" in note) and note["ok"] is not None:
            kept = note.get("least", -np.inf) <= note["value"] <= note.get("most", np.inf)
            assert kept == note["ok"], note


def test_a_short_and_thin_recording() -> None:
    notes = validity(requests=requests(20, 5, seed=1))
    assert notes["length"]["ok"] is False and notes["length"]["value"] == pytest.approx(20, abs=1)
    assert notes["sample size"]["ok"] is False
    assert notes["sample size per route"]["ok"] is False and "independent" in notes["sample size per route"]["detail"]
    assert notes["stationarity"]["ok"] is None
    assert notes["daily cycle"]["ok"] is None


def test_clumped_requests_count_as_fewer() -> None:
    traffic = requests(400, seed=3)
    for i, t in enumerate(traffic["time"]):
        if traffic["route"][i] == "/orders" and (t - START) / 1e6 % 40 < 3:
            traffic["duration_us"][i] = round(traffic["duration_us"][i] * 1.8)
    note = validity(requests=traffic)["sample size per route"]
    assert "POST /orders" in note["detail"] and "count as" in note["detail"]


# ---------------------------------------------------------------- steadiness


def test_a_step_of_a_fifth_is_no_baseline() -> None:
    traffic = requests(400, seed=2)
    traffic["duration_us"] = [round(d * (1.25 if t >= at(200) else 1)) for t, d in zip(traffic["time"], traffic["duration_us"], strict=True)]
    note = validity(requests=traffic)["stationarity"]
    assert note["ok"] is False
    assert 0.15 < note["value"] < 0.35


def test_a_change_of_the_mix_is_no_change_of_the_level() -> None:
    first = requests(200, seed=4, routes={"/": ("GET", 0.8, 4), "/orders": ("POST", 0.2, 60)})
    second = requests(200, seed=5, routes={"/": ("GET", 0.4, 4), "/orders": ("POST", 0.6, 60)}, start=at(200))
    traffic = {k: v if isinstance(v, str) else v + second[k] for k, v in first.items()}
    assert validity(requests=traffic)["stationarity"]["ok"] is True


def test_a_load_that_doubles_is_told() -> None:
    note = validity(requests=requests(400, seed=6, surge=2.0, since=200))["steady load"]
    assert note["ok"] is False
    assert 0.6 < note["value"] < 1.5


def test_a_warm_up_lifts_the_mean() -> None:
    traffic = requests(400, seed=7)
    traffic["duration_us"] = [round(d * (1 + 6 * np.exp(-(t - START) / 15e6))) for t, d in zip(traffic["time"], traffic["duration_us"], strict=True)]
    ready = Audit(evidence(requests=traffic).bundle).prepare()
    assert ready.cube
    (note,) = [n for n in steadiness.notes(steadiness.of(course(ready.cube, ready.windows.whole))) if n.check == "warm-up"]
    assert note.value and 0.02 < note.value < 0.3 and "the first" in note.detail
    assert validity(requests=requests(400, seed=7))["warm-up"]["ok"] is True


def test_a_cycle_is_found_with_its_length() -> None:
    traffic = requests(600, seed=8)
    traffic["duration_us"] = [round(d * (1 + 0.2 * np.sin(2 * np.pi * (t - START) / 60e6))) for t, d in zip(traffic["time"], traffic["duration_us"], strict=True)]
    note = validity(requests=traffic)["cycles"]
    assert note["ok"] is True
    assert note["value"] == pytest.approx(10, rel=0.1)


def test_a_job_that_repeats_slower_than_the_recording() -> None:
    events = [{"time": at(x), "kind": "cron", "name": "reports"} for x in (-3600, -1800, 0, 1800)]
    note = validity(requests=requests(300, seed=9), events=events)["scheduled work"]
    assert note["ok"] is False
    assert note["value"] == pytest.approx(300 / 1800, rel=0.05)
    assert "cron reports repeats every 30 min" in note["detail"]


# ---------------------------------------------------------------- representative


def test_another_load_and_another_mix_than_the_reference() -> None:
    usual = requests(200, seed=10, start=START - 86_400_000_000)
    same = validity(requests=requests(200, seed=11), baseline={"requests": usual})
    assert same["representative load"]["ok"] is True and same["representative mix"]["ok"] is True
    other = validity(requests=requests(200, 90, seed=12, routes={"/": ("GET", 0.1, 4), "/items/{id}": ("GET", 0.3, 12), "/orders": ("POST", 0.6, 60)}), baseline={"requests": usual})
    assert other["representative load"]["ok"] is False and other["representative load"]["value"] == pytest.approx(3, rel=0.1)
    assert other["representative mix"]["ok"] is False and other["representative mix"]["value"] == pytest.approx(0.4, abs=0.05)
    assert validity(requests=requests(200, seed=11))["representative"]["ok"] is None


def test_outliers_say_what_they_are() -> None:
    traffic = requests(300, seed=13)
    traffic["instance"] = ["a" if i % 2 else "b" for i in range(len(traffic["time"]))]
    hit = [i for i, t in enumerate(traffic["time"]) if traffic["route"][i] == "/items/{id}" and at(100) <= t < at(125)][:12]
    for i in hit:
        traffic["duration_us"][i], traffic["status"][i], traffic["instance"][i] = 4_000_000, 504, "b"
    note = validity(requests=traffic)["outliers"]
    assert note["ok"] is False and note["value"] > 0.05
    for said in ("12 on GET /items/{id}", "with status 504", "instance b", "between"):
        assert said in note["detail"], note["detail"]


# ---------------------------------------------------------------- signs


def loop(users: int, seconds: float, think: float, stall: tuple[float, float]) -> dict[str, Any]:
    """A closed loop: each user asks again ``think`` seconds after the answer; during the stall nothing is answered."""
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(users):
        now = rng.uniform(0, think)
        while now < seconds:
            took = rng.lognormal(np.log(0.02), 0.3)
            took = stall[1] - now + took if stall[0] <= now + took and now < stall[1] else took
            rows.append((now, took))
            now += took + rng.exponential(think)
    rows.sort()
    return {"time": [at(a) for a, _ in rows], "duration_us": [round(b * 1e6) for _, b in rows], "status": 200, "method": "GET", "route": "/", "service": "web"}


def test_users_who_wait_leave_out_the_stall() -> None:
    note = validity(requests=loop(20, 120, 0.1, (60, 63)))["coordinated omission"]
    assert note["ok"] is False
    assert note["value"] < 0.3


@pytest.mark.parametrize("seed", range(2))
def test_open_arrivals_show_the_stall(seed: int) -> None:
    traffic = requests(120, 60, seed=seed)
    traffic["duration_us"] = [d + max(0, at(63) - t) if at(60) <= t < at(63) else d for t, d in zip(traffic["time"], traffic["duration_us"], strict=True)]
    note = validity(requests=traffic)["coordinated omission"]
    assert note["ok"] is True
    assert 0.7 < note["value"] < 1.3


def test_arrivals_are_counted_against_what_was_due() -> None:
    time = np.arange(0, 100_000_000, 100_000, dtype=np.int64)
    duration = np.full(len(time), 10_000, np.int64)
    duration[500] = 10_000_000
    slow = slowest([(time[:400], duration[:400]), (time[400:], duration[400:])], 10_000)
    assert slow == [(50_000_000, 60_000_000)]
    found = arrivals_while_slow(slow, counted([time[:400], time[400:]]))
    assert (found.seen, round(found.due)) == (99, 100)
    assert arrivals_while_slow([], counted([time])).due == 0
    assert slowest([(time, np.full(len(time), 10_000, np.int64))], 10_000) == []
    assert counted([time]).seconds.tolist() == [10] * 100
    year = counted([np.array([0, 365 * 86_400_000_000])])
    assert len(year.upto) <= 4_000_000 and len(year.seconds) == 0 and year.between(0, 366 * 86_400_000_000) == 2
    week = counted([np.array([0, 7 * 86_400_000_000])])
    assert week.width == 1_000_000 and week.between(0, 8 * 86_400_000_000) == 2


def test_whole_seconds_and_bundles() -> None:
    traffic = requests(200, seed=14)
    assert validity(requests=traffic)["time stamps"]["value"] == 1e-6
    traffic["time"] = [(t + d) // 1_000_000 * 1_000_000 - d for t, d in zip(traffic["time"], traffic["duration_us"], strict=True)]
    assert validity(requests=traffic)["time stamps"]["value"] == 1.0
    traffic["time"] = [t // 5_000_000 * 5_000_000 for t in traffic["time"]]
    assert validity(requests=traffic)["time stamps"]["ok"] is False


# ---------------------------------------------------------------- independent measurements


def in_flight(traffic: dict[str, Any], seconds: int) -> list[int]:
    start, end = np.array(traffic["time"]), np.array(traffic["time"]) + np.array(traffic["duration_us"])
    return [int(((start <= at(s)) & (end > at(s))).sum()) for s in range(seconds)]


def test_little_between_log_and_gauge() -> None:
    traffic = requests(300, 120, seed=15, routes={"/": ("GET", 1.0, 60)})
    truth = np.array(in_flight(traffic, 300))
    half = [{**gauge("http_requests_in_flight", truth / 2, labels={"pid": pid})} for pid in ("1", "2")]
    both = {k: half[0][k] if isinstance(half[0][k], str) else half[0][k] + half[1][k] for k in half[0]}
    note = validity(requests=traffic, metrics=both)["Little's law"]
    assert note["ok"] is True, note
    assert note["value"] == pytest.approx(1, abs=0.1)
    note = validity(requests=traffic, metrics=half[0])["Little's law"]
    assert note["ok"] is False and note["value"] == pytest.approx(0.5, abs=0.05)
    assert validity(requests=traffic, metrics=gauge("http_requests_in_flight", truth[:10]))["Little's law"]["ok"] is None


@pytest.mark.parametrize("name", ["http_inflight", "http_requests_in_flight", "http_server_active_requests", "nginx_connections_writing", "busy_workers", "apache_workers", "puma_busy_threads", "inflight_requests"])
def test_gauges_of_requests_by_their_names(name: str) -> None:
    assert IN_FLIGHT.search(name)


@pytest.mark.parametrize("name", ["db_pool_active_connections", "pg_connections", "redis_connections", "http_client_active_requests", "mysql_busy_workers", "node_procs_running", "downstream_in_flight", "workers_total"])
def test_gauges_of_other_things(name: str) -> None:
    assert not IN_FLIGHT.search(name)


@pytest.mark.parametrize(("name", "counts"), [("http_requests_total", True), ("nginx_http_requests_total", True), ("http_server_request_duration_seconds_count", True), ("http_request_seconds_count", True), ("http_client_requests_total", False), ("redis_requests_total", False), ("http_request_seconds_sum", False), ("downstream_requests_total", False)])
def test_counters_of_requests_by_their_names(name: str, counts: bool) -> None:
    assert bool(REQUESTS.search(name)) is counts


def test_in_flight_from_the_log_itself_proves_nothing() -> None:
    note = validity(requests=requests(120, seed=16))["Little's law"]
    assert note["ok"] is None and "by construction" in note["detail"]


def test_a_sampled_log_and_a_restarted_process() -> None:
    traffic = requests(300, 60, seed=17)
    counted = [sum(t <= at(s) for t in traffic["time"]) for s in range(0, 300, 10)]
    whole = validity(requests=traffic, metrics=gauge("http_requests_total", counted, every=10, kind="counter"))
    assert whole["sampling"]["ok"] is True and whole["counter resets"]["ok"] is True
    tenth = {k: v if isinstance(v, str) else v[::10] for k, v in traffic.items()}
    sampled = validity(requests=tenth, metrics=gauge("http_requests_total", counted, every=10, kind="counter"))
    assert sampled["sampling"]["ok"] is False and sampled["sampling"]["value"] == pytest.approx(0.1, rel=0.1)
    restarted = validity(requests=traffic, metrics=gauge("http_requests_total", [c - counted[15] if i >= 15 else c for i, c in enumerate(counted)], every=10, kind="counter"))
    assert restarted["counter resets"]["ok"] is False and restarted["counter resets"]["value"] == 1
    assert restarted["sampling"]["ok"] is True, "a reset is no loss"
    mixed = validity(requests=traffic, metrics=gauge("ops_total", [5 * (i % 2) + i for i in range(60)], kind="counter"))
    assert mixed["counter resets"]["ok"] is False and "several processes" in mixed["counter resets"]["detail"]


# ---------------------------------------------------------------- too little, too odd


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("kind", ["usual", "same instant", "no durations", "constant", "zero"])
def test_any_small_recording_is_judged_without_noise(n: int, kind: str) -> None:
    traffic = {k: v if isinstance(v, str) else v[:n] for k, v in requests(30, seed=18).items()}
    if kind == "same instant":
        traffic["time"] = [START] * n
    if kind in ("no durations", "constant", "zero"):
        traffic["duration_us"] = [{"no durations": None, "constant": 5000, "zero": 0}[kind]] * n
    notes = validity(requests=traffic)
    assert notes["length"]["ok"] is False
    assert all(isinstance(note["detail"], str) and note["detail"] for note in notes.values())


@pytest.mark.parametrize("values", [[float("nan")] * 40, [float("inf")] * 40, [0.0] * 40, [1.0]])
def test_gauges_that_say_nothing(values: list[float]) -> None:
    notes = validity(requests=requests(60, seed=19), metrics=gauge("http_inflight", values))
    assert notes["Little's law"]["ok"] in (None, False)


def test_a_year_of_data_is_judged() -> None:
    rng = np.random.default_rng(20)
    times = np.sort(rng.uniform(0, 365 * 86_400, 20_000))
    day = 1 + 0.5 * np.sin(2 * np.pi * times / 86_400)
    traffic = {"time": [at(t) for t in times], "duration_us": (20_000 * day * rng.lognormal(0, 0.3, len(times))).astype(int).tolist(), "status": 200, "method": "GET", "route": "/", "service": "web"}
    notes = validity(requests=traffic)
    assert notes["daily cycle"]["ok"] is True and "weekly cycle" not in notes
    assert notes["stationarity"]["ok"] is True
