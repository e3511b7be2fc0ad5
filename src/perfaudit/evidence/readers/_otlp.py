"""OTLP's trace messages as typed structs, and how a span of them becomes a row.

Source: opentelemetry-proto 1.7, trace.proto and common.proto; OTLP specification, "JSON Protobuf Encoding": ids in hexadecimal,
64-bit integers as strings or numbers, enumerations as integers. Encoders of plain protobuf JSON write ids in base64 and
enumerations by name: both are read.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from perfaudit.evidence.readers._spans_attributes import Pairs, exception, whole
from perfaudit.evidence.readers._spans_batch import EXCEPTIONS, LINKS, identifier
from perfaudit.evidence.readers._spans_json import BROKEN, scalar

Raw = msgspec.Raw
NONE = Raw(b"[]")


class Status(msgspec.Struct, gc=False, omit_defaults=True):
    """``Status``: code 0 unset, 1 ok, 2 error, or the name."""

    code: Any = None


class Span(msgspec.Struct, gc=False, omit_defaults=True):
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


#: Decodes a span; numbers may be strings.
span = msgspec.json.Decoder(Span, strict=False).decode


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


_attributes = msgspec.json.Decoder(list[_KeyValue], strict=False).decode
_loose = msgspec.json.Decoder(list[_Loose]).decode
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


def resource(raw: bytes) -> tuple[str | None, Pairs]:
    """Service and attributes of a ``Resource``."""
    try:
        pairs = list(attributes(bytes(msgspec.json.decode(raw, type=dict[str, Raw]).get("attributes", NONE))))
    except BROKEN:
        pairs = []
    return next((str(v) for k, v in pairs if k == "service.name" and v), None), pairs


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
