"""Lock waits and deadlocks of a PostgreSQL log: several records become one row.

With ``log_lock_waits`` a process that has waited for ``deadlock_timeout`` says so ("still waiting"), and says so again when
it got the lock ("acquired"). A deadlock ends in an ERROR whose detail names the participants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers._pg_record import Record, number
from perfaudit.evidence.readers._rows import Rows
from perfaudit.evidence.sql import Statement, fingerprint, tables

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink

COLUMNS = ("time", "kind", "duration_us", "acquired", "pid", "lock_mode", "lock_target", "object", "holders", "queue", "fingerprint",
           "statement", "holder_statement", "database", "application", "bytes", "detail")  # fmt: skip
#: Transactions and processes whose last statement is remembered.
REMEMBERED = 20_000

_WAIT = re.compile(
    r"process (\d{1,10}) (still waiting for|acquired|avoided deadlock for|detected deadlock while waiting for|failed to acquire) "
    r"(\w+) on (.{1,200}?)(?: by rearranging queue order)? after (\d{1,10})(?:\.(\d{1,3}))? ms"
)
_TARGET = re.compile(r"(?:virtual |remote )?([a-z]+)")
_TARGETS = {"extension": "extend", "user": "userlock", "speculative": "spectoken"}
_OID = re.compile(r"\brelation (\d+)")
_RELATION = re.compile(r'relation "((?:[^"]|"")+)"')
_HOLDING = re.compile(r"Process(?:es)? holding the locks?: ([\d, ]+)")
_QUEUE = re.compile(r"Wait queue: ([\d, ]+)")
_EDGE = re.compile(r"Process (\d{1,10}) waits for (\w+) on (.{1,200}?); blocked by process (\d{1,10})\.")
_PARTICIPANT = re.compile(r"^Process (\d{1,10}): ", re.MULTILINE)


@dataclass(slots=True)
class Wait:
    """A wait that has been heard of; ``duration`` is the last one known (µs)."""

    start: int
    duration: int
    record: Record
    mode: str
    target: str
    holders: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    deadlocked: bool = False


def pids(text: str | None) -> list[int]:
    """``"3072, 3066"`` → the numbers."""
    return [int(pid) for pid in re.findall(r"\d{1,10}", text or "")]


def target_of(text: str) -> tuple[str, str | None]:
    """``tuple (0,1) of relation 16384 of database 5`` → the kind of lock target (as pg_locks names it) and a relation's oid."""
    if text.startswith("virtual transaction"):
        return "virtualxid", None
    match = _TARGET.match(text)
    kind = match[1] if match else text.split(" ")[0]
    oid = _OID.search(text)
    return _TARGETS.get(kind, kind), oid[1] if oid else None


