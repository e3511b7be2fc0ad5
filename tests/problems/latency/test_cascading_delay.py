"""A dependency that became slow or failing, its look-alikes, and health; in systems of several shapes."""

from __future__ import annotations

from typing import Any

import pytest

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Node, Rng, about, call, database, recorded, served
from tests.traffic import START, requests

CHECK = "cascading-delay"


def browse(rng: Rng, times: float = 1.0) -> Node:
    return served("shop", "GET /items", about(rng, 4 * times), database("shop", about(rng, 3 * times)))


def checkout(rng: Rng, pay: float = 40.0, times: float = 1.0, **extra: Any) -> Node:
    charge = served("payments", "POST /charges", about(rng, pay))
    return served("shop", "POST /orders", about(rng, 6 * times), database("shop", about(rng, 5 * times)), call("shop", "POST", charge, peer="10.0.0.7:443", **extra))


def test_a_partner_that_became_slow_is_named_with_its_callers() -> None:
    found = assert_problem(CHECK, **recorded(lambda late, rng: checkout(rng, 250 if late else 40) if rng.random() < 0.4 else browse(rng)))
    assert found.scope["service"] == ["payments", "shop"]
    assert found.scope["route"] == "/orders"
    assert found.explains is not None and found.explains > 0.9
    assert isinstance(found.share.value, float) and 0.6 < found.share.value < 0.9
    assert found.confidence == 0 and all(t.passed for t in (*found.tests, *found.rejected))


def test_a_sample_of_the_traces_is_enough() -> None:
    found = assert_problem(CHECK, **recorded(lambda late, rng: checkout(rng, 250 if late else 40) if rng.random() < 0.4 else browse(rng), sampled=0.15))
    assert found.scope["service"] == ["payments", "shop"]


def test_traces_that_were_kept_for_being_slow_leave_a_doubt() -> None:
    traffic = recorded(lambda late, rng: checkout(rng, 250 if late else 40))
    for span in traffic["spans"]:
        span["sampler"] = "tail"
    found = assert_problem(CHECK, **traffic)
    assert [t.passed for t in found.tests] == [True, True, True, None]


def test_a_partner_without_traces_is_named_as_it_is_called() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        return served("shop", "POST /orders", about(rng, 6), call("shop", "POST", None, about(rng, 300 if late else 50), peer="api.bank.example"))

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["api.bank.example", "shop"]


@pytest.mark.parametrize("skew", [0, 30])
def test_the_origin_is_the_deepest_service_whose_own_time_rose(skew: float) -> None:
    def plan(late: bool, rng: Rng) -> Node:
        stock = call("orders", "GET stock", served("stock", "GET /stock", about(rng, 160 if late else 20)))
        middle = call("front", "POST orders", served("orders", "POST /orders", about(rng, 8), stock))
        middle.skew = skew
        return served("front", "POST /buy", about(rng, 5), database("front", about(rng, 3)), middle)

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["stock", "orders"]


def test_queues_in_between_do_not_hide_the_origin() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        stock = call("orders", "GET stock", served("stock", "GET /stock", about(rng, 160 if late else 20)))
        queue = Node("orders", "worker.queue", about(rng, 400 if late else 0.1))
        return served("front", "POST /buy", about(rng, 5), database("front", 3.0), call("front", "POST orders", served("orders", "POST /orders", about(rng, 8), queue, stock)))

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["stock", "orders"]


def test_requests_that_wait_for_a_worker_behind_it_belong_to_it() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        root = checkout(rng, 400 if late else 40) if rng.random() < 0.4 else browse(rng)
        root.below.insert(0, Node("shop", "worker.queue", about(rng, 120 if late else 0.1)))
        return root

    found = assert_problem(CHECK, **recorded(plan))
    assert found.explains is not None and found.explains > 0.9 and "queue for a worker" in found.components


def test_the_database_of_the_dependency_is_told() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        answer = served("payments", "POST /charges", about(rng, 5), database("payments", about(rng, 200 if late else 20)))
        return served("shop", "POST /orders", about(rng, 6), database("shop", about(rng, 5)), call("shop", "POST", answer))

    found = assert_problem(CHECK, **recorded(plan))
    assert found.scope["service"] == ["payments", "shop"] and "its database" in found.cause


def test_spans_without_kinds() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        inner = Node("ledger", "book", about(rng, 200 if late else 20), kind=None)
        return Node("shop", "POST /orders", about(rng, 6), [Node("shop", "work", about(rng, 5), kind=None), inner], kind=None)

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["ledger", "shop"]


def test_one_slow_operation_among_many_fast_calls_is_seen() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        root = checkout(rng, 100 if late else 20)
        root.below += [call("shop", "GET", served("payments", "GET /config", about(rng, 50)), peer="10.0.0.7:443") for _ in range(3)]
        return root

    assert "POST" not in assert_problem(CHECK, **recorded(plan)).cause


def test_the_slow_one_is_told_beside_a_new_one() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        root = checkout(rng, 80 if late else 20)
        if late:
            root.below.append(call("shop", "POST", served("journal", "POST /entries", about(rng, 50))))
        return root

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["payments", "shop"]


def test_proxies_beside_the_services_are_not_the_origin() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        pay = served("payments", "POST /charges", about(rng, 150 if late else 20))
        inner = served("proxy-payments", "ingress", 0.3, call("proxy-payments", "egress", pay, 0.3))
        outer = served("proxy-shop", "egress", 0.3, call("proxy-shop", "egress", inner, 0.3))
        app = served("shop", "POST /orders", about(rng, 6), database("shop", 5.0), call("shop", "POST", outer))
        return served("entrance", "POST /orders", 0.3, call("entrance", "POST", app, 0.3))

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["payments", "proxy-payments"]


