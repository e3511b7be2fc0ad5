"""Repeats that are the load, repeats that only go with a defect, and calls that are no repeats."""

from __future__ import annotations

from typing import Any

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Node, Rng, about, call, database, recorded, served
from tests.traffic import START, requests

CHECK = "retry-storm"
FAILED = {"status": "error"}


def attempt(rng: Rng, takes: float, limit: float, **extra: Any) -> Node:
    """A call that is given up after ``limit`` ms, while its callee works on."""
    late = takes > limit
    out = call("shop", "POST", served("partner", "POST /charges", takes), peer="10.0.0.7:443", **extra, **(FAILED if late else {}))
    out.gives_up = limit
    return out


def order(*below: Node, failed: bool = False) -> Node:
    return served("shop", "POST /orders", 6.0, database("shop", 4.0), *below, **(FAILED if failed else {}))


def storm(late: bool, rng: Rng, wrapped: bool = False, counted: bool = False, limit: float = 120.0) -> Node:
    if rng.random() < 0.5:
        return served("shop", "GET /items", about(rng, 5), database("shop", about(rng, 3)))
    tries = []
    for number in range(5):
        takes = about(rng, 170 if late else 60, 0.3)
        extra = {"resend_count": number} if counted and number else {}
        tries.append(attempt(rng, takes, limit, **extra))
        if takes <= limit:
            break
    failed = tries[-1].extra.get("status") == "error"
    return order(*([Node("shop", f"attempt {i}", 0.2, [t]) for i, t in enumerate(tries)] if wrapped else tries), failed=failed)


def test_repeats_that_overload_the_callee() -> None:
    found = assert_problem(CHECK, **recorded(storm))
    assert found.scope["service"] == ["shop", "partner"] and "retries" in found.components
    assert all(t.passed for t in (*found.tests, *found.rejected)), found.rejected
    assert examine("cascading-delay", **recorded(storm)).status is Status.CLEAR


def test_the_queue_that_repeats_make_is_theirs_even_where_requests_succeed_in_the_end() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        tries: list[Node] = []
        while len(tries) < 5 and (not tries or tries[-1].extra.get("status")):
            queue, work = about(rng, 60 if late else 0.5, 0.8), about(rng, 40, 0.15)
            bad = FAILED if queue + work > 110 else {}
            answer = served("partner", "POST /charges", 1.0, Node("partner", "line.wait", queue), Node("partner", "bank", work))
            tries.append(call("shop", "POST", answer, **bad))
            tries[-1].gives_up = 110.0
        return order(*tries, failed="status" in tries[-1].extra)

    assert_problem(CHECK, **recorded(plan))
    assert examine("cascading-delay", **recorded(plan)).status is Status.CLEAR


def test_repeats_two_hops_away_are_not_the_service_in_between() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        tries: list[Node] = []
        while len(tries) < 4 and (not tries or tries[-1].extra.get("status")):
            takes = about(rng, 130 if late else 40, 0.3)
            bad = FAILED if takes > 110 else {}
            tries.append(call("orders", "POST", served("partner", "POST /charges", takes), **bad))
            tries[-1].gives_up = 110.0
        bad = {"status": "error"} if "status" in tries[-1].extra else {}
        return order(call("shop", "POST", served("orders", "POST /orders", about(rng, 5), *tries, **bad), **bad), failed=bool(bad))

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["orders", "partner"]
    assert examine("cascading-delay", **recorded(plan)).status is Status.CLEAR


def test_wrappers_and_counters_of_attempts() -> None:
    assert_problem(CHECK, **recorded(lambda late, rng: storm(late, rng, wrapped=True)))
    assert_problem(CHECK, **recorded(lambda late, rng: storm(late, rng, counted=True), sampled=0.3))


def test_a_slow_partner_with_few_repeats_is_a_slow_partner() -> None:
    traffic = recorded(lambda late, rng: storm(late, rng, limit=230))
    assert examine("cascading-delay", **traffic).status is Status.PROBLEM
    assert examine(CHECK, **traffic).status is not Status.PROBLEM


def test_requests_that_fail_on_every_attempt_are_no_storm() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        bad = late and rng.random() < 0.4
        answers = [served("partner", "POST /charges", about(rng, 30), **(FAILED if bad else {})) for _ in range(3 if bad else 1)]
        return order(*(call("shop", "POST", a, **(FAILED if bad else {})) for a in answers), failed=bad)

    outcome = examine(CHECK, **recorded(plan))
    assert outcome.status is Status.SYMPTOM and outcome.findings[0].parents[0] == "deploy-regression"


def test_pages_of_a_list_are_no_repeats() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        return order(*(call("shop", "GET", served("partner", "GET /entries", about(rng, 30))) for _ in range(6 if late else 1)))

    assert "1.00 attempts" in assert_clear(CHECK, **recorded(plan)).reason


def test_more_users_are_no_repeats() -> None:
    assert_clear(CHECK, **recorded(lambda _late, rng: storm(False, rng), surge=3))


def test_a_system_that_repeats_as_ever_is_clear() -> None:
    always = recorded(lambda _late, rng: storm(True, rng))
    assert "as many as ever" in assert_clear(CHECK, since=START + 40_000_000, until=START + 80_000_000, **always).reason


def tiers(inner: int, failed: float, surge: float = 1.0) -> list[dict[str, Any]]:
    """Logs of an edge and of a service behind it, which is called once, and from 60 s on ``inner`` times, for each order."""
    edge = requests(rate=12, seed=5, since=60, surge=surge, slower={"/orders": 150 * (inner - 1)} if inner > 1 else None)
    rows = [dict(zip(edge, values, strict=True)) for values in zip(*({**edge, "service": ["edge"] * len(edge["time"])}.values()), strict=True)]
    behind = []
    for i, row in enumerate(r for r in rows if r["route"] == "/orders"):
        late = row["time"] >= START + 60_000_000
        times = inner if late else 1
        for k in range(times):
            bad = (late and k < times - 1) or (late and i % 10 < 10 * failed)
            behind.append({**row, "service": "stock", "route": "/reserve", "time": row["time"] + 1000 + k * row["duration_us"] // times, "duration_us": row["duration_us"] * 9 // (10 * times), "status": 503 if bad else 200})
    return rows + behind


def test_logs_of_two_tiers_show_the_multiplication() -> None:
    found = assert_problem(CHECK, requests=tiers(4, 0.2))
    assert found.scope["service"] == ["edge", "stock"]
    assert_clear(CHECK, since=START + 60_000_000, until=START + 120_000_000, requests=tiers(1, 0.0, surge=2))
    assert examine(CHECK, requests=tiers(1, 0.0)).status is Status.NOT_APPLICABLE


def test_one_log_tells_nothing() -> None:
    assert_no_evidence(CHECK, requests=requests(slower={"/orders": 200}, since=60))
