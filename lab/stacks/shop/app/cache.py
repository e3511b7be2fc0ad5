"""Cache-aside in Redis: JSON values, one time to live, and a single load at a time for each key of this replica."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from app import metrics, settings

client: redis.Redis
_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def start() -> None:
    """Prepares the connections to Redis; they are opened when they are needed."""
    global client
    client = redis.Redis("127.0.0.1", settings.CACHE_PORT, max_connections=settings.CACHE_CONNECTIONS, socket_timeout=5)


def key(kind: str, name: object) -> str:
    """The key of a thing."""
    return f"{settings.WORDS['prefix']}:{kind}:{name}"


def encode(value: Any) -> bytes:
    """A value as it is kept."""
    return json.dumps(value, default=str, separators=(",", ":")).encode()


def decode(data: bytes) -> Any:
    """A kept value as it was."""
    return json.loads(data)


def get(name: str) -> Any | None:
    """What is kept under a key, or None."""
    began = time.perf_counter()
    data = client.get(name)
    value = None if data is None else decode(data)  # type: ignore[arg-type]
    metrics.cache_time.record(time.perf_counter() - began)
    metrics.cache_requests.add(1, {"result": "miss" if value is None else "hit"})
    return value


def put(name: str, value: Any, ttl: int) -> None:
    """Keeps a value for `ttl` seconds."""
    client.set(name, encode(value), ex=ttl)


def forget(*names: str) -> None:
    """Removes keys."""
    client.delete(*names)


def fill(name: str, load: Callable[[], Any], ttl: int) -> Any:
    """Makes a value and keeps it. Nothing (None) is kept too, so that what does not exist is not asked for again and again."""
    began = time.perf_counter()
    value = load()
    put(name, {"value": value}, ttl)
    metrics.cache_load.record(time.perf_counter() - began)
    return value


def single(name: str, load: Callable[[], Any], ttl: int) -> Any:
    """As :func:`fill`, but threads that miss the same key at the same time wait for one load and share it."""
    with _guard:
        lock = _locks.setdefault(name, threading.Lock())
    try:
        with lock:
            kept = get(name)
            return kept["value"] if kept is not None else fill(name, load, ttl)
    finally:
        with _guard:
            _locks.pop(name, None)


def through(kind: str, name: object, load: Callable[[], Any], ttl: int | None = None) -> Any:
    """The value of a thing: from the cache, else loaded and kept."""
    full = key(kind, name)
    kept = get(full)
    if kept is not None:
        return kept["value"]
    return single(full, load, settings.TTL_S if ttl is None else ttl)
