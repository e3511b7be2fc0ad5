"""What people ask: shrunk, gone, side by side; and what cannot be asked."""

from __future__ import annotations

import pytest

from perfaudit import testing
from perfaudit.errors import UsageError
from perfaudit.paths.scenario import Scenario, answer, parse
from perfaudit.paths.tracing import of_bundle
from tests.paths.test_tracing import START, WINDOWS, traced_shop


def test_what_is_asked_is_understood_or_refused() -> None:
    assert parse("downstream: tax=0.5") == Scenario("downstream: tax", 0.5)
    assert parse("database = 20%") == Scenario("database", 0.2)
    assert parse("cache=gone") == Scenario("cache", 0.0)
    assert parse("downstream: tax=parallel") == Scenario("downstream: tax", parallel=True)
    for wrong in ("database", "database=2", "=0.5", "database=-1", "database=fast"):
        with pytest.raises(UsageError):
            parse(wrong)


def test_half_of_a_dependency_saves_half_of_its_time() -> None:
    tracing, _, _ = traced_shop(slow_tax=6.0, sampled=1)
    found = answer(tracing, parse("downstream: tax=50%"))
    (orders,) = found["flows"]  # the other flow does not change
    assert orders["operation"] == "POST /orders/{id}"
    assert answer(tracing, parse("tax=50%"))["flows"] == found["flows"]
    tax = tracing.took[tracing.is_("service", "tax") & (tracing.zone == 0)].mean() / 1e3
    assert orders["mean_ms"]["before"]["value"] - orders["mean_ms"]["after"]["value"] == pytest.approx((tax + 0.4) / 2, rel=0.01)
    low, high = orders["p95_ms"]["after"]["ci"]
    assert low <= orders["p95_ms"]["after"]["value"] <= high < orders["p95_ms"]["before"]["value"]
    assert 0.3 < found["saved"]["value"] < 0.5
    assert answer(tracing, parse("downstream: tax=gone"))["capped_by"] != "downstream: tax"
    with pytest.raises(UsageError, match="downstream: tax"):
        answer(tracing, parse("downstream: bank=0.5"))


def test_calls_side_by_side_cost_the_longest() -> None:
    spans = []
    for i in range(40):
        for name, parent, start, end, kind in (("a", None, 0, 100, "server"), ("b", "a", 10, 50, "client"), ("c", "a", 50, 80, "client")):
            spans.append({"trace_id": str(i), "span_id": name, "parent_span_id": parent, "time": START + 310_000_000 + i * 1_000_000 + start * 1000, "duration_us": (end - start) * 1000, "service": "api", "operation": "GET /", "kind": kind, "peer": "tax" if parent else None})
    tracing = of_bundle(testing.evidence(spans=spans).bundle, WINDOWS)
    assert tracing is not None
    flow = answer(tracing, parse("downstream: tax=parallel"))["flows"][0]
    assert (flow["mean_ms"]["before"]["value"], flow["mean_ms"]["after"]["value"]) == (100, 70)
