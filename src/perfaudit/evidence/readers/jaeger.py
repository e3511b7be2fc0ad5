"""Jaeger's JSON: what ``/api/traces`` answers and the interface saves (``{"data": [trace, …]}``), traces or stored spans a line.

Source: Jaeger 1.6x, ``internal/uimodel`` (model.go): times in µs since the epoch, a span's parent is a reference, and what runs it is
named in ``processes`` behind the spans. A follows-from reference is kept as a link, and as the parent where there is no other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._spans_attributes import VOLATILE, Pairs, exception
from perfaudit.evidence.readers._spans_batch import Owner, identifier
from perfaudit.evidence.readers._spans_json import BROKEN, read_json, scalar
from perfaudit.evidence.readers._spans_rows import BATCH, EXCEPTIONS, LINKS, PIECE, SpanTable

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "Jaeger traces"
VERSION = 1
TABLES = ("spans",)
HINT = "curl -s 'http://localhost:16686/api/traces?service=NAME&limit=1500' > traces.json"

_Raw = msgspec.Raw
_LIST, _OBJECT = _Raw(b"[]"), _Raw(b"{}")


#: See :meth:`SpanTable.codes`.
_VOLATILE = re.compile(rb',?\{"key":"' + VOLATILE + rb'","type":"[a-z0-9]+","value":(?:"[^"\\]*"|\d+)\}')


class _Reference(msgspec.Struct, gc=False):
    refType: str | None = None
    traceID: str | None = None
    spanID: str | None = None


class _Span(msgspec.Struct, gc=False):
    traceID: str | None = None
    spanID: str | None = None
    parentSpanID: str | None = None
    operationName: str | None = None
    references: list[_Reference] | None = None
    startTime: int | None = None
    duration: int | None = None
    tags: _Raw = _LIST
    logs: _Raw = _LIST
    processID: str | None = None
    process: _Raw = _OBJECT


class _Trace(msgspec.Struct, gc=False):
    spans: list[_Span] | None = None
    processes: dict[str, _Raw] | None = None


class _Answer(msgspec.Struct, gc=False):
    data: list[_Trace] | None = None
    spans: list[_Span] | None = None
    processes: dict[str, _Raw] | None = None
    spanID: str | None = None


def sniff(sample: Sample) -> Recognised | None:
    """Sure when the head speaks of ``operationName`` and ``spanID``."""
    head = sample.head.lstrip()
    if head[:1] in (b"{", b"[") and b'"spanID"' in head and b'"traceID"' in head and b'"operationName"' in head:
        return Recognised(0.96, hint=HINT)
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per span."""
    read_json(source, sink, _Reader(sink, options))


