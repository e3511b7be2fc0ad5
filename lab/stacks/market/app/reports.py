"""Statements are written in a few threads, so that the event loop stays free; what waits for them is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean, pstdev
from typing import Any

from app import metrics, settings
from app.tracing import tracer

executor: ThreadPoolExecutor


def start() -> None:
    """Prepares the threads."""
    global executor
    executor = ThreadPoolExecutor(settings.WORKERS, thread_name_prefix="statement")
    metrics.reports_limit.set(settings.WORKERS)


def stop() -> None:
    """Lets the threads go."""
    executor.shutdown(wait=False, cancel_futures=True)


async def run(work: Callable[..., Any], *args: Any) -> Any:
    """Runs work in one of the threads, after those that came first."""
    queued = time.perf_counter()
    metrics.reports_waiting.inc()

    def measured() -> tuple[float, float, Any]:
        began = time.perf_counter()
        metrics.reports_waiting.dec()
        metrics.reports_running.inc()
        try:
            return began - queued, time.perf_counter(), work(*args)
        finally:
            metrics.reports_running.dec()
            metrics.reports_run.observe(time.perf_counter() - began)

    with tracer.start_as_current_span("statement.write") as span:
        waited, _, result = await asyncio.get_running_loop().run_in_executor(executor, measured)
        metrics.reports_wait.observe(waited)
        span.set_attribute("queue.wait_ms", round(waited * 1000, 3))
    return result


def write(account: dict[str, Any], trades: Sequence[dict[str, Any]], words: dict[str, str]) -> dict[str, Any]:
    """A statement: what was bought and sold by month, cost first in first out, and a line of text for each order."""
    months: dict[str, list[float]] = {}
    lots: dict[int, list[list[float]]] = {}
    gain, lines = 0.0, []
    for trade in reversed(trades):
        price, quantity, item = float(trade[words["price"]]), int(trade[words["quantity"]]), trade[words["item_id"]]
        months.setdefault(f"{trade[words['placed_at']]:%Y-%m}", []).append(price * quantity)
        if trade["side"] == "buy":
            lots.setdefault(item, []).append([quantity, price])
        else:
            left = quantity
            for lot in lots.get(item, []):
                taken = min(left, lot[0])
                lot[0] -= taken
                left -= taken
                gain += taken * (price - lot[1])
            lots[item] = [lot for lot in lots.get(item, []) if lot[0]]
        lines.append(f"{trade['id']:>10} {trade['side']:<4} {quantity:>6} × {price:>10.2f} {float(trade['fee']):>8.2f}")
    totals = {month: {"orders": len(v), "sum": round(sum(v), 2), "mean": round(fmean(v), 2), "spread": round(pstdev(v), 2)} for month, v in months.items()}
    return {"of": account["name"], "months": totals, "gain": round(gain, 2), "lines": lines}
