"""The pool of connections to MariaDB, and the two ways to use it: single statements, and transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiomysql
from app import metrics, queries, settings
from app.tracing import CLIENT, tracer

pool: aiomysql.Pool


async def start() -> None:
    """Opens all connections of the pool."""
    global pool
    pool = await aiomysql.create_pool(
        host=settings.DB_HOST, port=settings.DB_PORT, user=settings.DB_USER, db=settings.DB_NAME, minsize=settings.POOL, maxsize=settings.POOL,
        autocommit=True, charset="utf8mb4", cursorclass=aiomysql.DictCursor, connect_timeout=10, program_name=settings.WORDS.get("service", ""),
    )  # fmt: skip
    metrics.pool_opened.inc(settings.POOL)
    metrics.pool_limit.set(settings.POOL)


async def stop() -> None:
    """Closes the pool."""
    pool.terminate()
    await pool.wait_closed()


async def acquire() -> aiomysql.Connection:
    """A connection from the pool, waited for."""
    began = time.perf_counter()
    metrics.pool_waiting.inc()
    try:
        with tracer.start_as_current_span("db.pool.get"):
            held = await asyncio.wait_for(pool.acquire(), settings.POOL_TIMEOUT_S)
        metrics.pool_used.inc()
        return held
    except TimeoutError:
        metrics.pool_timeouts.inc()
        raise
    finally:
        metrics.pool_waiting.dec()
        metrics.pool_wait.observe(time.perf_counter() - began)


def release(connection: aiomysql.Connection) -> None:
    """Gives a connection back."""
    metrics.pool_used.dec()
    pool.release(connection)


@asynccontextmanager
async def connection() -> AsyncIterator[aiomysql.Connection]:
    """A connection for as long as the block lasts."""
    held = await acquire()
    began = time.perf_counter()
    try:
        yield held
    finally:
        release(held)
        metrics.pool_hold.observe(time.perf_counter() - began)


@asynccontextmanager
async def transaction() -> AsyncIterator[aiomysql.Connection]:
    """A connection in a transaction that is committed at the end of the block, or rolled back when it fails."""
    async with connection() as inside:
        await inside.begin()
        try:
            yield inside
        except BaseException:
            await inside.rollback()
            raise
        with tracer.start_as_current_span("COMMIT", kind=CLIENT, attributes=_told("COMMIT")):
            await inside.commit()


async def rows(name: str, *args: Any, on: aiomysql.Connection | None = None) -> list[dict[str, Any]]:
    """The rows of a named statement, on a connection of its own or on the one given."""
    return await fetch(queries.text(name), args, on)


async def row(name: str, *args: Any, on: aiomysql.Connection | None = None) -> dict[str, Any] | None:
    """The first row of a named statement, if there is one."""
    found = await rows(name, *args, on=on)
    return found[0] if found else None


async def change(name: str, *args: Any, on: aiomysql.Connection | None = None) -> int:
    """Runs a named statement that changes rows; the key of the row it inserted, else 0."""
    if on is None:
        async with connection() as own:
            return await change(name, *args, on=own)
    async with execute(queries.text(name), args, on) as cursor:
        return int(cursor.lastrowid or 0)


async def fetch(sql: str, args: Sequence[Any] = (), on: aiomysql.Connection | None = None) -> list[dict[str, Any]]:
    """The rows of any statement with ``%s`` for its arguments."""
    if on is None:
        async with connection() as own:
            return await fetch(sql, args, own)
    async with execute(sql, args, on) as cursor:
        return list(await cursor.fetchall())


@asynccontextmanager
async def execute(sql: str, args: Sequence[Any], on: aiomysql.Connection) -> AsyncIterator[aiomysql.DictCursor]:
    """A cursor after the statement ran; the span tells the statement without its values."""
    words = sql.split(None, 1)
    with tracer.start_as_current_span(f"{words[0]} {settings.DB_NAME}", kind=CLIENT, attributes=_told(sql)) as span:
        async with on.cursor() as cursor:
            await cursor.execute(sql, tuple(args))
            span.set_attribute("db.response.returned_rows", cursor.rowcount)
            yield cursor


def _told(sql: str) -> dict[str, Any]:
    return {"db.system": "mariadb", "db.name": settings.DB_NAME, "db.statement": sql, "net.peer.name": settings.DB_HOST, "net.peer.port": settings.DB_PORT}
