"""k6's CSV output (``k6 run --out csv=FILE``): one point per line, the known tags as columns.

Source: Grafana k6 documentation, "CSV" (real-time output). Times are whole seconds unless ``K6_CSV_TIME_FORMAT`` says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._delimited import records, split
from perfaudit.evidence.readers._load import Load, number
from perfaudit.evidence.readers.k6_json import point

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "k6 CSV output"
VERSION = 1
TABLES = ("requests", "load_stages", "load_points")
TOOL = "k6"
TIER = LOAD_GENERATOR

_HEAD = b"metric_name,timestamp,metric_value"
_COARSE = "its times are whole seconds: stalls shorter than a second cannot be seen; K6_CSV_TIME_FORMAT=unix_milli k6 run --out csv=FILE gives milliseconds"
#: Kinds of the metrics that k6 makes itself and that are kept by the second.
_KINDS = {"http_req_failed": "rate", "checks": "rate", "group_duration": "trend"}


def sniff(sample: Sample) -> Recognised | None:
    """By its header."""
    return Recognised(0.97, hint="k6 run --out csv=result.csv") if sample.head.removeprefix(b"\xef\xbb\xbf").startswith(_HEAD) else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """As for the JSON output: requests, and the rest by the second."""
    clock, load, types = Clock(options.zone), Load(sink, options, source.name), dict(_KINDS)
    names: list[str] = []
    coarse = True
    for n, offset, raw in records(source, sink, lambda line: line.startswith((b"http_req", b"iteration", b"vus"))):
        cells = split(raw.decode("utf-8", "replace").removeprefix("\ufeff"))
        if not raw.strip() or raw.removeprefix(b"\xef\xbb\xbf").startswith(_HEAD):
            names = cells or names
            sink.parsed(n)
            continue
        if len(cells) != len(names):
            sink.reject(f"{len(cells)} columns where the header has {len(names)}", n, example=raw, offset=offset)
            continue
        tags = dict(zip(names, cells, strict=True))
        time, value = clock.read(tags.get("timestamp", "")), number(tags.get("metric_value"))
        coarse = coarse and time is not None and time % 1_000_000 == 0
        if time is None or value is None:
            reason = "time or value cannot be read"
        else:
            reason = point(load, types, time, tags.get("metric_name", ""), value, tags)
        if reason:
            sink.reject(reason, n, example=raw, offset=offset)
        else:
            sink.parsed(n)
    load.finish()
    for note in (_COARSE if coarse else "", clock.note()):
        if note:
            sink.note(note)
