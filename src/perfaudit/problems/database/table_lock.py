"""Table locks: statements queue behind a lock on a whole relation.

What it sees
------------
Sessions that wait for a relation (``Lock: relation``, or "still waiting for … on relation" in the database log) while one session holds,
or waits in front of them for, a strong lock on it: DDL, ``LOCK TABLE``, ``VACUUM FULL``, ``CREATE INDEX`` without ``CONCURRENTLY``.

Why it hurts
------------
Lock requests queue in order. A migration that needs ``ACCESS EXCLUSIVE`` waits behind one long transaction, and every later statement on
the table, reads included, waits behind the migration: all routes that touch the table stop, with flat CPU and I/O.
(PostgreSQL manual, 13.3.1 "Table-Level Locks", table of conflicting modes.)

What it needs
-------------
Session snapshots with blockers, or a database log with ``log_lock_waits = on``. An access log tells what users feel.

When it is wrong
----------------
Queues behind one row wait for a transaction, not for a relation (``row-lock-contention``); transactions that stand in the table's queue
may themselves hold rows for which others wait, which is then a consequence. Waits that no request contains are left out.

What to try
-----------
End the session at the root (``pg_terminate_backend`` of the long transaction or of the migration). Run migrations with ``lock_timeout`` of
a second or two and retries, ``CREATE INDEX CONCURRENTLY``, ``ADD CONSTRAINT … NOT VALID`` then ``VALIDATE``; keep transactions short.
"""

from perfaudit.evidence.store import Evidence
from perfaudit.model import Fix, Outcome
from perfaudit.paths.account import TimeAccount
from perfaudit.problems.database._lock_check import LOCK_LOG, SESSIONS, Question, decide

NEEDS = ("sessions|lock_events",)
HELPS = ("requests", "statement_events")
RIVALS = ("row-lock-contention", "traffic-surge", "missing-index", "pool-exhaustion")
WANTED = (SESSIONS, LOCK_LOG)

FIXES = (
    Fix(
        "End the session at the root of the queue now: select pg_terminate_backend(pid) for the long transaction (or the migration)",
        "the queue drains at once", "low", "medium", "its work is rolled back and must be run again", False, "run the ended work again, outside busy hours", "no session waits for a relation",
    ),
    Fix(
        "Run migrations with lock_timeout = '2s' and retries, and in their non-blocking forms (CONCURRENTLY, NOT VALID then VALIDATE)",
        "bounds the stop to the timeout", "low", "low", "a habit of the migration tool; a migration may need several tries", True, "none needed", "no relation wait is longer than the timeout during the next migration",
    ),
    Fix(
        "Bound long transactions: idle_in_transaction_session_timeout, statement_timeout for batch roles",
        "a migration no longer waits behind them", "low", "medium", "long jobs must commit in pieces", True, "reset the settings", "no transaction is older than the bound",
    ),
)
QUESTION = Question("table-lock", "table", "row", "row-lock-contention", "table lock", "statements on one table queue behind a lock on all of it")


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Do waits for a relation own user-visible time?"""
    return decide(QUESTION, evidence, account, FIXES)
