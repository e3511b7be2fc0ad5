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
    place: dict[str, int] = {}
    width = billed = 0
    for n, offset, raw in records(source, shy, lambda _line: False):
        text = raw.decode("utf-8", "replace").lstrip("\ufeff")
        if not text.strip():
            sink.parsed(n)
            continue
        cells = split(text, delimiter)
        if not place or _names(text, delimiter)[: len(place)] == list(place)[: len(place)]:
            names = _names(text, delimiter)
            place, width = {key: i for i, key in reversed(list(enumerate(names)))}, len(names)
            place = {key: place[key] for key in dict.fromkeys(names)}
            sink.parsed(n)
            continue
        if len(cells) != width:
            shy.reject(f"{len(cells)} columns where the header has {width}", n, offset=offset)
            continue

        def cell(key: str, cells: list[str] = cells) -> str:
            value = cells[place[key]].strip() if key in place else ""
            return "" if value.lower() in ("null", "none", "\\n") else value

        began = period(cell(_START), clock)
        effective, invoiced = amount(cell(_EFFECTIVE)), amount(cell(_BILLED))
        taken = invoiced if effective is None and not cell(_EFFECTIVE) else effective
        if began is None:
            shy.reject("ChargePeriodStart cannot be read", n, offset=offset, cells=cell(_START))
        elif taken is None:
            shy.reject("no EffectiveCost or BilledCost that can be read", n, offset=offset, cells=f"{cell(_EFFECTIVE)}, {cell(_BILLED)}")
        else:
            ended = period(cell(_END), clock)
            length = ended[0] - began[0] if ended and ended[0] > began[0] else began[1] or DAY
            charges.add(began[0], length, name(cell("servicename")), (name(cell("chargecategory")) or "").lower() or None, currency(cell("billingcurrency")), taken[0])
            billed += effective is None
            sink.parsed(n)
    charges.close()
    if billed:
        sink.note(f"{billed:,} charges have no EffectiveCost: their BilledCost is used")
    if clock.note():
        sink.note(clock.note())
