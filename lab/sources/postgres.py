"""What PostgreSQL tells of itself: its statistics views as CSV with the time of the snapshot in front.

Exactly what ``\\copy (select now(), * from pg_stat_…) to … csv header`` writes, appended snapshot after snapshot: sessions with
who blocks whom every second; statements, tables, indexes and the whole database's counters every five seconds and at every mark.
"""

from __future__ import annotations

import threading
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
#: Without most_common_vals and histogram_bounds: they hold customers' data.
COLUMNS = "select now(), schemaname, tablename, attname, null_frac, avg_width, n_distinct, correlation from pg_stats where schemaname = 'public' order by tablename, attname"
#: Of the monitoring session: times in UTC, it never waits for long, and it leaves no traces in what it observes.
SETTINGS = (
    "timezone=UTC", "datestyle=ISO", "lock_timeout=500", "statement_timeout=3000", "log_min_duration_statement=-1", "pg_stat_statements.track=none",
    "auto_explain.log_min_duration=-1",
)  # fmt: skip


class Server:
    """A monitoring session that several views share; one asks at a time."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def csv(self, query: str) -> str:
        """The rows as CSV with a header. A lost session is opened again by the next question."""
        with self._lock:
            try:
                if self._connection is None:
                    options = " ".join(f"-c {setting}" for setting in SETTINGS)
                    self._connection = psycopg.connect(self.dsn, autocommit=True, application_name="monitoring", options=options, connect_timeout=3)
                with self._connection.cursor() as cursor, cursor.copy(f"copy ({query}) to stdout with (format csv, header)") as lines:
                    return b"".join(bytes(part) for part in lines).decode()
            except psycopg.OperationalError:
                if self._connection is None or self._connection.broken:
                    self._connection = None
                raise

    def close(self) -> None:
        """Ends the session."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None


class View(Sampler):
    """A query's result as CSV every so many seconds.

    Asking for the size of a table waits for its lock, and a locked table is part of some cases: after half a second the view is
    asked without sizes, `bare`.
    """

    def __init__(self, name: str, kind: str, home: Path, server: Server, query: str, interval: float, bare: str | None = None) -> None:
        super().__init__(name, kind, home / name, interval, header=1)
        self.server, self.query, self.bare = server, query, bare

    def sample(self) -> str:
        """The view now."""
        try:
            return self.server.csv(self.query)
        except psycopg.errors.LockNotAvailable:
            if self.bare is None:
                raise
            return self.server.csv(self.bare)

    def close(self) -> None:
        """Ends the session."""
        self.server.close()


def sessions(run: Run, server: Server, interval: float = 1.0) -> Source:
    """pg_stat_activity with the pids that block each session."""
    return View("pg_stat_activity.csv", "sessions", run.home("observer-postgres"), server, SESSIONS, interval)


def statements(run: Run, server: Server, interval: float = 5.0) -> Source:
    """pg_stat_statements of the database."""
    return View("pg_stat_statements.csv", "statements", run.home("observer-postgres"), server, STATEMENTS, interval)


def objects(run: Run, server: Server, interval: float = 5.0) -> list[Source]:
    """Tables, indexes, and the counters of the database, its writer and its log."""
    home = run.home("observer-postgres")
    tables = "select now(), s.*, null::bigint as total_bytes, null::bigint as table_bytes from pg_stat_user_tables s order by relname"
    indexes = "select now(), s.*, null::bigint as index_bytes from pg_stat_user_indexes s order by relname, indexrelname"
    return [
        View("pg_stat_user_tables.csv", "db-objects", home, server, TABLES, interval, tables),
        View("pg_stat_user_indexes.csv", "db-objects", home, server, INDEXES, interval, indexes),
        View("pg_stats.csv", "db-objects", home, server, COLUMNS, 12 * interval),
        View("pg_stat_database.csv", "db-objects", home, server, DATABASE, interval),
        View("pg_stat_bgwriter.csv", "db-objects", home, server, WRITER, interval),
        View("pg_stat_wal.csv", "db-objects", home, server, WAL, interval),
    ]


def everything(run: Run, dsn: str) -> list[Source]:
    """All of it, over two sessions. `dsn` reaches the server directly, as a superuser, in the application's database."""
    slow = Server(dsn)
    return [sessions(run, Server(dsn)), statements(run, slow), *objects(run, slow)]
