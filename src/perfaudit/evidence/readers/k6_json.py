"""k6's JSON output (``k6 run --out json=FILE``): a line for each metric and each point.

Source: Grafana k6 documentation, "JSON" (real-time output). A point's time is when it was measured: the end of the request or the
iteration. ``http_req_duration`` is sending, waiting and receiving, in milliseconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._load import Load

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "k6 JSON output"
VERSION = 1
TABLES = ("requests", "load_stages", "load_points")
TOOL = "k6"
TIER = LOAD_GENERATOR

_NEW, _ENDS = b'{"metric":"', (b"}}}", b"}}}\r")
#: Parts of a request's duration and bytes on the wire: k6 writes them for every request, and no test needs them.
_PARTS = frozenset({b"http_req_blocked", b"http_req_connecting", b"http_req_tls_handshaking", b"http_req_sending", b"http_req_waiting", b"http_req_receiving", b"data_sent", b"data_received", b"http_reqs", b"iterations"})
#: Custom metrics that are kept at most; a script that makes more puts data into names.
_CUSTOM = 500


class _Data(msgspec.Struct):
    time: str = ""
    value: float = 0.0
    tags: dict[str, str] | None = None
    name: str = ""
    type: str = ""


_KIND = re.compile(rb'"type"\s*:\s*"(?:Point|Metric)"')


class _Line(msgspec.Struct):
    type: str
    metric: str
    data: _Data


def sniff(sample: Sample) -> Recognised | None:
    """Sure when a line declares a metric or holds a point."""
    for line in sample.lines[:5]:
        if line.startswith(b"{") and b'"metric"' in line and b'"data"' in line and _KIND.search(line):
            return Recognised(0.97, hint="k6 run --out json=result.json")
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One request per ``http_req_duration``; iterations, dropped iterations and virtual users by the second."""
    reader = _Reader(sink, options, source.name)
    for block in source.blocks(sink.too_long):
        offset, parsed = block.offset, 0
        lines = bytes(block.data).split(b"\n")
        if not lines[-1]:
            lines.pop()
        sink.lines(len(lines))
        for line in lines:
            reason = reader.line(line)
            if reason:
                sink.reject(reason, example=line, offset=offset)
            else:
                parsed += 1
            offset += len(line) + 1
        sink.parsed(parsed)
    reader.load.finish()
    if reader.clock.note():
        sink.note(reader.clock.note())


class _Reader:
    def __init__(self, sink: Sink, options: ReadOptions, test: str) -> None:
        self.clock = Clock(options.zone)
        self.load = Load(sink, options, test)
        self.types: dict[str, str] = {}
        self.decoder = msgspec.json.Decoder(_Line)

    def line(self, line: bytes) -> str:
        """One line; "" or the reason why it is rejected."""
        if line.startswith(_NEW):  # the hot path: three of four points are parts of a request
            name = line[len(_NEW) : line.find(b'"', len(_NEW))]
            if name in _PARTS and line.endswith(_ENDS):
                return ""
        elif not line.strip():
            return ""
        try:
            entry = self.decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "not a line of k6's JSON output"
        if entry.type == "Metric":
            if len(self.types) < _CUSTOM:
                self.types[entry.metric] = entry.data.type
            return ""
        if entry.type != "Point":
            return "neither a metric nor a point"
        time = self.clock.read(entry.data.time)
        return "time cannot be read" if time is None else point(self.load, self.types, time, entry.metric, entry.data.value, entry.data.tags or {})


def point(load: Load, types: dict[str, str], time: int, metric: str, value: float, tags: dict[str, str]) -> str:
    """One point of any of k6's outputs; ``types`` are the kinds of custom metrics. "" or the reason why it is rejected."""
    if metric == "http_req_duration":
        status = tags.get("status", "")
        name = tags.get("name") or tags.get("url", "")
        return load.request(time - round(value * 1e3) if abs(value) < 1e9 else time, value * 1e3, int(status) if status.isdigit() and len(status) == 3 else 0, name, tags.get("method", ""))
    if metric == "iteration_duration":
        if not 0 <= value < 1e9:
            return "duration is negative, not a number, or longer than a day"
        load.iteration(time - round(value * 1e3))
    elif metric == "dropped_iterations":
        load.dropped(time, value)
        load.point(time, metric, value)
    elif metric == "vus":
        load.users(time, value)
    elif metric == "vus_max":
        load.point(time, metric, value, most=True)
    elif metric == "checks":
        load.total("checks_passed" if value else "checks_failed", 1)
    elif metric.encode() not in _PARTS and (metric in types or len(types) < _CUSTOM):
        load.point(time, metric, value, mean=types.setdefault(metric, "trend") in ("rate", "trend"), most=types[metric] == "gauge")
    return ""
