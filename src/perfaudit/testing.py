"""Tests of checks without files: rows in, an outcome out.

::

    from perfaudit.testing import assert_problem

    finding = assert_problem("row-lock-contention", requests=[{"time": "2026-11-23T08:00:00Z", "duration_us": 900_000, …}], sessions=[…])
    assert finding.scope["object"] == "inventory"

A table is a list of rows (dicts) or a dict of columns; a column may be one value for all rows. Columns are those of
``docs/reference/tables.md``; what is left out is null. An instant is microseconds since the epoch, a ``datetime`` (UTC when it has
no zone), or RFC 3339 text.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from perfaudit import problems
from perfaudit.audit import Audit, Request
from perfaudit.errors import UsageError
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.store import Evidence
from perfaudit.evidence.tables import TABLES
from perfaudit.model import Finding, Micros, Outcome, Status

Instant = Micros | datetime | str
Rows = Sequence[Mapping[str, Any]] | Mapping[str, Any]

__all__ = ["assert_clear", "assert_no_evidence", "assert_problem", "audit", "evidence", "examine", "micros"]


def micros(instant: Instant) -> Micros:
    """An instant in microseconds since the epoch. Raises ``ValueError`` for text that is no RFC 3339."""
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant)
    if isinstance(instant, datetime):
        since = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return int(instant)


def evidence(**tables: Rows) -> Evidence:
    """Evidence with these rows: for a check, for SQL, or (``.bundle``) for an audit. Lives until the process ends.

    Raises :class:`UsageError` for an unknown table and ``ContractError`` for an unknown column.
    """
    bundle = Bundle.create(Path(tempfile.mkdtemp(dir=_home().name)) / "evidence", durable=False)
    with bundle.writing():
        for table, rows in tables.items():
            if table not in TABLES:
                raise UsageError(f"there is no table “{table}”", todo=f"use one of {', '.join(TABLES)}")
            for service, columns, count in _sources(table, rows):
                _enter(bundle, table, service, columns, count)
    return Evidence(bundle)


def audit(*, since: Instant | None = None, until: Instant | None = None, baseline: Mapping[str, Rows] | None = None, **tables: Rows) -> dict[str, Any]:
    """The result of a whole audit over these rows; ``baseline`` holds the tables of a healthy recording."""
    return _audit(since, until, baseline, tables).run()


def examine(name: str, *, since: Instant | None = None, until: Instant | None = None, baseline: Mapping[str, Rows] | None = None, **tables: Rows) -> Outcome:
    """What the check ``name`` says to these rows. Raises :class:`UsageError` for a check that does not exist."""
    check = problems.get(name)
    whole = _audit(since, until, baseline, tables)
    return check.run(whole.evidence, whole.prepare().account)


def assert_problem(name: str, **given: Any) -> Finding:
    """The check sees its problem in these rows (arguments as :func:`examine`); gives the first finding for further assertions."""
    return _expect(name, Status.PROBLEM, given).findings[0]


def assert_clear(name: str, **given: Any) -> Outcome:
    """The check had enough evidence and does not see its problem (arguments as :func:`examine`)."""
    return _expect(name, Status.CLEAR, given)


def assert_no_evidence(name: str, **given: Any) -> Outcome:
    """The check says that these rows are too little for it (arguments as :func:`examine`)."""
    return _expect(name, Status.NO_EVIDENCE, given)


def _expect(name: str, status: Status, given: Mapping[str, Any]) -> Outcome:
    outcome = examine(name, **given)
    assert outcome.status is status, f"{name}: expected {status}, got {outcome.status}: {outcome.reason}"
    return outcome


def _audit(since: Instant | None, until: Instant | None, baseline: Mapping[str, Rows] | None, tables: Mapping[str, Rows]) -> Audit:
    request = Request(since=None if since is None else micros(since), until=None if until is None else micros(until), name="test")
    return Audit(evidence(**tables).bundle, request, baseline=evidence(**baseline).bundle if baseline else None)


@cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="perfaudit-testing-")


def _sources(table: str, rows: Rows) -> Iterator[tuple[str, dict[str, Any], int]]:
    """One source for each service, as real files are: ``(service, columns, rows)``."""
    columns, count = _columns(table, rows)
    services = columns.get("service", "")
    if isinstance(services, str) or services is None:
        if count:
            yield services or "", columns, count
        return
    for service in sorted({s or "" for s in services}):
        keep = [i for i, s in enumerate(services) if (s or "") == service]
        yield service, {k: [v[i] for i in keep] if _many(v) else v for k, v in columns.items()}, len(keep)


def _columns(table: str, rows: Rows) -> tuple[dict[str, Any], int]:
    if isinstance(rows, Mapping):
        columns = dict(rows)
        count = max((len(v) for v in columns.values() if _many(v)), default=1 if columns else 0)
    else:
        count = len(rows)
        columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(k for row in rows for k in row)}
    for column in TABLES[table].columns:
        if column.type == "time" and column.name in columns:
            value = columns[column.name]
            columns[column.name] = [v if v is None else micros(v) for v in value] if _many(value) else micros(value)
    return columns, count


def _many(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, Mapping))


def _enter(bundle: Bundle, table: str, service: str, columns: Mapping[str, Any], count: int) -> None:
    writer = bundle.part_writer({})
    writer.write(table, columns, count)
    name = f"{table}.{service}" if service else table
    key = hashlib.sha256(name.encode()).hexdigest()
    entry = {
        "name": name, "sha256": key, "text_sha256": key, "bytes": 0, "reader": "perfaudit.testing", "reader_version": 1, "read_as": {}, "service": service,
        "lines": count, "parsed": count, "rejected": {}, "rejected_examples": {}, "notes": [], "first": writer.first, "last": writer.last,
    }  # fmt: skip
    bundle.commit(entry, writer)
