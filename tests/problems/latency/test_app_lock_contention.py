"""Requests that pass one place one at a time, made by a queue in front of it; and places that many pass, or that all routes are slow at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Node, Rng, _lay, about, call, database, served
from tests.traffic import START

CHECK = "app-lock-contention"
#: Who holds it: (waits before it in ms, hold in ms, rng) → the root span of a request.
Shape = Callable[[float, float, Rng], Node]


def partner(hold: float) -> Node:
    return call("shop", "POST", served("bank", "POST /charges", hold - 1.0), peer="10.0.0.7:443")


def quiet(wait: float, hold: float, rng: Rng) -> Node:
    """The wait shows as own time before the call that is made under the lock."""
    return served("shop", "POST /orders", 2.0, database("shop", about(rng, 3), "insert"), Node("shop", "wait", wait), partner(hold))


def merged(root: Node, name: str = "wait") -> Node:
    """Without a span for the wait: a pause of the parent."""
    for node in list(root.below):
        merged(node, name)
        if node.operation == name:
            node.kind = "gone"
    return root


def lock_span(name: str) -> Shape:
    def shape(wait: float, hold: float, rng: Rng) -> Node:
        root = quiet(wait, hold, rng)
        root.below[1].operation = name
        return root

    return shape


def behind_gateway(wait: float, hold: float, rng: Rng) -> Node:
    return served("edge", "POST /orders", 0.5, call("edge", "POST", quiet(wait, hold, rng), peer="shop:80"))


def in_framework(wait: float, hold: float, rng: Rng) -> Node:
    root = quiet(wait, hold, rng)
    return served("shop", "POST /orders", 0.5, Node("shop", "OrderController.create", 1.0, root.below))


def traffic(
    shape: Shape, *, places: int = 1, hold: float = 150.0, rate: float = 7.0, since: float = 40.0, seconds: float = 90.0, locks: bool = True, sampled: float = 1.0, instances: int = 2, slow: float = 0.0, others: float = 4.0, told: bool = True
) -> dict[str, Any]:
    """Half of the requests come to the place, of which each instance has ``places``; from ``since`` on they queue for it, or take ``slow`` ms more; the rest takes ``others`` ms."""
    rng = np.random.default_rng(5)
    spans: list[dict[str, Any]] = []
    log: list[dict[str, Any]] = []
    free = np.zeros((instances, places))
    at = 0.0
    while (at := at + float(rng.exponential(1 / rate))) < seconds:
        one, late = int(rng.integers(instances)), at >= since
        if rng.random() < 0.25:
            root = served("shop", "GET /items", about(rng, others if late else 4.0), database("shop", about(rng, 3)))
        else:
            takes, begin = about(rng, hold, 0.4), at + 0.005
            place = int(np.argmin(free[one]))
            wait = max(0.0, float(free[one][place]) - begin) if locks and late else 0.0
            free[one][place] = begin + wait + takes / 1000
            root = shape(wait * 1000 + (about(rng, slow, 0.7) if late and slow else 0.0), takes, rng)
        rows: list[dict[str, Any]] = []
        start = START + int(at * 1e6)
        end = _lay(merged(root), start, f"{len(log):032x}", None, rows, 0)
        if rng.random() < sampled:
            spans += [row | {"instance": f"{row['service']}-{one}" if told else None} for row in rows if row["kind"] != "gone"]
        method, _, route = root.operation.partition(" ")
        log.append({"time": start, "duration_us": end - start + 300, "status": 200, "method": method, "route": route, "service": "web"})
    return {"spans": spans, "requests": log}


@pytest.mark.parametrize("shape", [quiet, lock_span("lock.acquire"), lock_span("sequence.wait"), behind_gateway, in_framework], ids=["no span", "lock span", "wait span", "gateway", "framework"])
def test_one_at_a_time_passes(shape: Shape) -> None:
    found = assert_problem(CHECK, **traffic(shape))
    assert "shop" in found.scope["service"] and found.scope["route"] == "/orders"
    assert found.explains is not None and found.explains > 0.6
    ruled_out = {test.problem for test in found.rejected if test.passed}
    assert ruled_out >= {"pool-exhaustion", "row-lock-contention", "cpu-saturation", "runtime-pause", "single-threaded-section"}
    assert "serialised resource" in found.title or shape is not quiet


def test_a_span_that_says_lock_is_called_one() -> None:
    found = assert_problem(CHECK, **traffic(lock_span("mutex.acquire")))
    assert found.scope["object"] == "mutex.acquire" and "application lock or wait" in found.components and "wait for a lock" in found.title


def test_a_sample_of_the_traces_is_enough() -> None:
    assert_problem(CHECK, **traffic(quiet, sampled=0.3, seconds=240, since=120))


def test_two_routes_that_share_it() -> None:
    def shape(wait: float, hold: float, rng: Rng) -> Node:
        root = quiet(wait, hold, rng)
        if rng.random() < 0.5:
            root.operation = "POST /refunds"
        return root

    assert sorted(assert_problem(CHECK, **traffic(shape)).scope["route"]) == ["/orders", "/refunds"]


def test_one_process_that_does_not_say_its_name() -> None:
    assert_problem(CHECK, **traffic(quiet, instances=1, rate=6.0, told=False, hold=120.0))


@pytest.mark.parametrize("shape", [quiet, lock_span("slot.wait")], ids=["pool without spans", "semaphore"])
def test_a_place_that_some_pass_at_once(shape: Shape) -> None:
    assert_clear(CHECK, **traffic(shape, places=4, hold=150.0, rate=32.0, instances=1, seconds=60, since=30))


def test_more_work_on_one_route_is_no_queue() -> None:
    assert_clear(CHECK, **traffic(quiet, locks=False, slow=200.0))


def test_a_slow_call_is_none() -> None:
    assert_clear(CHECK, **traffic(lambda wait, hold, rng: quiet(0.0, hold + wait, rng), locks=False, slow=300.0))


def test_when_all_routes_are_slow_it_is_the_machine() -> None:
    def shape(wait: float, hold: float, rng: Rng) -> Node:
        return served("shop", "POST /orders", 2.0 + wait, database("shop", 3.0))

    assert examine(CHECK, **traffic(shape, locks=False, slow=150.0, others=150.0)).status is Status.CLEAR


def test_a_lock_that_was_always_there_is_not_what_changed() -> None:
    def shape(wait: float, hold: float, rng: Rng) -> Node:
        return quiet(20.0, 150.0, rng)

    assert_clear(CHECK, **traffic(shape, locks=False))


def test_too_little() -> None:
    assert_no_evidence(CHECK, requests=traffic(quiet)["requests"])
