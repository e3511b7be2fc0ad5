"""What a span on the critical path stands for."""

from __future__ import annotations

from typing import Any

import pytest

from perfaudit import testing
from perfaudit.evidence import components
from perfaudit.evidence.traces import read


@pytest.mark.parametrize(
    ("kind", "system", "operation", "expected"),
    [
        ("server", None, "GET /orders", "self"),
        ("internal", None, "render", "self"),
        (None, None, None, "self"),
        ("consumer", "kafka", "orders process", "self"),
        ("server", "grpc", "shop.Orders/List", "self"),
        ("client", None, "POST", "downstream"),
        ("client", "grpc", "shop.Orders/List", "downstream"),
        ("client", "postgresql", "SELECT", "database"),
        ("internal", "mariadb", "SELECT", "database"),
        ("client", "Redis", "GET", "cache"),
        ("client", "memcached", "memcached get", "cache"),
        ("producer", "kafka", "orders publish", "queue"),
        ("client", "rabbitmq", "publish", "queue"),
        ("internal", None, "pool.acquire", "pool wait"),
        ("internal", None, "db.pool.get", "pool wait"),
        ("client", "postgresql", "pg-pool.connect", "pool wait"),
        ("internal", None, "HikariDataSource.getConnection", "pool wait"),
        ("internal", None, "acquire connection", "pool wait"),
        ("client", "postgresql", "connect", "connection set-up"),
        ("internal", None, "tls.handshake", "connection set-up"),
        ("internal", None, "http.dns", "connection set-up"),
        ("internal", None, "mutex.acquire", "application wait"),
        ("internal", None, "admission.wait", "queue for a worker"),
        ("internal", None, "thread pool wait", "queue for a worker"),
        ("internal", None, "worker-pool.acquire", "queue for a worker"),
        # look-alikes
        ("server", None, "GET /pool/acquire", "self"),
        ("internal", None, "carpool matching", "self"),
        ("internal", None, "reconnect users", "self"),
        ("internal", None, "unlock door", "self"),
        ("internal", None, "await", "self"),
        ("internal", None, "blockchain", "self"),
    ],
)
def test_component(kind: str | None, system: str | None, operation: str | None, expected: str) -> None:
    assert components.COMPONENTS[components.component(kind, system, operation)] == expected


def span(span_id: str, parent: str | None, time: int, duration: int, **more: Any) -> dict[str, Any]:
    return {"trace_id": "T", "span_id": span_id, "parent_span_id": parent, "time": time, "duration_us": duration, "service": "web", "operation": span_id, "kind": "internal"} | more


def test_the_time_between_a_producer_and_its_consumer_is_the_queue_s() -> None:
    rows = [
        span("a", None, 0, 100, kind="server"),
        span("p", "a", 40, 20, kind="producer"),
        span("c", "p", 500, 50, kind="consumer", service="worker"),
        span("q", "c", 510, 10, kind="client", system="postgresql", service="worker"),
    ]
    evidence = testing.evidence(spans=rows)
    query = "SELECT epoch_us(start_time), epoch_us(end_time), operation, component FROM {} ORDER BY 1"
    assert evidence.rows(query.format("critical_path")) == [(0, 40, "a", "self"), (40, 60, "p", "queue"), (60, 100, "a", "self")]
    assert evidence.rows(query.format("critical_path_completion")) == [
        (0, 40, "a", "self"), (40, 60, "p", "queue"), (60, 500, "p", "queue"), (500, 510, "c", "downstream"), (510, 520, "q", "database"), (520, 550, "c", "downstream"),
    ]  # fmt: skip


def test_what_a_span_waits_for_behind_its_end_is_the_queue_s() -> None:
    rows = [span("a", None, 0, 100, kind="server"), span("f", "a", 300, 50, links=["T:a"])]
    (piece,) = components.pieces(read(testing.evidence(spans=rows).bundle, symbols=components.NEEDED), completion=True)
    names = [components.COMPONENTS[i] for i in piece.component]
    assert list(zip(piece.start.tolist(), piece.end.tolist(), names, strict=True)) == [(0, 100, "self"), (100, 300, "queue"), (300, 350, "self")]
