"""OpenTelemetry: traces and metrics over OTLP/HTTP, with the stock instrumentations and the spans that they lack."""

from __future__ import annotations

from app import settings
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

CLIENT = trace.SpanKind.CLIENT
tracer = trace.get_tracer("app")
meter = metrics.get_meter("app")


def start() -> None:
    """Sets the providers; without an endpoint nothing leaves the process."""
    if not settings.OTLP_URL:
        return
    about = Resource.create({"service.name": settings.WORDS["service"], "service.version": settings.RELEASE, "service.instance.id": settings.REPLICA})
    provider = TracerProvider(resource=about, sampler=ParentBased(TraceIdRatioBased(settings.SAMPLING)))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{settings.OTLP_URL}/v1/traces"), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{settings.OTLP_URL}/v1/metrics"), export_interval_millis=2000)
    metrics.set_meter_provider(MeterProvider([reader], resource=about))


def instrument(flask: object) -> None:
    """The stock instrumentations of what the application uses."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    FlaskInstrumentor().instrument_app(flask, excluded_urls="health")  # type: ignore[arg-type]
    PsycopgInstrumentor().instrument(skip_dep_check=True)
    RedisInstrumentor().instrument()
    RequestsInstrumentor().instrument()


def current_id() -> str:
    """The trace of this request, "" outside of one."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.trace_id else ""
