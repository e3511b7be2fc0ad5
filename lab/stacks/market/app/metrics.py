"""What each replica tells Prometheus about itself, beside the client library's own process and collector figures."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

FINE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
COARSE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

requests = Histogram("app_request_seconds", "Time in this replica, from the first byte read", ["route", "status"], buckets=COARSE)
edge_wait = Histogram("app_edge_wait_seconds", "From the front door to this replica's handler", buckets=FINE)
in_flight = Gauge("app_requests_in_flight", "Requests being worked on")
waiting = Gauge("app_requests_waiting", "Requests that wait for admission")
limit = Gauge("app_requests_limit", "Requests worked on at the same time, at most")
admission_wait = Histogram("app_admission_wait_seconds", "Waiting for admission", buckets=FINE)

pool_wait = Histogram("app_db_pool_wait_seconds", "Waiting for a database connection", buckets=FINE)
pool_hold = Histogram("app_db_pool_hold_seconds", "For how long a database connection was held", buckets=FINE)
pool_used = Gauge("app_db_pool_used", "Database connections in use")
pool_waiting = Gauge("app_db_pool_waiting", "Requests that wait for a database connection")
pool_limit = Gauge("app_db_pool_limit", "Database connections, at most")
pool_opened = Counter("app_db_connections_opened", "Database connections opened")
pool_timeouts = Counter("app_db_pool_timeouts", "Requests that got no database connection in time")

cache_get = Histogram("app_cache_get_seconds", "A read of the cache, decoding included", buckets=FINE)
cache_gets = Counter("app_cache_gets", "Reads of the cache", ["result"])
cache_load = Histogram("app_cache_load_seconds", "Making a value that was not in the cache", buckets=FINE)
cache_shared = Counter("app_cache_loads_shared", "Misses that waited for another request's load")

partner_calls = Histogram("app_partner_seconds", "One attempt at the partner", ["call", "outcome"], buckets=COARSE)
partner_retries = Counter("app_partner_retries", "Attempts after the first")

reports_wait = Histogram("app_reports_wait_seconds", "Waiting for a thread that writes statements", buckets=FINE)
reports_run = Histogram("app_reports_run_seconds", "Writing a statement", buckets=FINE)
reports_waiting = Gauge("app_reports_waiting", "Statements that wait for a thread")
reports_running = Gauge("app_reports_running", "Statements being written")
reports_limit = Gauge("app_reports_limit", "Threads that write statements")

loop_lag = Histogram("app_loop_lag_seconds", "How late the event loop runs what is due", buckets=FINE)
gc_pause = Histogram("app_gc_pause_seconds", "Pauses of the garbage collector", ["generation"], buckets=FINE)
tasks = Gauge("app_loop_tasks", "Tasks of the event loop")
build = Gauge("app_build_info", "The release that runs", ["release"])

_began = 0.0


def _collector(phase: str, info: dict[str, Any]) -> None:
    global _began
    if phase == "start":
        _began = time.perf_counter()
    else:
        gc_pause.labels(str(info["generation"])).observe(time.perf_counter() - _began)


def watch_collector() -> None:
    """Measures the garbage collector's pauses from now on."""
    gc.callbacks.append(_collector)


async def watch_loop(every: float = 0.1) -> None:
    """Measures the event loop's lag, ten times a second."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        loop_lag.observe(max(0.0, loop.time() - due))
        tasks.set(len(asyncio.all_tasks(loop)))
