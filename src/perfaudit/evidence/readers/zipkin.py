"""Zipkin v2 spans as JSON: what ``/api/v2/traces`` answers (lists of lists), a list of spans, or a span a line.

Source: openzipkin/zipkin-api, zipkin2-api.yaml. Times are µs since the epoch. Client and server may share one span id (``shared``):
both halves become rows, and the column ``shared`` tells them apart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._spans_attributes import Pairs
from perfaudit.evidence.readers._spans_batch import Owner
from perfaudit.evidence.readers._spans_json import BROKEN, read_json, scalar
from perfaudit.evidence.readers._spans_rows import BATCH, PIECE, SpanTable

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "Zipkin v2 spans"
VERSION = 1
TABLES = ("spans",)
HINT = "curl -s 'http://localhost:9411/api/v2/traces?limit=10000' > traces.json"

_KINDS = {None: -1, "CLIENT": 2, "SERVER": 1, "PRODUCER": 3, "CONSUMER": 4}
_OBJECT = re.compile(rb'"traceId"\s*:\s*"')
_OTHERS = re.compile(rb'"(?:localEndpoint|parentId|timestamp|duration|shared|annotations)"\s*:')
_ID = re.compile(rb'"id"\s*:\s*"')
_Raw = msgspec.Raw
_NONE = _Raw(b"{}")


class _Span(msgspec.Struct, gc=False):
    traceId: str | None = None
    id: str | None = None
    parentId: str | None = None
    name: str | None = None
    kind: str | None = None
    timestamp: int | None = None
    duration: int | None = None
    shared: bool | None = None
    localEndpoint: _Raw = _NONE
    remoteEndpoint: _Raw = _NONE
    tags: _Raw = _NONE


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
    read_json(source, sink, _Reader(sink, options))


class _Reader:
    lists_of_spans = True

    def __init__(self, sink: Sink, options: ReadOptions) -> None:
        self.table = SpanTable(sink, options)
        self.spans: list[_Span] = []
        self._one = msgspec.json.Decoder(_Span, strict=False).decode
        self._many = msgspec.json.Decoder(list[_Span], strict=False).decode

    def value(self, text: bytes) -> str:
        """A span, a list of them, or a list of traces."""
        try:
            spans = self._many(text) if text.startswith(b"[") else [self._one(text)]
        except msgspec.ValidationError:
            spans = self._lenient(msgspec.json.decode(text))
        good = [s for s in spans if s.traceId and s.id and s.timestamp is not None]
        if len(good) < len(spans):
            for s in spans:
                if not (s.traceId and s.id):
                    self.table.aside["no trace id" if not s.traceId else "no span id"] += 1
                elif s.timestamp is None:
                    self.table.aside["no timestamp (the half of a span that only marks its end)"] += 1
        self.spans += good
        if len(self.spans) >= PIECE:
            self._take()
        return "" if good or text in (b"[]", b"{}") else "spans without ids or times" if spans else "no Zipkin span"

    def _lenient(self, value: Any) -> list[_Span]:
        out: list[_Span] = []
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, list):
                out += self._lenient(item)
                continue
            try:
                out.append(self._one(msgspec.json.encode(item)))
            except BROKEN:
                self.table.aside["a member has the wrong type"] += 1
        return out

    def begin(self, prefix: bytes) -> None:
        """Nothing stands around Zipkin's spans."""

    def run(self, text: bytes) -> None:
        """A list of spans."""
        self.value(text)

    def group(self, text: bytes) -> None:
        """Nothing stands around Zipkin's spans."""

    def _take(self) -> None:
        spans, batch = self.spans, self.table.batch
        self.spans = []
        row = len(batch.starts)
        batch.traces += [s.traceId for s in spans]
        batch.spans += [s.id for s in spans]
        batch.parents += [s.parentId or None for s in spans]
        batch.names += [s.name for s in spans]
        batch.starts += [s.timestamp or 0 for s in spans]
        batch.ends += [-1 if s.duration is None else (s.timestamp or 0) + s.duration for s in spans]
        batch.owners += [self._owner(bytes(s.localEndpoint)) for s in spans]
        batch.codes += self.table.codes([bytes(s.tags) if s.remoteEndpoint is _NONE else b"%b\0%b" % (bytes(s.tags), bytes(s.remoteEndpoint)) for s in spans], _attributes)
        batch.kinds += [_KINDS.get(s.kind, -1) for s in spans]
        batch.statuses += [0] * len(spans)
        batch.shared.update(i for i, s in enumerate(spans, row) if s.shared)
        self.table.flush(BATCH)

    def _owner(self, raw: bytes) -> Owner:
        return self.table.owner(raw, lambda: (_object(raw).get("serviceName") or None, ()))

    def finish(self) -> None:
        """Write the rest and tell what was set aside."""
        self._take()
        self.table.finish()


def _attributes(raw: bytes) -> Pairs:
    tags, _, remote = raw.partition(b"\0")
    pairs = [(key, scalar(value)) for key, value in _object(tags).items()]
    if remote:
        end = _object(remote)
        pairs += [("peer.service", end.get("serviceName")), ("peer.ipv4", end.get("ipv4") or end.get("ipv6")), ("peer.port", end.get("port"))]
    return [(key, value) for key, value in pairs if value is not None]


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw)
    except BROKEN:
        return {}
    return value if isinstance(value, dict) else {}