class Locks:
    """Follows lock waits through the records of one log; rows go to ``rows`` of the table ``lock_events``."""

    def __init__(self, sink: Sink, service: str) -> None:
        self.rows = Rows(sink, "lock_events", COLUMNS, service=service)
        self.waiting: dict[int, Wait] = {}
        self.detected: dict[int, int] = {}
        self._of_transaction: dict[int, Statement] = {}
        self._of_process: dict[int, tuple[int, int, Statement]] = {}

    def ran(self, record: Record, duration: int, statement: Statement) -> None:
        """A statement ended: it may be what others waited for."""
        if record.txid:
            _remember(self._of_transaction, record.txid, statement)
        if record.pid is not None:
            _remember(self._of_process, record.pid, (record.time - duration, record.time, statement))

    def process(self, record: Record) -> bool:
        """Take a ``process N still waiting for …`` record; False when it is none."""
        match = _WAIT.match(record.message)
        if match is None:
            return False
        pid, event, mode, target = int(match[1]), match[2], match[3], match[4]
        duration = int(match[5]) * 1_000 + int((match[6] or "0").ljust(3, "0"))
        if event.startswith("detected"):
            self.detected[pid] = duration
            return True
        wait = self.waiting.get(pid)
        if wait is None or (wait.mode, wait.target) != (mode, target):
            if wait is not None:
                self._close(pid, acquired=False)
            wait = self.waiting[pid] = Wait(record.time - duration, duration, record, mode, target)
        wait.duration = max(wait.duration, duration)
        wait.record.context = wait.record.context or record.context
        if record.detail:
            holding, queue = _HOLDING.search(record.detail), _QUEUE.search(record.detail)
            wait.holders, wait.queue = pids(holding[1] if holding else None), pids(queue[1] if queue else None)
        if record.txid and record.statement:
            _remember(self._of_transaction, record.txid, fingerprint(record.statement))
        if event == "acquired":
            self._close(pid, acquired=True)
        return True

    def failed(self, record: Record) -> None:
        """An error of a process ends its wait. Deadlocks and refused locks become rows of their own."""
        message = record.message
        if message == "deadlock detected":
            self._deadlock(record)
            return
        pid = record.pid if record.pid is not None else self._waiting_for(record.statement)
        if pid in self.waiting:
            wait = self.waiting[pid]
            wait.duration = max(wait.duration, record.time - wait.start)
            self._close(pid, acquired=False)
        elif message.startswith(("canceling statement due to lock timeout", "could not obtain lock on")):
            self._row(record, "lock-timeout", acquired=False)

    def _waiting_for(self, statement: str | None) -> int | None:
        """The longest waiting process with this very statement: for logs whose prefix lacks the process (%p)."""
        return next((pid for pid, wait in self.waiting.items() if statement and wait.record.statement == statement), None)

    def finish(self) -> None:
        """The log ends: what still waits was never seen to get its lock."""
        for pid in list(self.waiting):
            self._close(pid, acquired=False)
        self.rows.flush()

    def event(self, record: Record, kind: str, *, duration: int | None = None, size: int | None = None, detail: str | None = None) -> None:
        """A row that is no wait: a temporary file, a checkpoint, a refused connection."""
        statement = fingerprint(record.statement) if record.statement else Statement("", "")
        self.rows.add(record.time, kind, duration, None, record.pid, None, None, None, None, None, statement.fingerprint or None,
                      statement.statement or None, None, record.dbname, record.application_name, size, detail)  # fmt: skip

    def _close(self, pid: int, *, acquired: bool) -> None:
        wait = self.waiting.pop(pid)
        if wait.deadlocked:
            return
        self._row(wait.record, "lock-wait", acquired=acquired, wait=wait, pid=pid)

    def _row(self, record: Record, kind: str, *, acquired: bool, wait: Wait | None = None, pid: int | None = None) -> None:
        statement = fingerprint(record.statement) if record.statement else Statement("", "")
        target, oid = target_of(wait.target) if wait else (None, None)
        name, detail = self._object(record, oid, statement.statement)
        self.rows.add(
            wait.start if wait else record.time, kind, wait.duration if wait else None, acquired, pid if pid is not None else record.pid,
            wait.mode if wait else None, target, name, wait.holders if wait else None, wait.queue if wait else None,
            statement.fingerprint or None, statement.statement or None, self._blocker(wait) if wait else None,
            record.dbname, record.application_name, None, detail,
        )  # fmt: skip

    def _object(self, record: Record, oid: str | None, statement: str) -> tuple[str | None, str | None]:
        named = _RELATION.search(record.context or "") or _RELATION.search(record.message)
        if named:
            return named[1], None
        if oid is None:
            return None, None
        of_statement = tables(statement) if statement else ()
        if len(of_statement) == 1:
            return of_statement[0], f"table taken from the statement; the log says relation {oid}"
        return f"oid:{oid}", None

    def _blocker(self, wait: Wait) -> str | None:
        """What the holder ran: by its transaction where the log has ids, else its statement of the same time."""
        if wait.target.startswith("transaction "):
            known = self._of_transaction.get(number(wait.target[12:].split(" ")[0]) or 0)
            if known:
                return known.statement
        end = wait.start + wait.duration
        for holder in wait.holders:
            other = self.waiting.get(holder)
            if other is not None and other.record.statement:
                return fingerprint(other.record.statement).statement
            last = self._of_process.get(holder)
            if last and last[0] <= end and last[1] >= wait.start:
                return last[2].statement
        return None

    def _deadlock(self, record: Record) -> None:
        detail = record.detail or ""
        edges = [(int(m[1]), m[2], m[3]) for m in _EDGE.finditer(detail)]
        statements = _participants(detail)
        victim = record.pid if record.pid is not None else (edges[0][0] if edges else None)
        if record.statement and victim is not None:
            statements[victim] = fingerprint(record.statement)
        taking_part = list(dict.fromkeys([pid for pid, _, _ in edges] + list(statements)))
        for pid in taking_part:
            if pid in self.waiting:
                self.waiting[pid].deadlocked = True
        if victim in self.waiting:
            del self.waiting[victim]
        mode, target = next(((m, t) for pid, m, t in edges if pid == victim), (None, ""))
        kind, oid = target_of(target) if target else (None, None)
        own = statements.get(victim) if victim is not None else None
        others = [s for pid, s in statements.items() if pid != victim]
        name, _ = self._object(record, oid, own.statement if own else "")
        self.rows.add(
            record.time, "deadlock", self.detected.pop(victim, None) if victim is not None else None, False, victim, mode, kind, name,
            taking_part, None, own.fingerprint or None if own else None, own.statement or None if own else None,
            others[0].statement if others else None, record.dbname, record.application_name, None,
            " ⇄ ".join(sorted(s.statement for s in statements.values())) or None,
        )  # fmt: skip


def _participants(detail: str) -> dict[int, Statement]:
    found = list(_PARTICIPANT.finditer(detail))
    ends = [m.start() for m in found[1:]] + [len(detail)]
    return {int(m[1]): fingerprint(detail[m.end() : end].strip()) for m, end in zip(found, ends, strict=True)}


def _remember(store: dict[int, Any], key: int, value: Any) -> None:
    store.pop(key, None)
    store[key] = value
    if len(store) > REMEMBERED:
        del store[next(iter(store))]
