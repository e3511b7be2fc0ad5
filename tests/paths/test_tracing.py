"""Traces beside a log: what each stands for, the wait for a worker, attempts, the account of time, and what a fix would bring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit import testing
from perfaudit.model import Window, Windows
from perfaudit.paths import join, traced, whatif
from perfaudit.paths.attempts import attempts, below
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing, of_bundle

START = 1_795_420_800_000_000
HALF = 300
WINDOWS = Windows(Window(START, START + 2 * HALF * 1_000_000), Window(START + HALF * 1_000_000, START + 2 * HALF * 1_000_000), Window(START, START + HALF * 1_000_000), "found")


def shop(slow_tax: float = 1.0, queue: float = 0.0, seed: int = 1, sampled: int = 4, ids: bool = True) -> dict[str, Any]:
    """Two requests a second for ten minutes, every fourth with a trace; in the second half the tax service takes ``slow_tax`` times as long.

    ``queue``: mean wait for a worker, in µs, before the server span begins.
    """
    rng = np.random.default_rng(seed)
    spans: list[dict[str, Any]] = []
    log: list[dict[str, Any]] = []
    for i in range(4 * HALF):
        at, order = START + i * 500_000, i % 3 != 0
        own, query, tax = rng.lognormal(8, 0.4), rng.lognormal(8, 0.4), rng.lognormal(9, 0.4) * (slow_tax if i >= 2 * HALF else 1.0)
        wait = rng.exponential(queue) if queue else 0.0
        took = own + query + (tax + 400 if order else 0)
        method, route = ("POST", "/orders/{id}") if order else ("GET", "/products")
        log.append({"time": at, "duration_us": int(took + wait) + 300, "upstream_us": int(took + wait), "method": method, "route": route, "status": 200, "trace_id": f"{i:032x}" if ids else None, "service": "web"})
        if i % sampled:
            continue
        begin = at + int(wait)

        def span(name: str, parent: str | None, offset: float, length: float, service: str, operation: str, kind: str, i: int = i, begin: int = begin, **more: Any) -> None:
            spans.append({"trace_id": f"{i:032x}", "span_id": name, "parent_span_id": parent, "time": begin + int(offset), "duration_us": int(length), "service": service, "operation": operation, "kind": kind, **more})

        span("a", None, 0, took, "api", f"{method} {route}", "server", route=route, method=method)
        span("b", "a", own, query, "api", "SELECT", "client", system="postgresql", peer="db")
        if order:
            span("c", "a", own + query, tax + 400, "api", "POST", "client", peer="tax:80")
            span("d", "c", own + query + 200, tax, "tax", "POST /tax", "server")
    return {"spans": spans, "requests": log}


def traced_shop(**given: Any) -> tuple[Tracing, dict[int, join.Gap], Any]:
    evidence = testing.evidence(**shop(**given))
    from perfaudit.baseline import tiers

    tracing = of_bundle(evidence.bundle, WINDOWS)
    assert tracing is not None
    return tracing, join.join(evidence, tiers.find(evidence), tracing), evidence


def test_traces_stand_for_the_requests_of_their_route() -> None:
    tracing, _, evidence = traced_shop()
    for window, zone in ((WINDOWS.affected, AFFECTED), (WINDOWS.reference, REFERENCE)):
        assert window is not None
        log = evidence.one(f"SELECT count(*), sum(upstream_us) / 1e6 FROM requests WHERE epoch_us(time) >= {window.start} AND epoch_us(time) < {window.end}")
        assert tracing.total_requests[zone] == pytest.approx(log[0])
        assert tracing.seconds(tracing.on_path, zone).seconds == pytest.approx(log[1], rel=1e-6)
    assert sorted(k for k in tracing.routes if k) == [("GET", "/products"), ("POST", "/orders/{id}")]
    assert {"api", "tax"} <= set(tracing.dependency[1])
    calls = np.flatnonzero(tracing.dependency[0] >= 0)
    assert {tracing.dependency[1][c] for c in tracing.dependency[0][calls]} == {"tax"}


def test_added_time_is_found_where_it_was_added_and_the_interval_holds_the_truth() -> None:
    held = 0
    for seed in range(20):
        tracing, _, evidence = traced_shop(slow_tax=5.0, seed=seed)
        inside = tracing.is_("service", "tax")
        added = tracing.added(tracing.on_path, inside)
        truth = evidence.one("SELECT sum(upstream_us) / 1e6 FROM requests WHERE route LIKE '/orders%' AND epoch_us(time) >= " + str(WINDOWS.affected.start))[0] - evidence.one(
            "SELECT sum(upstream_us) / 1e6 FROM requests WHERE route LIKE '/orders%' AND epoch_us(time) < " + str(WINDOWS.affected.start)
        )[0]
        assert added.seconds == pytest.approx(truth, rel=0.25)
        held += abs(added.seconds - truth) <= 1.96 * added.error
        own = tracing.added(tracing.on_path, tracing.is_("service", "api"))
        assert abs(own.seconds) < 4 * own.error + 1
    assert held >= 16  # of 20 at 95 %: fewer than 16 with a probability of 0.003


@pytest.mark.parametrize(("ids", "how"), [(True, "joined by trace id"), (False, "by route")])
def test_the_wait_for_a_worker_is_what_lies_between_proxy_and_server(ids: bool, how: str) -> None:
    tracing, gaps, _ = traced_shop(queue=30_000.0, ids=ids)
    assert how in gaps[AFFECTED].method
    assert gaps[AFFECTED].seconds == pytest.approx(2 * HALF * 0.03, rel=0.35)
    assert gaps[AFFECTED].error > 0
    assert traced_shop(ids=ids)[1][AFFECTED].seconds == pytest.approx(0, abs=0.01)
    assert tracing.total_requests[0] == pytest.approx(2 * HALF)


def test_the_account_sums_to_one_and_names_what_split_it() -> None:
    result = testing.audit(since=WINDOWS.affected.start, **shop(slow_tax=5.0, queue=20_000.0))
    shares = {row["component"]: row for row in result["time_account"]}
    assert sum(row["share"]["value"] for row in shares.values()) == pytest.approx(1)
    assert {"edge", "queue for a worker", "self: api", "downstream: tax", "database: executing and waiting", "unexplained"} <= shares.keys()
    assert shares["downstream: tax"]["share"]["value"] > 0.4
    low, high = shares["downstream: tax"]["share"]["ci"]
    assert low < shares["downstream: tax"]["share"]["value"] < high
    assert "trace" in shares["downstream: tax"]["evidence"]


def test_without_a_log_the_roots_of_traces_are_the_requests() -> None:
    given = shop(slow_tax=8.0, sampled=1)
    result = testing.audit(spans=given["spans"])
    assert result["baseline"]["requests"]["count"] == 4 * HALF
    assert {r["route"] for r in result["baseline"]["routes"]} == {"/orders/{id}", "/products"}
    assert any("roots of the traces" in text for text in result["audit"]["assumptions"])
    assert sum(row["share"]["value"] for row in result["time_account"]) == pytest.approx(1)


def calls(*rows: tuple[str, int, int, str, str]) -> Tracing:
    """A root and below it calls: ``(id, start, end, status, peer)``."""
    spans = [{"trace_id": "t", "span_id": "a", "parent_span_id": None, "time": START, "duration_us": 1_000_000, "service": "api", "operation": "GET /", "kind": "server"}]
    spans += [{"trace_id": "t", "span_id": i, "parent_span_id": "a", "time": START + s, "duration_us": e - s, "service": "api", "operation": "POST", "kind": "client", "peer": peer, "status": status} for i, s, e, status, peer in rows]
    tracing = of_bundle(testing.evidence(spans=spans).bundle, WINDOWS)
    assert tracing is not None
    return tracing


def test_an_attempt_repeats_a_failed_call_of_the_same_service() -> None:
    tracing = calls(("b", 0, 10, "error", "pay"), ("c", 20, 30, "error", "pay"), ("d", 40, 50, "ok", "pay"), ("e", 60, 70, "ok", "pay"), ("f", 80, 90, "error", "tax"), ("g", 85, 95, "ok", "tax"))
    found = attempts(tracing)
    assert found.number.tolist() == [0, 0, 1, 2, 0, 0, 0]
    assert found.again.tolist() == [False, False, True, True, False, False, False]  # the last two overlap: nobody waited for the failure
    assert found.retried.tolist() == [False, True, True, False, False, False, False]
    assert "retries" in traced.labels(tracing).names
    assert below(tracing, found.number < 0).sum() == 0


def test_a_fix_brings_the_reference_back_and_no_more() -> None:
    tracing, _, _ = traced_shop(slow_tax=6.0, sampled=1)
    orders = [i for i, key in enumerate(tracing.routes) if key == ("POST", "/orders/{id}")]
    after = whatif.to_reference(tracing, ("downstream: tax",))
    ratio, low, high = whatif.residual(tracing, after, orders)
    assert low < 1 < high
    assert ratio == pytest.approx(1, abs=0.1)
    assert after.left["downstream: tax"] < 0.3 * tracing.seconds(tracing.on_path, AFFECTED, tracing.is_("service", "tax")).seconds
    nothing = whatif.to_reference(tracing, ("cache",))
    assert nothing.new == pytest.approx(nothing.old)
    half = whatif.shrunk(tracing, tracing.is_("service", "tax"), 0.5)
    old, new, n = half.mean(orders)
    assert n > 300
    assert old - new == pytest.approx(0.5 * tracing.took[tracing.is_("service", "tax") & (tracing.zone == AFFECTED)].mean(), rel=0.02)


def test_a_pool_that_is_held_for_a_shorter_time_is_waited_for_less() -> None:
    rng = np.random.default_rng(7)
    free, spans = 0.0, []
    for i in range(600):  # one connection, exponential holds: M/M/1 at 80 %, then the query gets four times faster
        at = (i + rng.random()) * 0.5
        held = rng.exponential(0.4)
        begin = max(at, free)
        free = begin + held
        for name, parent, start, end, operation, kind in (("a", None, at, free, "GET /", "server"), ("b", "a", at, begin, "pool.acquire", "internal"), ("c", "a", begin, free, "SELECT", "client")):
            spans.append({"trace_id": str(i), "span_id": name, "parent_span_id": parent, "time": START + int(start * 1e6), "duration_us": int((end - start) * 1e6), "service": "api", "operation": operation, "kind": kind, "system": "postgresql" if name == "c" else None})
    whole = Window(START, START + 300_000_000)
    tracing = of_bundle(testing.evidence(spans=spans).bundle, Windows(whole, whole))
    assert tracing is not None
    waited = tracing.per_trace(tracing.on_path, tracing.is_("operation", "pool.acquire")).mean()
    after = whatif.shrunk(tracing, tracing.is_("operation", "SELECT"), 0.25)
    assert waited > 100_000
    left = after.left["pool wait"] / 600 * 1e6
    assert left < 0.1 * waited
    assert after.new.mean() == pytest.approx(0.25 * 400_000 + left, rel=0.15)


def test_traces_that_a_tail_sampler_kept_are_weighed_back() -> None:
    given = shop(slow_tax=1.0, sampled=1, seed=3)
    slow = {row["trace_id"] for row in given["requests"] if row["duration_us"] > 20_000}
    rng = np.random.default_rng(5)
    lucky = {row["trace_id"] for row in given["requests"] if rng.random() < 0.05}
    assert 0.02 < len(slow) / len(given["requests"]) < 0.3
    truth, _, _ = traced_pair(given, given["spans"])
    kept = [dict(span, sampler="tail") for span in given["spans"] if span["trace_id"] in slow | lucky]
    biased, result, _ = traced_pair(given, kept)
    assert "tail sampler" in biased.biased
    whole = truth.seconds(truth.on_path, AFFECTED, truth.is_("service", "tax"))
    found = biased.seconds(biased.on_path, AFFECTED, biased.is_("service", "tax"))
    assert found.seconds == pytest.approx(whole.seconds, rel=0.06)
    biased.__dict__.pop("stands_for")
    naive = biased.seconds(biased.on_path, AFFECTED, biased.is_("service", "tax"))
    assert abs(naive.seconds - whole.seconds) > abs(found.seconds - whole.seconds)
    assert result


def traced_pair(given: dict[str, Any], spans: list[dict[str, Any]]) -> tuple[Tracing, dict[int, join.Gap], Any]:
    from perfaudit.baseline import tiers

    evidence = testing.evidence(spans=spans, requests=given["requests"])
    tracing = of_bundle(evidence.bundle, WINDOWS)
    assert tracing is not None
    return tracing, join.join(evidence, tiers.find(evidence), tracing), evidence


def test_roots_behind_a_gateway_that_sends_no_spans_are_requests_too() -> None:
    given = shop(sampled=1)
    spans = [dict(span, parent_span_id=span["parent_span_id"] or "gateway") for span in given["spans"]]
    result = testing.audit(spans=spans)
    assert result["baseline"]["requests"]["count"] == 4 * HALF
    assert sum(row["share"]["value"] for row in result["time_account"]) == pytest.approx(1)
    assert {row["component"] for row in result["time_account"]} >= {"self: api", "downstream: tax"}
    twice = testing.audit(spans=[*given["spans"], *given["spans"]])
    assert twice["baseline"]["requests"]["count"] == 4 * HALF


def test_one_clock_at_1970_is_left_out() -> None:
    given = shop(sampled=1)
    given["spans"][0]["time"] = 0
    result = testing.audit(spans=given["spans"])
    assert result["window"]["start"].startswith("2026")
    assert result["baseline"]["requests"]["count"] == 4 * HALF - 1


def test_spans_of_clients_alone_and_without_services_are_no_crash() -> None:
    spans = [{"trace_id": str(i), "span_id": "a", "time": START + i * 1000, "duration_us": 500, "kind": "client", "operation": "SELECT", "system": "postgresql"} for i in range(300)]
    assert testing.audit(spans=spans)["paths"]["graph"]


def test_a_renamed_callee_adds_nothing_that_users_feel() -> None:
    given = shop(sampled=1)
    for span in given["spans"]:
        if span["time"] >= WINDOWS.affected.start and (span["service"] == "tax" or span.get("peer") == "tax:80"):
            span.update(service="levy" if span["service"] == "tax" else "api", peer="levy:80" if span.get("peer") else None)
    result = testing.audit(since=WINDOWS.affected.start, **given)
    assert result["verdict"]["status"] != "constraint", result["verdict"]
