"""The pool of connections to PostgreSQL, and the two ways to use it: single statements, and transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from app import metrics, queries, settings
from app.tracing import tracer
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

Connection = psycopg.Connection[dict[str, Any]]
pool: ConnectionPool[Connection]


def where() -> str:
    """The connection string."""
    return f"host=127.0.0.1 port={settings.DB_PORT} user={settings.WORDS['user']} dbname={settings.WORDS['database']} application_name={settings.WORDS['service']}"


def start() -> None:
    """Opens all connections of the pool."""
    global pool
    pool = ConnectionPool(where(), min_size=settings.POOL, max_size=settings.POOL, timeout=settings.POOL_TIMEOUT_S, kwargs={"row_factory": dict_row, "autocommit": True}, open=False)
    pool.open(wait=True, timeout=15)
    metrics.watch_pool(told)


def told() -> tuple[int, int, int, int]:
    """Used, idle, size, waiting."""
    stats = pool.get_stats()
    size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
    return size - idle, idle, settings.POOL, stats.get("requests_waiting", 0)


def acquire() -> Connection:
    """A connection from the pool, waited for."""
    began = time.perf_counter()
    try:
        with tracer.start_as_current_span("pool.acquire"):
            return pool.getconn()
    except PoolTimeout:
        metrics.pool_timeouts.add(1)
        raise
    finally:
        metrics.pool_wait.record(time.perf_counter() - began)


def release(connection: Connection) -> None:
    """Gives a connection back."""
    pool.putconn(connection)


@contextmanager
def connection() -> Iterator[Connection]:
    """A connection for as long as the block lasts."""
    held = acquire()
    began = time.perf_counter()
    try:
        yield held
    finally:
        release(held)
        metrics.pool_use.record(time.perf_counter() - began)


@contextmanager
def transaction() -> Iterator[Connection]:
    """A connection in a transaction that is committed at the end of the block, or rolled back when it fails."""
    with connection() as inside, inside.transaction():
        yield inside


def rows(name: str, *args: Any, on: Connection | None = None) -> list[dict[str, Any]]:
    """The rows of a named statement, on a connection of its own or on the one given."""
    return fetch(queries.text(name), args, on)


def row(name: str, *args: Any, on: Connection | None = None) -> dict[str, Any] | None:
    """The first row of a named statement, if there is one."""
    found = rows(name, *args, on=on)
    return found[0] if found else None


def change(name: str, *args: Any, on: Connection | None = None) -> int:
    """Runs a named statement that changes rows; how many it changed."""
    if on is None:
        with connection() as own:
            return change(name, *args, on=own)
    return on.execute(queries.text(name), args).rowcount  # type: ignore[arg-type]


def fetch(sql: str, args: tuple[Any, ...] = (), on: Connection | None = None) -> list[dict[str, Any]]:
    """The rows of any statement with ``%s`` for its arguments."""
    if on is None:
        with connection() as own:
            return fetch(sql, args, own)
    return on.execute(sql, args).fetchall()  # type: ignore[arg-type]