class _Reader:
    lists_of_spans = False

    def __init__(self, sink: Sink, options: ReadOptions) -> None:
        self.table = SpanTable(sink, options)
        self.spans: list[_Span] = []
        self.owners: list[Owner] = []
        self._nobody = self.table.owner(None, lambda: (None, ()))
        self._awaited: dict[str | None, Owner] = {}
        self._answer = msgspec.json.Decoder(_Answer, strict=False).decode
        self._traces = msgspec.json.Decoder(list[_Trace], strict=False).decode
        self._many = msgspec.json.Decoder(list[_Span], strict=False).decode
        self._one = msgspec.json.Decoder(_Span, strict=False).decode

    # ---------------------------------------------------------------- whole values

    def value(self, text: bytes) -> str:
        """An answer, a trace, a stored span, or a list of traces."""
        try:
            if text.startswith(b"["):
                traces = self._traces(text)
            else:
                answer = self._answer(text)
                traces = [*(answer.data or ()), _Trace(answer.spans, answer.processes)]
                if answer.spanID is not None:
                    traces.append(_Trace([self._one(text)]))
        except msgspec.ValidationError:
            traces = self._lenient(msgspec.json.decode(text))
        kept = seen = 0
        for trace in traces:
            seen += len(trace.spans or ())
            kept += self._trace(trace)
        if len(self.spans) >= PIECE:
            self._take()
        return "" if kept or (not seen and b'"data"' in text) else "spans without ids or times" if seen else "no Jaeger trace"

    def _trace(self, trace: _Trace) -> int:
        processes = {key: self._owner(bytes(raw)) for key, raw in (trace.processes or {}).items()}
        good = self._good(trace.spans or [])
        self.spans += good
        self.owners += [processes[s.processID] if s.processID in processes else self._nobody if s.process is _OBJECT else self._owner(bytes(s.process)) for s in good]
        return len(good)

    def _good(self, spans: list[_Span]) -> list[_Span]:
        good = [s for s in spans if s.traceID and s.spanID and s.startTime is not None]
        if len(good) < len(spans):
            for s in spans:
                if not (s.traceID and s.spanID):
                    self.table.aside["no trace id" if not s.traceID else "no span id"] += 1
                elif s.startTime is None:
                    self.table.aside["no start time"] += 1
        return good

    def _owner(self, raw: bytes) -> Owner:
        def make() -> tuple[str | None, Pairs]:
            process = _json(raw, dict)
            return scalar(process.get("serviceName")) or None, _pairs(process.get("tags"))

        return self.table.owner(raw, make)

    def _lenient(self, value: Any) -> list[_Trace]:
        values = value if isinstance(value, list) else [value]
        values = [inner for v in values if isinstance(v, dict) for inner in (v["data"] if isinstance(v.get("data"), list) else [v])]
        out = []
        for trace in (v for v in values if isinstance(v, dict)):
            spans = []
            said = trace.get("spans") if isinstance(trace.get("spans"), list) else [trace] if "spanID" in trace else []
            for span in said or ():
                try:
                    spans.append(self._one(msgspec.json.encode(span)))
                except BROKEN:
                    self.table.aside["a member has the wrong type"] += 1
            processes = trace.get("processes")
            out.append(_Trace(spans, {k: _Raw(msgspec.json.encode(v)) for k, v in processes.items()} if isinstance(processes, dict) else None))
        return out

    # ---------------------------------------------------------------- documents

    def begin(self, prefix: bytes) -> None:
        """The processes come behind the spans as a rule; until then their owners are awaited."""
        self.table.held = True

    def run(self, text: bytes) -> None:
        """A list of spans of the trace that is open."""
        awaited = self._awaited
        for s in (good := self._good(self._many(text))):
            if s.processID not in awaited:
                awaited[s.processID] = Owner()
        self.spans += good
        self.owners += [awaited[s.processID] for s in good]
        if len(self.spans) >= PIECE:
            self._take()

    def group(self, text: bytes) -> None:
        """A trace ends: its processes are known."""
        try:
            processes = msgspec.json.decode(text, type=_Trace).processes or {}
        except BROKEN:
            processes = {}
        for key, owner in self._awaited.items():
            owner.known = self._owner(bytes(processes[key])) if key in processes else self._nobody
        self._awaited = {}
        self.table.held = False
        self.table.flush(BATCH)

    # ---------------------------------------------------------------- columns

    def _take(self) -> None:
        spans, batch = self.spans, self.table.batch
        row = len(batch.starts)
        batch.traces += [s.traceID for s in spans]
        batch.spans += [s.spanID for s in spans]
        batch.parents += [
            s.references[0].spanID if s.references and len(s.references) == 1 and s.references[0].refType == "CHILD_OF" and s.references[0].traceID == s.traceID
            else self._parent(s, row + i) if s.references else s.parentSpanID or None
            for i, s in enumerate(spans)
        ]  # fmt: skip
        batch.names += [s.operationName for s in spans]
        batch.starts += [s.startTime or 0 for s in spans]
        batch.ends += [-1 if s.duration is None else (s.startTime or 0) + s.duration for s in spans]
        batch.owners += self.owners
        batch.codes += self.table.codes([bytes(s.tags) for s in spans], _attributes, _VOLATILE)
        batch.kinds += [-1] * len(spans)
        batch.statuses += [0] * len(spans)
        for i, s in enumerate(spans, row):
            if s.logs is not _LIST and len(raw := bytes(s.logs)) > 4 and (b"xception" in raw or b'"error"' in raw) and (kinds := _exceptions(raw)):
                batch.exceptions[i] = kinds
        self.spans, self.owners = [], []
        self.table.flush(BATCH)

    def _parent(self, span: _Span, row: int) -> str | None:
        """The parent among several references, or one of another kind; the others become links."""
        references = [r for r in span.references or () if r.spanID and r.traceID]
        mine = [r for r in references if r.traceID == span.traceID and r.spanID != span.spanID]
        parent = next((r for r in mine if r.refType == "CHILD_OF"), mine[0] if mine else None)
        links = [r for r in references if r is not parent or r.refType == "FOLLOWS_FROM"]
        if links:
            self.table.batch.links[row] = [f"{identifier(r.traceID or '')}:{identifier(r.spanID or '')}" for r in links[:LINKS]]
        return parent.spanID if parent else span.parentSpanID or None

    def finish(self) -> None:
        """Write the rest and tell what was set aside."""
        self._take()
        self.table.finish()


def _json(raw: bytes, kind: type) -> Any:
    try:
        value = msgspec.json.decode(raw)
    except BROKEN:
        return kind()
    return value if isinstance(value, kind) else kind()


def _attributes(raw: bytes) -> Pairs:
    return _pairs(_json(raw, list))


def _pairs(tags: Any) -> list[tuple[str, Any]]:
    """``(key, value)`` of ``[{"key", "type", "value"}]``."""
    if not isinstance(tags, list):
        return []
    return [(tag["key"], scalar(tag.get("value"))) for tag in tags if isinstance(tag, dict) and isinstance(tag.get("key"), str)]


def _exceptions(raw: bytes) -> list[str]:
    """Types of the exceptions in ``logs`` (OpenTelemetry's events, OpenTracing's ``event=error``); messages are not kept."""
    out = []
    for log in _json(raw, list):
        said = dict(_pairs(log.get("fields"))) if isinstance(log, dict) else {}
        if said.get("event") in ("exception", "error") or "exception.type" in said:
            out.append(exception(str(said.get("exception.type") or said.get("error.kind") or "exception")))
    return out[:EXCEPTIONS]
