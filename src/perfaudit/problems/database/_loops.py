"""Is a loop of calls one call for each row of an earlier statement (N + 1), or one of what looks like it?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, DATABASE, POOL
from perfaudit.evidence.store import quote
from perfaudit.paths.repeats import Loop
from perfaudit.paths.tracing import AFFECTED, LEAST_TRACES, REFERENCE, Tracing

#: Calls per row. One call a row is 1; caches in the work leave some out; a batch of two rows a call would be 0.5.
LEAST_SLOPE = 0.5
#: A straight line through calls and rows explains at least this much of the calls' variance, or something else decides how many there are.
FITS = 0.8
#: Neighbouring calls that follow each other: one by one in a loop; a fan-out overlaps.
IN_TURN = 0.9
#: Counts vary less than this (standard deviation over mean): always as many. A loop over the rows of a listing varies as its rows do.
CONSTANT = 0.05
#: Where rows are not known, a loop counts as one by rows only if requests call at least this often on average and it did not do so before: carts and forms of a few lines stay below.
MANY = 8.0
#: … and, where there is a reference, calls this many times as often as there.
MORE = 2.0
#: A page holds at least this many rows; a lookup by key gives one, a lazy collection a few.
PAGE = 10
#: Pauses between calls that are this long (µs) and this even (interquartile range over median) are a timer's.
PAUSE, EVEN = 10_000, 0.3
REPLICATES, _SEED = 500, 20_120

_OFFSET = re.compile(r"\b(?:offset|fetch next|fetch forward)\b|[<>]=?\s*\S+.*\border by\b.*\blimit\b|[?&](?:page|offset|cursor|after)\b", re.IGNORECASE | re.DOTALL)
_MANY_KEYS = re.compile(r"\bin\s*\(|\bany\s*\(|\bunnest\s*\(|\bvalues\b.*\)\s*,", re.IGNORECASE | re.DOTALL)
_WRITES = re.compile(r"\s*(?:insert|update|delete|merge|replace|upsert|set|add|incr|decr|del|put|post|patch|hset|lpush|rpush|xadd|publish|begin|commit|rollback|savepoint|release|start)\b", re.IGNORECASE)
_LIMITED = re.compile(r"\blimit\b|\bfetch first\b|\btop\b", re.IGNORECASE)


@dataclass(frozen=True)
class Slope:
    """Calls of a request = a + b · rows: ``b`` with its 95 % interval, the variance explained, over ``n`` requests; ``driver`` is the statement that gave the rows."""

    b: float
    low: float
    high: float
    fit: float
    n: int
    driver: int


@dataclass(frozen=True)
class Judged:
    """``kind``: ``rows`` (calls follow the rows), ``candidate`` (rows are not known), or "" with the reason why it is none."""

    kind: str
    reason: str
    slope: Slope | None = None


def judge(loop: Loop, tracing: Tracing, statements: dict[int, str]) -> Judged:
    """``statements``: the text of each driver."""
    text = told(tracing, loop)
    ran = loop.counts > 0
    if np.count_nonzero(ran) < LEAST_TRACES:
        return Judged("", f"seen in {np.count_nonzero(ran)} requests, {LEAST_TRACES} are the least")
    if loop.in_turn < IN_TURN:
        return Judged("", f"{1 - loop.in_turn:.0%} of the calls run at once with the one before: a fan-out")
    grown = risen(loop)
    writes = _WRITES.match(text) is not None
    if writes and not grown:
        return Judged("", "writes line by line, as in the reference" if len(loop.before) else "writes line by line")
    found = [s for code, rows in sorted(loop.drivers.items()) if (s := slope(loop.counts[ran], rows[ran], code)) is not None]
    follows = [s for s in found if s.fit >= FITS and s.low >= LEAST_SLOPE]
    if follows:
        best = max(follows, key=lambda s: (s.n >= np.count_nonzero(ran), s.fit, -s.driver))
        return Judged("rows", f"{best.b:.2f} calls a row", best)
    if any(s.n >= LEAST_TRACES and s.high < LEAST_SLOPE for s in found):
        return Judged("", "the number of calls does not go with the rows that came before: a fixed loop, a batch, or the same question again")
    counts = loop.counts[ran]
    if counts.std() < CONSTANT * counts.mean():
        listed = [c for c, rows in loop.drivers.items() if np.array_equal(rows[ran], counts) and _LIMITED.search(statements.get(c, ""))]
        if listed and counts.mean() >= MANY:
            return Judged("candidate", f"{counts.mean():.0f} calls after a statement that is limited to as many rows")
        return Judged("", f"every request calls it {counts.mean():.0f} times: a fixed loop")
    if writes:
        return Judged("", "writes line by line, and no rows to compare with")
    if _MANY_KEYS.search(text):
        return Judged("", "a call asks for many keys: a batch")
    known = loop.rows[np.isfinite(loop.rows)]
    if _OFFSET.search(text) or (len(known) and np.median(known) >= PAGE and loop.paged >= FITS):
        return Judged("", "page after page of one result")
    quartiles = np.quantile(loop.gaps, (0.25, 0.5, 0.75))
    if quartiles[1] >= PAUSE and quartiles[2] - quartiles[0] < EVEN * quartiles[1]:
        return Judged("", f"the calls come {quartiles[1] / 1e3:.0f} ms apart: a timer asks again")
    if grown or (not len(loop.before) and counts.mean() >= MANY):
        return Judged("candidate", f"{counts.mean():.0f} calls a request, from {counts.min()} to {counts.max()}")
    return Judged("", "requests repeat it as they did in the reference" if len(loop.before) else f"{counts.mean():.1f} calls a request, and no rows to compare with")


def one_key(text: str) -> bool:
    """Whether a statement reads, neither page by page nor for many keys at once."""
    return not (_WRITES.match(text) or _OFFSET.search(text) or _MANY_KEYS.search(text))


def told(tracing: Tracing, loop: Loop) -> str:
    """What is called: the statement, else the operation with its route."""
    span = loop.spans[:1]
    statement, operation, route = (tracing.texts(name, span)[0] for name in ("statement", "operation", "route"))
    return statement or (operation if not route or route in operation else f"{operation} {route}")


def risen(loop: Loop) -> bool:
    """Whether requests call it clearly more often than in the reference: twice as often, and the difference beyond its error."""
    before, now = loop.before, loop.counts
    if len(before) < LEAST_TRACES or now.mean() < max(MORE * before.mean(), 2.0):
        return False
    error = float(np.hypot(now.std(ddof=1) / np.sqrt(len(now)), before.std(ddof=1) / np.sqrt(len(before))))
    return float(now.mean() - before.mean()) > 3 * error


def slope(counts: Any, rows: Any, driver: int) -> Slope | None:
    """The line of calls over rows, its interval by resampling requests (Efron 1979); None where rows hardly vary."""
    known = np.isfinite(rows)
    x, y = rows[known], counts[known].astype(np.float64)
    n = len(x)
    if n < LEAST_TRACES or x.max() - x.min() < 2 or y.max() == 0:
        return None
    picks = np.random.default_rng(_SEED).integers(0, n, (REPLICATES, n))
    xs, ys = x[picks], y[picks]
    dx = xs - xs.mean(axis=1, keepdims=True)
    spread = (dx**2).sum(axis=1)
    usable = spread > 0
    again = (dx * ys).sum(axis=1)[usable] / spread[usable]
    dx = x - x.mean()
    b = float(dx @ y / (dx @ dx))
    left = y - y.mean() - b * dx
    total = float(((y - y.mean()) ** 2).sum())
    low, high = np.quantile(again, (0.025, 0.975))
    return Slope(b, float(low), float(high), 1 - float(left @ left) / total if total > 0 else 0.0, n, driver)


def spared(tracing: Tracing, mine: list[Loop]) -> tuple[Any, Any]:
    """The calls of the loops (bool by span), and the µs of each that one call for all would spare."""
    where, values = np.zeros(len(tracing.traces), bool), np.zeros(len(tracing.traces))
    for loop in mine:
        root = tracing.place[loop.spans]
        calls = np.bincount(root, minlength=len(tracing.roots))[root]
        where[loop.spans] = True
        values[loop.spans] = tracing.under[loop.spans] * (1 - 1 / calls)
    return where, values


def components(tracing: Tracing, loop: Loop) -> tuple[str, ...]:
    """The rows of the account of time that hold the calls."""
    own = int(tracing.own[loop.spans[0]])
    if own == DATABASE:
        return ("database: executing and waiting", "database executing")
    whom, names = tracing.dependency
    code = int(whom[loop.spans[0]])
    return ("cache",) if own == CACHE else (f"downstream: {names[code]}",) if code >= 0 else ("downstream",)


def slower(tracing: Tracing, loop: Loop) -> float | None:
    """Median time of a call, affected over reference; None where the reference has none."""
    now, before = (tracing.took[loop.spans[tracing.zone[loop.spans] == zone]] for zone in (AFFECTED, REFERENCE))
    return float(np.median(now) / max(1.0, float(np.median(before)))) if len(now) and len(before) else None


def pool_share(tracing: Tracing, loop: Loop, where: Any) -> float:
    """Wait for a pool in the requests of the loop, over the time of its calls."""
    inside = np.isin(tracing.root, np.unique(tracing.root[loop.spans])) & (tracing.zone == AFFECTED)
    waited = float(tracing.on_path[inside & (tracing.own == POOL)].sum())
    return waited / max(1.0, float(tracing.under[inside & where].sum()))


def condition(tracing: Tracing, loop: Loop) -> str:
    """SQL that finds the calls of a loop."""
    for column in ("fingerprint", "route", "operation"):
        text = tracing.texts(column, loop.spans[:1])[0]
        if text:
            return f"{column} = {quote(text)}"
    return "true"
