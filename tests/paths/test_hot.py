"""Hot paths and the time that operations own."""

from __future__ import annotations

import random

import numpy as np
import pytest

from perfaudit import testing
from perfaudit.paths import by_flow, hot
from perfaudit.paths.traced import labels
from tests.paths.made import SECOND, START, seconds, trace, tracing
from tests.spans import odd_trace


def shop() -> list[dict[str, object]]:
    """Two roots that end in the same query, one through another service; a span of a fragment that must not count."""
    rows = []
    for i, at in enumerate(seconds("affected", 10)):
        rows += trace(
            i, at, "a shop/GET_/list server 0-10000", "b<a shop/GET client 1000-9000 peer=stock:80", "c<b stock/GET_/stock server 2000-8000", "d<c stock/SELECT client 3000-7000 system=mysql",
        )  # fmt: skip
        rows += trace(100 + i, at + 1, "a shop/GET_/item server 0-4000", "d<a shop/SELECT client 1000-3000 system=mysql")
        rows += trace(200 + i, at + 2, "a shop/GET_/item server 0-1000", "x<gone shop/LOST internal 100-900000")
    return rows


def test_chains_are_told_apart_by_all_that_is_above_them() -> None:
    found = tracing(shop())
    chains, n = hot.chains(found, labels(found), 3)
    assert n == 6
    total = 10 * (10_000 + 4_000 + 1_000) / 1e6
    first = chains[0]
    assert [(s.service, s.operation) for s in first.steps] == [("shop", "GET /list"), ("shop", "GET"), ("stock", "GET /stock"), ("stock", "SELECT")]
    assert first.component == "database" and first.reference is None
    assert first.seconds == pytest.approx(0.04) and first.share.value == pytest.approx(0.04 / total)
    assert [c.seconds for c in chains[1:]] == pytest.approx([0.03, 0.02])
    assert not any(s.operation == "LOST" for c in hot.chains(found, labels(found), 99)[0] for s in c.steps)


def test_spans_of_the_same_names_in_a_row_are_one_step() -> None:
    depth = 40
    lines = [f"s0 shop/work internal 0-{depth * 10}"] + [f"s{i}<s{i - 1} shop/work internal {i}-{depth * 10 - i}" for i in range(1, depth)]
    found = tracing(trace(1, 1500, *lines))
    steps = hot.steps(found, int(np.argmin(found.took)))
    assert [(s.operation, s.again) for s in steps] == [("work", depth)]
    assert len(set(hot.hashes(found).tolist())) == depth  # every depth is another chain


def test_hashes_do_not_depend_on_where_a_trace_stands() -> None:
    found = tracing(shop())
    hashed = hot.hashes(found)
    select = found.is_("operation", "SELECT")
    assert len(set(hashed[select].tolist())) == 2
    assert (np.unique(hashed[select], return_counts=True)[1] == 10).all()


def test_operations_own_their_time_and_their_calls_are_counted() -> None:
    rows = shop() + [r for i, at in enumerate(seconds("reference", 10)) for r in trace(500 + i, at, "a shop/GET_/item server 0-4000", "d<a shop/SELECT client 1000-2000 system=mysql")]
    found = tracing(rows)
    own, n = hot.own_time(found, labels(found), 2)
    assert n == 6  # GET /list, GET, GET /stock, both SELECT, GET /item
    assert [(o.service, o.operation, o.component) for o in own] == [("stock", "SELECT", "database"), ("shop", "GET /item", "self: shop")]
    assert own[0].seconds == pytest.approx(0.04)
    assert own[0].calls == (pytest.approx(10 / 30), 0.0)
    assert own[1].calls == (pytest.approx(20 / 30), 1.0)
    assert own[1].reference is not None and own[1].reference.value == pytest.approx(0.75)
    assert "component = 'database'" in own[0].share.query


def test_of_random_odd_traces_chains_and_operations_own_exactly_all_the_time() -> None:
    rng = random.Random(4)
    rows = [row for i in range(400) for row in odd_trace(rng, f"{i:032x}")]
    for row in rows:
        row["time"] = START + 1500 * SECOND + int(row["time"]) % 1_000_000
    found = tracing(rows)
    named = labels(found)
    everything = found.seconds(found.on_path).seconds
    assert everything > 0
    for listed, n in (hot.chains(found, named, 10**6), hot.own_time(found, named, 10**6)):
        assert len(listed) == n
        assert sum(row.seconds for row in listed) == pytest.approx(everything)


def test_the_queries_give_the_numbers() -> None:
    rows = shop()
    evidence, found = testing.evidence(spans=rows), tracing(rows)
    own, _ = hot.own_time(found, labels(found), 99)
    for row in own:
        assert evidence.one(row.share.query)[0] == pytest.approx(row.seconds)
    flows, _ = by_flow.flows(found, labels(found), 99)
    for flow in flows:
        assert evidence.one(flow.share.query)[0] == pytest.approx(flow.share.value)
