"""Work that grows faster than its size, in systems that say the size in different ways; and what grows otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Node, Rng, about, call, database, recorded, served
from tests.traffic import START

CHECK = "superlinear-algorithm"


def size_of(rng: Rng) -> float:
    return float(np.exp(rng.uniform(np.log(20), np.log(800))))


def square(size: float) -> float:
    return 0.5 + 400 * (size / 800) ** 2


def straight(size: float) -> float:
    return 0.5 + 100 * size / 800


def report(rng: Rng, size: float, own: float, how: str) -> Node:
    """A request that reads ``size`` things and works ``own`` ms on them."""
    read = database("shop", about(rng, 2 + size / 100))
    inner = Node("shop", "report.build", own * about(rng, 1.0, 0.2))
    root = served("shop", "GET /reports/{id}", 1.0, read, inner)
    if how == "rows":
        read.extra["rows"] = int(size)
    elif how == "attribute":
        inner.extra["attributes"] = {"report.lines": str(int(size)), "thread.id": "7"}
    else:
        root.extra[how] = int(size * 60)
    return root


def always(cost: Callable[[float], float], how: str = "rows") -> Callable[[bool, Rng], Node]:
    def plan(late: bool, rng: Rng) -> Node:
        if rng.random() < 0.4:
            return served("shop", "GET /items", about(rng, 4), database("shop", about(rng, 2)))
        size = size_of(rng)
        return report(rng, size, cost(size), how)

    return plan


def traced(plan: Callable[[bool, Rng], Node], **how: Any) -> dict[str, Any]:
    return recorded(plan, **({"seconds": 40, "since": 20, "rate": 4, "seed": 2} | how))


@pytest.mark.parametrize("how", ["rows", "attribute", "request_bytes", "response_bytes"])
def test_a_square_shows_by_whatever_says_the_size(how: str) -> None:
    found = assert_problem(CHECK, **traced(always(square, how)))
    exponent = found.evidence[0].measurement
    assert exponent.value is not None and abs(exponent.value - 2) < 0.3 and exponent.interval is not None and exponent.interval[0] > 1.5
    assert found.scope == {"service": "shop", "route": "/reports/{id}"} and found.components == ("self: shop",)
    assert all(test.passed for test in found.tests)


def test_with_a_release() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        return always(square if late else lambda size: straight(size) / 5)(late, rng)

    found = assert_problem(CHECK, **traced(plan, seconds=80, since=40, rate=8))
    assert found.explains is not None and found.explains > 0.6


@pytest.mark.parametrize("cost", [straight, lambda size: 30.0, lambda size: 0.02 * size * np.log(size)], ids=["in proportion", "constant", "n log n"])
def test_what_grows_no_faster_than_its_size(cost: Callable[[float], float]) -> None:
    assert_clear(CHECK, **traced(always(cost)))


def test_a_call_a_row_grows_in_proportion() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        n = int(rng.integers(3, 60))
        first = database("shop", 2.0, "SELECT id FROM lines")
        first.extra["rows"] = n
        return served("shop", "GET /orders/{id}", 1.0 + n / 20, first, *(database("shop", about(rng, 2), "SELECT name FROM products WHERE id = $1") for _ in range(n)))

    assert_clear(CHECK, **traced(plan))
    assert examine("n-plus-one", **traced(plan)).status is Status.PROBLEM


def test_time_of_the_database_is_not_the_work_s() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        size = size_of(rng)
        return served("shop", "GET /reports/{id}", 2.0, database("shop", square(size) * about(rng, 1, 0.2)), response_bytes=int(size * 60))

    traffic = traced(plan)
    for row, root in zip(traffic["requests"], (s for s in traffic["spans"] if s["parent_span_id"] is None), strict=True):
        row["response_bytes"] = root["response_bytes"]
    assert_clear(CHECK, **traffic)


def test_a_limit_that_is_passed_is_a_step() -> None:
    assert examine(CHECK, **traced(always(lambda size: 2.0 if size < 300 else 300.0))).status is Status.CLEAR


def test_another_service_does_the_work() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        size = size_of(rng)
        inner = served("pricing", "POST /price", square(size) * about(rng, 1, 0.2), request_bytes=int(size * 40))
        return served("shop", "GET /quotes/{id}", 3.0, call("shop", "POST", inner, peer="10.0.0.9:80"))

    assert assert_problem(CHECK, **traced(plan)).scope["service"] == "pricing"


def logged(cost: Callable[[Any], Any], before: Callable[[Any], Any], seed: int = 0, n: int = 1200) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(20), np.log(800), n))
    took = np.where(np.arange(n) < n // 2, before(size), cost(size)) * rng.lognormal(0, 0.25, n) + 3
    other = rng.lognormal(1.5, 0.3, n)
    rows: list[dict[str, Any]] = []
    for i in range(n):
        both = {"status": 200, "method": "GET", "service": "web", "time": START + i * 200_000}
        rows.append(both | {"route": "/reports/{id}", "duration_us": int(took[i] * 1000), "response_bytes": int(size[i] * 60)})
        rows.append(both | {"route": "/items", "duration_us": int(other[i] * 1000), "response_bytes": 900, "time": both["time"] + 70_000})
    return rows


def test_an_access_log_alone() -> None:
    found = assert_problem(CHECK, requests=logged(square, straight))
    assert found.scope["route"] == "/reports/{id}" and {t.problem for t in found.rejected if t.passed is None} >= {"n-plus-one", "missing-index"}
    assert_clear(CHECK, requests=logged(lambda s: 3 * straight(s), straight))
    assert_clear(CHECK, requests=logged(lambda s: 60 + straight(s), straight))


def test_sizes_that_hardly_differ_say_nothing() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        return report(rng, float(rng.uniform(100, 200)), about(rng, 30), "rows")

    assert_no_evidence(CHECK, **traced(plan))
