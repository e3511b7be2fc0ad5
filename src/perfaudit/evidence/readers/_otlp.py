"""OTLP's trace messages as typed structs, and how a span of them becomes a row.

Source: opentelemetry-proto 1.7, trace.proto and common.proto; OTLP specification, "JSON Protobuf Encoding": ids in hexadecimal,
64-bit integers as strings or numbers, enumerations as integers. Encoders of plain protobuf JSON write ids in base64 and
enumerations by name: both are read.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from perfaudit.evidence.readers._spans_attributes import VOLATILE as _VOLATILE_KEYS
from perfaudit.evidence.readers._spans_attributes import Pairs, exception, whole
from perfaudit.evidence.readers._spans_batch import Owner, identifier
from perfaudit.evidence.readers._spans_json import BROKEN, scalar
from perfaudit.evidence.readers._spans_rows import EXCEPTIONS, LINKS, SpanTable

Raw = msgspec.Raw
NONE = Raw(b"[]")


class Status(msgspec.Struct, gc=False):
    """``Status``: code 0 unset, 1 ok, 2 error, or the name."""

    code: Any = None


class Span(msgspec.Struct, gc=False):
    """``Span``; what is looked at in few spans stays raw."""

    traceId: str | None = None
    spanId: str | None = None
    parentSpanId: str | None = None
    name: str | None = None
    kind: Any = None
    startTimeUnixNano: int | None = None
    endTimeUnixNano: int | None = None
    attributes: Raw = NONE
    status: Status | None = None
    traceState: str | None = None
    events: Raw = NONE
    links: Raw = NONE


class Scope(msgspec.Struct, gc=False):
    """``ScopeSpans``."""

    spans: list[Span] | None = None


class ResourceSpans(msgspec.Struct, gc=False):
    """``ResourceSpans``; the second list is what OTLP before 0.19 called the first."""

    resource: Raw = NONE
    scopeSpans: list[Scope] | None = None
    instrumentationLibrarySpans: list[Scope] | None = None


class Request(msgspec.Struct, gc=False):
    """``ExportTraceServiceRequest``; requests of metrics and logs are known by their own lists. Grafana Tempo says ``batches``."""

    resourceSpans: list[ResourceSpans] | None = None
    batches: list[ResourceSpans] | None = None
    resourceMetrics: Raw = NONE
    resourceLogs: Raw = NONE


class _Value(msgspec.Struct, gc=False):
    stringValue: str | None = None
    intValue: int | None = None
    doubleValue: float | None = None
    boolValue: bool | None = None
    arrayValue: Raw = NONE


class _KeyValue(msgspec.Struct, gc=False):
    key: str
    value: _Value | None = None


class _Loose(msgspec.Struct, gc=False):
    key: str
    value: dict[str, Any] | None = None


#: Attributes that :meth:`SpanTable.codes` may pass over, as compact JSON has them; text that is written otherwise is read in full.
VOLATILE = re.compile(rb',?\{"key":"' + _VOLATILE_KEYS + rb'","value":\{"(?:stringValue|intValue)":(?:"[^"\\]*"|\d+)\}\}')
_attributes = msgspec.json.Decoder(list[_KeyValue], strict=False).decode
_loose = msgspec.json.Decoder(list[_Loose]).decode
_KIND = {0: -1, 1: 0, 2: 1, 3: 2, 4: 3, 5: 4}
_KIND_NAMES = {"UNSPECIFIED": 0, "INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
_STATUS_NAMES = {"UNSET": 0, "OK": 1, "ERROR": 2}
#: Threshold and p-value of consistent probability sampling (OpenTelemetry specification, "TraceState: Probability Sampling").
_THRESHOLD = re.compile(r"(?:^|,)\s*ot=(?:[^,;]*;)*?(?:th:([0-9a-f]{1,14})|p:(\d{1,2}))(?:[;,]|$)")


def attributes(raw: bytes) -> Pairs:
    """``(key, value)`` of a list of ``KeyValue``; what cannot be read is left out."""
    try:
        return [
            (pair.key, v if (v := pair.value) is None else v.stringValue if v.stringValue is not None else v.intValue if v.intValue is not None else _rare(v))
            for pair in _attributes(raw)
        ]
    except BROKEN:
        pass
    try:
        return [(pair.key, _any_value(pair.value)) for pair in _loose(raw)]
    except BROKEN:
        return []


def _rare(value: _Value) -> Any:
    if value.boolValue is not None:
        return value.boolValue
    return value.doubleValue if value.doubleValue is not None else _any_value({"arrayValue": msgspec.json.decode(value.arrayValue)})


def _any_value(value: dict[str, Any] | None) -> Any:
    """An ``AnyValue``: of lists the only element, of other kinds nothing."""
    for kind, inner in (value or {}).items():
        if kind in ("intValue", "int_value"):
            return whole(inner)
        if kind in ("arrayValue", "array_value"):
            values = inner.get("values") if isinstance(inner, dict) else None
            return _any_value(values[0]) if isinstance(values, list) and len(values) == 1 and isinstance(values[0], dict) else None
        return scalar(inner)
    return None


def owner(table: SpanTable, raw: bytes) -> Owner:
    """The owner of a ``Resource`` as JSON."""

    def make() -> tuple[str | None, Pairs]:
        try:
            pairs = list(attributes(bytes(msgspec.json.decode(raw, type=dict[str, Raw]).get("attributes", NONE))))
        except BROKEN:
            pairs = []
        return next((str(v) for k, v in pairs if k == "service.name" and v), None), pairs

    return table.owner(raw, make)


def kind(value: Any) -> int:
    """The code of a ``SpanKind``, number or name; -1 for unspecified and unknown."""
    if isinstance(value, str):
        value = _KIND_NAMES.get(value.upper().removeprefix("SPAN_KIND_"), whole(value))
    return _KIND.get(value, -1) if isinstance(value, int) else -1


def status(value: Status | None) -> int:
    """The code of a ``Status``; 0 for unset and unknown."""
    code = value.code if value is not None else None
    if isinstance(code, str):
        code = _STATUS_NAMES.get(code.upper().removeprefix("STATUS_CODE_"), whole(code))
    return code if isinstance(code, int) and code in (1, 2) else 0


def weight(trace_state: str) -> float | None:
    """The adjusted count that a W3C ``tracestate`` says, or None."""
    match = _THRESHOLD.search(trace_state[:512])
    if not match:
        return None
    if match[1]:
        return (1 << 56) / ((1 << 56) - int(match[1].ljust(14, "0"), 16))
    return float(1 << int(match[2])) if int(match[2]) < 63 else None


def links(raw: bytes) -> list[str]:
    """``trace:span`` of each link."""
    try:
        found = msgspec.json.decode(raw)
    except BROKEN:
        return []
    ids = [(link.get("traceId"), link.get("spanId")) for link in (found or [])[:LINKS] if isinstance(link, dict)]
    return [f"{identifier(t)}:{identifier(s)}" for t, s in ids if isinstance(t, str) and isinstance(s, str) and t and s]


def exceptions(raw: bytes) -> list[str]:
    """The types of the exceptions among the events; their messages and stacks are not kept."""
    try:
        events = msgspec.json.decode(raw)
    except BROKEN:
        return []
    out: list[str] = []
    for event in events or []:
        if isinstance(event, dict) and event.get("name") == "exception" and len(out) < EXCEPTIONS:
            pairs = event.get("attributes") or []
            kinds = [_any_value(p.get("value")) for p in pairs if isinstance(p, dict) and p.get("key") == "exception.type" and isinstance(p.get("value"), dict)]
            out.append(exception(str(kinds[0])) if kinds and kinds[0] else "exception")
    return out
