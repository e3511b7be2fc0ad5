"""Charges and requests, period by period: which periods the bill has, what each cost, and how many requests it served.

Charges are spread over the periods that they cover; a period that the bill or the logs cover in part says nothing of what a request costs.
Nothing is converted from one currency to another.
"""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfaudit.baseline import tiers as tiering
from perfaudit.evidence.store import Evidence
from perfaudit.model import iso

Array = NDArray[np.float64]

DAY, HOUR = 86_400_000_000, 3_600_000_000
#: Requests must be known for so much of a period.
COVERED = 0.98
#: Currencies of which one was never worth more than so many of another since 2000 (euro reference rates of the European Central Bank), and the
#: share below which a side currency may be left out.
ALIKE, MOST_RATE, SMALL = frozenset({"USD", "EUR", "GBP", "CHF", "CAD", "AUD"}), 4.0, 0.1
#: A last period with less than this share of the usual cost is billed in part: bills come in over days.
PART = 0.5
#: Periods before the last one that it is held against, and fewest of them: a week of days, most of one.
WEEK, LEAST = 7, 6


class Several(Exception):
    """Charges in several currencies, none of which is surely the most; says which."""


@dataclass(frozen=True)
class Ledger:
    """Periods with what they cost: ``edges`` µs, shape (n + 1,); ``cost`` of use and ``credits`` (negative), ``requests`` (NaN: unknown), shape (n,); cost per ``services``."""

    edges: NDArray[np.int64]
    cost: Array
    credits: Array
    requests: Array
    services: dict[str, Array]
    currency: str
    notes: tuple[str, ...] = ()
    source: str = ""
    query: str = field(default="")


def ledger(evidence: Evidence, charges: Evidence) -> Ledger:
    """The charges of the main currency on a grid of hours, days or the periods of the bill, with the requests of each."""
    query = "SELECT epoch_us(time), duration_us, coalesce(service, ''), coalesce(kind, ''), coalesce(currency, ''), amount, requests FROM costs ORDER BY ALL"
    rows = [(int(t), max(1, int(d or DAY)), s, k, c, float(a), r) for t, d, s, k, c, a, r in charges.rows(query)]
    sums: dict[str, float] = {}
    for row in rows:
        sums[row[4]] = sums.get(row[4], 0.0) + abs(row[5])
    main = _main(sums)
    others = [f"{sums[c]:,.2f} {c or 'without a currency'}" for c in sorted(sums) if c != main]
    notes = [f"only {main or 'charges without a currency'} is counted; charges of {', '.join(others)} are left out, nothing is converted"] if others else []
    rows = [row for row in rows if row[4] == main]
    edges = _edges(rows)
    cost, credits = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    services: dict[str, Array] = {}
    for time, length, service, kind, _, amount, _ in rows:
        spread = _spread(edges, time, length, amount)
        if amount < 0 or kind in ("credit", "adjustment"):
            credits += spread
            continue
        cost += spread
        services[service or "(unnamed)"] = services.get(service or "(unnamed)", np.zeros(len(cost))) + spread
    requests, source, more = _requests(evidence, rows, edges)
    requests, gaps = _unbilled(rows, edges, cost, requests)
    more += gaps
    if credits.any():
        notes.append(f"credits and refunds of {-credits.sum():,.2f} {main} are not counted in the cost of a request")
    return Ledger(edges, cost, credits, requests, services, main, (*notes, *more), source, query)


def _main(sums: dict[str, float]) -> str:
    """The currency to judge. Raises :class:`Several` where another one could be as much money: numerals say nothing of that."""
    main = max(sorted(sums), key=lambda c: sums[c])
    others = [c for c in sums if c != main]
    if all(main in ALIKE and c in ALIKE and sums[c] * MOST_RATE <= SMALL * sums[main] for c in others if sums[c]):
        return main
    raise Several(", ".join(f"{sums[c]:,.2f} {c or 'without a currency'}" for c in sorted(sums)))


def _edges(rows: list[tuple[Any, ...]]) -> NDArray[np.int64]:
    """Hours for a bill of hours over less than three days, days for anything up to two days, else the bill's own periods; from the first charge on.

    Days begin where the bill's own days begin: those of a time zone are not those of UTC, and one of them may have 23 or 25 hours.
    """
    usual = _usual(rows)
    if usual > 2 * DAY:
        own = [r for r in rows if r[1] > 2 * DAY]
        return np.array([*sorted({r[0] for r in own if r[0] < max(q[0] + q[1] for q in own)}), max(r[0] + r[1] for r in own)], np.int64)
    own = [r for r in rows if r[1] <= 2 * DAY]
    first, last = min(r[0] for r in own), max(r[0] + r[1] for r in own)
    step = HOUR if usual <= HOUR and last - first < 3 * DAY else DAY
    starts = {r[0] for r in own} if usual > HOUR and step == DAY else set()
    edges = [first]
    while edges[-1] < last:
        due = edges[-1] + step
        edges.append(next((due + shift for shift in (0, HOUR, -HOUR) if due + shift in starts), due))
    return np.array(edges, np.int64)


