"""What PostgreSQL tells of itself: its statistics views as CSV with the time of the snapshot in front.

Exactly what ``\\copy (select now(), * from pg_stat_…) to … csv header`` writes, appended snapshot after snapshot: sessions with
who blocks whom every second; statements, tables, indexes and the whole database's counters every five seconds and at every mark.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from lab.sources import Sampler, Source

if TYPE_CHECKING:
    from lab.processes import Run

SESSIONS = "select now(), *, pg_blocking_pids(pid) as blocked_by from pg_stat_activity order by pid"
STATEMENTS = "select now(), * from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database()) order by userid, queryid, toplevel"
TABLES = "select now(), s.*, pg_total_relation_size(relid) as total_bytes, pg_table_size(relid) as table_bytes from pg_stat_user_tables s order by relname"
INDEXES = "select now(), s.*, pg_relation_size(indexrelid) as index_bytes from pg_stat_user_indexes s order by relname, indexrelname"
DATABASE = "select now(), * from pg_stat_database where datname = current_database()"
WRITER = "select now(), * from pg_stat_bgwriter"
WAL = "select now(), * from pg_stat_wal"
#: Of the monitoring session: times in UTC, it never waits for long, and it leaves no traces in what it observes.
SETTINGS = (
    "timezone=UTC", "datestyle=ISO", "lock_timeout=500", "statement_timeout=3000", "log_min_duration_statement=-1", "pg_stat_statements.track=none",
    "auto_explain.log_min_duration=-1",
)  # fmt: skip


class View(Sampler):
    """A query's result as CSV every so many seconds.

    Asking for the size of a table waits for its lock, and a locked table is part of some cases: after half a second the view is
    asked without sizes, `bare`.
    """

    def __init__(self, name: str, kind: str, home: Path, dsn: str, query: str, interval: float, bare: str | None = None) -> None:
        super().__init__(name, kind, home / name, interval, header=True)
        self.dsn, self.query, self.bare = dsn, query, bare
        self._connection: psycopg.Connection | None = None

    def sample(self) -> str:
        """The view now."""
        try:
            return self._copy(self.query)
        except psycopg.errors.LockNotAvailable:
            if self.bare is None:
                raise
            return self._copy(self.bare)
        except psycopg.OperationalError:
            self.close()
            raise

    def close(self) -> None:
        """Closes the session."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _copy(self, query: str) -> str:
        if self._connection is None or self._connection.closed:
            options = " ".join(f"-c {setting}" for setting in SETTINGS)
            self._connection = psycopg.connect(self.dsn, autocommit=True, application_name="monitoring", options=options, connect_timeout=3)
        with self._connection.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout with (format csv, header)") as lines:
            return b"".join(bytes(part) for part in lines).decode()


def sessions(run: Run, dsn: str, interval: float = 1.0) -> Source:
    """pg_stat_activity with the pids that block each session."""
    return View("pg_stat_activity.csv", "sessions", run.home("observer-postgres"), dsn, SESSIONS, interval)


def statements(run: Run, dsn: str, interval: float = 5.0) -> Source:
    """pg_stat_statements of the database."""
    return View("pg_stat_statements.csv", "statements", run.home("observer-postgres"), dsn, STATEMENTS, interval)


def objects(run: Run, dsn: str, interval: float = 5.0) -> list[Source]:
    """Tables, indexes, and the counters of the database, its writer and its log."""
    home = run.home("observer-postgres")
    tables = "select now(), s.*, null::bigint as total_bytes, null::bigint as table_bytes from pg_stat_user_tables s order by relname"
    indexes = "select now(), s.*, null::bigint as index_bytes from pg_stat_user_indexes s order by relname, indexrelname"
    return [
        View("pg_stat_user_tables.csv", "db-objects", home, dsn, TABLES, interval, tables),
        View("pg_stat_user_indexes.csv", "db-objects", home, dsn, INDEXES, interval, indexes),
        View("pg_stat_database.csv", "db-objects", home, dsn, DATABASE, interval),
        View("pg_stat_bgwriter.csv", "db-objects", home, dsn, WRITER, interval),
        View("pg_stat_wal.csv", "db-objects", home, dsn, WAL, interval),
    ]


def everything(run: Run, dsn: str) -> list[Source]:
    """All of it. `dsn` reaches the server directly, as a superuser, in the application's database."""
    return [sessions(run, dsn), statements(run, dsn), *objects(run, dsn)]
