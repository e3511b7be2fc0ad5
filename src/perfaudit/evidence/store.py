"""The evidence as SQL: DuckDB over the Parquet of a bundle, read-only, with the shared views.

Every declared table exists, empty when no source fed it. A check gets an :class:`Evidence` that answers only for the tables
that it declared.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from perfaudit.errors import ContractError, QueryError, UsageError
from perfaudit.evidence import computed
from perfaudit.evidence.computed import Computed
from perfaudit.evidence.tables import SQL_TYPES, TABLES
from perfaudit.model import Window, iso

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    from perfaudit.evidence.bundle import Bundle

#: Keeps the whole process under 700 MB on 30 M rows; larger intermediate results spill to the bundle's folder.
MEMORY = "384MB"


class Evidence:
    """Read access to a bundle. ``where`` narrows ``requests``; ``allowed`` limits the tables (None: all)."""

    def __init__(self, bundle: Bundle, *, where: str = "", allowed: Iterable[str] | None = None, like: Evidence | None = None) -> None:
        self.bundle = bundle
        self.where = where
        self.allowed = None if allowed is None else frozenset(allowed)
        self._connection = like.connection if like else None
        self._computed: Computed = like._computed if like else Computed(bundle)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection, opened at first use."""
        if self._connection is None:
            self._connection = _connect(self.bundle, self.where, self._computed.folder)
        return self._connection

    def restricted(self, tables: Iterable[str]) -> Evidence:
        """The same evidence, answering only for ``tables`` (and the views over them)."""
        return Evidence(self.bundle, where=self.where, allowed=tables, like=self)

    def has(self, table: str) -> bool:
        """Whether any source fed ``table``; spans feed ``requests`` where no log did."""
        return self.bundle.rows(table) > 0 or (table == "requests" and self.bundle.rows("spans") > 0)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query as tuples. Raises :class:`QueryError`, or :class:`ContractError` for an undeclared table."""
        return list(self._run(sql).fetchall())

    def one(self, sql: str) -> tuple[Any, ...]:
        """The first row; a tuple of None where there is none."""
        result = self._run(sql)
        row = result.fetchone()
        return tuple(row) if row is not None else (None,) * len(result.description)

    def columns(self, sql: str) -> dict[str, np.ndarray[Any, Any]]:
        """The result by column, as NumPy arrays (strings as object arrays, instants as datetime64[us])."""
        return dict(self._run(sql).fetchnumpy())

    def batches(self, sql: str, rows: int) -> Iterable[Any]:
        """The result as Arrow record batches of about ``rows`` rows: memory stays bounded whatever the size."""
        self._check(sql)
        reader: Iterable[Any] = self.connection.cursor().sql(sql).to_arrow_reader(rows)
        return reader

    def ask(self, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """A person's query: column names (made unique) and rows. One SELECT only; raises :class:`QueryError` for anything else."""
        result = self._run(_one_select(sql))
        names = [d[0] for d in result.description or []]
        unique = [name if names.index(name) == i else f"{name}_{i}" for i, name in enumerate(names)]
        return unique, (row for rows in iter(lambda: result.fetchmany(10_000), []) for row in rows)

    def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        import duckdb

        self._check(sql)
        try:
            return self.connection.execute(sql)
        except duckdb.InterruptException:
            raise KeyboardInterrupt from None
        except duckdb.Error as error:
            raise _sql_error(error) from error

    def _check(self, sql: str) -> None:
        stray = _named(sql) - self.allowed if self.allowed is not None else None
        if stray:
            raise ContractError(f"a check asked for {', '.join(sorted(stray))}, which it does not declare in NEEDS or HELPS")
        self._computed.make(sql, lambda: self.connection)


def within(window: Window | None, column: str = "time") -> str:
    """A SQL condition: ``column`` lies in ``window`` (``true`` for None)."""
    if window is None:
        return "true"
    return f"{column} >= TIMESTAMP '{_stamp(window.start)}' AND {column} < TIMESTAMP '{_stamp(window.end)}'"


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _stamp(instant: int) -> str:
    return iso(instant).rstrip("Z").replace("T", " ")


@cache
def views() -> dict[str, tuple[str, frozenset[str]]]:
    """The shared views: name → (SQL, tables that it reads)."""
    found = {}
    for file in sorted(resources.files("perfaudit.evidence").joinpath("views").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".sql"):
            sql = file.read_text()
            found[file.name[:-4]] = (sql, frozenset(t for t in TABLES if re.search(rf"\b(from|join)\s+{t}\b", sql)))
    return found


def _named(sql: str) -> set[str]:
    words = set(re.findall(r"[a-z_]+", re.sub(r"'(?:[^']|'')*'", "", sql.lower())))
    named = {t for t in TABLES if re.search(rf"\b(from|join)\s+{t}\b", sql.lower())}
    for view, (_, tables) in views().items():
        if view in words:
            named |= tables
    return named | {table for name in words & computed.discover().keys() for table in computed.discover()[name].READS}


