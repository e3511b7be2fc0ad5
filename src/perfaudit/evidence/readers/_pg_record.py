"""A record of a PostgreSQL server log, and the two structured forms it is written in: jsonlog and csvlog.

PostgreSQL manual, 20.8 "Error Reporting and Logging": csvlog has 23 columns (9.0–12), 24 (backend_type, 13) or 26
(leader_pid and query_id, 14 and later); jsonlog leaves out keys without a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers._delimited import records, split

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink
    from perfaudit.evidence.source import Source


class Record(msgspec.Struct):
    """One record, named as jsonlog names it. ``time`` is ``timestamp`` in microseconds, set by the reader."""

    timestamp: str
    error_severity: str
    message: str = ""
    pid: int | None = None
    dbname: str | None = None
    application_name: str | None = None
    txid: int = 0
    detail: str | None = None
    context: str | None = None
    statement: str | None = None
    time: int = 0


CSV_BEGINS = re.compile(rb'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [^,"]{1,10},(?:"[^"]*")?,(?:"[^"]*")?,\d*,(?:"[^"]*")?,[^,]*,\d*,')
#: Columns of csvlog that are kept.
_TIME, _DATABASE, _PID, _TXID, _SEVERITY, _MESSAGE, _DETAIL, _CONTEXT, _QUERY, _APPLICATION = 0, 2, 3, 10, 11, 13, 14, 18, 19, 22
_FEWEST, _MOST = 23, 26


def json_records(source: Source, sink: Sink, clock: Clock) -> Iterator[Record]:
    """Records of a jsonlog; what is none is rejected. Every line is counted here."""
    decode = msgspec.json.Decoder(Record).decode
    read = clock.iso
    parsed = 0
    for offset, line in source.lines(sink.too_long):
        sink.lines()
        try:
            record: Record | None = decode(line)
            time = read(record.timestamp) if record else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = _repaired(line)
            time = read(record.timestamp) if record else None
        if record is None or time is None:
            if line.strip():
                sink.reject("not a jsonlog record" if record is None else "timestamp cannot be read", example=line, offset=offset)
            else:
                parsed += 1
            continue
        parsed += 1
        record.time = time
        yield record
    sink.parsed(parsed)


def _repaired(line: bytes) -> Record | None:
    """A record whose text is not valid UTF-8, or holds raw control bytes."""
    if not line.startswith(b"{"):
        return None
    text = re.sub(r"[\x00-\x1f]", " ", line.decode("utf-8", "replace"))
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=Record)
    except (msgspec.DecodeError, RecursionError):
        return None


def csv_records(source: Source, sink: Sink, clock: Clock) -> Iterator[Record]:
    """Records of a csvlog; a message may run over several lines. Every line is counted here."""
    for n, offset, raw in records(source, sink, lambda line: CSV_BEGINS.match(line) is not None):
        fields = split(raw.decode("utf-8", "replace"))
        if not _FEWEST <= len(fields) <= _MOST:
            if raw.strip():
                sink.reject(f"{len(fields)} columns, where csvlog has {_FEWEST} to {_MOST}", n, example=raw, offset=offset)
            else:
                sink.parsed(n)
            continue
        time = clock.iso(fields[_TIME])
        if time is None:
            sink.reject("timestamp cannot be read", n, example=raw, offset=offset)
            continue
        sink.parsed(n)
        yield Record(
            fields[_TIME], fields[_SEVERITY], fields[_MESSAGE], number(fields[_PID]), fields[_DATABASE] or None, fields[_APPLICATION] or None,
            0 if fields[_TXID] == "0" else number(fields[_TXID]) or 0, fields[_DETAIL] or None, fields[_CONTEXT] or None, fields[_QUERY] or None, time,
        )  # fmt: skip


def number(text: str | None) -> int | None:
    """A decimal integer of at most 18 digits, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None
