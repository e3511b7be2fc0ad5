"""What the records of a PostgreSQL log tell, as rows: statements, plans, lock events, and everything else as log templates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.readers._pg_locks import REMEMBERED, Locks
from perfaudit.evidence.readers._pg_plans import plan
from perfaudit.evidence.readers._pg_record import Record
from perfaudit.evidence.readers._rows import LogCounts, Rows
from perfaudit.evidence.sql import Statement, fingerprint

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink

#: Severities of PostgreSQL → the levels of the table ``logs``.
LEVELS = {
    "LOG": "info", "INFO": "info", "NOTICE": "notice", "WARNING": "warning", "ERROR": "error", "FATAL": "critical", "PANIC": "alert",
    "DEBUG": "debug", "DEBUG1": "debug", "DEBUG2": "debug", "DEBUG3": "debug", "DEBUG4": "debug", "DEBUG5": "debug",
}  # fmt: skip
_FAILURES = frozenset({"ERROR", "FATAL", "PANIC"})
_DURATION = re.compile(r"duration: (\d{1,10})(?:\.(\d{1,3}))? ms(?:  (statement|execute|parse|bind|plan|fastpath)(?: [^:\n]*)?:\s?)?")
_STATEMENT = re.compile(r"(?:statement|execute [^:\n]{1,200}): ")
_TEMPORARY = re.compile(r'temporary file: path "[^"]*", size (\d{1,18})')
_STARTING = re.compile(r"(checkpoint|restartpoint) starting:\s*(.*)")
_COMPLETE = re.compile(r"(checkpoint|restartpoint) complete\b")
_TOTAL = re.compile(r"total=(\d{1,12})\.(\d{3}) s")
_DISTANCE = re.compile(r"distance=(\d{1,10}) kB")
_REFUSED = ("sorry, too many clients already", "too many clients already", "remaining connection slots are reserved", "too many connections for")
_LOCALISED = re.compile(r"[^\W\d_]+ ?: \d+[.,]\d+ ms")


class Story:
    """Takes records in the order of the log. Memory is bounded: pending statements and waits of at most the server's processes."""

    def __init__(self, sink: Sink, service: str) -> None:
        self.sink = sink
        self.statements = Rows(
            sink, "statement_events", ("time", "duration_us", "fingerprint", "statement", "database", "application", "pid"), service=service
        )
        self.plans = Rows(sink, "plans", ("time", "duration_us", "fingerprint", "statement", "shape", "plan", "pid"))
        self.locks = Locks(sink, service)
        self.logs = LogCounts(sink, service)
        self.pending: dict[int, Statement] = {}
        self.checkpoint: str | None = None
        self.localised = False

    def add(self, record: Record) -> None:
        """One record."""
        message = record.message
        if message.startswith("duration: ") and (match := _DURATION.match(message)):
            self._duration(record, match)
        elif message.startswith("process ") and self.locks.process(record):
            pass
        elif record.error_severity in _FAILURES:
            self._failure(record)
        elif record.error_severity == "LOG" and self._log(record):
            pass
        else:
            self.localised = self.localised or _LOCALISED.match(message) is not None
            self.logs.add(record.time, LEVELS.get(record.error_severity, "info"), message)

    def finish(self) -> None:
        """The log ends."""
        for part in (self.statements, self.plans, self.logs):
            part.flush()
        self.locks.finish()
        if self.localised:
            self.sink.note("its messages are not in English, so durations and lock waits are not recognised: set lc_messages = 'C'")

    def _duration(self, record: Record, match: re.Match[str]) -> None:
        duration = int(match[1]) * 1_000 + int((match[2] or "0").ljust(3, "0"))
        kind = match[3]
        if kind == "plan":
            found = plan(record.message[match.end() :])
            if found:
                self.plans.add(record.time, duration, found.statement.fingerprint or None, found.statement.statement or None, found.shape, found.text, record.pid)
            return
        if kind in ("statement", "execute"):
            statement = fingerprint(record.message[match.end() :])
        elif kind is None and record.pid in self.pending:
            statement = self.pending[record.pid]
        else:
            return
        if record.pid is not None:
            self.pending.pop(record.pid, None)
        self.locks.ran(record, duration, statement)
        self.statements.add(record.time, duration, statement.fingerprint or None, statement.statement or None, record.dbname, record.application_name, record.pid)

    def _failure(self, record: Record) -> None:
        self.locks.failed(record)
        if record.message.startswith(_REFUSED):
            self.locks.event(record, "connection-refused")
        self.logs.add(record.time, LEVELS[record.error_severity], record.message)

    def _log(self, record: Record) -> bool:
        message = record.message
        if match := _STATEMENT.match(message):
            if record.pid is not None:
                if len(self.pending) > REMEMBERED:
                    self.pending.clear()
                self.pending[record.pid] = fingerprint(message[match.end() :])
        elif match := _TEMPORARY.match(message):
            self.locks.event(record, "temp-file", size=int(match[1]))
        elif match := _STARTING.match(message):
            self.checkpoint = match[2].strip()[:100] if match[1] == "checkpoint" else f"restartpoint: {match[2].strip()[:100]}"
        elif _COMPLETE.match(message):
            total, distance = _TOTAL.search(message), _DISTANCE.search(message)
            self.locks.event(
                record, "checkpoint", duration=int(total[1]) * 1_000_000 + int(total[2]) * 1_000 if total else None,
                size=int(distance[1]) * 1024 if distance else None, detail=self.checkpoint,
            )  # fmt: skip
            self.checkpoint = None
        else:
            return False
        return True
