"""Flows by root operation: shares, means in both windows, and what was added."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.paths import by_flow
from perfaudit.paths.traced import labels
from perfaudit.paths.tracing import Key
from tests.paths.made import seconds, trace, tracing


def shop(slower: int) -> list[dict[str, object]]:
    """Twenty orders and ten pages in each window; in the affected one the query of an order takes ``slower`` µs more."""
    rows = []
    for zone in ("reference", "affected"):
        more = slower if zone == "affected" else 0
        for i, at in enumerate(seconds(zone, 20)):
            number = i + (1000 if zone == "affected" else 0)
            end = 10_000 + more + i * 10
            rows += trace(number, at, f"a shop/POST_/orders server 0-{end}", f"b<a shop/UPDATE client 1000-{5000 + more} system=postgresql")
        for i, at in enumerate(seconds(zone, 10)):
            rows += trace(i + (3000 if zone == "affected" else 2000), at + 0.2, "a shop/GET_/page server 0-2000")
    return rows


def test_the_flow_with_the_most_added_time_comes_first_and_its_pieces_add_up() -> None:
    found = tracing(shop(50_000))
    flows, n = by_flow.flows(found, labels(found), 10)
    assert n == 2
    orders, pages = flows
    assert (by_flow.name(orders.key), by_flow.name(pages.key)) == ("POST /orders", "GET /page")
    assert orders.traces == (20, 20)
    assert orders.affected.value == pytest.approx(60.095) and orders.reference is not None and orders.reference.value == pytest.approx(10.095)
    assert orders.added is not None and orders.added.value == pytest.approx(20 * 0.05) and pages.added is not None and pages.added.value == 0
    spread = 1.96 * np.std([i * 0.01 for i in range(20)], ddof=1) / np.sqrt(20)
    assert orders.affected.interval == pytest.approx((60.095 - spread, 60.095 + spread))
    assert orders.added.interval == pytest.approx((1 - spread * np.sqrt(2) * 0.02, 1 + spread * np.sqrt(2) * 0.02))
    assert sum(f.share.value or 0 for f in flows) == pytest.approx(1)
    assert sum(p.share.value or 0 for p in orders.pieces) == pytest.approx(1)
    assert sum(p.affected for p in orders.pieces) == pytest.approx(orders.affected.value)
    query = orders.pieces[0]
    assert query.component == "database"
    assert query.affected == pytest.approx(54) and query.reference == pytest.approx(4)
    assert query.difference is not None and query.difference.value == pytest.approx(50)
    low, high = query.difference.interval or (None, None)
    assert low == high == pytest.approx(50)  # the query takes the same in all traces of a window


def test_without_a_reference_the_most_costly_comes_first_and_nothing_was_added() -> None:
    found = tracing([row for row in shop(0) if int(str(row["trace_id"]), 16) in (*range(1000, 1020), *range(3000, 3010))])
    flows, _ = by_flow.flows(found, labels(found), 1)
    (orders,) = flows
    assert by_flow.name(orders.key) == "POST /orders"
    assert orders.reference is None and orders.added is None
    assert all(p.reference is None and p.difference is None for p in orders.pieces)
    low, high = orders.pieces[0].share.interval or (0, 0)
    assert low is not None and high is not None and 0 < low <= (orders.pieces[0].share.value or 0) <= high < 1


@pytest.mark.parametrize(
    ("key", "said"),
    [(Key("shop", "handler", "GET", "/a"), "GET /a"), (Key("shop", "handler", "", "/a"), "/a"), (Key("shop", "work", "", ""), "work"), (Key("shop", "", "", ""), "shop"), (Key("", "", "", ""), "(unnamed)")],
)
def test_a_flow_has_a_name(key: Key, said: str) -> None:
    assert by_flow.name(key) == said
