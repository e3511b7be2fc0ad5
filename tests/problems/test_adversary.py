"""Cases in which the verdict was wrong once; each by its mechanism."""

import numpy as np
import pytest

from perfaudit.testing import audit, examine
from tests.problems.test_load import bursty, queued
from tests.traffic import START, requests, waits


def status(**tables):
    return audit(**tables)["verdict"]["status"]


def test_many_deploys_hit_any_interval():
    given = requests(3600, 6, slower={"/orders": 400}, since=1800)
    deploys = [{"time": START + i * 60_000_000, "kind": "deploy", "service": "shop", "version": str(i)} for i in range(60)]
    outcome = examine("deploy-regression", requests=given, events=deploys)
    assert outcome.status == "clear" or next(t for t in outcome.findings[0].tests if "chance" in t.test).passed is None


def test_a_ramp_is_no_noise():
    given = requests(900, 10)
    given["duration_us"] = [int(d * (1 + 8 * (t - START) / 900e6)) + 20_000 for t, d in zip(given["time"], given["duration_us"], strict=True)]
    assert status(requests=given) == "insufficient-evidence"


@pytest.mark.parametrize("durations", [None])
def test_without_durations_nothing_is_healthy(durations):
    assert status(requests=requests() | {"duration_us": durations}) == "insufficient-evidence"


def test_errors_are_searched_without_durations():
    given = requests(300, 40, errors={"/orders": 0.8}, since=150) | {"duration_us": None}
    found = audit(requests=given)["windows"]
    assert "reference" in found


def test_many_quiet_routes_are_searched_together():
    routes = {f"/r{i}": ("GET", 1 / 60, 20.0) for i in range(60)}
    given = requests(1200, 4, routes=routes)
    given["duration_us"] = [d * (5 if t > START + 600_000_000 else 1) for t, d in zip(given["time"], given["duration_us"], strict=True)]
    assert status(requests=given) == "insufficient-evidence"


def test_a_given_window_without_a_rest_is_searched():
    given = requests(300, 40, slower={"/orders": 1500}, since=150)
    assert audit(requests=given, since=START, until=START + 301_000_000)["verdict"]["status"] == "insufficient-evidence"


@pytest.mark.parametrize("fault", [{"slower": {"/orders": 3000}}, {"errors": {"/orders": 0.8}}])
def test_a_fault_at_the_beginning_is_no_warm_up(fault):
    assert status(requests=requests(400, 40, until=95, **fault)) == "insufficient-evidence"


def test_a_long_poll_does_not_wait_for_background_locks():
    routes = {"/": ("GET", 0.68, 4.0), "/poll": ("GET", 0.02, 25_000.0), "/orders": ("POST", 0.3, 60.0)}
    traffic = requests(240, 20, routes=routes)
    given = waits(traffic, "/orders", 10**12, background=True, seconds=240)
    assert audit(requests=traffic, sessions=given)["verdict"]["status"] != "constraint"


def test_a_queue_at_its_load_is_no_burst():
    assert status(requests=queued(requests(400, 30, seed=3), 50)) == "healthy"


def test_bursts_are_bursts():
    assert examine("tail-under-concurrency", requests=queued(bursty(1), 60)).status == "problem"


def test_nothing_is_promised_where_nothing_got_slower():
    given = requests(200, 40, errors={"/orders": 0.9}, since=100)
    given["duration_us"] = [500 if s == 500 else d for s, d in zip(given["status"], given["duration_us"], strict=True)]
    deploy = [{"time": START + 99_000_000, "kind": "deploy", "service": "shop", "version": "2"}]
    predicted = audit(requests=given, events=deploy)["verdict"]["predicted"]
    assert "duration_ms" not in predicted
    assert predicted["error_ratio"]["value"] < 0.05  # the bin in which it began


def test_windows_never_overlap():
    for seed in range(4):
        found = audit(requests=requests(300, 100, seed=seed, slower={"/": 30, "/items/{id}": 60, "/orders": 200}, since=160, until=270))["windows"]
        a, r = found["affected"], found["reference"]
        assert r["end"] <= a["start"] or r["start"] >= a["end"]


def test_start_times_in_whole_seconds_make_no_tier():
    a, b = requests(300, 6), requests(300, 6, seed=5)
    both = {k: list(a[k]) + list(b[k]) for k in a if isinstance(a[k], list)} | {"service": ["admin"] * len(a["time"]) + ["shop"] * len(b["time"])}
    both["time"] = [t // 1_000_000 * 1_000_000 for t in both["time"]]
    assert {s["role"] for s in audit(requests=both)["services"]} == {"outermost"}


def seasonal(days, rate, *, amplitude, level, seed=0, fault=None):
    """Arrivals and durations that follow the clock; ``fault``: (from, to, factor) in seconds. Times in µs, durations lognormal."""
    rng = np.random.default_rng(seed)
    length = days * 86_400
    t = np.sort(rng.uniform(0, length, rng.poisson(rate * length * 2)))
    t = t[rng.random(len(t)) < (1 + amplitude * np.sin(2 * np.pi * t / 86_400 - 1.3)) / 2]
    which = rng.choice(3, len(t), p=[0.5, 0.3, 0.2])
    duration = np.array([60.0, 80.0, 150.0])[which] * rng.lognormal(0, 0.5, len(t)) * np.exp(level * np.sin(2 * np.pi * t / 86_400 - 1.3))
    if fault:
        duration *= np.where((t >= fault[0]) & (t < fault[1]), fault[2], 1.0)
    names = ["/", "/items/{id}", "/orders"]
    return {
        "time": (START + t * 1e6).astype(np.int64).tolist(), "duration_us": (duration * 1e3).astype(np.int64).tolist(), "status": 200,
        "method": "GET", "route": [names[i] for i in which], "service": "web",
    }  # fmt: skip


@pytest.mark.parametrize("level", [0.2, 0.35])
def test_without_requests_in_flight_there_is_no_queue(level):
    """Load and latency follow the clock at 0.03 requests in flight: nothing waits for anything."""
    verdict = audit(requests=seasonal(7, 0.12, amplitude=0.8, level=level))["verdict"]
    assert verdict["status"] != "constraint"


@pytest.mark.parametrize("seed", range(2))
def test_a_fault_at_a_time_of_high_load_is_no_surge(seed):
    """The same load after the fault is fast again."""
    given = seasonal(1, 0.8, amplitude=0.8, level=0.0, seed=seed, fault=(36_000, 43_200, 3.0))
    assert audit(requests=given)["verdict"].get("problem") != "traffic-surge"


def test_slow_again_and_again_is_not_healthy():
    given = requests(1200, 10, seed=3)
    seconds = [(t - START) / 1e6 for t in given["time"]]
    given["duration_us"] = [d * 7 if s % 120 < 20 else d for d, s in zip(given["duration_us"], seconds, strict=True)]
    result = audit(requests=given)
    assert result["verdict"]["status"] != "healthy"
    assert any("again and again" in a for a in result["audit"]["assumptions"])
