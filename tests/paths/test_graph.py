"""Who calls whom."""

from __future__ import annotations

import pytest

from perfaudit.paths.attempts import attempts
from perfaudit.paths.graph import Graph, graph
from tests.paths.made import Row, seconds, trace, tracing


def drawn(rows: list[Row], most: int = 40) -> Graph:
    found = tracing(rows)
    return graph(found, attempts(found).again, most)


def test_calls_per_request_percentiles_failures_and_repeats_of_a_hop() -> None:
    rows = []
    for i, at in enumerate(seconds("affected", 20)):
        first = "status=error" if i < 5 else "status=ok"
        rows += trace(
            i, at, "a shop/POST_/pay server 0-10000", f"b<a shop/POST client 1000-{2000 + i * 10} peer=bank:1 {first}", *(["c<a shop/POST client 3000-4000 peer=bank:1 status=ok"] if i < 5 else []),
            "d<a shop/GET client 5000-6000 system=redis peer=cache:1",
        )  # fmt: skip
    rows += [r for i, at in enumerate(seconds("reference", 20)) for r in trace(100 + i, at, "a shop/POST_/pay server 0-10000", "b<a shop/POST client 1000-1500 peer=bank:1")]
    found = drawn(rows)
    assert [(n.name, n.kind, n.root) for n in found.nodes] == [("bank:1", "external", False), ("cache:1", "cache", False), ("shop", "service", True)]
    bank, cache = found.edges
    assert (bank.caller, bank.callee) == ("shop", "bank:1")
    now, before = bank.affected, bank.reference
    assert now is not None and before is not None
    assert now.calls == 25 and now.per_request == pytest.approx(1.25) and before.per_request == pytest.approx(1)
    assert now.failed == pytest.approx(0.2) and now.again == pytest.approx(0.2) and before.again == 0
    assert (before.p50, before.p95) == (0.5, 0.5)
    assert now.p95 == pytest.approx(1.18)
    waited = sum(1000 + i * 10 for i in range(20)) + 5 * 1000
    assert bank.share.value == pytest.approx(waited / 200_000)
    assert cache.reference is None and cache.affected is not None and cache.affected.per_request == 1
    assert sum(n.own for n in found.nodes) == pytest.approx(1)


def test_a_server_span_below_names_the_callee_and_its_address_is_the_same_node_without_one() -> None:
    rows = [r for i, at in enumerate(seconds("affected", 6)) for r in trace(i, at, "a shop/GET_/x server 0-9000", "b<a shop/GET client 0-8000 peer=10.0.0.1:80", "c<b tax/GET_/tax server 1000-7000")]
    rows += trace(50, 1900, "a shop/GET_/x server 0-9000", "b<a shop/GET client 0-8000 peer=10.0.0.1:80")
    (edge,) = drawn(rows).edges
    assert (edge.caller, edge.callee) == ("shop", "tax")
    assert edge.affected is not None and edge.affected.calls == 7


def test_an_address_that_two_services_answer_stays_an_address() -> None:
    rows = []
    for i, at in enumerate(seconds("affected", 6)):
        rows += trace(i, at, "a shop/GET_/x server 0-9000", "b<a shop/GET client 0-8000 peer=gateway:80", f"c<b {'tax' if i % 2 else 'stock'}/GET server 1000-7000")
    rows += trace(50, 1900, "a shop/GET_/x server 0-9000", "b<a shop/GET client 0-8000 peer=gateway:80")
    assert {e.callee for e in drawn(rows).edges} == {"tax", "stock", "gateway:80"}


def test_without_client_spans_a_parent_of_another_service_is_the_caller() -> None:
    rows = [r for i, at in enumerate(seconds("affected", 6)) for r in trace(i, at, "a shop/GET_/x internal 0-9000", "b<a tax/compute internal 1000-7000", "c<b tax/inner internal 2000-3000")]
    (edge,) = drawn(rows).edges
    assert (edge.caller, edge.callee) == ("shop", "tax") and edge.affected is not None and edge.affected.calls == 6


def test_a_call_around_a_call_of_the_same_two_counts_once() -> None:
    rows = [
        r for i, at in enumerate(seconds("affected", 6))
        for r in trace(i, at, "a shop/GET_/x server 0-9000", "b<a shop/Repository.find client 1000-5000 system=postgresql peer=db", "c<b shop/SELECT client 1500-4500 system=postgresql peer=db")
    ]  # fmt: skip
    (edge,) = drawn(rows).edges
    assert edge.affected is not None and edge.affected.per_request == 1 and edge.affected.p50 == 4.0
    assert edge.share.value == pytest.approx(4 / 9)


def test_a_store_without_an_address_is_called_by_its_system_and_edges_are_counted() -> None:
    rows = [
        r for i, at in enumerate(seconds("affected", 6))
        for r in trace(i, at, "a shop/GET_/x server 0-9000", "b<a shop/SELECT client 1000-5000 system=postgresql", "c<a shop/GET client 6000-6150 system=redis", "d<a shop/publish producer 6200-6300 system=kafka peer=orders")
    ]  # fmt: skip
    found = drawn(rows, most=2)
    assert [e.callee for e in found.edges] == ["postgresql", "redis"] and found.left_out == 1
    assert {n.name: n.kind for n in drawn(rows).nodes} == {"shop": "service", "postgresql": "database", "redis": "cache", "orders": "queue"}


def test_one_service_without_calls_has_no_edge() -> None:
    found = drawn(trace(1, 1500, "a shop/GET_/x server 0-9000", "b<a shop/step internal 100-200"))
    assert found.edges == () and [n.name for n in found.nodes] == ["shop"]


def test_an_attempt_that_never_arrived_has_the_callee_of_one_that_did() -> None:
    """Without it the second attempt would not be seen as one: the first is only known by its address."""
    rows = []
    for i, at in enumerate(seconds("affected", 10)):
        lost = ["b<a shop/POST client 1000-2000 peer=pay:80 status=error"] if i < 4 else []
        rows += trace(i, at, "a shop/POST_/x server 0-9000", *lost, "c<a shop/POST client 3000-8000 peer=pay:80", "d<c payments/POST server 4000-7000")
    (edge,) = drawn(rows).edges
    assert edge.callee == "payments" and edge.affected is not None
    assert edge.affected.calls == 14 and edge.affected.again == pytest.approx(4 / 14)
    found = tracing(rows)
    assert {found.dependency[1][c] for c in found.dependency[0].tolist() if c >= 0} == {"payments"}
