"""OTLP traces as JSON: an ``ExportTraceServiceRequest`` a line, as the OpenTelemetry Collector's file exporter writes them, one
document, or an array of them.

Source: OTLP specification, "JSON Protobuf Encoding"; opentelemetry-collector-contrib, exporter/fileexporter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import Recognised, _otlp
from perfaudit.evidence.readers._spans_scan import read_scanned

if TYPE_CHECKING:
    import numpy as np

    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.readers._spans_attributes import Pairs
    from perfaudit.evidence.readers._spans_batch import Batch
    from perfaudit.evidence.source import Source

    Array = np.ndarray[Any, Any]

NAME = "OTLP traces (JSON)"
VERSION = 1
TABLES = ("spans",)
HINT = "the OpenTelemetry Collector's file exporter writes what this reader takes: exporters: {file: {path: traces.jsonl}}"


def sniff(sample: Sample) -> Recognised | None:
    """Sure when the head speaks of ``resourceSpans``; a file of metrics or logs alone is another reader's."""
    head = sample.head
    if head.lstrip()[:1] not in (b"{", b"["):
        return None
    if b'"resourceSpans"' in head or (b'"batches"' in head and (b'"scopeSpans"' in head or b'"instrumentationLibrarySpans"' in head)):
        return Recognised(0.97, hint=HINT)
    if head.lstrip()[:40].lstrip(b"[{ \r\n\t").startswith((b'"resourceMetrics"', b'"resourceLogs"')):
        return Recognised(0.1, note="OTLP metrics or logs, no spans", hint="it holds OTLP metrics or logs, which are not read; give its traces")
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per span."""
    read_scanned(source, sink, options, Shape())


class Shape:
    """OTLP's JSON; see :class:`perfaudit.evidence.readers._spans_scan.Shape`."""

    members = (
        (b"traceId", "TRACE"), (b"spanId", "SPAN"), (b"parentSpanId", "PARENT"), (b"flags", "NOTHING"), (b"name", "NAME"), (b"kind", "KIND"), (b"startTimeUnixNano", "START"),
        (b"endTimeUnixNano", "END"), (b"attributes", "ATTRIBUTES"), (b"status", "STATUS"), (b"traceState", "STATE"), (b"events", "MORE"), (b"links", "EXTRA"),
    )  # fmt: skip
    style = "WRAPPED"
    per_us = 1000

    @staticmethod
    def usual(raw: bytes) -> bytes:
        """A ``Span`` as the specification writes it."""
        return msgspec.json.encode(_otlp.span(raw))

    @staticmethod
    def pair(raw: bytes) -> tuple[str, Any]:
        """Key and value of a ``KeyValue``."""
        return next(iter(_otlp.attributes(b"[%b]" % raw)), ("", None))

    @staticmethod
    def owner(raw: bytes) -> tuple[str | None, Pairs]:
        """What a ``Resource`` says."""
        return _otlp.resource(raw)

    @staticmethod
    def details(batch: Batch, rows: Array, text: bytearray) -> None:
        """Links and exceptions."""
        from perfaudit.kernels import attributes as k

        for i in rows[:, k.EXTRA_END].nonzero()[0].tolist():
            if links := _otlp.links(bytes(text[rows[i, k.EXTRA] : rows[i, k.EXTRA_END]])):
                batch.links[i] = links
        for i in rows[:, k.MORE_END].nonzero()[0].tolist():
            events = bytes(text[rows[i, k.MORE] : rows[i, k.MORE_END]])
            if b'"exception"' in events and (kinds := _otlp.exceptions(events)):
                batch.exceptions[i] = kinds

    @staticmethod
    def reason(text: bytes, seen: int) -> str:
        """Metrics, logs, an empty request, or something else."""
        value = msgspec.json.decode(text)
        for request in value if isinstance(value, list) else [value]:
            for key, what in (("resourceMetrics", "metrics"), ("resourceLogs", "logs")):
                if isinstance(request, dict) and request.get(key):
                    return f"OTLP {what}, not spans"
        return "spans without ids or times" if seen else "" if b"pans" in text[:200] or not value else "no OTLP request"
