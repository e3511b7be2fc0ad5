"""Charges in a plain CSV: a date (a day, a month or an instant), an amount, and often a service, a currency, a number of requests.

Columns are known by the names that bills and spreadsheets give them (``date,service,cost,currency``; AWS cost and usage reports with
``line_item_usage_start_date`` and ``line_item_unblended_cost``; ``Cost (USD)``). Accounts, resources and tags are not kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._charges import Anonymous, Charges, amount, currency, name, period
from perfaudit.evidence.readers._delimited import records, split

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "cost table"
VERSION = 1
TABLES = ("costs",)
#: Names of columns without punctuation and units, the surest first.
_DATES = ("date", "day", "month", "period", "usage date", "usagedate", "start date", "startdate", "period start", "billing period", "usage start date", "usagestartdate",
          "line item usage start date", "start time", "starttime", "time", "timestamp", "invoice month")  # fmt: skip
_ENDS = ("end date", "enddate", "period end", "usage end date", "usageenddate", "line item usage end date", "end time", "endtime")
_AMOUNTS = ("cost", "costs", "total cost", "total costs", "amount", "charge", "charges", "spend", "effective cost", "net cost", "unblended cost", "line item unblended cost",
            "pretax cost", "pretaxcost", "cost in billing currency", "costinbillingcurrency", "amortized cost", "blended cost", "price", "total")  # fmt: skip
_SERVICES = ("service", "service name", "servicename", "product", "product name", "product product name", "service description", "meter category", "metercategory", "component",
             "line item product code", "sku description", "resource type", "description", "name")  # fmt: skip
_CURRENCIES = ("currency", "currency code", "billing currency", "billing currency code", "line item currency code")
_REQUESTS = ("requests", "request count", "requests count", "hits", "number of requests")
#: Amount columns that no other table of evidence has.
_TELLING = frozenset(n for n in _AMOUNTS if "cost" in n or "spend" in n or "charge" in n)
_HINT = "a cost table has a header such as date,service,cost,currency"


def _header(line: str, delimiter: str) -> dict[str, int]:
    """Where each meaning stands; empty without a date and an amount."""
    raw = [cell.strip().lower() for cell in split(line.lstrip("\ufeff"), delimiter)]
    names = [re.sub(r"\s+", " ", re.sub(r"[_/:.\-]|\(.*?\)|\$|€|£|(?<=[_ ])(?:usd|eur|gbp|chf|jpy)$", " ", cell)).strip() for cell in raw]
    found = {}
    for meaning, known in (("date", _DATES), ("end", _ENDS), ("amount", _AMOUNTS), ("service", _SERVICES), ("currency", _CURRENCIES), ("requests", _REQUESTS)):
        column = next((names.index(n) for n in known if n in names), None)
        if column is not None:
            found[meaning] = column
    return found if {"date", "amount"} <= found.keys() else {}


def _code(line: str, delimiter: str, place: int) -> str | None:
    """The currency that the header of the amount names: ``Cost (USD)``, ``cost_eur``, ``Costs($)``."""
    cell = split(line.lstrip("\ufeff"), delimiter)[place]
    match = re.search(r"(?:^|[_ (])(USD|EUR|GBP|CHF|JPY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL|CNY)\)?$", cell.strip().upper())
    symbol = re.search(r"[$€£]", cell)
    return match[1] if match else currency(symbol[0]) if symbol else None


def sniff(sample: Sample) -> Recognised | None:
    """By the header: a date and an amount; surer with “cost” in its name or a currency beside it, and when the first charge can be read."""
    if not sample.lines:
        return None
    first = sample.lines[0].decode("utf-8", "replace")
    delimiter = max(",;\t|", key=first.count)
    place = _header(first, delimiter) if first.count(delimiter) else {}
    if not place:
        return None
    raw = re.sub(r"[_\s]+", " ", split(first.lstrip("\ufeff"), delimiter)[place["amount"]].strip().lower())
    telling = "currency" in place or any(word in raw for word in _TELLING)
    rows = [split(line.decode("utf-8", "replace"), delimiter) for line in sample.lines[1:20]]
    fits = [r for r in rows if len(r) > max(place.values()) and period(r[place["date"]], Clock()) and amount(r[place["amount"]], comma=delimiter == ";")]
    if not telling or (rows and not fits):
        return None
    return Recognised(0.85 if "service" in place or "currency" in place else 0.7, delimiter, hint=_HINT)


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per period, service and currency."""
    clock, charges, delimiter, shy = Clock(options.zone), Charges(sink), recognised.detail, Anonymous(sink)
    place: dict[str, int] = {}
    header = usual = None
    width = unnamed = 0
    for n, offset, raw in records(source, shy, lambda _line: False):
        text = raw.decode("utf-8", "replace").lstrip("\ufeff")
        cells = split(text, delimiter)
        if not text.strip() or (header is not None and cells == header):
            sink.parsed(n)
            continue
        if header is None:
            header, width, place = cells, len(cells), _header(text, delimiter)
            usual = _code(text, delimiter, place["amount"]) if place else None
            sink.parsed(n)
            continue
        if len(cells) != width or not place:
            shy.reject(f"{len(cells)} columns where the header has {width}", n, offset=offset)
            continue
        value = {meaning: cells[i].strip() for meaning, i in place.items()}
        began, charge = period(value["date"], clock), amount(value["amount"], comma=delimiter == ";")
        if began is None:
            shy.reject("the date cannot be read (write 2026-11-30)" if value["date"] else "no date", n, offset=offset, cells=value["date"])
        elif charge is None:
            shy.reject("the cost is no number", n, offset=offset, cells=value["amount"])
        else:
            ended = period(value.get("end", ""), clock)
            length = ended[0] - began[0] if ended and ended[0] > began[0] else began[1]
            code = currency(value.get("currency", "")) or charge[1] or usual
            unnamed += code is None
            asked = re.sub(r"[ ,_']", "", value.get("requests", ""))
            charges.add(began[0], length, name(value.get("service", "")), "credit" if charge[0] < 0 else None, code, charge[0], int(asked) if asked.isdecimal() and len(asked) < 16 else None)
            sink.parsed(n)
    charges.close()
    if unnamed:
        sink.note(f"{unnamed:,} charges name no currency")
    if clock.note():
        sink.note(clock.note())
