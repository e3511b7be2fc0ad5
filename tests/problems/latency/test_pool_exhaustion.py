"""Pools that are empty for four reasons, what only looks like one, and health."""

from __future__ import annotations

import pytest

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Node, Rng, about, call, database, served
from tests.queues import Run, Use, recorded, simulate
from tests.traffic import requests

CHECK = "pool-exhaustion"
HIKARI = ("hikaricp_connections_active", "hikaricp_connections_max", "hikaricp_connections_pending")


def select(late: bool, rng: Rng, slow: float = 1.0, other: float = 0.0, leak: float = 0.0, service: str = "shop") -> Use:
    """A request that takes a connection, runs a statement (``slow``: times its calm length), calls somebody (``other`` ms) and commits."""
    first, last = about(rng, 12 * (slow if late else 1)), about(rng, 3)
    between = [call(service, "POST", served("mail", "POST /send", about(rng, other)), own=0.1)] if late and other else []
    spent = sum(n.own + sum(m.own for m in n.below) for n in between)
    root = served(service, "GET /items" if rng.random() < 0.6 else "POST /orders", 1.0, database(service, first), *between, database(service, last, "commit"))
    return Use(root, first + spent + last, returns=not (late and rng.random() < leak))


def four(_: float) -> int:
    return 4


@pytest.mark.parametrize(("wait", "kind", "sampled"), [("pool.acquire", "internal", 1.0), ("HikariDataSource.getConnection", None, 1.0), ("db.pool.get", "client", 0.4)])
def test_connections_that_do_not_come_back_are_a_leak(wait: str, kind: str | None, sampled: float) -> None:
    run = simulate(lambda late, rng: select(late, rng, leak=0.02), four)
    found = assert_problem(CHECK, **recorded(run, wait, kind=kind, sampled=sampled))
    assert "not given back" in found.cause and "way out" in found.fixes[0].action
    assert found.scope["service"] == "shop" and found.type == "problem"
    assert next(t for t in found.rejected if t.problem == "traffic-surge").passed


def test_a_leak_shows_in_metrics_alone() -> None:
    run = simulate(lambda late, rng: select(late, rng, leak=0.02), four)
    given = recorded(run, "x")
    found = assert_problem(CHECK, requests=given["requests"], metrics=run.gauges(four, HIKARI, application="billing"))
    assert found.scope["service"] == "billing" and found.share.value and found.share.value > 0.2


def test_connections_held_while_somebody_else_is_called() -> None:
    run = simulate(lambda late, rng: select(late, rng, other=220), four)
    found = assert_problem(CHECK, **recorded(run, "pool.acquire"))
    assert "something else" in found.cause and "other work" in found.fixes[0].action


def test_statements_that_became_slow_make_it_a_symptom() -> None:
    run = simulate(lambda late, rng: select(late, rng, slow=18), four)
    outcome = examine(CHECK, **recorded(run, "pool.acquire"))
    assert outcome.status is Status.SYMPTOM
    found = outcome.findings[0]
    assert found.type == "symptom" and {"missing-index", "row-lock-contention"} <= set(found.parents)
    assert next(t for t in found.rejected if t.problem == "missing-index").passed is False


def test_calls_within_the_hold_that_became_slow_make_it_a_symptom() -> None:
    def plan(late: bool, rng: Rng) -> Use:
        between = call("shop", "POST", served("mail", "POST /send", about(rng, 230 if late else 20)), own=0.1)
        first, last = about(rng, 8), about(rng, 3)
        return Use(served("shop", "GET /items", 1.0, database("shop", first), between, database("shop", last)), first + last + between.below[0].own + 0.1)

    outcome = examine(CHECK, **recorded(simulate(plan, four), "pool.acquire"))
    assert outcome.status is Status.SYMPTOM and "cascading-delay" in outcome.findings[0].parents


def test_a_pool_that_became_smaller_is_told() -> None:
    def size(t: float) -> int:
        return 1 if t >= 40 else 8

    run = simulate(lambda late, rng: select(late, rng), size, rate=45, patience=4000)
    found = assert_problem(CHECK, **recorded(run, "pool.acquire"), metrics=run.gauges(size, HIKARI, pool="main"))
    assert "1 connections, 8 before" in found.cause and "Size the pool" in found.fixes[0].action


def test_more_of_the_same_requests_are_a_surge() -> None:
    run = simulate(lambda late, rng: select(late, rng), lambda _: 1, surge=2.6)
    outcome = examine(CHECK, **recorded(run, "pool.acquire"))
    assert outcome.status is Status.SYMPTOM and "traffic-surge" in outcome.findings[0].parents


def test_a_set_up_in_each_acquisition_is_no_wait() -> None:
    def plan(late: bool, rng: Rng) -> Use:
        return Use(served("shop", "GET /items", 1.0, database("shop", about(rng, 5))), 1.0)

    run = simulate(plan, lambda _: 50)
    run.wait = [25.0 + i % 7 if at >= 40 else 0.0 for i, at in enumerate(run.at)]
    assert "set up" in assert_clear(CHECK, **recorded(run, "pool.acquire")).reason


def test_slow_acquisitions_while_connections_are_free_are_none() -> None:
    """A process without a processor makes every span longer; its pool is not empty."""
    run = simulate(lambda late, rng: select(late, rng), lambda _: 50)
    run.wait = [float(i % 40) if at >= 40 else 0.0 for i, at in enumerate(run.at)]
    assert "free at every sample" in assert_clear(CHECK, **recorded(run, "pool.acquire"), metrics=run.gauges(lambda _: 50, HIKARI)).reason


