"""Workers that are all occupied: by long requests, or by what makes it a symptom; look-alikes and health."""

from __future__ import annotations

from typing import Any

import pytest

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Rng, about, call, database, served
from tests.queues import Run, Use, recorded, simulate
from tests.traffic import START, requests, waits

CHECK = "worker-exhaustion"
TOMCAT = ("tomcat_threads_busy_threads", "tomcat_threads_config_max_threads", "executor_queued_tasks")


def page(rng: Rng, own: float = 8.0, statement: float = 6.0) -> Use:
    mine, data = about(rng, own), about(rng, statement)
    return Use(served("shop", "GET /items" if rng.random() < 0.6 else "GET /carts/{id}", mine, database("shop", data)), mine + data, before=0)


def polls(share: float, stay: float = 3000) -> object:
    """Pages, and from the middle on polls that stay open."""

    def plan(late: bool, rng: Rng) -> Use:
        if late and rng.random() < share:
            return Use(served("shop", "GET /news", stay), stay, before=0)
        return page(rng)

    return plan


def eight(_: float) -> int:
    return 8


@pytest.mark.parametrize("outside", [False, True])
def test_polls_that_stay_open_occupy_the_workers(outside: bool) -> None:
    run = simulate(polls(0.15), eight, patience=30_000)  # type: ignore[arg-type]
    found = assert_problem(CHECK, **recorded(run, "http.queue", outside=outside))
    assert "/news" in found.cause and "long requests" in found.title
    assert found.scope["service"] == "shop" and found.type == "problem"
    assert all(t.passed is not False for t in (*found.tests, *found.rejected))


def test_a_sample_of_the_traces_is_enough() -> None:
    run = simulate(polls(0.15), eight, patience=30_000)  # type: ignore[arg-type]
    assert "/news" in assert_problem(CHECK, **recorded(run, "worker.queue", sampled=0.3)).cause


def test_slow_uploads_of_one_route_occupy_the_workers() -> None:
    def plan(late: bool, rng: Rng) -> Use:
        if rng.random() < 0.2:
            spent = about(rng, 2500 if late else 40)
            return Use(served("shop", "POST /photos", spent), spent, before=0)
        return page(rng)

    found = assert_problem(CHECK, **recorded(simulate(plan, eight, patience=30_000), "worker.queue"))
    assert "/photos" in found.title and "buffering" in found.fixes[0].action


@pytest.mark.parametrize("name", ["database", "partner"])
def test_workers_that_wait_for_something_slow_are_a_symptom(name: str) -> None:
    def plan(late: bool, rng: Rng) -> Use:
        spent = about(rng, 700 if late else 20)
        below = database("shop", spent) if name == "database" else call("shop", "POST", served("bank", "POST /pay", spent), own=0.1)
        return Use(served("shop", "POST /orders", 5.0, below), spent + 5, before=0) if rng.random() < 0.5 else page(rng)

    outcome = examine(CHECK, **recorded(simulate(plan, eight, patience=60_000), "worker.queue"))
    assert outcome.status is Status.SYMPTOM
    assert ("missing-index" if name == "database" else "cascading-delay") in outcome.findings[0].parents


def test_a_process_in_which_everything_became_slow_is_a_symptom() -> None:
    run = simulate(lambda late, rng: page(rng, *((260, 180) if late else (8, 6))), eight, patience=60_000)
    outcome = examine(CHECK, **recorded(run, "worker.queue"))
    assert outcome.status is Status.SYMPTOM and {"cpu-saturation", "single-threaded-section"} <= set(outcome.findings[0].parents)


def test_requests_that_finish_one_at_a_time_wait_for_a_lock() -> None:
    """Ten a second that take 95 ms when alone: they are one queue of their own, and the workers are full of it."""

    def plan(late: bool, rng: Rng) -> Use:
        if rng.random() < 0.5:
            waited, held = about(rng, 600 if late else 5), about(rng, 90, 0.05)
            return Use(served("shop", "POST /orders", waited, call("shop", "POST", served("bank", "POST /pay", held), own=0.1)), waited + held, before=0)
        return page(rng)

    outcome = examine(CHECK, **recorded(simulate(plan, eight, patience=60_000), "worker.queue"))
    assert outcome.status is Status.SYMPTOM and "app-lock-contention" in outcome.findings[0].parents
    assert "one at a time" in outcome.findings[0].cause


