"""Jaeger's JSON: what ``/api/traces`` answers and the interface saves (``{"data": [trace, …]}``), traces or stored spans a line.

Source: Jaeger 1.6x, ``internal/uimodel`` (model.go): times in µs since the epoch, a span's parent is a reference, and what runs it is
named in ``processes`` behind the spans. A follows-from reference is kept as a link, and as the parent where there is no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._spans_attributes import Pairs, exception
from perfaudit.evidence.readers._spans_batch import EXCEPTIONS, LINKS, Batch, identifier
from perfaudit.evidence.readers._spans_json import decoded, scalar
from perfaudit.evidence.readers._spans_scan import read_scanned

if TYPE_CHECKING:
    import numpy as np

    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

    Array = np.ndarray[Any, Any]

NAME = "Jaeger traces"
VERSION = 1
TABLES = ("spans",)
HINT = "curl -s 'http://localhost:16686/api/traces?service=NAME&limit=1500' > traces.json"

_LIST = msgspec.Raw(b"[]")


class _Reference(msgspec.Struct, gc=False):
    refType: str | None = None
    traceID: str | None = None
    spanID: str | None = None


class _Span(msgspec.Struct, gc=False, omit_defaults=True):
    traceID: str | None = None
    spanID: str | None = None
    parentSpanID: str | None = None
    operationName: str | None = None
    references: list[_Reference] | None = None
    startTime: int | None = None
    duration: int | None = None
    tags: msgspec.Raw = _LIST
    logs: msgspec.Raw = _LIST
    processID: str | None = None
    process: msgspec.Raw = msgspec.Raw(b"{}")


_span = msgspec.json.Decoder(_Span, strict=False).decode


def sniff(sample: Sample) -> Recognised | None:
    """Sure when the head speaks of ``operationName`` and ``spanID``."""
    head = sample.head.lstrip()
    if head[:1] in (b"{", b"[") and b'"spanID"' in head and b'"traceID"' in head and b'"operationName"' in head:
        return Recognised(0.96, hint=HINT)
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per span."""
    read_scanned(source, sink, options, Shape())


class Shape:
    """Jaeger's JSON; see :class:`perfaudit.evidence.readers._spans_scan.Shape`."""

    members = (
        (b"traceID", "TRACE"), (b"spanID", "SPAN"), (b"parentSpanID", "PARENT"), (b"flags", "NOTHING"), (b"operationName", "NAME"), (b"references", "REFERENCES"), (b"startTime", "START"),
        (b"startTimeMillis", "NOTHING"), (b"duration", "DURATION"), (b"tags", "ATTRIBUTES"), (b"logs", "MORE"), (b"processID", "PROCESS_ID"), (b"process", "PROCESS"), (b"warnings", "NOTHING"),
    )  # fmt: skip
    style = "PAIRS"
    per_us = 1

    @staticmethod
    def usual(raw: bytes) -> bytes:
        """A span as Jaeger writes it."""
        return msgspec.json.encode(_span(raw))

    @staticmethod
    def pair(raw: bytes) -> tuple[str, Any]:
        """Key and value of a tag."""
        return next(iter(_pairs([decoded(raw, dict)])), ("", None))

    @staticmethod
    def owner(raw: bytes) -> tuple[str | None, Pairs]:
        """What a process says."""
        process = decoded(raw, dict)
        return scalar(process.get("serviceName")) or None, _pairs(process.get("tags"))

    @staticmethod
    def details(batch: Batch, rows: Array, text: bytearray) -> None:
        """References that are not just a parent, and exceptions."""
        from perfaudit.kernels import attributes as k

        told = rows[:, k.EXTRA_END].nonzero()[0].tolist()
        if told:
            parents = batch.parents.to_pylist()
            for i in told:
                trace, span = (bytes(text[rows[i, c] : rows[i, c + 1]]).decode("utf-8", "replace") for c in (k.TRACE, k.SPAN))
                parent, links = _parent(bytes(text[rows[i, k.EXTRA] : rows[i, k.EXTRA_END]]), trace, span)
                parents[i] = parent or parents[i]
                batch.links.update({i: links} if links else {})
            batch.parents = parents
        for i in rows[:, k.MORE_END].nonzero()[0].tolist():
            logs = bytes(text[rows[i, k.MORE] : rows[i, k.MORE_END]])
            if (b"xception" in logs or b'"error"' in logs) and (kinds := _exceptions(logs)):
                batch.exceptions[i] = kinds

    @staticmethod
    def reason(text: bytes, seen: int) -> str:
        """An empty answer, or something else."""
        return "spans without ids or times" if seen else "" if b'"data"' in text else "no Jaeger trace"


def _parent(raw: bytes, trace: str, span: str) -> tuple[str | None, list[str]]:
    """The parent among several references, or one of another kind; the others become links."""
    references = [(str(r.get("refType")), t, s) for r in decoded(raw, list) if isinstance(r, dict) and isinstance(t := r.get("traceID"), str) and isinstance(s := r.get("spanID"), str) and t and s]
    mine = [r for r in references if r[1] == trace and r[2] != span]
    parent = next((r for r in mine if r[0] == "CHILD_OF"), mine[0] if mine else None)
    links = [r for r in references if r is not parent or r[0] == "FOLLOWS_FROM"]
    return parent[2] if parent else None, [f"{identifier(t)}:{identifier(s)}" for _, t, s in links[:LINKS]]


def _pairs(tags: Any) -> list[tuple[str, Any]]:
    """``(key, value)`` of ``[{"key", "type", "value"}]``."""
    if not isinstance(tags, list):
        return []
    return [(tag["key"], scalar(tag.get("value"))) for tag in tags if isinstance(tag, dict) and isinstance(tag.get("key"), str)]


def _exceptions(raw: bytes) -> list[str]:
    """Types of the exceptions in ``logs`` (OpenTelemetry's events, OpenTracing's ``event=error``); messages are not kept."""
    out = []
    for log in decoded(raw, list):
        said = dict(_pairs(log.get("fields"))) if isinstance(log, dict) else {}
        if said.get("event") in ("exception", "error") or "exception.type" in said:
            out.append(exception(str(said.get("exception.type") or said.get("error.kind") or "exception")))
    return out[:EXCEPTIONS]