def test_calls_that_hang_until_their_limit() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        bad = {"status": "error"} if late and rng.random() < 0.5 else {}
        return served("shop", "POST /orders", about(rng, 6), database("shop", 5.0), call("shop", "POST", None, 1000.0 if bad else about(rng, 40), peer="bank.example", **bad), **bad)

    assert assert_problem(CHECK, **recorded(plan)).scope["service"] == ["bank.example", "shop"]


def test_a_database_that_both_use_slows_both() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        times = 8 if late else 1
        answer = served("payments", "POST /charges", about(rng, 5), database("payments", about(rng, 12 * times)))
        return served("shop", "POST /orders", about(rng, 6), database("shop", about(rng, 9 * times)), call("shop", "POST", answer))

    assert_clear(CHECK, **recorded(plan))


def test_health_is_clear() -> None:
    healthy = recorded(lambda _late, rng: checkout(rng) if rng.random() < 0.4 else browse(rng))
    assert_clear(CHECK, since=START + 40_000_000, until=START + 80_000_000, **healthy)


def test_without_a_departure_there_is_nothing_to_compare() -> None:
    healthy = recorded(lambda _late, rng: checkout(rng), seconds=60)
    assert examine(CHECK, **healthy).status is Status.NOT_APPLICABLE


def test_without_traces_nothing_is_said() -> None:
    assert_no_evidence(CHECK, requests=requests(slower={"/orders": 200}, since=60))


def test_a_host_that_both_share_slows_both() -> None:
    assert_clear(CHECK, **recorded(lambda late, rng: checkout(rng, 120 if late else 30, 6 if late else 1) if rng.random() < 0.5 else browse(rng, 8 if late else 1)))


def test_slow_work_of_the_caller_is_another_problem() -> None:
    assert_clear(CHECK, **recorded(lambda late, rng: checkout(rng, 40, 30 if late else 1)))


def test_more_calls_of_the_same_length_are_another_problem() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        root = checkout(rng)
        if late:
            root.below += [call("shop", "POST", served("payments", "POST /charges", about(rng, 40)), peer="10.0.0.7:443") for _ in range(3)]
        return root

    assert "no call is surely and much slower" in assert_clear(CHECK, **recorded(plan)).reason


def test_what_stands_behind_an_entrance_is_the_system_itself() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        app = served("app", "GET /items", about(rng, 90 if late else 10), database("app", about(rng, 5)))
        return served("gateway", "GET /items", 0.6, call("gateway", "GET", app))

    assert_clear(CHECK, **recorded(plan))


def test_a_consumer_that_nobody_waits_for_delays_nobody() -> None:
    def plan(late: bool, rng: Rng) -> Node:
        consumer = Node("mail", "process", about(rng, 500 if late else 50), kind="consumer")
        send = Node("shop", "send", 1.0, [consumer], "producer", {"system": "kafka", "peer": "kafka/mails"}, gives_up=1.0)
        return served("shop", "POST /orders", about(rng, 120 if late else 10), send)

    assert_clear(CHECK, **recorded(plan))


def test_a_dependency_that_is_asked_more_often_is_the_victim_of_the_traffic() -> None:
    outcome = examine(CHECK, **recorded(lambda late, rng: checkout(rng, 250 if late else 40), surge=2.5, rate=6))
    assert outcome.status is Status.SYMPTOM and outcome.findings[0].parents == ("traffic-surge",)


def failing(rate: float, status: int = 500, again: int = 0, same: bool = False) -> Any:
    def plan(late: bool, rng: Rng) -> Node:
        bad = late and rng.random() < rate
        root = served("shop", "POST /orders", about(rng, 6), database("shop", about(rng, 5)))
        for _ in range(1 + (again if bad else 0)):
            error = {"status": "error", "http_status": status} if bad else {"status": "unset", "http_status": 200}
            root.below.append(call("shop", "POST", served("payments", "POST /charges", about(rng, 20), **error), peer="10.0.0.7:443", **error))
            bad = bad and (same or rng.random() < rate)
            if error["status"] == "unset":
                break
        if root.below[-1].extra["status"] == "error":
            root.extra = {"status": "error", "http_status": 502}
        return root

    return plan


def test_a_partner_that_began_to_fail() -> None:
    found = assert_problem(CHECK, **recorded(failing(0.5)))
    assert found.scope["service"] == ["payments", "shop"] and found.share.unit.startswith("share of requests that failed")


def test_what_is_refused_as_the_callers_fault_is_the_callers() -> None:
    outcome = examine(CHECK, **recorded(failing(0.5, 422)))
    assert outcome.status is Status.SYMPTOM and outcome.findings[0].parents == ("deploy-regression",)


def test_what_fails_on_every_attempt_fails_for_what_is_asked() -> None:
    assert examine(CHECK, **recorded(failing(0.5, again=2, same=True))).status is Status.SYMPTOM
    assert examine(CHECK, **recorded(failing(0.6, again=2))).status is Status.PROBLEM


def test_a_release_of_the_caller_comes_before_its_partner() -> None:
    events = [{"time": START + 40_000_000, "kind": "deploy", "service": "shop", "version": "2"}]
    assert examine(CHECK, **recorded(failing(0.5)), events=events).status is Status.SYMPTOM
