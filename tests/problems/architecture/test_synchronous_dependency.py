"""Calls in line that are new, could be made at once, or are given up too early; and calls that have to be in line."""

from __future__ import annotations

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Node, Rng, about, call, database, recorded, served
from tests.traffic import START, requests

CHECK = "synchronous-dependency"
SINCE = {"since": START + 40_000_000, "until": START + 80_000_000}


def journal(rng: Rng, ms: float = 60) -> Node:
    return call("shop", "POST", served("journal", "POST /entries", about(rng, ms)), peer="10.0.0.9:80")


def look(rng: Rng, *below: Node) -> Node:
    return served("shop", "GET /customers/{id}", about(rng, 4), database("shop", about(rng, 4)), *below)


def test_a_call_that_a_release_added() -> None:
    found = assert_problem(CHECK, **recorded(lambda late, rng: look(rng, *([journal(rng)] if late else []))))
    assert found.scope == {"service": ["journal", "shop"], "route": "/customers/{id}"}
    assert found.explains is not None and found.explains > 0.9
    undecided = [t.problem for t in found.rejected if t.passed is not True]
    assert undecided == ["cascading-delay"]  # the reference holds no call to compare its duration with


def test_other_calls_of_the_same_service_tell_that_it_did_not_become_slow() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        if rng.random() < 0.3:
            return served("shop", "POST /orders", about(rng, 5), call("shop", "POST", served("journal", "POST /orders", about(rng, 60)), peer="10.0.0.9:80"))
        return look(rng, *([journal(rng)] if late else []))

    found = assert_problem(CHECK, **recorded(plan, sampled=0.5))
    assert all(t.passed for t in (*found.tests, *found.rejected))
    assert examine("cascading-delay", **recorded(plan)).status is Status.CLEAR


def test_a_call_that_was_made_beside_the_work() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        root = look(rng, journal(rng))
        root.below[0].own = about(rng, 90)
        root.below[1].beside = not late
        return root

    assert "beside" in assert_problem(CHECK, **recorded(plan)).title


def test_a_call_that_became_slow_is_another_problem() -> None:
    assert_clear(CHECK, **recorded(lambda late, rng: look(rng, journal(rng, 200 if late else 30))))


def test_a_call_for_each_row_is_another_problem() -> None:
    assert_clear(CHECK, **recorded(lambda late, rng: look(rng, *(journal(rng, 8) for _ in range(12 if late else 0)))))


def test_repeats_are_another_problem() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        bad = {"status": "error"} if late else {}
        tries = [call("shop", "POST", served("journal", "POST /entries", about(rng, 30), **bad), **bad) for _ in range(3 if late else 1)]
        return look(rng, *tries)

    assert_clear(CHECK, **recorded(plan))


def test_health_is_clear_and_a_constant_order_is_where_time_goes() -> None:
    def plan(_late: bool, rng: Rng) -> Node:
        return look(rng, journal(rng, 40), call("shop", "GET", served("rates", "GET /rates", about(rng, 30))))

    assert_clear(CHECK, **recorded(plan))
    assert_clear(CHECK, **SINCE, **recorded(plan))


def either(late: bool, rng: Rng, gap: float = 0.0, swap: float = 0.5) -> Node:
    calls = [journal(rng, 50), call("shop", "GET", served("rates", "GET /rates", about(rng, 45)))]
    if rng.random() < swap:
        calls.reverse()
    return look(rng, calls[0], *([Node("shop", "decide", about(rng, gap))] if gap else []), calls[1])


def test_calls_in_either_order_need_nothing_of_each_other() -> None:
    found = assert_problem(CHECK, **recorded(either))
    assert found.scope["service"] == ["journal", "rates", "shop"]
    assert isinstance(found.share.value, float) and 0.3 < found.share.value < 0.5  # the shorter of the two of about 115 ms


def test_calls_that_hang_together_are_clear() -> None:
    assert_clear(CHECK, **recorded(lambda late, rng: either(late, rng, swap=0.0)))
    assert_clear(CHECK, **recorded(lambda late, rng: either(late, rng, gap=60)))
    assert_clear(CHECK, **SINCE, **recorded(either))  # as ever, with a reference


def test_a_limit_below_the_callees_time() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        takes, limit = about(rng, 100, 0.3), 110.0 if late else 1000.0
        bad = {"status": "error"} if takes > limit else {}
        ask = call("shop", "POST", served("journal", "POST /entries", takes), **bad)
        ask.gives_up = limit
        root = look(rng, ask)
        root.extra = bad
        return root

    assert "gives up" in assert_problem(CHECK, **recorded(plan)).title


def test_without_traces_nothing_is_said() -> None:
    assert_no_evidence(CHECK, requests=requests())
