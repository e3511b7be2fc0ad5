"""Cache-aside in memcached: JSON values, one time to live, and a single load at a time for each key of this replica."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiomcache
from app import metrics, settings
from app.tracing import CLIENT, tracer

client: aiomcache.Client
_loading: dict[str, asyncio.Task[Any]] = {}


async def start() -> None:
    """Prepares the connections to memcached; they are opened when they are needed."""
    global client
    client = aiomcache.Client("127.0.0.1", settings.CACHE_PORT, pool_size=settings.CACHE_CONNECTIONS)


async def stop() -> None:
    """Closes the connections."""
    await client.close()


def key(kind: str, name: object) -> str:
    """The key of a thing."""
    return f"{settings.CACHE_PREFIX}:{kind}:{name}"


def encode(value: Any) -> bytes:
    """A value as it is kept."""
    return json.dumps(value, default=str, separators=(",", ":")).encode()


def decode(data: bytes) -> Any:
    """A kept value as it was."""
    return json.loads(data)


async def get(name: str) -> Any | None:
    """What is kept under a key, or None."""
    began = time.perf_counter()
    with tracer.start_as_current_span("memcached get", kind=CLIENT, attributes={"db.system": "memcached", "db.operation": "get"}) as span:
        data = await client.get(name.encode())
        value = None if data is None else decode(data)
        span.set_attribute("cache.hit", value is not None)
    metrics.cache_get.observe(time.perf_counter() - began)
    metrics.cache_gets.labels("miss" if value is None else "hit").inc()
    return value


async def put(name: str, value: Any, ttl: int) -> None:
    """Keeps a value for `ttl` seconds."""
    with tracer.start_as_current_span("memcached set", kind=CLIENT, attributes={"db.system": "memcached", "db.operation": "set"}) as span:
        data = encode(value)
        span.set_attribute("cache.bytes", len(data))
        await client.set(name.encode(), data, exptime=ttl)


async def forget(name: str) -> None:
    """Removes a key."""
    with tracer.start_as_current_span("memcached delete", kind=CLIENT, attributes={"db.system": "memcached", "db.operation": "delete"}):
        await client.delete(name.encode())


async def fill(name: str, load: Callable[[], Awaitable[Any]], ttl: int) -> Any:
    """Makes a value and keeps it. Nothing (None) is kept too, so that what does not exist is not asked for again and again."""
    began = time.perf_counter()
    value = await load()
    await put(name, {"value": value}, ttl)
    metrics.cache_load.observe(time.perf_counter() - began)
    return value


async def single(name: str, load: Callable[[], Awaitable[Any]], ttl: int) -> Any:
    """As :func:`fill`, but requests that miss the same key at the same time share one load."""
    task = _loading.get(name)
    if task is None:
        task = _loading[name] = asyncio.create_task(fill(name, load, ttl))
        task.add_done_callback(lambda _: _loading.pop(name, None))
    else:
        metrics.cache_shared.inc()
    return await asyncio.shield(task)


async def through(kind: str, name: object, load: Callable[[], Awaitable[Any]], ttl: int | None = None) -> Any:
    """The value of a thing: from the cache, else loaded and kept."""
    full = key(kind, name)
    kept = await get(full)
    if kept is not None:
        return kept["value"]
    return await single(full, load, settings.TTL_S if ttl is None else ttl)
