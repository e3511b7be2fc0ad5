"""What MariaDB tells of itself: performance_schema and information_schema as CSV with the time of the snapshot in front, and the
blocks of SHOW ENGINE INNODB STATUS and SHOW GLOBAL STATUS.

Sessions, transactions and lock waits every second; digests, tables, indexes and counters every five seconds and at every mark.
"""

from __future__ import annotations

import contextlib
import csv
import io
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pymysql

from lab.sources import Sampler, Source, block

if TYPE_CHECKING:
    from lab.processes import Run

PROCESSES = (
    "select now(6) as now, id, user, host, db, command, time, time_ms, state, info, progress, memory_used, examined_rows, query_id"
    " from information_schema.processlist where id <> connection_id() order by id"
)
TRANSACTIONS = "select now(6) as now, t.* from information_schema.innodb_trx t where trx_mysql_thread_id <> connection_id() order by trx_id"
WAITS = (
    "select now(6) as now, w.requesting_trx_id, r.trx_mysql_thread_id as waiting_pid, r.trx_wait_started as wait_started, l.lock_table as locked_table,"
    " l.lock_index as locked_index, l.lock_mode as waiting_lock_mode, r.trx_query as waiting_query, w.blocking_trx_id,"
    " b.trx_mysql_thread_id as blocking_pid, b.trx_started as blocking_trx_started, b.trx_query as blocking_query"
    " from information_schema.innodb_lock_waits w join information_schema.innodb_trx r on r.trx_id = w.requesting_trx_id"
    " join information_schema.innodb_trx b on b.trx_id = w.blocking_trx_id join information_schema.innodb_locks l on l.lock_id = w.requested_lock_id"
)
DIGESTS = "select now(6) as now, d.* from performance_schema.events_statements_summary_by_digest d where schema_name = %(schema)s order by digest"
TABLES = (
    "select now(6) as now, table_schema, table_name, engine, table_rows, avg_row_length, data_length, index_length, data_free, auto_increment,"
    " create_time, update_time from information_schema.tables where table_schema = %(schema)s order by table_name"
)
INDEXES = (
    "select now(6) as now, object_schema, object_name, index_name, count_star, sum_timer_wait, count_read, count_write, count_fetch, count_insert,"
    " count_update, count_delete from performance_schema.table_io_waits_summary_by_index_usage where object_schema = %(schema)s"
    " order by object_name, index_name"
)


class Server:
    """A monitoring session that several questions share; one asks at a time.

    It has no schema of its own, so that what it asks stays out of the digests of the application's.
    """

    def __init__(self, where: Mapping[str, Any]) -> None:
        self.where = dict(where)
        self.schema = str(self.where.pop("database"))
        self._lock = threading.Lock()
        self._connection: pymysql.connections.Connection[Any] | None = None

    def ask(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of columns, and rows. A lost session is opened again by the next question."""
        with self._lock:
            try:
                if self._connection is None:
                    first = "set session time_zone='+00:00', max_statement_time=2, lock_wait_timeout=1, slow_query_log=0"
                    self._connection = pymysql.connect(**self.where, autocommit=True, init_command=first, connect_timeout=3, read_timeout=5)
                with self._connection.cursor() as cursor:
                    cursor.execute(query, {"schema": self.schema} if "%(schema)s" in query else None)
                    return [d[0].lower() for d in cursor.description or ()], list(cursor.fetchall())
            except (pymysql.OperationalError, pymysql.InterfaceError, OSError):
                self._let_go()
                raise

    def close(self) -> None:
        """Ends the session."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._connection:
            with contextlib.suppress(pymysql.Error):
                self._connection.close()
        self._connection = None


class Asked(Sampler):
    """A question to the server every so many seconds, answered in CSV."""

    def __init__(self, name: str, kind: str, run: Run, server: Server, query: str, interval: float, header: int = 1) -> None:
        super().__init__(name, kind, run.home("observer-mariadb") / name, interval, header)
        self.server, self.query = server, query

    def sample(self) -> str:
        """The answer now."""
        return self.text(*self.server.ask(self.query))

    def text(self, names: list[str], rows: list[tuple[Any, ...]]) -> str:
        """Rows as CSV with a header; NULL is ``NULL``."""
        out = io.StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(names)
        lines.writerows([_cell(value) for value in row] for row in rows)
        return out.getvalue()

    def close(self) -> None:
        """Ends the session."""
        self.server.close()


class Engine(Asked):
    """SHOW ENGINE INNODB STATUS, a block each time."""

    def text(self, names: list[str], rows: list[tuple[Any, ...]]) -> str:
        """The monitor's output under a line with the time."""
        return block("SHOW ENGINE INNODB STATUS", str(rows[0][2]).strip())


class Status(Asked):
    """SHOW GLOBAL STATUS as ``mysql --batch`` prints it, a block each time. Counters that never moved are left out."""

    def text(self, names: list[str], rows: list[tuple[Any, ...]]) -> str:
        """Name and value, separated by a tab."""
        kept = [f"{name}\t{value}" for name, value in rows if value not in ("0", "", "0.000000") and not name.startswith(("Ssl_", "wsrep_", "Rpl_", "Slave"))]
        return block("SHOW GLOBAL STATUS", "\n".join(["Variable_name\tValue", *kept]))


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def sessions(run: Run, server: Server, interval: float = 1.0) -> list[Source]:
    """The process list, open transactions, and which waits for which."""
    named = {"processlist.csv": PROCESSES, "innodb_trx.csv": TRANSACTIONS, "innodb_lock_waits.csv": WAITS}
    return [Asked(name, "sessions", run, server, query, interval) for name, query in named.items()]


def statements(run: Run, server: Server, interval: float = 5.0) -> Source:
    """Digests of the application's schema."""
    return Asked("events_statements_summary_by_digest.csv", "statements", run, server, DIGESTS, interval)


def objects(run: Run, server: Server, interval: float = 5.0) -> list[Source]:
    """Tables, indexes, the storage engine's monitor, and the server's counters."""
    return [
        Asked("information_schema_tables.csv", "db-objects", run, server, TABLES, interval * 2),
        Asked("table_io_waits_summary_by_index_usage.csv", "db-objects", run, server, INDEXES, interval),
        Engine("innodb_status.txt", "db-objects", run, server, "show engine innodb status", interval, header=0),
        Status("global_status.txt", "db-objects", run, server, "show global status", interval, header=0),
    ]


def everything(run: Run, where: Mapping[str, Any]) -> list[Source]:
    """All of it, over two sessions. `where` is what ``pymysql.connect`` takes: the server directly, an administrator, ``database`` the application's schema."""
    slow = Server(where)
    return [*sessions(run, Server(where)), statements(run, slow), *objects(run, slow)]
