"""OTLP traces as JSON: an ``ExportTraceServiceRequest`` a line, as the OpenTelemetry Collector's file exporter writes them, one
document, or an array of them.

Source: OTLP specification, "JSON Protobuf Encoding"; opentelemetry-collector-contrib, exporter/fileexporter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import Recognised, _otlp
from perfaudit.evidence.readers._spans_batch import Owner
from perfaudit.evidence.readers._spans_json import BROKEN, read_json
from perfaudit.evidence.readers._spans_rows import BATCH, PIECE, SpanTable

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "OTLP traces (JSON)"
VERSION = 1
TABLES = ("spans",)
KINDS = (-1, 0, 1, 2, 3, 4)
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
    read_json(source, sink, Requests(sink, options))


class Requests:
    """Requests as JSON values into rows; see :class:`perfaudit.evidence.readers._spans_json.Format`."""

    lists_of_spans = False

    def __init__(self, sink: Sink, options: ReadOptions) -> None:
        self.table = SpanTable(sink, options, per_us=1000)
        self.spans: list[_otlp.Span] = []
        self.owners: list[Owner] = []
        self._one = msgspec.json.Decoder(_otlp.Request, strict=False).decode
        self._many = msgspec.json.Decoder(list[_otlp.Request], strict=False).decode
        self._spans = msgspec.json.Decoder(list[_otlp.Span], strict=False).decode
        self._awaited = Owner()

    def value(self, text: bytes) -> str:
        """One request, or an array of them."""
        try:
            requests = self._many(text) if text.startswith(b"[") else [self._one(text)]
        except msgspec.ValidationError:
            requests = lenient(text, self.table)
        rows = gathered = 0
        other = ""
        for request in requests:
            for group in request.resourceSpans or request.batches or ():
                new, seen = self._group(group)
                rows, gathered = rows + new, gathered + seen
            other = "OTLP metrics, not spans" if len(bytes(request.resourceMetrics)) > 2 else "OTLP logs, not spans" if len(bytes(request.resourceLogs)) > 2 else other
        if len(self.spans) >= PIECE:
            self._take()
        if rows or not (gathered or other or b"pans" not in text[:200]):
            return ""
        return other or ("spans without ids or times" if gathered else "no OTLP request")

    def _group(self, group: _otlp.ResourceSpans) -> tuple[int, int]:
        """``(spans kept, spans seen)`` of one resource."""
        before, seen = len(self.spans), 0
        for scope in (*(group.scopeSpans or ()), *(group.instrumentationLibrarySpans or ())):
            spans = scope.spans or []
            seen += len(spans)
            self.spans += self._good(spans)
        new = len(self.spans) - before
        if new:
            self.owners += [_otlp.owner(self.table, bytes(group.resource))] * new
        return new, seen

    def _good(self, spans: list[_otlp.Span]) -> list[_otlp.Span]:
        good = [s for s in spans if s.traceId and s.spanId and s.startTimeUnixNano is not None and s.startTimeUnixNano >= 0]
        if len(good) < len(spans):
            for s in spans:
                if not (s.traceId and s.spanId):
                    self.table.aside["no trace id" if not s.traceId else "no span id"] += 1
                elif s.startTimeUnixNano is None or s.startTimeUnixNano < 0:
                    self.table.aside["no start time"] += 1
        return good

    # ---------------------------------------------------------------- documents

    def begin(self, prefix: bytes) -> None:
        """The resource comes before its spans as a rule."""
        self._awaited = Owner()
        self.table.held = not self._resource(prefix + b"]}]}")

    def run(self, text: bytes) -> None:
        """A list of spans of the resource that is open."""
        good = self._good(self._spans(text))
        self.spans += good
        self.owners += [self._awaited] * len(good)
        if len(self.spans) >= PIECE:
            self._take()

    def group(self, text: bytes) -> None:
        """The spans of a resource end."""
        self._resource(text)
        self.table.held = False
        self.table.flush(BATCH)

    def _resource(self, text: bytes) -> bool:
        try:
            resource = bytes(msgspec.json.decode(text, type=_otlp.ResourceSpans).resource)
        except BROKEN:
            return False
        if resource == b"[]":
            return False
        self._awaited.known = _otlp.owner(self.table, resource)
        return True

    # ---------------------------------------------------------------- columns

    def _take(self) -> None:
        """The spans that were decoded last become columns."""
        spans, owners, batch = self.spans, self.owners, self.table.batch
        self.spans, self.owners = [], []
        row, none = len(batch.starts), _otlp.NONE
        batch.traces += [s.traceId for s in spans]
        batch.spans += [s.spanId for s in spans]
        batch.parents += [s.parentSpanId or None for s in spans]
        batch.names += [s.name for s in spans]
        batch.starts += [s.startTimeUnixNano or 0 for s in spans]
        batch.ends += [s.endTimeUnixNano or -1 for s in spans]
        batch.owners += owners
        batch.codes += self.table.codes([bytes(s.attributes) for s in spans], _otlp.attributes, _otlp.VOLATILE)
        batch.kinds += [KINDS[s.kind] if s.kind.__class__ is int and 0 <= s.kind <= 5 else _otlp.kind(s.kind) for s in spans]
        batch.statuses += [0 if s.status is None or s.status.code is None else _otlp.status(s.status) for s in spans]
        for i, s in enumerate(spans, row):
            if s.links is not none and len(bytes(s.links)) > 4:
                batch.links[i] = _otlp.links(bytes(s.links))
            if s.events is not none and b'"exception"' in bytes(s.events):
                batch.exceptions[i] = _otlp.exceptions(bytes(s.events))
            if s.traceState and "ot=" in s.traceState and (weight := _otlp.weight(s.traceState)):
                batch.weights[i] = weight
        self.table.flush(BATCH)

    def finish(self) -> None:
        """Write the rest and tell what was set aside."""
        self._take()
        self.table.finish()


def lenient(text: bytes, table: SpanTable) -> list[_otlp.Request]:
    """Requests with members of wrong types: each span is decoded alone, and what does not fit is set aside."""
    decode = msgspec.json.Decoder(_otlp.Span, strict=False).decode
    value = msgspec.json.decode(text)
    out = []
    for request in value if isinstance(value, list) else [value]:
        groups = []
        for group in _dicts(request, "resourceSpans") or _dicts(request, "batches"):
            spans = []
            for span in (s for key in ("scopeSpans", "instrumentationLibrarySpans") for scope in _dicts(group, key) for s in _dicts(scope, "spans")):
                try:
                    spans.append(decode(msgspec.json.encode(span)))
                except BROKEN:
                    table.aside["a member has the wrong type"] += 1
            resource = group.get("resource")
            groups.append(_otlp.ResourceSpans(msgspec.Raw(msgspec.json.encode(resource if isinstance(resource, dict) else {})), [_otlp.Scope(spans)]))
        out.append(_otlp.Request(groups))
    return out


def _dicts(value: Any, key: str) -> list[dict[str, Any]]:
    found = value.get(key) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
