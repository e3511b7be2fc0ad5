"""Synthetic traces of services that call each other, with the access log that goes with them, for tests of checks over calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.traffic import START

Rng = np.random.Generator


@dataclass
class Node:
    """A span: its own work in ms (half before, half after what it calls), and what it calls, one after the other; ``beside``: begins with the one before it.

    ``gives_up``: the caller waits for at most so many ms of what is below. ``skew``: ms by which the clock of everything below is ahead.
    """

    service: str
    operation: str
    own: float
    below: list[Node] = field(default_factory=list)
    kind: str | None = "internal"
    extra: dict[str, Any] = field(default_factory=dict)
    beside: bool = False
    gives_up: float = 1e6
    skew: float = 0.0


def served(service: str, operation: str, own: float, *below: Node, **extra: Any) -> Node:
    """A server span."""
    return Node(service, operation, own, list(below), "server", extra)


def call(service: str, operation: str, answer: Node | None, own: float = 1.0, **extra: Any) -> Node:
    """A client span around an answer; without one, ``own`` is how long it takes."""
    return Node(service, operation, own, [answer] if answer else [], "client", extra)


def database(service: str, own: float, statement: str = "select 1") -> Node:
    """A client span of a database."""
    return Node(service, "SELECT", own, kind="client", extra={"system": "postgresql", "peer": "postgresql/main", "statement": statement})


Plan = Callable[[bool, Rng], Node]


def recorded(plan: Plan, seconds: float = 80, since: float = 40, rate: float = 12, seed: int = 0, sampled: float = 1.0, surge: float = 1.0) -> dict[str, Any]:
    """``spans`` and ``requests`` of Poisson arrivals; ``plan(inside, rng)`` gives the root span of a request, ``inside`` from ``since`` seconds on."""
    rng = np.random.default_rng(seed)
    spans: list[dict[str, Any]] = []
    log: list[dict[str, Any]] = []
    at = 0.0
    while True:
        at += float(rng.exponential(1 / (rate * (surge if at >= since else 1))))
        if at >= seconds:
            return {"spans": spans, "requests": log}
        root = plan(at >= since, rng)
        trace = f"{len(log):032x}"
        rows: list[dict[str, Any]] = []
        start = START + int(at * 1e6)
        end = _lay(root, start, trace, None, rows, 0)
        if rng.random() < sampled:
            spans += rows
        failed = root.extra.get("status") == "error"
        method, _, route = root.operation.partition(" ")
        log.append({"time": start, "duration_us": end - start + 300, "status": 500 if failed else 200, "method": method, "route": route, "service": "web", "trace_id": trace})


def _lay(node: Node, start: int, trace: str, parent: str | None, rows: list[dict[str, Any]], ahead: int) -> int:
    """Append the span and what is below it; gives its end, µs, on the caller's clock."""
    name = f"{len(rows):016x}"
    row: dict[str, Any] = {"trace_id": trace, "span_id": name, "parent_span_id": parent, "time": start + ahead, "service": node.service, "operation": node.operation, "kind": node.kind, **node.extra}
    rows.append(row)
    cursor = began = start + int(node.own * 500)
    for child in node.below:
        began = began if child.beside else cursor
        ended = _lay(child, began, trace, name, rows, ahead + int(node.skew * 1000))
        cursor = cursor if child.extra.get("kind") == "late" else max(cursor, ended)
    end = min(cursor, start + int(node.gives_up * 1000)) + int(node.own * 500)
    row["duration_us"] = end - start
    return end


def about(rng: Rng, ms: float, spread: float = 0.25) -> float:
    """A lognormal duration with this median."""
    return float(ms * rng.lognormal(0, spread))
