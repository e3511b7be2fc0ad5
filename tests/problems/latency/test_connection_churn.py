"""Connections that are set up for each use, by every evidence that tells; bursts, slow networks and systems that always were so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem
from tests.calls import Node, Rng, about, call, database, recorded, served
from tests.traffic import START, requests

CHECK = "connection-churn"
SLOWER = {"/": 30.0, "/items/{id}": 30.0, "/orders": 30.0}


def setting_up(rng: Rng, ms: float = 12.0, names: tuple[str, ...] = ("tcp.connect", "tls.connect")) -> list[Node]:
    return [Node("shop", name, about(rng, ms), kind="internal") for name in names]


def plan(often: float, before: float = 0.0, ms: float = 12.0, names: tuple[str, ...] = ("tcp.connect", "tls.connect")) -> Any:
    """Requests that set a connection up in this share of the cases, from the middle on (and ``before`` it)."""

    def one(late: bool, rng: Rng) -> Node:
        connects = setting_up(rng, ms, names) if rng.random() < (often if late else before) else []
        return served("shop", "GET /items" if rng.random() < 0.6 else "POST /orders", about(rng, 5), call("shop", "POST", served("bank", "POST /pay", about(rng, 12)), 1.0) if rng.random() < 0.3 else database("shop", about(rng, 6)), *connects)

    return one


@pytest.mark.parametrize("names", [("tcp.connect", "tls.connect"), ("http.dns", "http.connect", "http.tls"), ("connect",)])
def test_a_set_up_in_each_request_is_churn(names: tuple[str, ...]) -> None:
    found = assert_problem(CHECK, **recorded(plan(0.95, names=names)))
    assert found.scope["service"] == "shop" and "connection set-up" in found.components
    assert found.explains is not None and found.explains > 0.9 and found.share.interval is not None
    assert "Keep connections" in found.fixes[0].action


def test_a_sample_of_the_traces_is_enough() -> None:
    assert_problem(CHECK, **recorded(plan(0.95), sampled=0.25, rate=25))


def test_acquisitions_that_all_take_a_set_up_are_churn() -> None:
    def one(late: bool, rng: Rng) -> Node:
        return served("shop", "GET /items", about(rng, 5), Node("shop", "pool.acquire", about(rng, 18, 0.15) if late else 0.05), database("shop", about(rng, 6)))

    found = assert_problem(CHECK, **recorded(one))
    assert "pool wait" in found.components


def test_a_burst_of_connections_is_none() -> None:
    """Instances that start, a failover: many at once, then none."""
    rng = np.random.default_rng(1)
    given = recorded(plan(0.0))
    begin = START + 40_000_000
    extra = []
    for row in given["spans"]:
        if row["parent_span_id"] is None and begin <= row["time"] < begin + 12_000_000:
            took = int(rng.uniform(0.6, 1) * row["duration_us"])
            extra.append({**row, "span_id": "c" + row["span_id"][1:], "parent_span_id": row["span_id"], "operation": "tls.connect", "kind": "internal", "time": row["time"] + row["duration_us"], "duration_us": took})
            row["duration_us"] += took
    by_trace = {e["trace_id"]: e["duration_us"] for e in extra}
    log = [{**r, "duration_us": r["duration_us"] + by_trace.get(r["trace_id"], 0)} for r in given["requests"]]
    outcome = assert_clear(CHECK, spans=given["spans"] + extra, requests=log, since=begin, until=START + 80_000_000)
    assert "burst" in outcome.reason or "kept" in outcome.reason


def test_few_that_take_long_are_a_slow_network() -> None:
    assert "kept" in assert_clear(CHECK, **recorded(plan(0.08, 0.08, ms=300))).reason


def test_a_system_that_always_connects_is_how_it_is() -> None:
    always = recorded(plan(0.95, 0.95))
    assert "by design" in assert_clear(CHECK, **always).reason
    assert "before" in assert_clear(CHECK, since=START + 40_000_000, until=START + 80_000_000, **always).reason


def test_health_is_clear() -> None:
    assert_clear(CHECK, **recorded(plan(0.02, 0.02)))


# ---------------------------------------------------------------- without traces


def sessions(churns: bool, seconds: int = 120, size: int = 12) -> dict[str, Any]:
    """A look a second: kept sessions, from the middle on short ones where it churns."""
    rows: dict[str, list[Any]] = {"time": [], "pid": []}
    for second in range(1, seconds):
        late = churns and second >= seconds // 2
        for pid in [100] if late else range(100, 100 + size):
            rows["time"].append(START + second * 1_000_000)
            rows["pid"].append(pid)
        for i in range(2 if late else 0):
            rows["time"].append(START + second * 1_000_000)
            rows["pid"].append(5000 + second * 3 + i)
    return rows | {"state": "idle", "backend_type": "client backend", "service": "postgresql", "application": "shop"}


def test_sessions_that_are_gone_at_the_next_look() -> None:
    found = assert_problem(CHECK, requests=requests(slower=SLOWER, since=60), sessions=sessions(True))
    assert found.scope["service"] == ["shop", "postgresql"]
    assert found.share.unit.endswith("at most") and any(t.passed is None for t in found.tests)


def test_sessions_that_stay_are_kept() -> None:
    assert "kept" in assert_clear(CHECK, requests=requests(slower=SLOWER, since=60), sessions=sessions(False)).reason


def test_somebody_who_connects_beside_a_pool_that_stays_is_none() -> None:
    """A new job opens a session a second; the pool of the application is as it was."""
    rows = sessions(False)
    times = [START + s * 1_000_000 for s in range(60, 120)]
    given = {"time": rows["time"] + times, "pid": rows["pid"] + [9000 + i for i in range(len(times))]}
    assert "kept" in assert_clear(CHECK, requests=requests(slower=SLOWER, since=60), sessions=rows | given).reason


def counter(per_second: float, name: str, since: int = 60) -> list[dict[str, Any]]:
    return [{"time": START + t * 1_000_000, "name": name, "kind": "counter", "labels": {"job": "shop"}, "value": 12.0 + max(0, t - since) * per_second} for t in range(1, 120, 5)]


@pytest.mark.parametrize("name", ["app_db_connections_opened_total", "hikaricp_connections_creation_seconds_count", "mysql_global_status_connections", "pg_stat_database_sessions"])
def test_counters_of_connections_opened(name: str) -> None:
    traffic = requests(slower=SLOWER, since=60)
    assert_problem(CHECK, requests=traffic, metrics=counter(28, name))
    assert_clear(CHECK, requests=traffic, metrics=counter(0.2, name))


def test_a_database_log_of_connections() -> None:
    traffic = requests(slower=SLOWER, since=60)
    lines = [{"time": START + t * 1_000_000, "service": "postgresql", "level": "info", "template": "connection authorized: user=… database=…", "count": 30} for t in range(61, 119)]
    found = assert_problem(CHECK, requests=traffic, logs=lines)
    assert 0.8 < float(found.evidence[0].measurement.value or 0) < 1.2


@pytest.mark.parametrize("reused", [False, True])
def test_upstream_connect_times_of_the_edge(reused: bool) -> None:
    traffic = requests(slower=SLOWER, since=60)
    late = [t >= START + 60_000_000 and not reused for t in traffic["time"]]
    given = traffic | {"upstream_us": traffic["duration_us"], "upstream_connect_us": [20_000 if x else 0 for x in late]}
    given["duration_us"] = [max(d, 25_000) if x else d for d, x in zip(traffic["duration_us"], late, strict=True)]
    given["upstream_us"] = given["duration_us"]
    if reused:
        assert "kept" in assert_clear(CHECK, requests=given).reason
    else:
        assert assert_problem(CHECK, requests=given).share.value is not None


def test_a_log_alone_tells_nothing() -> None:
    assert_no_evidence(CHECK, requests=requests(slower=SLOWER, since=60))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_set_ups_that_no_span_shows(elsewhere: bool) -> None:
    """Sessions come and go, and own work is longer; where a partner became slow instead, they own nothing."""

    def one(late: bool, rng: Rng) -> Node:
        slow = 40.0 if late else 0.0
        pay = call("shop", "POST", served("bank", "POST /pay", about(rng, 10 + (slow if elsewhere else 0))), 0.2)
        return served("shop", "GET /items", about(rng, 5 + (0 if elsewhere else slow)), pay, database("shop", about(rng, 4)))

    given = recorded(one, seconds=120, since=60)
    if elsewhere:
        assert_clear(CHECK, sessions=sessions(True), **given)
    else:
        found = assert_problem(CHECK, sessions=sessions(True), **given)
        assert found.explains is not None and found.explains > 0.8
