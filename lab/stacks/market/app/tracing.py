"""Spans: the server's and the client's by instrumentation, those of database, cache and pool by hand; exported as Zipkin v2 JSON."""

from __future__ import annotations

import os

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

CLIENT = trace.SpanKind.CLIENT
tracer = trace.get_tracer("market")


def start(service: str, instance: str, version: str, url: str, ratio: float) -> None:
    """Begins to trace this process; without a collector's address nothing is traced. Call it before an application is made."""
    if not url:
        return
    from opentelemetry.exporter.zipkin.json import ZipkinExporter
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor

    os.environ.setdefault("OTEL_PYTHON_AIOHTTP_SERVER_EXCLUDED_URLS", "metrics,health")
    resource = Resource.create({"service.name": service, "service.instance.id": instance, "service.version": version})
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(ratio)))
    provider.add_span_processor(BatchSpanProcessor(ZipkinExporter(endpoint=url), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    AioHttpServerInstrumentor().instrument()
    AioHttpClientInstrumentor().instrument()


def current_id() -> str:
    """The trace of this request in hexadecimal where it is kept, or nothing."""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.trace_flags.sampled else ""