@pytest.mark.parametrize("seed", range(3))
def test_health_is_clear(seed: int) -> None:
    run = simulate(lambda late, rng: select(late, rng), four, seed=seed)
    assert_clear(CHECK, **recorded(run, "pool.acquire", seed=seed))


def test_a_pool_that_always_waits_a_little_is_how_it_is() -> None:
    run = simulate(lambda late, rng: select(late, rng), lambda _: 1, rate=30, seed=4)
    assert_clear(CHECK, **recorded(run, "pool.acquire"))


def test_without_spans_or_metrics_of_a_pool_there_is_no_evidence() -> None:
    assert_no_evidence(CHECK, requests=requests())
    run = simulate(lambda late, rng: select(late, rng), four)
    assert_no_evidence(CHECK, **recorded(run, "render"))


def test_what_is_counted_is_what_waited() -> None:
    run: Run = simulate(lambda late, rng: select(late, rng, other=220), four, patience=10_000)
    given = recorded(run, "pool.acquire")
    found = assert_problem(CHECK, since=min(r["time"] for r in given["requests"]) + 40_000_000, **given)
    waited = sum(w for w, at in zip(run.wait, run.at, strict=True) if at >= 40) / 1e3
    assert found.added_seconds == pytest.approx(waited, rel=0.05)


def test_the_pool_of_a_service_behind_a_gateway() -> None:
    """A gateway in front; the pool is that of the service behind it."""
    run = simulate(lambda late, rng: select(late, rng, leak=0.02, service="stock"), four)
    for use, waited, got in zip(run.uses, run.wait, run.got, strict=True):
        inner = use.root
        inner.below = [Node("stock", "pool.acquire", waited + 0.05, extra={} if got else {"status": "error"}), *(inner.below if got else [])]
        use.root = served("gateway", inner.operation, 0.4, call("gateway", "proxy", inner, own=0.3))
    run.wait = [0.0] * len(run.wait)
    found = assert_problem(CHECK, **recorded(run, "x", outside=True))
    assert found.scope["service"] == "stock" and "not given back" in found.cause


def test_a_tail_sampler_makes_no_leak() -> None:
    """A few requests time out in bursts; of the rest hardly a trace is kept."""
    run = simulate(lambda late, rng: select(late, rng), lambda _: 4, rate=40)
    for i, at in enumerate(run.at):
        if at >= 40 and i % 25 == 0:
            run.wait[i], run.got[i] = 2000.0, False
    given = recorded(run, "pool.acquire", sampled=1.0)
    slow = {row["trace_id"] for row in given["requests"] if row["status"] == 500}
    spans = [dict(row, sampler="tail") for row in given["spans"] if row["trace_id"] in slow or int(row["trace_id"], 16) % 10 == 0]
    outcome = examine(CHECK, spans=spans, requests=given["requests"])
    assert outcome.status in (Status.CLEAR, Status.PROBLEM, Status.SYMPTOM)
    assert all("not given back" not in f.cause for f in outcome.findings)


@pytest.mark.parametrize("cached", [True, False])
def test_requests_that_take_a_connection_more_often(cached: bool) -> None:
    """Behind a cache that no longer answers it is a symptom."""

    def plan(late: bool, rng: Rng) -> Use:
        looks = [Node("shop", "GET", 0.4, kind="client", extra={"system": "redis", "peer": "redis"})] if cached else []
        if not late and rng.random() < 0.7:
            return Use(served("shop", "GET /items", 1.0, *looks, database("shop", about(rng, 2))), 0.0)
        first = about(rng, 45)
        return Use(served("shop", "GET /items", 1.0, *looks, database("shop", first)), first)

    run = simulate(plan, lambda _: 1, rate=18, patience=60_000)
    given = recorded(run, "pool.acquire")
    free = {row["trace_id"] for row, use in zip(given["requests"], run.uses, strict=True) if not use.hold}
    spans = [row for row in given["spans"] if not (row["trace_id"] in free and row["operation"] in ("pool.acquire", "SELECT"))]
    outcome = examine(CHECK, spans=spans, requests=given["requests"])
    assert outcome.status is (Status.SYMPTOM if cached else Status.PROBLEM), outcome.reason
    assert "as often" in outcome.reason


def test_longer_holds_in_metrics_alone_do_not_tell_what_they_are_held_for() -> None:
    run = simulate(lambda late, rng: select(late, rng, slow=18), four)
    metrics = run.gauges(four, HIKARI, application="billing")
    ended = sorted((b, b - a) for a, b in run.held)
    for t in range(1, max(int(m["time"] - metrics[0]["time"]) for m in metrics) // 1_000_000 + 2):
        done = [length for at, length in ended if at <= t]
        for name, value in (("hikaricp_connections_usage_seconds_sum", sum(done)), ("hikaricp_connections_usage_seconds_count", float(len(done)))):
            metrics.append({"time": metrics[0]["time"] + (t - 1) * 1_000_000, "name": name, "kind": "counter", "labels": {"application": "billing"}, "value": value})
    outcome = examine(CHECK, requests=recorded(run, "x")["requests"], metrics=metrics)
    assert outcome.status is Status.SYMPTOM, outcome.reason
    assert "not known" in outcome.findings[0].cause
