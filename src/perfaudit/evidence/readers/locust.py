"""Locust's CSV files: totals (``_stats``), totals over time (``_stats_history``), failures and exceptions.

Source: Locust documentation, "Retrieve test statistics in CSV format". No file holds single requests; the differences of the running totals
are requests per second. Locust's users wait for their responses: a closed model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from perfaudit.evidence.clock import epoch
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._delimited import records, split
from perfaudit.evidence.readers._load import Load, number
from perfaudit.redact import template

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "Locust CSV"
VERSION = 1
TABLES = ("load_stages", "load_points")
TOOL = "Locust"
MODEL = "closed"
TIER = LOAD_GENERATOR

_FORMS = {
    "stats": b"Type,Name,Request Count,Failure Count,",
    "history": b"Timestamp,User Count,Type,Name,",
    "failures": b"Method,Name,Error,Occurrences",
    "exceptions": b"Count,Message,Traceback,Nodes",
}
_SUFFIX = re.compile(r"_(?:stats_history|stats|failures|exceptions)\.csv$")
_PERCENTILE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%")
_VARIES = re.compile(r"(?<=/)\[[^\[\]/]*\]")
_BEGINS = re.compile(rb"\d{10},|(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|),")


def test_of(name: str) -> str:
    """The test that a file tells of: its name without what Locust appends."""
    return _SUFFIX.sub("", name.removesuffix(".gz").removesuffix(".zst"))


def sniff(sample: Sample) -> Recognised | None:
    """By the header, quoted or not."""
    head = sample.head.removeprefix(b"\xef\xbb\xbf")[:400].replace(b'"', b"")
    form = next((form for form, begins in _FORMS.items() if head.startswith(begins)), None)
    return Recognised(0.97, form, hint="locust --csv result --csv-full-history") if form else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """Rows by their header; a row with another number of columns, or without its numbers, is rejected."""
    load = Load(sink, options, test_of(source.name))
    forms: dict[str, Callable[[Load, dict[str, str]], str]] = {"stats": _stats, "history": _History(), "failures": _failures, "exceptions": _exceptions}
    take = forms[recognised.detail]
    names: list[str] = []
    for n, offset, raw in records(source, sink, lambda line: _BEGINS.match(line) is not None):
        cells = split(raw.decode("utf-8", "replace").removeprefix("\ufeff"))
        if not raw.strip() or not names or cells == names:
            names = names or cells
            sink.parsed(n)
        elif len(cells) != len(names):
            sink.reject(f"{len(cells)} columns where the header has {len(names)}", n, example=raw, offset=offset)
        elif reason := take(load, dict(zip(names, cells, strict=True))):
            sink.reject(reason, n, example=raw, offset=offset)
        else:
            sink.parsed(n)
    load.finish()


def _named(load: Load, name: str, method: str) -> tuple[str | None, str]:
    """Locust's documentation names what varies ``/blog?id=[id]``, ``/items/[id]``."""
    return load.named(_VARIES.sub("{id}", name) if name.startswith("/") else name, method)


def _stats(load: Load, row: dict[str, str]) -> str:
    count, failed, rate = number(row.get("Request Count", "")), number(row.get("Failure Count")), number(row.get("Requests/s"))
    if count is None or count < 0:
        return "no count of requests"
    aggregated = row.get("Name", "") == "Aggregated" and not row.get("Type", "")
    method, route = ("", "") if aggregated else _named(load, row.get("Name", ""), row.get("Type", ""))
    where = {} if aggregated else {"route": route, "method": method or ""}
    load.total("requests", count, **where)
    load.total("failures", failed or 0.0, **where)
    shares = {f"p{m[1].replace('.', '')}" if m[1] != "100" else "max": number(cell) for name, cell in row.items() if (m := _PERCENTILE.fullmatch(name))}
    for stat, value in (shares | {"mean": number(row.get("Average Response Time")), "max": number(row.get("Max Response Time"))}).items():
        if value is not None and value >= 0:
            load.total("duration_us", value * 1e3, stat=stat, **where)
    if aggregated and count and rate:
        load.stage(None, count / rate, achieved=rate)
    return ""


class _History:
    """Running totals: what came since the row before."""

    def __init__(self) -> None:
        self.before: tuple[int, float] | None = None

    def __call__(self, load: Load, row: dict[str, str]) -> str:
        time, users, total = epoch(row.get("Timestamp", "")), number(row.get("User Count", "")), number(row.get("Total Request Count"))
        if time is None or users is None or total is None:
            return "time, users or requests cannot be read"
        if row.get("Name", "") != "Aggregated":
            return ""
        load.users(time, users)
        for stat in ("50%", "95%", "99%"):
            if (value := number(row.get(stat))) is not None and value > 0:
                load.point(time, "duration_us", value * 1e3, (("stat", f"p{stat[:-1]}"),), most=True)
        if self.before is not None and total >= self.before[1] and 0 < time - self.before[0] < 60_000_000:
            load.arrived(self.before[0], total - self.before[1])
        self.before = (time, total)
        return ""


def _failures(load: Load, row: dict[str, str]) -> str:
    count = number(row.get("Occurrences", ""))
    if count is None:
        return "no count"
    method, route = _named(load, row.get("Name", ""), row.get("Method", ""))
    load.total("failure", count, route=route, method=method or "", error=template(row.get("Error", "")))
    return ""


def _exceptions(load: Load, row: dict[str, str]) -> str:
    count = number(row.get("Count", ""))
    if count is None:
        return "no count"
    load.total("exception", count, error=template(row.get("Message", "")))
    return ""
