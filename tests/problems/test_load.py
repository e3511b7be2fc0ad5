"""Traffic surge and tail under concurrency: load that rose, load that bursts, and defects at the same load."""

import numpy as np
import pytest

from perfaudit.testing import assert_clear, assert_problem, audit, examine
from tests.traffic import START, requests


def queued(traffic, capacity):
    """Pass the requests through one server of ``capacity`` per second (a Lindley queue): they slow down as it fills."""
    busy_until, out = 0, []
    for t, d in zip(traffic["time"], traffic["duration_us"], strict=True):
        busy_until = max(busy_until, t) + int(1e6 / capacity)
        out.append(d + busy_until - t)
    return traffic | {"duration_us": out}


def bursty(seed=0, seconds=160, calm=20, burst=120, period=16, length=3, start=START):
    rng = np.random.default_rng(seed)
    times, at = [], 0.0
    while at < seconds:
        at += rng.exponential(1 / (burst if at % period < length else calm))
        times.append(at)
    base = requests(seconds, 200, seed=seed)
    n = len(times) - 1
    return {k: (v[:n] if isinstance(v, list) else v) for k, v in base.items()} | {"time": [start + int(t * 1e6) for t in times[:-1]]}


@pytest.mark.parametrize("seed", range(3))
def test_load_that_rose_to_stay_is_a_surge(seed):
    given = queued(requests(120, 30, seed=seed, surge=3, since=60), 82)
    finding = assert_problem("traffic-surge", requests=given)
    assert finding.share.value > 0.1
    assert audit(requests=given)["verdict"]["problem"] == "traffic-surge"


def test_with_a_separate_baseline():
    given = queued(requests(60, 75, seed=1, start=START + 300_000_000), 82)
    assert_problem("traffic-surge", requests=given, baseline={"requests": queued(requests(60, 30), 82)})


def test_more_load_that_hurts_nobody_is_clear():
    outcome = examine("traffic-surge", requests=requests(120, 30, surge=3, since=60), since=START + 60_000_000)
    assert outcome.status == "clear"
    assert "did not get slower" in outcome.reason


def test_a_defect_at_unchanged_load_is_neither():
    given = requests(slower={"/orders": 400}, since=60)
    assert "did not rise" in assert_clear("traffic-surge", requests=given).reason
    assert_clear("tail-under-concurrency", requests=given)


def test_a_defect_that_comes_with_more_load_is_not_its_fault():
    """At equal load the affected window is slower: the curve moved."""
    given = requests(200, 40, surge=1.3, since=100, slower={"/": 200, "/items/{id}": 200, "/orders": 200})
    outcome = examine("traffic-surge", requests=given)
    assert outcome.status == "clear"


def test_cpu_that_a_request_costs_tells_demand_from_load():
    given = queued(requests(120, 30, surge=3, since=60), 82)
    counts = [sum(1 for t in given["time"] if t < START + s * 1_000_000) for s in range(0, 121, 5)]
    cpu = {"time": [START + s * 1_000_000 for s in range(0, 121, 5)], "name": "process_cpu_seconds_total", "kind": "counter", "labels": [{"job": "app"}] * 25}
    same = cpu | {"value": [n * 0.01 for n in counts]}
    test = next(t for t in assert_problem("traffic-surge", requests=given, metrics=same).tests if "CPU" in t.test)
    assert test.passed is True
    dearer = cpu | {"value": [n * 0.01 + max(0, n - counts[12]) * 0.04 for n in counts]}
    assert "CPU" in examine("traffic-surge", requests=given, metrics=dearer).reason


@pytest.mark.parametrize("seed", range(3))
def test_bursts_that_queue_are_a_tail(seed):
    given = queued(bursty(seed), 60)
    finding = assert_problem("tail-under-concurrency", requests=given, baseline={"requests": queued(requests(80, 35, seed=9, start=START - 600_000_000), 60)})
    assert finding.share.value > 0.05
    assert next(t for t in finding.rejected if t.problem == "traffic-surge").passed


def test_bursts_that_do_not_hurt_are_clear():
    assert_clear("tail-under-concurrency", requests=bursty())


@pytest.mark.parametrize("seed", range(4))
def test_steady_traffic_is_healthy(seed):
    assert audit(requests=queued(requests(seed=seed), 200))["verdict"]["status"] == "healthy"
