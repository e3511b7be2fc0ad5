"""Flows: shares that sum to 1, the queries that give them again, and intervals that hold what they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit import testing
from perfaudit.evidence.components import NEEDED
from perfaudit.evidence.traces import read
from perfaudit.model import Window
from perfaudit.paths import critical

START = 1_795_420_800_000_000


def shop(traces: int, seed: int = 1) -> list[dict[str, Any]]:
    """A route that asks the database and another service, and one that answers from the cache; a trace begins each second."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []

    def add(trace: int, name: str, parent: str | None, at: float, took: float, service: str, operation: str, kind: str, system: str | None = None) -> None:
        rows.append({
            "trace_id": f"{trace:x}", "span_id": name, "parent_span_id": parent, "time": START + trace * 1_000_000 + int(at), "duration_us": int(took), "service": service,
            "operation": operation, "kind": kind, "system": system,
        })  # fmt: skip

    for i in range(traces):
        own, wait, query, call, tax = rng.lognormal(9, 0.5, 5)
        if i % 3:
            add(i, "a", None, 0, own + wait + query + call + tax, "web", "POST /orders", "server")
            add(i, "b", "a", own, wait, "web", "pool.acquire", "internal")
            add(i, "c", "a", own + wait, query, "web", "SELECT", "client", "postgresql")
            add(i, "d", "a", own + wait + query, call + tax, "web", "POST", "client")
            add(i, "e", "d", own + wait + query + call / 2, tax, "tax", "POST /tax", "server")
        else:
            add(i, "a", None, 0, own, "web", "GET /orders", "server")
            add(i, "b", "a", own / 2, own / 4, "web", "GET", "client", "redis")
        if i % 10 == 0:
            add(i, "lost", "gone", 0, 900, "tax", "GET /lost", "server")
    return rows


def test_shares_sum_to_1_and_every_number_has_its_query() -> None:
    evidence = testing.evidence(spans=shop(300))
    found = critical.of_bundle(evidence.bundle)
    assert [(f.service, f.operation, f.traces) for f in found] == [("web", "POST /orders", 200), ("web", "GET /orders", 100)]
    for flow in found:
        assert flow.seconds == pytest.approx(evidence.one(f"SELECT sum(duration_us) / 1e6 FROM spans WHERE parent_span_id IS NULL AND operation = '{flow.operation}'")[0])
        for parts in (flow.parts, flow.components):
            assert sum(p.share.value or 0 for p in parts) == pytest.approx(1)
            assert [p.seconds for p in parts] == sorted((p.seconds for p in parts), reverse=True)
            for part in parts:
                assert evidence.one(part.share.query)[0] == pytest.approx(part.share.value)
    assert {p.component for p in found[0].components} == {"self", "pool wait", "database", "downstream"}
    assert {p.component for p in found[1].components} == {"self", "cache"}
    part = next(p for p in found[0].parts if p.service == "tax")
    assert (part.operation, part.component, part.traces, part.sections) == ("POST /tax", "downstream", 200, 200)


def test_a_window_takes_the_traces_that_began_in_it() -> None:
    evidence = testing.evidence(spans=shop(300))
    window = Window(START + 30_000_000, START + 90_000_000)
    found = critical.of_bundle(evidence.bundle, window)
    assert [f.traces for f in found] == [40, 20]
    assert evidence.one(found[0].parts[0].share.query)[0] == pytest.approx(found[0].parts[0].share.value)
    assert critical.of_bundle(evidence.bundle, Window(0, 1)) == []


def test_few_traces_have_no_interval() -> None:
    (few,) = (f for f in critical.of_bundle(testing.evidence(spans=shop(45)).bundle) if f.operation == "GET /orders")
    assert few.traces == 15
    assert all(p.share.interval is None and p.share.n == 15 for p in few.parts)
    assert critical.of_bundle(testing.evidence().bundle) == []


def test_the_interval_holds_the_true_share_as_often_as_it_says() -> None:
    """Own and pool, database, two for the call: a fifth, by symmetry. 100 evidences of 60 traces at once: each has a service of its own."""
    rows = []
    for i in range(100):
        for row in shop(90, seed=i):
            rows.append(row | {"trace_id": f"{i}-{row['trace_id']}", "operation": f"{i} {row['operation']}" if row["span_id"] == "a" else row["operation"]})
    traces = read(testing.evidence(spans={k: [r[k] for r in rows] for k in rows[0] if k != "service"} | {"service": "web"}).bundle, symbols=NEEDED)
    held = []
    for flow in critical.flows(traces):
        if "POST" in flow.operation:
            low, high = next(p.share.interval for p in flow.components if p.component == "database")  # type: ignore[misc]
            held.append(low < 0.2 < high)
    assert len(held) == 100
    assert 89 <= sum(held) <= 100, "95 %, give or take 2.7 standard errors"


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from perfaudit.evidence.traces import Traces

    evidence = testing.evidence(spans=shop(60))
    whole = critical.of_bundle(evidence.bundle, completion=True)
    chunks = Traces.chunks
    monkeypatch.setattr(Traces, "chunks", lambda self: chunks(self, 7))
    assert critical.of_bundle(evidence.bundle, completion=True) == whole
