"""Vegeta's results as JSON lines or CSV (``vegeta encode``), or its report as JSON (``vegeta report -type=json``).

Source: Vegeta's README ("encode", "report"): CSV has no header and twelve columns: time in ns, status, latency in ns, bytes out, bytes in, error,
body, attack, sequence, method, URL, headers; nine in older versions. Vegeta sends at a planned rate: an open model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from perfaudit.evidence.clock import Clock, epoch
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._delimited import records, split
from perfaudit.evidence.readers._load import Load, document, number

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "Vegeta results"
VERSION = 1
TABLES = ("requests", "load_stages", "load_points")
TOOL = "Vegeta"
MODEL = "open"
TIER = LOAD_GENERATOR

_TODO = "vegeta encode results.bin > results.json"
_ROW = re.compile(rb"1\d{18},\d{1,3},-?\d+,\d+,\d+,")
_JSON = (b'"latency"', b'"timestamp"', b'"bytes_out"', b'"code"')
_REPORT = (b'"latencies"', b'"status_codes"', b'"bytes_out"', b'"throughput"')
_STATS = {"mean": "mean", "50th": "p50", "90th": "p90", "95th": "p95", "99th": "p99", "max": "max", "min": "min"}


class _Hit(msgspec.Struct):
    timestamp: str
    latency: int
    code: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    method: str = ""
    url: str = ""


def sniff(sample: Sample) -> Recognised | None:
    """By the names of its fields, or by columns that no other format has; the binary form is told what to do."""
    lines = sample.lines
    if not lines:
        return None
    if b"\x06Result" in sample.head[:200] and b"BytesOut" in sample.head[:400]:
        return Recognised(0.95, "gob", hint=_TODO)
    if all(name in sample.head for name in _REPORT):
        return Recognised(0.95, "report", hint=_TODO)
    if lines[0].startswith(b"{") and all(name in lines[0] for name in _JSON):
        return Recognised(0.96, "json", hint=_TODO)
    return Recognised(0.95, "csv", hint=_TODO) if _ROW.match(lines[0]) and lines[0].count(b",") in (8, 11) else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One request per hit."""
    load = Load(sink, options, source.name)
    if recognised.detail == "gob":
        n = sum(1 for _ in source.lines(sink.too_long))
        sink.lines(n)
        sink.reject("binary", n)
        source.damage.append(f"this is Vegeta's binary form: {_TODO}")
    elif recognised.detail == "report":
        _read_report(source, sink, load)
    elif recognised.detail == "json":
        _read_json(source, sink, load, Clock(options.zone))
    else:
        _read_table(source, sink, load)
    load.finish()


def _read_json(source: Source, sink: Sink, load: Load, clock: Clock) -> None:
    decoder = msgspec.json.Decoder(_Hit)
    for offset, line in source.lines(sink.too_long):
        sink.lines()
        if not line.strip():
            sink.parsed()
            continue
        try:
            hit = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            sink.reject("not a result of Vegeta", example=line, offset=offset)
            continue
        time = clock.read(hit.timestamp)
        reason = "time cannot be read" if time is None else load.request(time, hit.latency / 1e3, hit.code, hit.url or load.UNNAMED, hit.method, max(0, hit.bytes_in), max(0, hit.bytes_out))
        if reason:
            sink.reject(reason, example=line, offset=offset)
        else:
            sink.parsed()


def _read_table(source: Source, sink: Sink, load: Load) -> None:
    for n, offset, raw in records(source, sink, lambda line: _ROW.match(line) is not None):
        cells = split(raw.decode("utf-8", "replace"))
        time = epoch(cells[0]) if cells else None
        values = [number(cell) for cell in cells[1:5]]
        if not raw.strip():
            reason = ""
        elif len(cells) not in (9, 12):
            reason = f"{len(cells)} columns where Vegeta writes 12"
        elif time is None or any(v is None or v < 0 for v in values):
            reason = "time, status, latency or bytes cannot be read"
        else:
            code, latency, out, received = (v or 0.0 for v in values)
            url = (cells[9], cells[10]) if len(cells) == 12 else ("", load.UNNAMED)
            reason = load.request(time, latency / 1e3, int(code), url[1], url[0], int(received), int(out))
        if reason:
            sink.reject(reason, n, example=raw, offset=offset)
        else:
            sink.parsed(n)


def _read_report(source: Source, sink: Sink, load: Load) -> None:
    value = document(source, sink, lambda found: isinstance(found.get("latencies"), dict), "not a report of Vegeta")
    if value is None:
        return
    for key, stat in _STATS.items():
        found = number(value["latencies"].get(key))
        if found is not None and found >= 0:
            load.total("duration_us", found / 1e3, stat=stat)
    requests, seconds, rate, success = number(value.get("requests")), number(value.get("duration")), number(value.get("rate")), number(value.get("success"))
    clock = Clock()
    began = clock.read(value["earliest"]) if isinstance(value.get("earliest"), str) else None
    if requests is not None:
        load.total("requests", requests)
        if success is not None and 0 <= success <= 1:
            load.total("failures", round(requests * (1 - success)))
    if seconds and seconds > 0:
        load.stage(began, seconds / 1e9, achieved=rate)
