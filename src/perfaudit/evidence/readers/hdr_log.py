"""HdrHistogram's interval logs (``.hlog``): a compressed histogram per interval.

Source: HdrHistogram, "HistogramLogWriter" (format 1.2 and 1.3): ``[Tag=…,]start,length,max,histogram``, times in seconds from the start or base
time of the header. Tags name different measures, often of the same operations (service time and response time), so each is a test of its own. The unit of the recorded values stands nowhere; the column of the maximum is in milliseconds by convention, so what is
recorded is told by comparing the two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.clock import epoch
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._hdr import decode
from perfaudit.evidence.readers._load import Load, part
from perfaudit.redact import note

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "HdrHistogram log"
VERSION = 1
TABLES = ("load_stages", "load_points")
TOOL = "HdrHistogram"
TIER = LOAD_GENERATOR

_HEAD = b"#[Histogram log format version"
_LEGEND = b'"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
_START = re.compile(r"#\[(StartTime|BaseTime): *(\d+(?:\.\d+)?)")
_LINE = re.compile(r"(?:Tag=([^,\n]{1,200}),)?(\d+(?:\.\d+)?),(\d+(?:\.\d+)?),(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?),([A-Za-z0-9+/=]+)")
#: Tags that are kept; a file has one per operation and measure.
MOST_TAGS = 50
#: What a recorded unit may be, in ms: nanoseconds, microseconds, milliseconds.
_UNITS = (1e-6, 1e-3, 1.0)


def sniff(sample: Sample) -> Recognised | None:
    """By its first comment or its legend."""
    return Recognised(0.97) if sample.head.lstrip().startswith(_HEAD) or _LEGEND in sample.head[:4000] else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """A stage per interval; the histograms of a tag add up to one."""
    loads: dict[str, Load] = {}
    offset_s, unit, other = 0.0, 0.0, 0
    sums: dict[str, dict[int, int]] = {}
    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        line = raw.decode("utf-8", "replace").strip()
        if not line or line.startswith(("#", '"')):
            if start := _START.match(line):
                offset_s = float(start[2]) if start[1] == "BaseTime" or not offset_s else offset_s
            sink.parsed()
            continue
        match = _LINE.fullmatch(line)
        try:
            slots = decode(match[5]) if match else []
        except ValueError as error:
            sink.reject(str(error)[:120], example=raw, offset=offset)
            continue
        if match is None:
            sink.reject("not an interval of a histogram log", example=raw, offset=offset)
            continue
        sink.parsed()
        tag = note(match[1] or "")
        if tag not in loads and len(loads) >= MOST_TAGS:
            other += 1
            continue
        load = loads.setdefault(tag, Load(sink, options, part(source.name, tag)))
        unit = unit or _unit(slots, float(match[4]))
        began = float(match[2]) if float(match[2]) > 1e8 else float(match[2]) + offset_s
        time, seconds, n = epoch(began), float(match[3]), sum(count for _, count in slots)
        load.stage(time, seconds, achieved=n / seconds if seconds > 0 else None)
        held = sums.setdefault(tag, {})
        for value, count in slots:
            held[value] = held.get(value, 0) + count
    for tag, load in loads.items():
        for value, count in sorted(sums[tag].items()):
            load.total("duration_bucket", count, value_us=f"{value * (unit or 1e-6) * 1e3:.3f}")
        if sums[tag]:
            load.total("requests", sum(sums[tag].values()))
        load.finish()
    if any(sums.values()):
        sink.note(f"its values are read as {({1e-6: 'nanoseconds', 1e-3: 'microseconds', 1.0: 'milliseconds'})[unit or 1e-6]}, told by the column of the maximum, which is in milliseconds by convention")
    if len(loads) > 1:
        sink.note(f"its {len(loads)} tags are tests of their own: {', '.join(tag or '(none)' for tag in list(loads)[:10])}")
    if other:
        sink.note(f"more than {MOST_TAGS} tags: {other:,} intervals of further ones are left out")


def _unit(slots: list[tuple[int, int]], most_ms: float) -> float:
    """The unit in ms in which the largest recorded value is nearest to the maximum of the line; 0 where there is none to compare."""
    if not slots or most_ms <= 0:
        return 0.0
    return min(_UNITS, key=lambda unit: abs(slots[-1][0] * unit / most_ms - 1))