def _connect(bundle: Bundle, where: str, folder: str) -> duckdb.DuckDBPyConnection:
    import duckdb

    spill = str(bundle.path / "spill") if os.access(bundle.path, os.W_OK) else tempfile.gettempdir()
    connection = duckdb.connect(":memory:", config={"threads": "2", "memory_limit": MEMORY, "preserve_insertion_order": "false", "temp_directory": spill})
    homes = ", ".join(quote(path) for path in [*(f"{home.resolve()}/tables/" for home in bundle.homes), f"{folder}/"])
    connection.execute(f"SET TimeZone = 'UTC'; SET allowed_directories = [{homes}]; SET enable_external_access = false")
    condition = f" WHERE ({_condition(where)}\n)" if where else ""
    derived = not bundle.parts("requests") and bool(bundle.parts("spans"))
    if derived:
        connection.execute(f"CREATE TABLE roots_as_requests AS {_roots(bundle)}")
    requests = "FROM roots_as_requests" if derived else _select(bundle, "requests")
    connection.execute(";\n".join(f"CREATE VIEW {table} AS {requests if table == 'requests' else _select(bundle, table)}" for table in TABLES))
    if where:
        try:
            connection.execute(f"CREATE OR REPLACE VIEW requests AS FROM ({requests}){condition}")
            connection.execute("SELECT 1 FROM requests LIMIT 1")
        except duckdb.Error as error:
            raise UsageError(f"--where is no condition on requests: {_said(error)}", where=f"--where {where}", todo=_WHERE) from error
    connection.execute(";\n".join(f"CREATE VIEW {name} AS {sql}" for name, (sql, _) in views().items()))
    connection.execute("SET lock_configuration = true")
    return connection


_WHERE = """write a SQL condition on its columns, e.g. --where "route like '/api/%' and status < 500"; perfaudit query --tables lists them"""


def _condition(where: str) -> str:
    """``where`` if it is one expression. Raises :class:`UsageError`."""
    import duckdb

    try:
        if len(duckdb.extract_statements(f"SELECT ({where}\n)")) == 1:
            return where
        reason = "more than one statement"
    except (duckdb.Error, TypeError) as error:
        reason = _said(error)
    raise UsageError(f"--where is no condition: {reason}", where=f"--where {where}", todo=_WHERE)


_EXPLAIN = re.compile(r"(?is)\s*explain\s+(?:analyze\s+)?(?:\(.*?\)\s*)?(.*)")


def _one_select(sql: str) -> str:
    """``sql`` if it is one statement that only reads. Raises :class:`QueryError`."""
    import duckdb

    try:
        explained = _EXPLAIN.fullmatch(sql)
        statements = duckdb.extract_statements(explained[1] if explained else sql)
    except (duckdb.Error, TypeError) as error:  # TypeError: bytes of the command line that are no UTF-8
        raise _sql_error(error) from error
    if len(statements) == 1 and statements[0].type.name in ("SELECT", "MULTI"):
        return sql
    what = "more than one statement" if len(statements) > 1 else statements[0].type.name.replace("_", " ") if statements else "no statement"
    raise QueryError(f"only one SELECT is allowed, this is {what}", where="SQL", todo="the evidence is read-only; write files with --csv or --json and the shell")


def _sql_error(error: Exception) -> QueryError:
    return QueryError(_said(error), where="SQL", todo="perfaudit query --tables lists tables and columns")


def _said(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())[:400]


#: Where no log was read, the roots of traces are the requests that users made (not those that a message or a schedule set off).
_ROOTS = {name: name for name in ("time", "duration_us", "method", "service", "instance", "response_bytes", "request_bytes", "trace_id")}
_ROOTS |= {"status": "coalesce(CASE WHEN http_status BETWEEN 0 AND 999 THEN http_status END, CASE WHEN status = 'error' THEN 500 ELSE 200 END)", "route": "coalesce(route, operation)"}


def _roots(bundle: Bundle) -> str:
    """SQL that gives the roots of traces as requests. A root has no parent, or one that was not recorded, in a trace without a proper root (a gateway or browser that sends
    no spans). Times far outside the rest (50 times the width of the middle nine tenths, and a day) are left out: one clock at 1970 would make a window of decades."""
    spans = f"SELECT * FROM ({_select(bundle, 'spans')}) WHERE trace_id IS NOT NULL AND time IS NOT NULL AND duration_us IS NOT NULL"
    fields = ", ".join(f'{_ROOTS.get(c.name, f"NULL::{SQL_TYPES[c.type]}")} AS "{c.name}"' for c in TABLES["requests"].columns)
    return (
        f"WITH s AS ({spans}), lost AS (SELECT * FROM s WHERE parent_span_id IS NOT NULL AND trace_id NOT IN (SELECT trace_id FROM s WHERE parent_span_id IS NULL)),"
        " found AS (SELECT DISTINCT ON (trace_id, span_id) * FROM (SELECT * FROM s WHERE parent_span_id IS NULL UNION ALL SELECT * FROM lost l WHERE NOT EXISTS"
        " (SELECT 1 FROM s p WHERE p.trace_id = l.trace_id AND p.span_id = l.parent_span_id AND p.span_id <> l.span_id)) ORDER BY time, duration_us),"
        " middle AS (SELECT quantile_disc(epoch_us(time), 0.05) AS low, quantile_disc(epoch_us(time), 0.95) AS high FROM found)"
        f" SELECT {fields} FROM found, middle WHERE coalesce(kind, '') NOT IN ('producer', 'consumer')"
        " AND epoch_us(time) BETWEEN low - 50 * (high - low) - 86400000000 AND high + 50 * (high - low) + 86400000000"
    )


def _select(bundle: Bundle, name: str) -> str:
    table = TABLES[name]
    parts = bundle.parts(name)
    if not parts:
        return "SELECT " + ", ".join(f'NULL::{SQL_TYPES[c.type]} AS "{c.name}"' for c in table.columns) + " WHERE false"
    stored = {column for _, columns in parts for column in columns}
    fields = ", ".join(f'"{c.name}"' if c.name in stored else f'NULL::{SQL_TYPES[c.type]} AS "{c.name}"' for c in table.columns)
    files = ", ".join(quote(str(path.resolve())) for path, _ in parts)
    return f"SELECT {fields} FROM read_parquet([{files}]{', union_by_name=true' if len(parts) > 1 else ''})"
