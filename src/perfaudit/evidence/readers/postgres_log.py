"""PostgreSQL's server log: jsonlog, csvlog, and stderr with any ``log_line_prefix``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._pg_prefix import HINT, Prefix, find, stderr_records
from perfaudit.evidence.readers._pg_record import CSV_BEGINS, Record, csv_records, json_records
from perfaudit.evidence.readers._pg_story import Story

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "PostgreSQL log"
VERSION = 1
TABLES = ("lock_events", "statement_events", "plans", "logs")


def sniff(sample: Sample) -> Recognised | None:
    """Sure of jsonlog and csvlog; of stderr by a declared prefix, a usual one, or PostgreSQL's ``LEVEL:  message``."""
    lines = sample.lines[:50]
    if sum(line.startswith(b"{") and b'"error_severity"' in line for line in lines) * 2 > len(lines) > 0:
        return Recognised(0.95, "json") if any(_is_record(line) for line in lines) else None
    if any(CSV_BEGINS.match(line) for line in lines):
        return Recognised(0.95, "csv")
    found = find(lines, _declared(sample.options))
    if found is None:
        return None
    confidence, prefix = found
    note = "" if prefix.prefix is not None else f"log_line_prefix was guessed; give it with --log-format, or write with {HINT}"
    return Recognised(confidence, prefix, note=note, hint=HINT)


def _declared(options: ReadOptions) -> list[str]:
    given = [options.log_format] if options.log_format else []
    return [text for text in given + [f.text for f in options.formats if f.kind == "postgresql"] if "%" in text]


def _is_record(line: bytes) -> bool:
    try:
        return bool(msgspec.json.decode(line, type=Record).timestamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One pass; rows in the order in which the log tells of them."""
    clock = Clock(options.zone)
    story = Story(sink, options.service if "service" in options.labelled else "postgresql")
    if isinstance(recognised.detail, Prefix):
        records = stderr_records(source, sink, clock, recognised.detail)
    else:
        records = (json_records if recognised.detail == "json" else csv_records)(source, sink, clock)
    for record in records:
        story.add(record)
    story.finish()
    if clock.note():
        sink.note(clock.note())