def test_more_of_the_same_requests_are_a_surge() -> None:
    run = simulate(lambda late, rng: page(rng, 60, 30), lambda _: 3, rate=12, surge=2.8, patience=60_000)
    outcome = examine(CHECK, **recorded(run, "worker.queue"))
    assert outcome.status is Status.SYMPTOM and "traffic-surge" in outcome.findings[0].parents


def test_fewer_workers_than_before_are_told() -> None:
    def size(t: float) -> int:
        return 1 if t >= 40 else 8

    run = simulate(lambda late, rng: page(rng, 20, 16), size, rate=26, patience=60_000)
    found = assert_problem(CHECK, **recorded(run, "worker.queue"), metrics=run.gauges(size, TOMCAT, job="shop"))
    assert "too few" in found.title


def test_gauges_alone_tell_of_long_requests() -> None:
    run = simulate(polls(0.15), eight, patience=30_000)  # type: ignore[arg-type]
    found = assert_problem(CHECK, requests=recorded(run, "x", outside=True)["requests"], metrics=run.gauges(eight, TOMCAT, job="shop"))
    assert found.type == "problem" and "/news" in found.cause


def test_a_worker_that_is_free_at_every_sample_is_not_waited_for() -> None:
    run = simulate(lambda late, rng: page(rng), lambda _: 100)
    run.wait = [float(i % 60) if at >= 40 else 0.0 for i, at in enumerate(run.at)]
    assert "free in each" in assert_clear(CHECK, **recorded(run, "worker.queue"), metrics=run.gauges(lambda _: 100, TOMCAT)).reason


@pytest.mark.parametrize("seed", range(3))
def test_health_is_clear(seed: int) -> None:
    run = simulate(lambda late, rng: page(rng), eight, seed=seed)
    assert_clear(CHECK, **recorded(run, "worker.queue", outside=bool(seed % 2), seed=seed))


def test_polls_that_were_always_there_are_how_it_is() -> None:
    def plan(late: bool, rng: Rng) -> Use:
        return Use(served("shop", "GET /news", 3000), 3000, before=0) if rng.random() < 0.1 else page(rng)

    assert_clear(CHECK, **recorded(simulate(plan, lambda _: 14, patience=30_000), "worker.queue"))


def test_without_a_queue_in_sight_there_is_no_evidence() -> None:
    traffic = requests()
    assert_no_evidence(CHECK, requests=traffic)
    assert_no_evidence(CHECK, requests=traffic, sessions=waits(traffic, "/orders", 100), metrics=[{"time": START + 1_000_000, "name": "up", "kind": "gauge", "labels": {}, "value": 1.0}])


def test_the_wait_that_spans_state_themselves_counts() -> None:
    """No span of the queue and no log: the server spans say how long their request waited (``http.server.request.queue_time``)."""
    run = simulate(polls(0.15), eight, patience=30_000)  # type: ignore[arg-type]
    spans = recorded(run, "x", outside=True)["spans"]
    waits_us = {f"{i:032x}": int(w * 1e3) for i, w in enumerate(run.wait)}
    for row in spans:
        row["queue_us"] = waits_us[row["trace_id"]] if row["parent_span_id"] is None else None
    found = assert_problem(CHECK, spans=spans, since=START + 40_000_000, until=START + 80_000_000)
    assert "/news" in found.cause


def behind_a_gateway(run: Run) -> dict[str, Any]:
    """The run's requests as a gateway passes them on: the wait lies between its call and the span that answers."""
    for use, waited in zip(run.uses, run.wait, strict=True):
        inner = use.root
        passed = call("gateway", "proxy", inner, own=2 * waited + 0.2)
        passed.extra["peer"] = "shop:8080"
        use.root = served("gateway", inner.operation, 0.3, passed)
    run.wait = [0.0] * len(run.wait)
    return recorded(run, "x", outside=True)


def test_the_workers_behind_a_gateway_are_found() -> None:
    run = simulate(polls(0.15), eight, patience=30_000)  # type: ignore[arg-type]
    found = assert_problem(CHECK, **behind_a_gateway(run))
    assert found.scope["service"] == "shop" and "/news" in found.cause


def test_a_slow_network_behind_a_gateway_occupies_no_worker() -> None:
    run = simulate(lambda late, rng: page(rng), eight)
    run.wait = [40.0 + i % 30 if at >= 40 else 0.0 for i, at in enumerate(run.at)]
    assert_clear(CHECK, **behind_a_gateway(run))
