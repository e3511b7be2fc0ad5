"""Gauges of pools and workers under the names of several libraries."""

from __future__ import annotations

from typing import Any

import pytest

from perfaudit.model import Window
from perfaudit.problems._gauges import POOL, WORKER, Gauges, _window
from perfaudit.testing import evidence
from tests.traffic import START

WINDOW = Window(START, START + 40_000_000)


def series(name: str, values: list[float], unit: str | None = None, **labels: str) -> list[dict[str, Any]]:
    return [{"time": START + i * 1_000_000, "name": name, "kind": "gauge", "unit": unit, "labels": labels, "value": v} for i, v in enumerate(values)]


def of(rows: list[dict[str, Any]], about: str = POOL) -> Gauges:
    return _window(evidence(metrics=rows), WINDOW, about)


@pytest.mark.parametrize(
    ("about", "used", "limit", "waiting"),
    [
        (POOL, "hikaricp_connections_active", "hikaricp_connections_max", "hikaricp_connections_pending"),
        (POOL, "app_db_pool_used", "app_db_pool_limit", "app_db_pool_waiting"),
        (POOL, "jdbc_connections_active", "jdbc_connections_max", "jdbc_connections_pending"),
        (WORKER, "tomcat_threads_busy_threads", "tomcat_threads_config_max_threads", "executor_queued_tasks"),
        (WORKER, "jetty_threads_busy", "jetty_threads_config_max", "jetty_threads_jobs"),
        (WORKER, "app_requests_in_flight", "app_requests_limit", "app_requests_waiting"),
    ],
)
def test_names_of_several_libraries(about: str, used: str, limit: str, waiting: str) -> None:
    out = of(series(used, [4.0] * 30 + [2.0] * 10, job="a") + series(limit, [4.0] * 40, job="a") + series(waiting, [3.0] * 40, job="a"), about)
    assert out.full == pytest.approx(0.75) and out.size == 4 and out.waiting == 3 and out.least == pytest.approx(0.5)


def test_state_labels_of_opentelemetry() -> None:
    rows = series("db.client.connection.count", [5.0] * 20, **{"db.client.connection.state": "used"}) + series("db.client.connection.count", [1.0] * 20, **{"db.client.connection.state": "idle"})
    out = of(rows + series("db.client.connection.max", [5.0] * 20) + series("db.client.connection.pending_requests", [2.0] * 20))
    assert out.full == 1 and out.busy == 5 and out.waiting == 2


def test_one_full_instance_beside_a_free_one_is_full() -> None:
    out = of(series("app_db_pool_used", [4.0] * 20, instance="a") + series("app_db_pool_used", [0.0] * 20, instance="b") + series("app_db_pool_limit", [4.0] * 20, instance="a") + series("app_db_pool_limit", [4.0] * 20, instance="b"))
    assert out.full == pytest.approx(0.5) and out.size == 8


def test_waits_and_holds_in_seconds_and_milliseconds() -> None:
    count = [float(i) for i in range(40)]
    out = of(series("hikaricp_connections_usage_milliseconds_sum", [v * 500 for v in count]) + series("hikaricp_connections_usage_milliseconds_count", count) + series("hikaricp_connections_acquire_seconds_sum", [v * 0.2 for v in count]))
    assert out.hold == pytest.approx(0.5) and out.waited == pytest.approx(39 * 0.2 / 40)
    assert of(series("db_client_connection_wait_time_sum", [v * 200 for v in count], unit="ms")).waited == pytest.approx(39 * 0.2 / 40)


def test_a_counter_that_is_reset_counts_on() -> None:
    assert of(series("app_db_pool_timeouts_total", [5.0, 9.0, 1.0, 3.0])).timeouts == pytest.approx(7 / 40)


def test_other_series_are_nothing() -> None:
    assert of(series("process_open_fds", [4.0] * 20) + series("swimming_pool_size", [1.0] * 5)) == Gauges()
