"""Configuration of databases: ``postgresql.conf``, ``pg_settings``, ``my.cnf`` and ``SHOW VARIABLES``.

``pg_settings`` as psql writes it (CSV, tab or ``|`` with a header that has name, setting and unit), ``SHOW [GLOBAL] VARIABLES`` as mysql --batch writes
it (tab or CSV, header Variable_name and Value). Sources: PostgreSQL, "pg_settings" and "Setting Parameters"; MySQL, "Using Option Files".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence import settings
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._delimited import split
from perfaudit.evidence.readers._settings import Settings, text

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "database configuration"
VERSION = 1
TABLES = ("settings",)
#: Parameters by which postgresql.conf is known when it names none that perfaudit has a use for.
_POSTGRES = settings.names("postgresql")
_MYSQL = settings.names("mysql")
_PAIR = re.compile(r"\s*+([A-Za-z_][\w.-]*+)(?:\s*+=\s*+|\s++)('(?:[^']|'')*+'|[^#'\n]*+)\s*+(?:#.*)?$")
_SECTION = re.compile(r"\s*\[([\w.-]+)\]\s*(?:#.*)?$")
_FLAG = re.compile(r"\s*[A-Za-z][\w-]*\s*$")
_SERVERS = frozenset({"mysqld", "server", "mariadb", "mariadbd", "client-server"})
_RULER = re.compile(r"[-+\s]+|\(\d+ rows?\)")


def sniff(sample: Sample) -> Recognised | None:
    """By a header of settings, a section of a server, or parameters of PostgreSQL in lines that are all settings."""
    lines = [line.decode("utf-8", "replace").lstrip("\ufeff") for line in sample.lines]
    if not lines:
        return None
    if table := next((t for line in lines[:2] if (t := _header(line))), None):
        return Recognised(0.93, ("table", *table)) if table[0] == "postgresql" or _variables(lines) else None
    if any(m[1].lower() in _SERVERS for line in lines if (m := _SECTION.match(line))):
        fitting = sum(bool(line.lstrip()[:1] in "#;!" or _SECTION.match(line) or _PAIR.match(line) or _FLAG.match(line)) for line in lines)
        return Recognised(0.85, ("mysql",)) if fitting >= 0.9 * len(lines) else None
    pairs = [m for line in lines if line.lstrip()[:1] != "#" and (m := _PAIR.match(line))]
    plain = sum(line.lstrip()[:1] != "#" for line in lines)
    known = {m[1].lower() for m in pairs} & _POSTGRES
    told = known and ("=" in pairs[0][0] or len(known) > 1) and len(pairs) >= 0.9 * plain
    return Recognised(0.8, ("postgresql",)) if told else None


def _variables(lines: list[str]) -> bool:
    """Whether the names are those of variables, in lower case: SHOW STATUS has the same header and counters such as Threads_connected."""
    names = [line.lstrip("\"' ")[:1] for line in lines if not _header(line)]
    return bool(names) and sum(name.islower() for name in names) > 0.9 * len(names)


def _header(line: str) -> tuple[str, str] | None:
    """``(product, delimiter)`` of a header of settings."""
    for delimiter in (",", "\t", "|"):
        names = [cell.strip().lower() for cell in split(line, delimiter)]
        if {"name", "setting"} <= set(names) and len(names) <= 20 and ("unit" in names or len(names) == 2):
            return "postgresql", delimiter
        if {"variable_name", "value"} == set(names) or {"variable_name", "variable_value"} == set(names):
            return "mysql", delimiter
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each setting."""
    form = recognised.detail
    lines = text(source, sink)
    if form[0] == "table":
        return _table(Settings(source, sink, options, form[1]), sink, lines, form[2])
    found, section = Settings(source, sink, options, form[0]), ""
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip()[0] in "#;!":
            sink.parsed()
        elif match := _SECTION.match(line):
            section = match[1].lower()
            sink.parsed()
        elif match := _PAIR.match(line):
            sink.parsed()
            name = match[1].lower().replace("-", "_") if form[0] == "mysql" else match[1].lower()
            if form[0] == "postgresql" or section in _SERVERS:
                found.add(name, match[2].strip("'\"").strip(), number, scope=section)
        elif form[0] == "mysql" and _FLAG.match(line):
            sink.parsed()
        else:
            sink.reject("no setting", example=line.encode())
    return found.close()


def _table(found: Settings, sink: Sink, lines: list[str], delimiter: str) -> None:
    """The rows below a header; a header that stands again is passed over, and so are psql's rulers."""
    place: dict[str, int] = {}
    other = _MYSQL if found.component == "mysql" else _POSTGRES
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in split(line, delimiter)]
        if not line.strip() or _RULER.fullmatch(line):
            sink.parsed()
        elif _header(line):
            place = {name.lower(): i for i, name in enumerate(cells)}
            sink.parsed()
        elif not place or len(cells) < len(place):
            sink.reject("fewer columns than the header", example=b"")
        else:
            sink.parsed()
            name, value = cells[place.get("name", place.get("variable_name", 0))], cells[place.get("setting", place.get("value", place.get("variable_value", 1)))]
            shown = name.lower() if name.lower() in other else name
            found.add(shown, value, number, unit=cells[place["unit"]] if "unit" in place else "")
    found.close()
