"""A table of load and throughput (and latency) as a load test or a spreadsheet gives it: ``load,throughput[,p95_ms]``.

Columns are known by loosely read names; units stand in the names (``throughput_per_min``, ``p95_s``).
"""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np

from perfaudit.capacity.points import ANY_LOAD, Points
from perfaudit.errors import EvidenceError
from perfaudit.redact import line as redacted

#: Larger files are recordings, not tables of loads.
MOST_BYTES = 4 << 20
_LOAD = frozenset({"load", "n", "users", "vus", "concurrency", "clients", "threads", "workers", "processors", "cpus", "cores", "nodes", "servers", "instances", "replicas",
                   "connections", "in flight", "inflight", "virtual users", "concurrent users", "size", "processes", "generators"})  # fmt: skip
#: Loads that can be bought more of; ``N`` and ``load`` are the law's own names for that. All others are what users bring: twice of them is more
#: work, not more to do it with.
_BOUGHT = frozenset({"load", "n", "workers", "processors", "cpus", "cores", "nodes", "servers", "instances", "replicas", "size", "processes"})
_THROUGHPUT = frozenset({"throughput", "x", "xn", "rps", "tps", "qps", "ops", "requests", "transactions", "req", "rate", "completions", "achieved"})
_LATENCY = frozenset({"p95", "latency p95", "p95 latency", "95", "p95 response time", "duration p95"})
_PER = {"": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_MS = {"ms": 1.0, "s": 1e3, "us": 1e-3, "µs": 1e-3, "": 1.0}
#: Names of counts: a rate only with a period.
_COUNTS = frozenset({"requests", "transactions", "req", "completions", "ops"})
#: ``1.000`` or ``1.234.567,8``: thousands where commas are decimal.
_GROUPED = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_RATE = re.compile(r"(.+?) ?(?:per|/) ?(s|sec|second|min|minute|h|hour)$")
_TIMED = re.compile(r"(.+?) (ms|s|us|µs)$")


def looks_like(path: Path) -> bool:
    """Whether the first line of a small file names a load and a throughput."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return False
        with path.open("rb") as file:
            head = file.read(4_096)
    except OSError:
        return False
    names = _cells(_first(head.decode("utf-8", "replace")))
    return len(names) > 1 and any(_load(n) for n in names) and any(_rate(n) for n in names)


def read(path: Path) -> Points:
    """The points of a table, in its order. Raises :class:`EvidenceError` that names line and column."""
    text = path.read_bytes().decode("utf-8-sig", "replace")
    rows = [(number, row) for number, row in enumerate(text.splitlines(), 1) if row.strip() and not row.lstrip().startswith("#")]
    names = _cells(rows[0][1])
    columns = {"load": [i for i, n in enumerate(names) if _load(n)], "throughput": [i for i, n in enumerate(names) if _rate(n)], "p95": [i for i, n in enumerate(names) if _latency(n)]}
    for meaning, found in columns.items():
        if len(found) > 1:
            raise EvidenceError(f"two columns could be the {meaning}: {names[found[0]]} and {names[found[1]]}", where=str(path), todo="keep one of them")
    kept: list[list[float]] = []
    commas = any(re.search(r"\d,\d", cell) for _, row in rows[1:] if ";" in row for cell in _cells(row))
    grouped = [cell for _, row in rows[1:] if ";" in row for cell in _cells(row) if _GROUPED.fullmatch(cell)]
    for number, row in rows[1:]:
        cells = [cell.replace(".", "") if commas and _GROUPED.fullmatch(cell) else cell for cell in _cells(row)]
        values = [_number(cells[found[0]] if found[0] < len(cells) else "", ";" in row) if found else math.nan for found in columns.values()]
        for name, found, value in zip(columns, columns.values(), values, strict=True):
            if found and (value is None or (name != "p95" and not (math.isfinite(value) and value > 0))):
                raise EvidenceError(f"{name} is no positive number: {redacted(row.encode())}", where=f"{path}, line {number}, column {names[found[0]]}", todo="correct or remove that line")
        kept.append([math.nan if v is None else v for v in values])
    data = np.array(kept, np.float64).reshape(len(kept), 3)
    name, per, unit = names[columns["load"][0]], _rate(names[columns["throughput"][0]]), _latency(names[columns["p95"][0]]) if columns["p95"] else 1.0
    notes: tuple[str, ...] = (f"{names[columns['p95'][0]]} has no unit: read as milliseconds",) if columns["p95"] and not _TIMED.match(_plain(names[columns["p95"][0]])) else ()
    if grouped:
        notes += (f"{grouped[0]} is read as {grouped[0].replace('.', '') if commas else grouped[0].rstrip('0').rstrip('.')}: {'other numbers have a decimal comma' if commas else 'no number has a decimal comma'}",)
    if _plain(names[columns["throughput"][0]]) in _COUNTS:
        notes += (f"{names[columns['throughput'][0]]} names no period: read as per second; write requests_per_min or rps if it is not",)
    bought = _plain(name) in _BOUGHT
    if not bought:
        notes += (f"{_plain(name)} are what is asked of the system, not what could be bought more of",)
    return Points(data[:, 0], data[:, 1] / (per or 1.0), data[:, 2] * (unit or 1.0), unit=ANY_LOAD if name in ("n", "load") else name, sized=bought, notes=notes)


def _first(text: str) -> str:
    lines = (row for row in text.lstrip("\ufeff").splitlines() if row.strip() and not row.lstrip().startswith("#"))
    return next(lines, "")


def _cells(row: str) -> list[str]:
    delimiter = next((d for d in (";", "\t", ",") if d in row), " ")
    try:
        cells = next(csv.reader((row.strip(),), delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
    return [cell.strip().lower() for cell in cells]


def _plain(name: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[_\-()\[\]%:.]", " ", name)).strip()


def _load(name: str) -> bool:
    return _plain(name) in _LOAD


def _rate(name: str) -> float | None:
    """By how much to divide to get completions per second; None for another column."""
    plain = _plain(name)
    match = _RATE.match(plain)
    base, per = (match[1].strip(), match[2]) if match else (plain, "")
    return _PER[per] if base in _THROUGHPUT or re.sub(r" ?n$", "", base) in ("x", "throughput") else None


def _latency(name: str) -> float | None:
    plain = _plain(name)
    match = _TIMED.match(plain)
    base, unit = (match[1], match[2]) if match else (plain, "")
    return _MS[unit] if base in _LATENCY else None


def _number(cell: str, semicolons: bool) -> float | None:
    if not cell:
        return math.nan
    text = cell.strip().replace(",", ".") if semicolons and cell.count(",") == 1 else cell.strip().replace(" ", "").replace("_", "")
    try:
        return float(text)
    except ValueError:
        return None
