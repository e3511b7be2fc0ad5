"""The server of one replica. A version of the code may replace what is here too: everything is looked up when it is used."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import app
from aiohttp import web
from app import cache, db, handlers, metrics, partner, reports, settings, tracing
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

log = logging.getLogger("app")
#: Coroutine functions that run beside the server for its life; a version may add to them.
BACKGROUND: list[Callable[[], Awaitable[None]]] = [metrics.watch_loop]
#: A request that takes longer is told in the log, in seconds.
SLOW_S = 1.0


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        told = {"ts": at, "level": record.levelname.lower(), "logger": record.name, "msg": record.getMessage(), **getattr(record, "more", {})}
        if record.exc_info and record.exc_info[1]:
            told["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        return json.dumps(told)


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=json.dumps(body, default=str).encode(), status=status, content_type="application/json")


def _endpoint(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        result = await getattr(handlers, name)(request)
        return result if isinstance(result, web.StreamResponse) else answer(result)

    endpoint.__name__ = name
    return endpoint


@web.middleware
async def told(request: web.Request, handler: Any) -> web.StreamResponse:
    """Measures a request, names its trace in the answer, and turns failures into an answer and a line in the log."""
    if request.path in ("/metrics", "/health"):
        return await handler(request)
    began = time.perf_counter()
    if (sent := request.headers.get("X-Request-Start", ""))[:2] == "t=":
        metrics.edge_wait.observe(max(0.0, time.time() - float(sent[2:])))
    more = {"method": request.method, "path": request.path, "trace": tracing.current_id()}
    try:
        response = await admit(request, handler)
    except web.HTTPException as error:
        response = answer({"error": error.reason}, error.status)
    except Exception as error:
        response = answer({"error": type(error).__name__}, 502 if isinstance(error, partner.PartnerError) else 503 if isinstance(error, TimeoutError) else 500)
        log.error("request failed", exc_info=True, extra={"more": {**more, "status": response.status}})
    took = time.perf_counter() - began
    route = request.match_info.route.resource
    metrics.requests.labels(route.canonical if route else "none", str(response.status)).observe(took)
    if took > SLOW_S:
        log.warning("slow request", extra={"more": {**more, "status": response.status, "seconds": round(took, 3)}})
    response.headers["X-Correlation-Id"] = more["trace"]
    response.headers["X-Replica"] = settings.REPLICA
    return response


async def admit(request: web.Request, handler: Any) -> web.StreamResponse:
    """Lets so many requests in at a time; the others wait here."""
    door: asyncio.Semaphore = request.app["door"]
    began = time.perf_counter()
    metrics.waiting.inc()
    try:
        if door.locked():
            with tracing.tracer.start_as_current_span("admission.wait"):
                await door.acquire()
        else:
            await door.acquire()
    finally:
        metrics.waiting.dec()
    metrics.admission_wait.observe(time.perf_counter() - began)
    metrics.in_flight.inc()
    try:
        return await handler(request)
    finally:
        metrics.in_flight.dec()
        door.release()


async def _health(_: web.Request) -> web.Response:
    return answer({"release": settings.RELEASE})


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _life(server: web.Application) -> AsyncIterator[None]:
    server["door"] = asyncio.Semaphore(settings.LIMIT)
    metrics.limit.set(settings.LIMIT)
    metrics.build.labels(settings.RELEASE).set(1)
    metrics.watch_collector()
    await db.start()
    await cache.start()
    await partner.start()
    reports.start()
    beside = [asyncio.ensure_future(work()) for work in BACKGROUND]
    log.info("ready", extra={"more": {"release": settings.RELEASE, "replica": settings.REPLICA}})
    yield
    for task in beside:
        task.cancel()
    reports.stop()
    await partner.stop()
    await cache.stop()
    await db.stop()


def make() -> web.Application:
    """The application of this release, with its version applied."""
    version = os.environ.get("APP_VERSION", "base")
    if version != "base":
        importlib.import_module(f"app.versions.{version}").apply(app, json.loads(os.environ.get("APP_PARAMETERS", "{}")))
    server = web.Application(middlewares=[told])
    server.cleanup_ctx.append(_life)
    for name, (method, path) in handlers.ROUTES.items():
        server.router.add_route(method, path.format_map(settings.WORDS), _endpoint(name))
    server.router.add_get("/health", _health)
    server.router.add_get("/metrics", _metrics)
    return server


def run() -> None:
    """Serves until it is asked to end; requests in progress may finish."""
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[out])
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    tracing.start(settings.WORDS.get("service", "app"), settings.REPLICA, settings.RELEASE, settings.ZIPKIN_URL, settings.SAMPLING)
    web.run_app(make(), host="127.0.0.1", port=settings.PORT, backlog=settings.BACKLOG, access_log=None, print=None, shutdown_timeout=5)
