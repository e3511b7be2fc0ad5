"""Spans, the same whether they came as OTLP JSON or as Zipkin v2."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work: `start` in epoch seconds, `ms` its duration; `kind` is server, client, internal, producer or consumer."""

    name: str
    service: str
    start: float
    ms: float
    id: str
    parent: str
    trace: str
    kind: str
    error: bool
    attributes: dict[str, Any]

    @property
    def end(self) -> float:
        """Epoch seconds."""
        return self.start + self.ms / 1000


def read(folder: Path) -> list[Span]:
    """All spans of a part."""
    found: list[Span] = []
    for path in sorted(folder.glob("*")):
        if path.name.startswith("otlp-traces"):
            for line in path.read_text().splitlines():
                found += _otlp(json.loads(line))
        elif path.name.startswith("zipkin"):
            found += map(_zipkin, json.loads(path.read_text()))
    return found


def value(said: dict[str, Any]) -> Any:
    """An attribute's value in OTLP JSON as Python's."""
    for kind, inner in said.items():
        if kind == "arrayValue":
            return [value(v) for v in inner.get("values", ())]
        return int(inner) if kind == "intValue" else inner
    return None


def attributes(said: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Attributes in OTLP JSON as a dict."""
    return {a["key"]: value(a.get("value", {})) for a in said}


def _otlp(request: dict[str, Any]) -> Iterator[Span]:
    for resource in request.get("resourceSpans", ()):
        service = str(attributes(resource.get("resource", {}).get("attributes", ())).get("service.name", ""))
        for scope in resource.get("scopeSpans", ()):
            for s in scope.get("spans", ()):
                begin, end = int(s["startTimeUnixNano"]), int(s["endTimeUnixNano"])
                yield Span(
                    s["name"], service, begin / 1e9, (end - begin) / 1e6, s["spanId"], s.get("parentSpanId", ""), s["traceId"],
                    _KINDS[s.get("kind", 1)], s.get("status", {}).get("code") == 2, attributes(s.get("attributes", ())),
                )  # fmt: skip


def _zipkin(s: dict[str, Any]) -> Span:
    tags = s.get("tags", {})
    service = s.get("localEndpoint", {}).get("serviceName", "")
    return Span(
        s.get("name", ""), service, s["timestamp"] / 1e6, s.get("duration", 0) / 1e3, s["id"], s.get("parentId") or "", s["traceId"],
        (s.get("kind") or "internal").lower(), "error" in tags, tags,
    )  # fmt: skip


def choose(spans: Iterable[Span], service: str | None = None, name: str | None = None, kind: str | None = None, **where: str) -> list[Span]:
    """Those of a service, of a kind, whose name and attributes match (regular expressions, found anywhere); dots in keys are written ``__``."""
    wanted = {key.replace("__", "."): pattern for key, pattern in where.items()}
    return [
        s for s in spans
        if (service is None or s.service == service) and (kind is None or s.kind == kind) and (name is None or re.search(name, s.name))
        and all(re.search(pattern, str(s.attributes.get(key, ""))) for key, pattern in wanted.items())
    ]  # fmt: skip


def per_trace(spans: Sequence[Span], counted: Iterable[Span], within: Iterable[Span] | None = None) -> float:
    """Mean number of `counted` spans in a trace: of all traces, or of those that hold one of `within`. 0 without traces."""
    traces = {s.trace for s in (spans if within is None else within)}
    return sum(s.trace in traces for s in counted) / len(traces) if traces else 0.0


def own_ms(spans: Sequence[Span], chosen: Iterable[Span]) -> list[float]:
    """For each chosen span the ms that neither calls to others nor innermost steps below it explain: its own work."""
    children: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for s in spans:
        children[s.trace, s.parent].append(s)
    return [max(0.0, s.ms - 1000 * _covered([(max(s.start, a), min(s.end, b)) for a, b in _explained(s, children)])) for s in chosen]


def _explained(span: Span, children: dict[tuple[str, str], list[Span]]) -> Iterator[tuple[float, float]]:
    todo = list(children.get((span.trace, span.id), ()))
    while todo:
        inner = todo.pop()
        below = children.get((inner.trace, inner.id), ())
        if inner.kind in ("client", "producer") or inner.service != span.service or not below:
            yield inner.start, inner.end
        else:
            todo += below


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
