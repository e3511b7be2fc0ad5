"""Bursts that queue for something that one route uses, with and without traces that say for what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.testing import assert_clear, assert_problem
from tests.calls import Node, Rng, _lay, about, call, database, served
from tests.traffic import START

CHECK = "tail-under-concurrency"


def order(rng: Rng, wait: float, hold: float, waits_in: str) -> Node:
    """An order that waits somewhere for its turn at the partner."""
    turn = Node("bank", "desk.wait", wait)
    inner = served("bank", "POST /charges", 1.0, *([turn] if waits_in == "partner" else []), Node("bank", "authorise", hold))
    pool = [Node("shop", "pool.acquire", wait)] if waits_in == "pool" else []
    return served("shop", "POST /orders", 3.0, *pool, database("shop", about(rng, 3)), call("shop", "POST", inner, peer="10.0.0.7:443"))


def traffic(bursts: bool = True, queues: bool = True, seed: int = 3, waits_in: str = "partner", seconds: float = 60, slow: float = 0.0, start: int = START) -> dict[str, Any]:
    """Twelve requests a second on average, one in six an order; in bursts or evenly. Orders take their turn at one place, or ``slow`` ms more at random."""
    rng = np.random.default_rng(seed)
    spans: list[dict[str, Any]] = []
    log: list[dict[str, Any]] = []
    at, free = 0.0, 0.0
    while (at := at + float(rng.exponential(1 / ((50 if at % 12.5 < 2.2 else 5) if bursts else 12)))) < seconds:
        if rng.random() < 5 / 6:
            root = served("shop", "GET /items", about(rng, 4), database("shop", about(rng, 3)))
        else:
            hold = about(rng, 180, 0.2)
            wait = max(0.0, (free - at) * 1000) if queues else 0.0
            free = at + (wait + hold) / 1000
            root = order(rng, wait + (float(rng.exponential(slow)) if slow else 0.0), hold, waits_in)
        rows: list[dict[str, Any]] = []
        begin = start + int(at * 1e6)
        end = _lay(root, begin, f"{len(log) + seed * 100_000:032x}", None, rows, 0)
        spans += rows
        method, _, route = root.operation.partition(" ")
        log.append({"time": begin, "duration_us": end - begin + 300, "status": 200, "method": method, "route": route, "service": "web", "response_bytes": 900})
    return {"spans": spans, "requests": log}


CALM = traffic(bursts=False, seconds=40, seed=9, start=START - 600_000_000)


@pytest.mark.parametrize(("waits_in", "component"), [("partner", "application lock or wait: bank"), ("pool", "pool wait")])
def test_traces_name_what_bursts_queue_for(waits_in: str, component: str) -> None:
    found = assert_problem(CHECK, **traffic(waits_in=waits_in), baseline=CALM)
    assert found.components == (component,) and component in found.cause
    assert found.scope["route"] == "/orders" and ("bank" in found.scope["service"]) == (waits_in == "partner")


def test_one_route_that_queues_among_many_that_do_not() -> None:
    found = assert_problem(CHECK, requests=traffic()["requests"], baseline={"requests": CALM["requests"]})
    assert found.scope == {"service": "web", "route": "/orders"} and found.components == ()
    assert "sized for the average" in found.cause


def test_bursts_that_hurt_nobody() -> None:
    assert_clear(CHECK, requests=traffic(queues=False)["requests"], baseline={"requests": CALM["requests"]})


@pytest.mark.parametrize("seed", range(3))
def test_orders_that_are_slow_at_any_time_do_not_follow_the_bursts(seed: int) -> None:
    assert_clear(CHECK, requests=traffic(queues=False, slow=250, seed=seed)["requests"], baseline={"requests": CALM["requests"]})


def test_a_queue_at_even_load_is_no_burst() -> None:
    assert_clear(CHECK, **traffic(bursts=False), baseline=CALM)
