"""What the cases about caches, growth and releases have in common: what is asked for, caches filled before the healthy part, readings."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.observed import Phase
    from lab.stack import Route, Stack


def route(stack: Stack, name: str) -> Route:
    """The route of that name."""
    return next(r for r in stack.routes if r.name == name)


def asks(stack: Stack, name: str, **changed: Any) -> None:
    """Clients ask for a route in another way: its ``url`` (JavaScript, see lab/load.py), its ``weight`` in the mix."""
    stack.routes = [replace(r, **changed) if r.name == name else r for r in stack.routes]


def warm(stack: Stack, paths: Iterable[str]) -> None:
    """Asks for paths once, four at a time, as the clients of yesterday did: caches are full."""

    def ask(path: str) -> None:
        urllib.request.urlopen(stack.url + path, timeout=20).read()

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(ask, paths))


def empty(stack: Stack) -> None:
    """Forgets all that the cache has: a form of the code that is not in this story left it there."""
    with socket.create_connection(("127.0.0.1", stack.cache_port), timeout=5) as server:  # type: ignore[attr-defined]
        server.sendall(b"flush_all\r\n" if stack.name == "market" else b"FLUSHALL\r\n")
        server.recv(64)


def hits(phase: Phase) -> float:
    """Share of the cache's reads that found something, in per cent, as the server counted them."""
    told = phase.memcached()
    found, missed = told["get_hits"], told["get_misses"]
    if not found + missed:
        told = phase.redis()
        found, missed = told["keyspace_hits"], told["keyspace_misses"]
    return 100 * found / (found + missed) if found + missed else 0.0


def misses(phase: Phase) -> float:
    """Reads of the cache a second that found nothing."""
    return (phase.memcached()["get_misses"] + phase.redis()["keyspace_misses"]) / phase.seconds


def slope(points: Sequence[tuple[float, float]], last: float = 0.65) -> float:
    """Least-squares slope a second over the last part of (time, value) points: what grows on after the start of a process."""
    kept = list(points)[int(len(points) * (1 - last)) :]
    if len(kept) < 3:
        return 0.0
    t0, n = kept[0][0], len(kept)
    mean_t, mean_v = sum(t - t0 for t, _ in kept) / n, sum(v for _, v in kept) / n
    spread = sum((t - t0 - mean_t) ** 2 for t, _ in kept)
    return sum((t - t0 - mean_t) * (v - mean_v) for t, v in kept) / spread if spread else 0.0


def memory_growth(phase: Phase) -> float:
    """MB a minute by which the replicas together grow."""
    return sum(slope(use.memory) for use in phase.groups("app-*").values()) * 60 / 1e6


def growth(phase: Phase, metric: str, **labels: str) -> float:
    """By how much a gauge of all replicas together grows in a minute."""
    return sum(slope(points) for points in phase.series(metric, **labels).values()) * 60
