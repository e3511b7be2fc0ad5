"""``perfaudit query``: the evidence as SQL."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click

from perfaudit.cli import _folder, _options
from perfaudit.cli._options import READING, Settings
from perfaudit.errors import UsageError
from perfaudit.evidence.naming import shown

#: Rows of a table on a terminal; more are counted and said.
MOST_ROWS = 1_000
#: What JSON leaves as it is and a terminal may take for a command: DEL, C1, separators and bidirectional marks.
_C1 = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@click.command("query", short_help="Ask the evidence in SQL; re-runs every number of a report.")
@click.argument("sql", required=False)
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@_folder.option
@click.option("--json", "as_json", is_flag=True, help="An array of objects, numbers as JSON numbers.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header; cells cannot become formulas.")
@click.option("--tables", is_flag=True, help="List tables and columns with unit and meaning.")
@click.option("--baseline", metavar="PATH", help="Separate baseline evidence, when PATHs are given.")
@_options.with_options(READING)
def command(settings: Settings, sql: str | None, paths: tuple[str, ...], folder: str | None, as_json: bool, as_csv: bool, tables: bool, baseline: str | None) -> int:
    """Run SQL (DuckDB, read-only) over the evidence of this audit folder, or of PATHs.

    \b
    perfaudit query 'select route, count(*) from requests group by 1 order by 2 desc'
    perfaudit query --json 'select quantile_disc(duration_us, 0.95) / 1e3 as ms from requests' access.log
    perfaudit query --tables
    """
    if tables:
        _list()
        return 0
    if not sql:
        raise UsageError("no SQL was given", todo="perfaudit query 'select count(*) from requests'; perfaudit query --tables lists what there is")
    from perfaudit.audit import opened
    from perfaudit.config import load
    from perfaudit.evidence.store import Evidence

    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        if paths:
            options = _options.reading(settings, load(Path.cwd()), everything=True)
            bundle = opened(paths, Path(temporary) / "evidence", options, zones=settings.zones)
            other = opened([baseline], Path(temporary) / "baseline", options, zones=settings.zones) if baseline else None
        else:
            bundle, other = _folder.open_both(_folder.find(folder))
        evidence = Evidence(bundle.beside(other, "baseline") if other else bundle)
        if as_json and as_csv:
            raise UsageError("--json and --csv exclude each other", todo="keep one of them")
        show = _json if as_json else _csv if as_csv else _table
        show(*evidence.ask(sql))
    return 0


def _json(names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    import json

    before = "["
    for row in rows:
        text = json.dumps(dict(zip(names, map(_plain, row), strict=True)), ensure_ascii=False)
        click.echo(before + _C1.sub(lambda m: f"\\u{ord(m[0]):04x}", text), nl=False)
        before = ",\n "
    click.echo("[]" if before == "[" else "]")


def _plain(value: Any) -> Any:
    """A JSON value: instants as RFC 3339 in UTC, intervals in seconds, numbers as numbers."""
    import datetime as dt
    import decimal
    import math

    if isinstance(value, dt.datetime):
        return value.isoformat() + "Z"
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _csv(names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(_cell, names))
    for row in rows:
        writer.writerow([_cell(_plain(v)) for v in row])


def _cell(value: Any) -> Any:
    """A cell that a spreadsheet takes for no formula and a terminal for no command (OWASP, CSV injection)."""
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{shown(value)}" if value[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else shown(value)


def _table(names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(Text(shown(name)), overflow="fold") for name in names), box=None, header_style="bold", pad_edge=False)
    for row in islice(rows, MOST_ROWS):
        table.add_row(*(Text("" if v is None else shown(str(_plain(v)))) for v in row))
    # A pipe has no width: wrapping cells would only break them.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
    if more := sum(1 for _ in rows):
        _options.note(f"showing {MOST_ROWS:,} of {MOST_ROWS + more:,} rows; --csv and --json give all")


def _list() -> None:
    from perfaudit.evidence import computed
    from perfaudit.evidence.tables import TABLES

    for table in TABLES.values():
        click.echo(f"{table.name}: one row is {table.row} (from {table.read_from})")
        for column in table.columns:
            click.echo(f"    {column.name:<22} {column.type:<8} {column.unit:<6} {column.meaning}")
    for name, view in computed.discover().items():
        click.echo(f"{name}: {' '.join((view.__doc__ or '').split())} (computed from {', '.join(view.READS)})")
        for column, (kind, meaning) in view.COLUMNS.items():
            click.echo(f"    {column:<22} {kind.lower():<15} {meaning}")
