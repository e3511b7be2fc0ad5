"""The account of time: exclusive, complete, and only what the evidence splits."""

import pytest

from perfaudit.testing import audit
from tests.traffic import requests, waits


def account(**tables):
    result = audit(**tables)
    return {c["component"]: c["share"]["value"] for c in result["time_account"]}


def test_without_other_evidence_everything_is_unexplained():
    assert account(requests=requests()) == {"unexplained": pytest.approx(1)}


def test_edge_and_connection_come_from_the_access_log():
    traffic = requests()
    traffic["upstream_us"] = [int(d * 0.8) for d in traffic["duration_us"]]
    traffic["upstream_connect_us"] = [int(d * 0.1) for d in traffic["duration_us"]]
    split = account(requests=traffic)
    assert split["edge"] == pytest.approx(0.2, abs=0.01)
    assert split["connection set-up"] == pytest.approx(0.1, abs=0.01)
    assert sum(split.values()) == pytest.approx(1)


def test_lock_waits_are_measured_and_claimed_by_their_problem():
    traffic = requests(slower={"/orders": 500}, since=50)
    result = audit(requests=traffic, sessions=waits(traffic, "/orders", 200_000))
    row = next(c for c in result["time_account"] if c["component"] == "database lock wait")
    affected = result["windows"]["affected"]["start"]
    truth = sum(d for t, d, r in zip(traffic["time"], traffic["duration_us"], traffic["route"], strict=True) if r == "/orders" and d >= 200_000) / 1e6
    assert affected
    assert row["seconds"] == pytest.approx(truth, rel=0.3)
    assert row["problems"] == ["row-lock-contention"]
    low, high = row["share"]["ci"]
    assert low < row["share"]["value"] < high


def test_an_inner_tier_is_a_part_and_is_never_pooled():
    outer = requests(200, 40)
    inner = {"time": [], "duration_us": [], "status": 200, "method": "GET", "route": "/pay/{id}", "service": "payments"}
    for t, d, r in zip(outer["time"], outer["duration_us"], outer["route"], strict=True):
        if r == "/orders":
            inner["time"].append(t + 2000)
            inner["duration_us"].append(int(d * 0.7))
    both = {k: list(outer[k]) + inner[k] for k in ("time", "duration_us")}
    n, m = len(outer["time"]), len(inner["time"])
    for k in ("status", "method", "route"):
        both[k] = list(outer[k]) + [inner[k]] * m
    both["service"] = ["nginx"] * n + ["payments"] * m
    result = audit(requests=both)
    assert {s["service"]: s["role"] for s in result["services"]} == {"nginx": "outermost", "payments": "inner"}
    assert result["baseline"]["requests"]["count"] == n
    share = next(c["share"]["value"] for c in result["time_account"] if c["component"] == "downstream: payments")
    assert share == pytest.approx(sum(inner["duration_us"]) / sum(outer["duration_us"]), rel=0.01)


def test_two_peers_are_one_tier():
    a, b = requests(60, 20), requests(60, 20, seed=5)
    both = {k: list(a[k]) + list(b[k]) for k in a if isinstance(a[k], list)} | {"service": ["blog"] * len(a["time"]) + ["shop"] * len(b["time"])}
    result = audit(requests=both)
    assert {s["role"] for s in result["services"]} == {"outermost"}
    assert result["baseline"]["requests"]["count"] == len(both["time"])
