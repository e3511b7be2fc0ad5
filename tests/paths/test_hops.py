"""Who calls whom, at whom time is spent, who stands at the front; and what was added where a window holds few traces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from perfaudit.model import Window, Windows
from perfaudit.paths import tracing as tracings
from perfaudit.paths.hops import hops, per_request
from perfaudit.testing import evidence
from tests.calls import Node, Rng, about, call, database, recorded, served
from tests.traffic import START

WINDOWS = Windows(Window(START, START + 80_000_000), Window(START + 40_000_000, START + 80_000_000), Window(START, START + 40_000_000))


def read(spans: list[dict[str, Any]], windows: Windows = WINDOWS) -> tracings.Tracing:
    out = tracings.of_bundle(evidence(spans=spans).bundle, windows)
    assert out is not None
    return out


def order(rng: Rng) -> Node:
    wrapped = call("shop", "pay", call("shop", "POST", served("pay", "POST /charges", about(rng, 20), database("pay", 5.0)), peer="10.0.0.7:443"), peer="pay.internal")
    return served("shop", "POST /orders", 5.0, database("shop", 5.0), wrapped, call("shop", "POST", None, 30.0, peer="mail.example", route="/send"))


def test_wrapped_calls_are_one_and_what_has_no_answer_is_named_by_its_peer() -> None:
    tracing = read(recorded(lambda _late, rng: order(rng), seconds=20)["spans"])
    found = hops(tracing)
    assert {found.names[c] for c in found.callee.tolist()} == {"pay", "mail.example"}
    assert len(found.call) == 2 * len(tracing.roots)
    assert set(found.endpoints) == {"POST /charges", "POST /send"}
    assert {found.names[c] for c in found.front} == {"shop"}
    spent = {found.names[c]: int(tracing.on_path[found.site == c].sum()) for c in np.unique(found.site).tolist()}
    assert spent["mail.example"] == 30_000 * len(tracing.roots) and spent["shop"] == pytest.approx(10_000 * len(tracing.roots), rel=0.01)
    assert sum(spent.values()) == int(tracing.on_path.sum())


def test_answers_that_were_not_recorded_go_to_whom_the_address_belongs() -> None:
    spans = recorded(lambda _late, rng: served("shop", "GET /", 5.0, call("shop", "GET", served("pay", "GET /x", 20.0), peer="10.0.0.7:443")), seconds=20)["spans"]
    kept = [s for i, s in enumerate(spans) if s["service"] != "pay" or i % 2]
    found = hops(read(kept))
    assert {found.names[c] for c in found.callee.tolist()} == {"pay"}


def test_an_entrance_hands_the_front_on_and_an_application_does_not() -> None:
    def entrance(_late: bool, rng: Rng) -> Node:
        return served("gateway", "POST /orders", 0.3, call("gateway", "POST", order(rng), 0.3))

    found = hops(read(recorded(entrance, seconds=20)["spans"]))
    assert {found.names[c] for c in found.front} == {"gateway", "shop"}


def sparse(before: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    rows = [{"trace_id": f"{i:x}", "span_id": "1", "time": START + 41_000_000 + i * 100_000, "duration_us": int(about(rng, 200_000, 0.1)), "service": "a", "operation": "x", "kind": "server"} for i in range(50)]
    rows += [{"trace_id": f"r{i}", "span_id": "1", "time": START + i * 100_000, "duration_us": int(about(rng, 50_000, 0.1)), "service": "a", "operation": "x", "kind": "server"} for i in range(before)]
    return rows


def test_few_traces_tell_with_a_wide_interval_and_fewer_nothing() -> None:
    three, many, two = (read(sparse(n)) for n in (3, 30, 2))
    added = [t.added(t.on_path) for t in (three, many, two)]
    assert added[0].seconds == pytest.approx(7.5, rel=0.1) and added[0].low > 0
    assert added[0].error > 2 * added[1].error
    assert added[2].seconds == 0
    assert per_request(three, np.ones(len(three.traces)), np.ones(len(three.traces), bool)) == (1.0, 1.0)
    assert math.isnan(per_request(two, np.ones(len(two.traces)), np.ones(len(two.traces), bool))[0])
