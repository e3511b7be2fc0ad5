"""What a careful team measures beside traces: waiting for connections and workers, the cache, the runtime."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from app.tracing import meter
from opentelemetry.metrics import CallbackOptions, Observation

queue_time = meter.create_histogram("http.server.request.queue_time", "s", "from the proxy's door to the worker thread")
pool_wait = meter.create_histogram("db.client.connection.wait_time", "s", "waiting for a connection of the pool")
pool_use = meter.create_histogram("db.client.connection.use_time", "s", "between borrowing a connection and returning it")
pool_timeouts = meter.create_counter("db.client.connection.timeouts", "{timeout}", "requests that got no connection in time")
cache_requests = meter.create_counter("cache.requests", "{request}", "reads of the cache by result")
cache_time = meter.create_histogram("cache.client.operation.duration", "s", "reads of the cache as the client sees them, with decoding")
cache_load = meter.create_histogram("cache.load.duration", "s", "making a value that was not in the cache")
partner_attempts = meter.create_counter("partner.attempts", "{attempt}", "calls of the partner by result")
busy = meter.create_up_down_counter("http.server.active_requests", "{request}", "requests in progress")
collector_pause = meter.create_histogram("process.runtime.cpython.gc_pause", "s", "pauses of the garbage collector by generation")

_PAGE, _TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


def _memory(_: CallbackOptions) -> Iterable[Observation]:
    yield Observation(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE)


def _cpu(_: CallbackOptions) -> Iterable[Observation]:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    yield Observation(int(fields[11]) / _TICK, {"state": "user"})
    yield Observation(int(fields[12]) / _TICK, {"state": "system"})


def _threads(_: CallbackOptions) -> Iterable[Observation]:
    yield Observation(threading.active_count())


def _files(_: CallbackOptions) -> Iterable[Observation]:
    yield Observation(sum(1 for _ in Path("/proc/self/fd").iterdir()))


def _objects(_: CallbackOptions) -> Iterable[Observation]:
    for generation, count in enumerate(gc.get_count()):
        yield Observation(count, {"generation": str(generation)})


def watch_pool(told: Any) -> None:
    """Reports the pool's connections: `told()` gives used, idle, size and waiting."""

    def count(_: CallbackOptions) -> Iterable[Observation]:
        used, idle, _, _ = told()
        yield Observation(used, {"state": "used"})
        yield Observation(idle, {"state": "idle"})

    meter.create_observable_gauge("db.client.connection.count", [count], "{connection}", "connections of the pool")
    meter.create_observable_gauge("db.client.connection.max", [lambda _: [Observation(told()[2])]], "{connection}", "size of the pool")
    meter.create_observable_gauge("db.client.connection.pending_requests", [lambda _: [Observation(told()[3])]], "{request}", "requests that wait for a connection")


def watch_runtime() -> None:
    """Reports memory, CPU, threads, files, and every pause of the collector."""
    meter.create_observable_gauge("process.memory.usage", [_memory], "By", "resident memory")
    meter.create_observable_counter("process.cpu.time", [_cpu], "s", "CPU time")
    meter.create_observable_gauge("process.thread.count", [_threads], "{thread}", "threads")
    meter.create_observable_gauge("process.open_file_descriptor.count", [_files], "{count}", "open files and sockets")
    meter.create_observable_gauge("process.runtime.cpython.gc_count", [_objects], "{object}", "objects not yet looked at by the collector")
    began = [0.0]

    def collected(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            began[0] = time.perf_counter()
        else:
            collector_pause.record(time.perf_counter() - began[0], {"generation": str(info["generation"])})

    gc.callbacks.append(collected)
