"""Holds of pooled connections, as spans tell them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.model import Window, Windows
from perfaudit.paths import tracing as tracings
from perfaudit.paths.holds import Holds, holds
from perfaudit.testing import evidence
from tests.traffic import START

WHOLE = Windows(Window(START, START + 10_000_000), Window(START, START + 10_000_000))


def found(*spans: tuple[str, str, str, int, int], status: str = "") -> Holds:
    """Holds of one trace; spans are (service, operation, system or "", start ms, length ms) below a server span of 200 ms."""
    rows: list[dict[str, Any]] = [{"trace_id": "t", "span_id": "r", "parent_span_id": None, "time": START, "duration_us": 200_000, "service": "shop", "operation": "GET /", "kind": "server"}]
    for i, (service, operation, system, start, length) in enumerate(spans):
        kind = "client" if system else "internal"
        rows.append({"trace_id": "t", "span_id": f"s{i}", "parent_span_id": "r", "time": START + start * 1000, "duration_us": length * 1000, "service": service, "operation": operation, "system": None if system == "http" else system or None, "kind": kind, "status": status if "acquire" in operation else None})
    tracing = tracings.of_bundle(evidence(spans=rows).bundle, WHOLE)
    assert tracing is not None
    return holds(tracing)


def test_a_hold_lasts_from_the_acquisition_to_the_last_statement() -> None:
    out = found(("shop", "pool.acquire", "", 10, 5), ("shop", "SELECT", "postgresql", 16, 4), ("shop", "POST", "http", 22, 30), ("shop", "COMMIT", "postgresql", 55, 5))
    assert out.held.tolist() == [45_000] and out.database.tolist() == [9_000] and out.calls.tolist() == [30_000] and out.statements.tolist() == [2]
    assert out.other.tolist() == [6_000]


def test_each_acquisition_has_its_own_statements() -> None:
    out = found(("shop", "pool.acquire", "", 10, 5), ("shop", "SELECT", "mysql", 16, 4), ("shop", "pool.acquire", "", 30, 10), ("shop", "SELECT", "mysql", 41, 9))
    assert out.held.tolist() == [5_000, 10_000]


def test_a_failed_acquisition_holds_nothing() -> None:
    out = found(("shop", "pool.acquire", "", 10, 50), status="error")
    assert out.got.tolist() == [False] and out.held.tolist() == [-1] and not out.known.any()


def test_statements_of_another_service_are_not_held() -> None:
    out = found(("shop", "pool.acquire", "", 10, 5), ("stock", "SELECT", "postgresql", 20, 50))
    assert out.held.tolist() == [-1]


def test_a_wait_within_a_wait_is_one() -> None:
    rows = [
        {"trace_id": "t", "span_id": "r", "parent_span_id": None, "time": START, "duration_us": 90_000, "service": "shop", "operation": "GET /", "kind": "server"},
        {"trace_id": "t", "span_id": "a", "parent_span_id": "r", "time": START, "duration_us": 20_000, "service": "shop", "operation": "DataSource.getConnection", "kind": "internal"},
        {"trace_id": "t", "span_id": "b", "parent_span_id": "a", "time": START, "duration_us": 19_000, "service": "shop", "operation": "HikariDataSource.getConnection", "kind": "internal"},
        {"trace_id": "t", "span_id": "c", "parent_span_id": "r", "time": START + 30_000, "duration_us": 10_000, "service": "shop", "operation": "SELECT", "system": "mysql", "kind": "client"},
    ]
    tracing = tracings.of_bundle(evidence(spans=rows).bundle, WHOLE)
    assert tracing is not None
    assert holds(tracing).held.tolist() == [20_000]


@pytest.mark.parametrize("n", [0, 3])
def test_without_acquisitions_there_are_none(n: int) -> None:
    out = found(*[("shop", "SELECT", "mysql", 10 * i, 5) for i in range(1, n + 1)])
    assert len(out.span) == 0 and isinstance(out.known, np.ndarray)
