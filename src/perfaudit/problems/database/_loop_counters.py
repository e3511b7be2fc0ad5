"""One call a row, from counters of statements and the access log alone: a candidate, because counters do not know requests.

A statement B that requests did not repeat before runs as often as another statement A gives rows, while A runs once for each request of a route that got slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Window
from perfaudit.paths.account import TimeAccount
from perfaudit.problems.database._loops import one_key

#: Calls of B over rows of A, and calls of A over requests of the route: counters are read at other moments than the window's ends.
ALIKE = (0.7, 1.4)
#: Calls of B for each request of the route, at least; and times as often as in the reference.
MANY, MORE = 3.0, 2.0


@dataclass(frozen=True)
class Counted:
    """B and A, the route, calls of B per request of it, calls per row of A, seconds of B's calls per second (affected, reference), and the query."""

    statement: str
    driver: str
    route: str
    per_request: float
    per_row: float
    seconds: float
    before: float
    query: str


@dataclass(frozen=True)
class _Rate:
    text: str
    calls: float
    rows: float
    seconds: float


def look(evidence: Evidence, account: TimeAccount) -> Counted | str:
    """The candidate that costs most, or why there is none."""
    windows = account.windows
    if account.requests is None or windows.reference is None:
        return "counters of statements need the requests and a reference to say who repeats what"
    (now, query), (then, _) = (_rates(evidence, window) for window in (windows.affected, windows.reference))
    if not now or not then:
        return "the statements were not counted twice in both windows"
    row = max(account.routes, key=account.added, default=None)
    rate = account.rate(windows.affected, row.affected.count) if row is not None else 0.0
    if row is None or account.added(row) <= 0:
        return "no route got slower"
    found = []
    for key, b in sorted(now.items()):
        before = then.get(key, _Rate(b.text, 0.0, 0.0, 0.0))
        if not one_key(b.text) or b.calls < MANY * rate or b.calls < MORE * before.calls or b.seconds - before.seconds < RELEVANT * account.seconds / windows.affected.seconds:
            continue
        for other, a in sorted(now.items()):
            if other != key and a.rows and ALIKE[0] <= b.calls / a.rows <= ALIKE[1] and ALIKE[0] <= a.calls / rate <= ALIKE[1]:
                found.append(Counted(b.text, a.text, row.route, b.calls / rate, b.calls / a.rows, b.seconds, before.seconds, query))
    return max(found, key=lambda c: c.seconds, default="no statement runs as often as another one gives rows, more than in the reference")


def _rates(evidence: Evidence, window: Window) -> tuple[dict[str, _Rate], str]:
    """Calls, rows and seconds a second of each statement in a window; those whose counters fell are left out."""
    query = (
        "SELECT fingerprint, any_value(statement) AS statement, max(calls) - min(calls) AS calls, max(rows) - min(rows) AS rows, max(duration_us) - min(duration_us) AS busy_us,"
        f" epoch_us(max(time)) - epoch_us(min(time)) AS span_us FROM statements WHERE {within(window)} AND fingerprint IS NOT NULL GROUP BY 1"
        " HAVING count(DISTINCT time) >= 2 AND arg_max(calls, time) = max(calls) ORDER BY 1"
    )
    out: dict[str, _Rate] = {}
    for fingerprint, text, calls, rows, busy, span in evidence.rows(query):
        numbers: list[Any] = [float(value or 0) / (span / 1e6) for value in (calls, rows, busy)]
        out[fingerprint] = _Rate(str(text or ""), numbers[0], numbers[1], numbers[2] / 1e6)
    return out, query
