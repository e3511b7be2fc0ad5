"""Row locks: transactions queue behind one row.

What it sees
------------
Sessions that wait for another transaction to end (``Lock: transactionid``) or for their turn at a row (``Lock: tuple``), seen in
session snapshots or in the database log (``log_lock_waits``). The waits own request-seconds that users feel, they lie inside the
requests of a route, and at the root of the chain stands a session that does not wait itself.

Why it hurts
------------
Updates of one row are served one after the other. The row is locked from the update to the end of the transaction, so everything
the transaction does afterwards (a remote call, more statements, thinking) is served in series too: the route's throughput is capped at
one over the time the lock is held, and the wait grows without bound as arrivals come near that. More servers, a larger pool or a
faster disk bring nothing. (PostgreSQL manual, 13.3.2 "Row-Level Locks"; MVCC readers are not blocked.)

What it needs
-------------
Session snapshots (``pg_stat_activity`` with ``pg_blocking_pids``) or a database log with ``log_lock_waits = on``. An access log
tells what users feel. With a reference, the growth of the waits is tested too.

When it is wrong
----------------
A migration or ``VACUUM FULL`` that holds the whole table looks alike: then sessions wait for a relation (``table-lock``). A slow query without
waiters is no lock problem: its sessions execute. Waits of a batch job that no request contains are left out. The log shows only waits
longer than ``deadlock_timeout``, so its share is a lower bound.

What to try
-----------
Take the lock late and hold it briefly: move the update behind the remote call, or to the end of the transaction. Split the hot row
(counters per shard), or append to a ledger and sum. Set ``lock_timeout`` so that a queue fails fast. Do not scale out.
"""

from perfaudit.evidence.store import Evidence
from perfaudit.model import Fix, Outcome
from perfaudit.paths.account import TimeAccount
from perfaudit.problems.database._lock_check import LOCK_LOG, SESSIONS, Question, decide

NEEDS = ("sessions|lock_events",)
HELPS = ("requests", "statement_events")
RIVALS = ("table-lock", "traffic-surge", "missing-index", "pool-exhaustion")
WANTED = (SESSIONS, LOCK_LOG)

FIXES = (
    Fix(
        "Take the row lock last: move the update behind the remote calls and other statements of the transaction, just before COMMIT",
        "removes the hold time from the queue: the wait falls to that of the update and the commit alone",
        "low", "medium",
        "the code of one transaction changes; a failure after the remote call must now be compensated",
        True, "deploy the previous version", "row waits (Lock: transactionid, tuple) fall below 1 % of request-seconds at the same arrival rate",
    ),
    Fix(
        "Split the hot row into several (pick one at random, sum when reading) or append to a ledger and sum",
        "divides the queue by the number of rows", "medium", "medium", "schema and readers change", True, "merge the rows back", "waits per row fall in proportion",
    ),
    Fix(
        "Set lock_timeout for the role of the application, with a retry that backs off",
        "bounds the wait of each request; does not remove the queue", "low", "low", "a setting per role; requests over the bound fail instead of waiting",
        True, "alter role … reset lock_timeout", "no lock wait is longer than the bound",
    ),
)
QUESTION = Question("row-lock-contention", "row", "table", "table-lock", "row lock", "transactions that update the same row are served one after the other, each for as long as its transaction lasts")


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Do waits for rows own user-visible time?"""
    return decide(QUESTION, evidence, account, FIXES)
