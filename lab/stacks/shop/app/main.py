"""The application of one replica, as gunicorn loads it: ``gunicorn app.main:application``."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import app
from app import cache, db, handlers, metrics, partner, settings, tracing
from flask import Flask, Response, g, request
from opentelemetry import trace
from psycopg_pool import PoolTimeout
from werkzeug.exceptions import HTTPException

log = logging.getLogger("app")
#: A request that takes longer is told in the log, in seconds.
SLOW_S = 1.0


def _endpoint(name: str) -> Callable[..., Response]:
    def endpoint(**arguments: Any) -> Response:
        result = getattr(handlers, name)(**arguments)
        return result if isinstance(result, Response) else Response(json.dumps(result, default=str), mimetype="application/json")

    endpoint.__name__ = name
    return endpoint


def _before() -> None:
    g.began = time.perf_counter()
    metrics.busy.add(1)
    if (sent := request.headers.get("X-Request-Start", ""))[:2] == "t=":
        waited = max(0.0, time.time() - float(sent[2:]))
        metrics.queue_time.record(waited)
        trace.get_current_span().set_attribute("http.server.request.queue_time", waited)


def _after(response: Response) -> Response:
    response.headers["X-Trace-Id"] = tracing.current_id()
    took = time.perf_counter() - g.get("began", time.perf_counter())
    if took > SLOW_S:
        log.warning("slow request %s %s %d %.3f s trace=%s", request.method, request.path, response.status_code, took, tracing.current_id())
    return response


def _teardown(_: BaseException | None) -> None:
    if "began" in g:
        metrics.busy.add(-1)


def _failed(error: Exception) -> Any:
    if isinstance(error, HTTPException):
        return error
    status = 502 if isinstance(error, partner.PartnerError) else 503 if isinstance(error, PoolTimeout) else 500
    log.error("request failed %s %s %d %s: %s trace=%s", request.method, request.path, status, type(error).__name__, str(error).splitlines()[0] if str(error) else "", tracing.current_id())
    trace.get_current_span().record_exception(error)
    return Response(json.dumps({"error": type(error).__name__}), status, mimetype="application/json")


def make() -> Flask:
    """The application of this release, with its version applied."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    tracing.start()
    version = os.environ.get("APP_VERSION", "base")
    if version != "base":
        importlib.import_module(f"app.versions.{version}").apply(app, json.loads(os.environ.get("APP_PARAMETERS", "{}")))
    server = Flask("app")
    tracing.instrument(server)
    db.start()
    cache.start()
    partner.start()
    metrics.watch_runtime()
    for name, (method, path) in handlers.ROUTES.items():
        server.add_url_rule(path.format_map(settings.WORDS), name, _endpoint(name), methods=[method])
    server.add_url_rule("/health", "health", lambda: Response(settings.RELEASE))
    server.before_request(_before)
    server.after_request(_after)
    server.teardown_request(_teardown)
    server.register_error_handler(Exception, _failed)
    log.info("ready release=%s replica=%s", settings.RELEASE, settings.REPLICA)
    return server


application = make()
