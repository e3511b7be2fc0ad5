"""Makes a case smaller as a team would: whole traces are left out by their id, and metrics are kept at a longer interval.

Leaving out by the random part of the trace id is what consistent probability sampling does (OpenTelemetry, "TraceState: Probability
Sampling"): a trace is kept whole or not at all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any


def keeps(trace: str, share: float) -> bool:
    """Is a trace among the kept ones? By the last 32 bits of its id."""
    return int(trace[-8:] or "0", 16) < share * 2**32


def zipkin(path: Path, share: float) -> None:
    """An array of spans."""
    spans = [s for s in json.loads(path.read_text()) if keeps(s["traceId"], share)]
    path.write_text("[" + ",\n".join(json.dumps(s, separators=(",", ":")) for s in spans) + "]\n")


def otlp(path: Path, share: float) -> None:
    """One request a line; requests, resources and scopes that hold nothing any more go."""
    lines = []
    for line in path.read_text().splitlines():
        request: dict[str, Any] = json.loads(line)
        for resource in request["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                scope["spans"] = [s for s in scope["spans"] if keeps(s["traceId"], share)]
            resource["scopeSpans"] = [s for s in resource["scopeSpans"] if s["spans"]]
        request["resourceSpans"] = [r for r in request["resourceSpans"] if r["scopeSpans"]]
        if request["resourceSpans"]:
            lines.append(json.dumps(request, separators=(",", ":")))
    path.write_text("".join(line + "\n" for line in lines))


def prometheus(path: Path, every: int) -> None:
    """Only samples of every n-th second; lines without a time (comments) stay."""
    kept = []
    for line in path.read_text().splitlines():
        stamp = "" if line.startswith("#") else line.rpartition(" ")[2]
        if not stamp or int(float(stamp)) % every == 0:
            kept.append(line)
    path.write_text("".join(line + "\n" for line in kept))


def otlp_metrics(path: Path, every: int) -> None:
    """Only every n-th export of each process (one request a line, one process a request)."""
    kept, seen = [], Counter[str]()
    for line in path.read_text().splitlines():
        who = json.dumps([r.get("resource") for r in json.loads(line)["resourceMetrics"]])
        if seen[who] % every == 0:
            kept.append(line)
        seen[who] += 1
    path.write_text("".join(line + "\n" for line in kept))


#: What is done, in this order and each once more than the one before, until the case fits.
STEPS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("zipkin-spans.json", lambda p: zipkin(p, 0.6)),
    ("otlp-traces.jsonl", lambda p: otlp(p, 0.6)),
    ("prometheus.prom", lambda p: prometheus(p, 2)),
    ("otlp-metrics.jsonl", lambda p: otlp_metrics(p, 2)),
    ("zipkin-spans.json", lambda p: zipkin(p, 0.3)),
    ("otlp-traces.jsonl", lambda p: otlp(p, 0.3)),
    ("prometheus.prom", lambda p: prometheus(p, 4)),
)