def _usual(rows: list[tuple[Any, ...]]) -> int:
    """The length of period in which most is charged."""
    order = sorted(rows, key=lambda r: r[1])
    reached = np.cumsum([abs(r[5]) for r in order])
    return int(order[int(np.searchsorted(reached, reached[-1] / 2))][1])


def _billed(rows: list[tuple[Any, ...]], edges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether charges of the usual length, or shorter, cover (nearly) all of each period; longer ones are spread over what may be missing."""
    usual = _usual(rows)
    kept = sorted({(r[0], r[0] + r[1]) for r in rows if r[1] <= 2 * usual})
    spans: list[list[int]] = []
    for begin, end in kept:
        if spans and begin - spans[-1][1] <= (HOUR if usual >= DAY else 0):  # a day of 25 hours
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([begin, end])
    lengths = np.diff(edges)
    covered = np.zeros(len(lengths))
    for begin, end in spans:
        covered += np.maximum(0, np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin))
    out: NDArray[np.bool_] = covered >= COVERED * lengths
    return out


def _unbilled(rows: list[tuple[Any, ...]], edges: NDArray[np.int64], cost: Array, requests: Array) -> tuple[Array, list[str]]:
    """Requests without those of periods that the bill covers in part or not at all, and what is said of that."""
    billed, notes = _billed(rows, edges), []
    if not billed.all():
        missing = [iso(int(t))[:10] for t in edges[:-1][~billed]]
        notes.append(f"{len(missing)} of {len(billed)} periods are not, or only in part, on the bill ({', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}): they are left out")
    lately = cost[:-1][billed[:-1]]
    if len(lately) >= LEAST and billed[-1] and cost[-1] < PART * float(lately[-WEEK:].min()):
        billed = billed.copy()
        billed[-1] = False
        notes.append(f"the last period ({iso(int(edges[-2]))[:10]}) has less than half of the cost of any of the {min(WEEK, len(lately))} before: it is taken as billed in part, and left out")
    return np.where(billed, requests, np.nan), notes


def _spread(edges: NDArray[np.int64], time: int, length: int, amount: float) -> Array:
    inside: Array = np.maximum(0, np.minimum(edges[1:], time + length) - np.maximum(edges[:-1], time)).astype(np.float64)
    total = inside.sum()
    return amount * inside / total if total else inside


def _requests(evidence: Evidence, rows: list[tuple[Any, ...]], edges: NDArray[np.int64]) -> tuple[Array, str, list[str]]:
    """Requests of every period, NaN where unknown: from the bill where it says, else from the outermost tier's log."""
    n = len(edges) - 1
    told: dict[tuple[int, int], float] = {}
    for time, length, *_, asked in rows:
        if asked is not None:
            told[time, length] = max(told.get((time, length), 0.0), float(asked))
    if told:
        total = np.zeros(n)
        for (time, length), asked in told.items():
            total += _spread(edges, time, length, asked)
        return np.where(total > 0, total, np.nan), "the cost table", []
    condition = tiering.find(evidence).condition if evidence.has("requests") else "false"
    shift = int(edges[0]) % HOUR  # zones of half an hour
    counted = evidence.rows(f"SELECT (epoch_us(time) - {shift}) // {HOUR}, count(*) FROM requests WHERE {condition} GROUP BY 1 ORDER BY 1")
    if not counted:
        return np.full(n, np.nan), "", ["no requests of these periods are known, so no cost of a request: add access logs, or a column “requests” to the table"]
    hours = [int(h) * HOUR + shift for h, _ in counted]
    span = (hours[0], hours[-1] + HOUR)
    out = np.zeros(n)
    for hour, count in counted:
        k = bisect.bisect_right(edges.tolist(), int(hour) * HOUR + shift) - 1
        if 0 <= k < n:
            out[k] += count
    known = np.array([(min(b, span[1]) - max(a, span[0])) >= COVERED * (b - a) for a, b in itertools.pairwise(edges)])
    out = np.where(known & (out > 0), out, np.nan)
    if np.isfinite(out).any():
        return out, "access logs", []
    return _rate(evidence, condition, edges, span, out), "access logs of a part of the period", ["the logs cover a part of a period only: its requests are taken at their rate"]


def _rate(evidence: Evidence, condition: str, edges: NDArray[np.int64], span: tuple[int, int], out: Array) -> Array:
    """Requests of the one period that holds the recording, at the recording's rate."""
    first, last, count = evidence.one(f"SELECT epoch_us(min(time)), epoch_us(max(time)), count(*) FROM requests WHERE {condition}")
    k = bisect.bisect_right(edges.tolist(), (span[0] + span[1]) // 2) - 1
    if 0 <= k < len(out) and last > first:
        out[k] = count / (last - first) * float(edges[k + 1] - edges[k])
    return out
