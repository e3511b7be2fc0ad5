"""Dumps of ``pg_stat_activity``: CSV with a header, psql's aligned output, or JSON lines, with a snapshot time.

As ``\\copy (select now(), *, pg_blocking_pids(pid) as blocked_by from pg_stat_activity) to 'activity.csv' csv header`` writes
them, appended snapshot after snapshot. Columns are known by name, in any order; the session that took the snapshot is left
out. Client addresses and user names are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._delimited import records, split
from perfaudit.evidence.readers._rows import Rows
from perfaudit.evidence.sql import fingerprint

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "pg_stat_activity dump"
VERSION = 1
TABLES = ("sessions",)

#: Names under which the time of a snapshot is found, the surest first.
SNAPSHOT = ("snapshot_time", "snapshot_at", "sampled_at", "collected_at", "captured_at", "now", "clock_timestamp", "statement_timestamp",
            "ts", "time", "timestamp", "sample_time", "current_timestamp")  # fmt: skip
_BLOCKED_BY = ("blocked_by", "pg_blocking_pids", "blocking_pids", "blockers")
#: ``pid`` and two of these make a header; no other view of PostgreSQL has them together.
_TELLING = frozenset({"state", "query", "wait_event", "wait_event_type", "backend_start", "xact_start", "query_start", "state_change", "usename"})
_HINT = "\\copy (select now(), *, pg_blocking_pids(pid) as blocked_by from pg_stat_activity) to 'pg_stat_activity.csv' csv header"
_NULLS = frozenset({"", "NULL", "null", "\\N", "None", "(null)", "[null]", "<null>"})
#: What stands in the place of a statement that may not be seen, or (before 9.2) that is not there.
_NO_STATEMENT = frozenset({"<insufficient privilege>", "<backend information not available>", "<command string not enabled>", "<IDLE>", "<IDLE> in transaction"})
_PIDS = re.compile(r"\d{1,10}")
_COLLECTOR = re.compile(r"(?i)\bpg_stat_activity\b|\bpg_stat_get_activity\b")
_RULE = re.compile(r"[-+| ]{3,}|\(\d+ rows?\)")
_BEGINS = re.compile(rb'"?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d')
_COLUMNS = ("time", "pid", "database", "application", "state", "wait_type", "wait_event", "fingerprint", "statement",
            "query_age_us", "xact_age_us", "state_age_us", "blocked_by", "backend_type")  # fmt: skip


def _is_header(names: Sequence[str]) -> bool:
    known = set(names)
    return "pid" in known and len(known & _TELLING) >= 2


def _header(line: str) -> tuple[str, list[str]] | None:
    for delimiter in (",", ";", "\t", "|"):
        names = [name.strip().strip('"').lower() for name in line.split(delimiter)]
        if _is_header(names):
            return delimiter, names
    return None


def sniff(sample: Sample) -> Recognised | None:
    """Sure when a header names the view's columns; a header without a time for the snapshot is no evidence."""
    for raw in sample.lines[:3]:
        line = raw.decode("utf-8", "replace").lstrip("\ufeff")
        if line.startswith("{"):
            try:
                keys = [str(key) for key in msgspec.json.decode(raw, type=dict[str, Any])]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return None
            found: tuple[str, list[str]] | None = ("{", keys) if _is_header(keys) else None
        else:
            found = _header(line)
        if found:
            timed = any(name in SNAPSHOT for name in found[1])
            return Recognised(0.97 if timed else 0.6, detail=found[0], hint=f"put the time of the snapshot in front: {_HINT}")
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per session and snapshot; ages are measured at the snapshot's time and never negative."""
    clock = Clock(options.zone)
    service = options.service if "service" in options.labelled else "postgresql"
    rows = Rows(sink, "sessions", _COLUMNS, service=service)
    own = 0
    for n, offset, raw, record in (_json_records if recognised.detail == "{" else _table_records)(source, sink):
        row = _row(record, clock)
        if isinstance(row, str):
            sink.reject(row, n, example=raw, offset=offset)
            continue
        sink.parsed(n)
        if row:
            rows.add(*row)
        else:
            own += 1
    rows.flush()
    if own:
        sink.note(f"{own:,} rows of the session that took the snapshots are left out")
    if clock.note():
        sink.note(clock.note())


Record = tuple[int, int, bytes, dict[str, Any]]


def _json_records(source: Source, sink: Sink) -> Iterator[Record]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        if not raw.strip():
            sink.parsed()
            continue
        try:
            yield 1, offset, raw, decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            sink.reject("not a JSON object", example=raw, offset=offset)


def _table_records(source: Source, sink: Sink) -> Iterator[Record]:
    delimiter, names = ",", list[str]()

    def begins(line: bytes) -> bool:
        return bool(names) and names[0] in SNAPSHOT and _BEGINS.match(line) is not None

    for n, offset, raw in records(source, sink, begins):
        line = raw.decode("utf-8", "replace").lstrip("\ufeff")
        if not line.strip() or _RULE.fullmatch(line.strip()):
            sink.parsed(n)
        elif b"pid" in raw and (header := _header(line)):
            delimiter, names = header
            sink.parsed(n)
        else:
            cells = _split(line, delimiter)
            if names and len(cells) == len(names):
                yield n, offset, raw, dict(zip(names, cells, strict=True))
            else:
                sink.reject(f"{len(cells)} columns where the header has {len(names)}", n, example=raw, offset=offset)


def _split(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")] if delimiter == "|" else split(line, delimiter)


def _text(record: dict[str, Any], *names: str) -> str | None:
    for name in names:
        value = record.get(name)
        if value is not None and (text := str(value)) not in _NULLS:
            return text
    return None


def _row(record: dict[str, Any], clock: Clock) -> tuple[Any, ...] | str | None:
    """A row of ``sessions``; a reason why there is none; or None for the session that took the snapshot."""
    stamp = _text(record, *SNAPSHOT)
    now = clock.read(stamp) if stamp else None
    if now is None:
        return "no snapshot time" if stamp is None else "snapshot time cannot be read"
    pid = _text(record, "pid", "procpid")
    if pid is None or not _PIDS.fullmatch(pid):
        return "no pid"
    query = _text(record, "query", "current_query")
    if query and _COLLECTOR.search(query):
        return None
    statement = fingerprint(query) if query and query not in _NO_STATEMENT else None
    waiting = "Lock" if _text(record, "waiting") in ("t", "true", "True") else None  # before 9.6

    def age(*names: str) -> int | None:
        began = _text(record, *names)
        instant = clock.read(began) if began else None
        return None if instant is None else max(0, now - instant)

    return (
        now, int(pid), _text(record, "datname"), _text(record, "application_name"), _text(record, "state"),
        _text(record, "wait_event_type") or waiting, _text(record, "wait_event"),
        statement.fingerprint or None if statement else None, statement.statement or None if statement else None,
        age("query_start"), age("xact_start"), age("state_change"), _pids(record), _text(record, "backend_type"),
    )  # fmt: skip


def _pids(record: dict[str, Any]) -> list[int]:
    """``{1,2}``, ``[1, 2]``, ``1`` or a JSON array; parallel workers repeat a pid, and 0 is a prepared transaction."""
    text = next((str(record[name]) for name in _BLOCKED_BY if record.get(name) is not None), "")
    return list(dict.fromkeys(int(pid) for pid in _PIDS.findall(text)))
