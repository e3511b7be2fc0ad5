"""Charges in the FinOps Foundation's common format, FOCUS 1.0–1.2, as CSV: one line per charge, columns by name in any order.

Source: FinOps Open Cost and Usage Specification, *Cost and Usage* dataset. What is used of it: ChargePeriodStart and -End, EffectiveCost
(what the period consumed, commitments spread over their term) or BilledCost where that is empty, BillingCurrency, ServiceName,
ChargeCategory. Accounts, resources, tags and invoices are not kept. Charges of one period, service and category become one row.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._charges import DAY, Anonymous, Charges, amount, currency, name, period
from perfaudit.evidence.readers._delimited import records, split

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "FOCUS cost and usage CSV"
VERSION = 1
TABLES = ("costs",)
_START, _END, _EFFECTIVE, _BILLED = "chargeperiodstart", "chargeperiodend", "effectivecost", "billedcost"
_SERVICE, _KIND, _CURRENCY = "servicename", "chargecategory", "billingcurrency"
_WANTED = (_START, _END, _EFFECTIVE, _BILLED, _SERVICE, _KIND, _CURRENCY)
_KINDS = frozenset({"usage", "purchase", "tax", "credit", "adjustment"})
_NULLS = frozenset({"null", "none", "\\n"})
_HINT = "a FOCUS export has ChargePeriodStart, ChargePeriodEnd, EffectiveCost or BilledCost, BillingCurrency, ServiceName"


def _names(line: str, delimiter: str) -> list[str]:
    return [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in split(line.lstrip("\ufeff"), delimiter)]


def sniff(sample: Sample) -> Recognised | None:
    """Sure when the header names the start of a charge's period and one of the two costs."""
    if not sample.lines:
        return None
    first = sample.lines[0].decode("utf-8", "replace")
    delimiter = max(",;\t|", key=first.count)
    found = set(_names(first, delimiter))
    return Recognised(0.95, delimiter, hint=_HINT) if _START in found and found & {_EFFECTIVE, _BILLED} else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per period, service, category and currency."""
    clock, charges, delimiter, shy = Clock(options.zone), Charges(sink), recognised.detail, Anonymous(sink)
    header, width, billed = b"", 0, 0
    place: dict[str, int] = {}
    for n, offset, raw in records(source, shy, lambda _line: False):
        raw = raw.strip().removeprefix(b"\xef\xbb\xbf")
        text = raw.decode("utf-8", "replace")
        if not text or not header or raw == header:
            if text and not header:
                names = _names(text, delimiter)
                header, width, place = raw, len(names), {key: names.index(key) for key in _WANTED if key in names}
            sink.parsed(n)
            continue
        cells = split(text, delimiter)
        if len(cells) != width:
            shy.reject(f"{len(cells)} columns where the header has {width}", n, offset=offset)
            continue
        value = dict.fromkeys(_WANTED, "") | {key: "" if (cell := cells[i].strip()).lower() in _NULLS else cell for key, i in place.items()}
        began = period(value[_START], clock)
        effective = value[_EFFECTIVE]
        taken = amount(effective or value[_BILLED])
        if began is None:
            shy.reject("ChargePeriodStart cannot be read", n, offset=offset, cells=value[_START])
        elif taken is None:
            shy.reject("no EffectiveCost or BilledCost that can be read", n, offset=offset, cells=f"{effective}, {value[_BILLED]}")
        else:
            ended = period(value[_END], clock)
            length = ended[0] - began[0] if ended and ended[0] > began[0] else began[1] or DAY
            charges.add(began[0], length, name(value[_SERVICE]), kind if (kind := value[_KIND].lower()) in _KINDS else None, currency(value[_CURRENCY]), taken[0])
            billed += not effective
            sink.parsed(n)
    charges.close()
    if billed:
        sink.note(f"{billed:,} charges have no EffectiveCost: their BilledCost is used")
    if clock.note():
        sink.note(clock.note())
