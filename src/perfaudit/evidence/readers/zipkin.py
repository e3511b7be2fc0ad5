"""Zipkin v2 spans as JSON: what ``/api/v2/traces`` answers (lists of lists), a list of spans, or a span a line.

Source: openzipkin/zipkin-api, zipkin2-api.yaml. Times are µs since the epoch. Client and server may share one span id (``shared``):
both halves become rows, and the column ``shared`` tells them apart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._spans_json import decoded, scalar
from perfaudit.evidence.readers._spans_scan import read_scanned

if TYPE_CHECKING:
    import numpy as np

    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.readers._spans_attributes import Pairs
    from perfaudit.evidence.readers._spans_batch import Batch
    from perfaudit.evidence.source import Source

    Array = np.ndarray[Any, Any]

NAME = "Zipkin v2 spans"
VERSION = 1
TABLES = ("spans",)
HINT = "curl -s 'http://localhost:9411/api/v2/traces?limit=10000' > traces.json"

_OBJECT = re.compile(rb'"traceId"\s*:\s*"')
_OTHERS = re.compile(rb'"(?:localEndpoint|parentId|timestamp|duration|shared|annotations)"\s*:')
_ID = re.compile(rb'"id"\s*:\s*"')
_NONE = msgspec.Raw(b"{}")
#: What the other end of a call says, as attributes.
_PEER = {"serviceName": "peer.service", "ipv4": "peer.ipv4", "ipv6": "peer.ipv4", "port": "peer.port"}


class _Span(msgspec.Struct, gc=False, omit_defaults=True):
    traceId: str | None = None
    id: str | None = None
    parentId: str | None = None
    name: str | None = None
    kind: str | None = None
    timestamp: int | None = None
    duration: int | None = None
    shared: bool | None = None
    localEndpoint: msgspec.Raw = _NONE
    remoteEndpoint: msgspec.Raw = _NONE
    tags: msgspec.Raw = _NONE


_span = msgspec.json.Decoder(_Span, strict=False).decode


def sniff(sample: Sample) -> Recognised | None:
    """Sure when the head begins with objects that have the members of a Zipkin span."""
    head = sample.head.lstrip()
    if head[:1] not in (b"{", b"[") or b'"resourceSpans"' in head or b'"spanID"' in head:
        return None
    head = head[: 32 << 10]
    if not (_OBJECT.search(head) and _ID.search(head)):
        return None
    found = set(_OTHERS.findall(head))
    return Recognised(0.95 if b'"localEndpoint"' in head else 0.75, hint=HINT) if len(found) >= 2 else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per span."""
    read_scanned(source, sink, options, Shape())


class Shape:
    """Zipkin's JSON; see :class:`perfaudit.evidence.readers._spans_scan.Shape`."""

    members = (
        (b"traceId", "TRACE"), (b"id", "SPAN"), (b"parentId", "PARENT"), (b"name", "NAME"), (b"kind", "KIND"), (b"timestamp", "START"), (b"duration", "DURATION"),
        (b"localEndpoint", "PROCESS"), (b"remoteEndpoint", "REMOTE"), (b"tags", "ATTRIBUTES"), (b"shared", "EXTRA"), (b"annotations", "NOTHING"), (b"debug", "NOTHING"),
    )  # fmt: skip
    style = "MEMBERS"
    per_us = 1

    @staticmethod
    def usual(raw: bytes) -> bytes:
        """A span as Zipkin writes it."""
        return msgspec.json.encode(_span(raw))

    @staticmethod
    def pair(raw: bytes) -> tuple[str, Any]:
        """Name and value of a tag, or of what is said of the other end: that comes without its first quote."""
        tag = raw.startswith(b'"')
        key, value = next(iter(decoded(b"{%b}" % raw if tag else b'{"%b}' % raw, dict).items()), ("", None))
        return key if tag else _PEER.get(key, ""), scalar(value)

    @staticmethod
    def owner(raw: bytes) -> tuple[str | None, Pairs]:
        """The service of an endpoint."""
        return scalar(decoded(raw, dict).get("serviceName")) or None, ()

    @staticmethod
    def details(batch: Batch, rows: Array, text: bytearray) -> None:
        """Which spans share an id with the other half."""
        import numpy as np

        from perfaudit.kernels import attributes as k

        if rows[:, k.EXTRA_END].any():
            batch.shared = (rows[:, k.EXTRA_END] > 0) & (np.frombuffer(text, np.uint8)[rows[:, k.EXTRA]] == ord("t"))

    @staticmethod
    def reason(text: bytes, seen: int) -> str:
        """An empty answer, or something else."""
        return "spans without ids or times" if seen else "no Zipkin span" if msgspec.json.decode(text) else ""
