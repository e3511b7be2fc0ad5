"""What the lock evidence shows: seconds waited per class of lock, who blocks, which object, and which route pays.

Shared by the checks for row locks and table locks: the same picture, read with two questions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window, Windows
from perfaudit.paths.account import TimeAccount, sampled_seconds

#: Shifts for the placebo of the attribution, µs: far from common periods (1, 5, 10, 60 s).
SHIFTS = (-17_300_000, -7_300_000, 11_900_000, 23_700_000)
#: Where shifted waits lie inside requests this often, the comparison has no power left.
BLIND = 0.9
#: Such a route can be one that waits only if the longer waits are this share of its median request at least: a long poll is not.
MATTERS = 0.05
#: Waits and requests that are compared at most; ±1 % at 10,000.
MOST_WAITS, MOST_REQUESTS = 4000, 400_000


@dataclass
class Waits:
    """Lock waits of the affected window, one row each, all arrays of shape (n,)."""

    start: Any
    stop: Any
    kind: Any  # row, table, other
    statement: Any
    fingerprint: Any
    object: Any
    pid: Any
    holders: list[list[int]]
    sampled: bool
    seen: Any
    holder_statement: Any = None


@dataclass
class Roots:
    """Blockers at the root of their chain: how many were seen, and what they were doing."""

    seen: int = 0
    states: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)
    waits_behind_table: int = 0


@dataclass(frozen=True)
class Picture:
    """Seconds waited per lock class in the affected window and, scaled to its length, in the reference."""

    seconds: dict[str, float]
    errors: dict[str, float]
    before: dict[str, float] | None
    queries: dict[str, str]
    sampled: bool
    waits: Waits

    @property
    def total(self) -> float:
        """Seconds waited for any lock."""
        return sum(self.seconds.values())


_EVENTS = {"row": "wait_event IN ('transactionid', 'tuple')", "table": "wait_event = 'relation'", "other": "wait_event NOT IN ('transactionid', 'tuple', 'relation')"}


def picture(evidence: Evidence, windows: Windows) -> Picture:
    """Look at the locks of the affected window and of the reference."""
    sampled = evidence.has("sessions") and evidence.one(f"SELECT count(DISTINCT time) FROM sessions WHERE {within(windows.affected)}")[0] >= 5
    scale = windows.affected.seconds / windows.reference.seconds if windows.reference and windows.reference.seconds else 0.0
    seconds, errors, before, queries = {}, {}, {}, {}
    for kind, event in _EVENTS.items():
        if sampled:
            condition = f"wait_type = 'Lock' AND {event}"
            seconds[kind], errors[kind], queries[kind] = sampled_seconds(evidence, windows.affected, condition)
            before[kind] = sampled_seconds(evidence, windows.reference, condition)[0] * scale if windows.reference else 0.0
        else:
            where = f"seen_by = 'log' AND lock_class = '{kind}'"
            queries[kind] = f"SELECT sum(duration_us) / 1e6 AS seconds FROM lock_waits WHERE {where} AND {within(windows.affected)}"
            seconds[kind], errors[kind] = float(evidence.one(queries[kind])[0] or 0), 0.0
            reference = f"SELECT sum(duration_us) / 1e6 FROM lock_waits WHERE {where} AND {within(windows.reference)}"
            before[kind] = float(evidence.one(reference)[0] or 0) * scale if windows.reference else 0.0
    return Picture(seconds, errors, before if windows.reference else None, queries, bool(sampled), _waits(evidence, windows.affected, bool(sampled)))


def _waits(evidence: Evidence, window: Window, sampled: bool) -> Waits:
    rows = evidence.rows(
        "SELECT epoch_us(time), duration_us, lock_class, statement, fingerprint, object, pid, holders, epoch_us(seen), holder_statement FROM lock_waits"
        f" WHERE seen_by = '{'sample' if sampled else 'log'}' AND {within(window, 'seen')} ORDER BY seen, pid, 1 LIMIT {MOST_WAITS}"
    )
    cols = list(zip(*rows, strict=True)) if rows else [()] * 10
    start = np.array(cols[0], np.int64)
    return Waits(start, start + np.array([d or 0 for d in cols[1]], np.int64), np.array(cols[2], object), np.array(cols[3], object), np.array(cols[4], object),
                 np.array(cols[5], object), np.array(cols[6], object), [list(h or []) for h in cols[7]], sampled, np.array(cols[8], np.int64), np.array(cols[9], object))


def roots(evidence: Evidence, waits: Waits, kind: str) -> Roots:
    """Follow every wait of ``kind`` to the session that blocks and does not wait itself, and say what that session did."""
    found = Roots()
    waiting: dict[tuple[int, Any], int] = {}
    for i, (seen, pid) in enumerate(zip(waits.seen, waits.pid, strict=True)):
        waiting[int(seen), pid] = i
    sessions = _sessions(evidence, waits) if waits.sampled else {}
    for i in np.flatnonzero(waits.kind == kind).tolist():
        at, path, behind_table = int(waits.seen[i]), {waits.pid[i]}, False
        here = [h for h in waits.holders[i] if h]
        for _ in range(50):
            nexts = [h for h in here if h not in path]
            if not nexts:
                break
            path.add(nexts[0])
            j = waiting.get((at, nexts[0])) if waits.sampled else None
            if j is None:
                state, statement = sessions.get((at, nexts[0]), ("", ""))
                found.seen += 1
                if state:
                    found.states[state] += 1
                if statement or waits.holder_statement[i]:
                    found.statements[statement or waits.holder_statement[i]] += 1
                break
            behind_table |= waits.kind[j] == "table"
            here = waits.holders[j]
        found.waits_behind_table += behind_table
    return found


def _sessions(evidence: Evidence, waits: Waits) -> dict[tuple[int, int], tuple[str, str]]:
    pids = sorted({h for holders in waits.holders for h in holders if h})
    if not pids:
        return {}
    rows = evidence.rows(f"SELECT epoch_us(time), pid, state, coalesce(wait_type, ''), statement FROM sessions WHERE pid IN ({', '.join(map(str, pids))})")
    return {(t, pid): (state or "", statement or "") for t, pid, state, _, statement in rows}


def most(values: Any) -> tuple[str, float]:
    """The commonest non-empty value and its share of the non-empty ones; ``("", 0)`` when there is none."""
    counted = Counter(v for v in values if v)
    if not counted:
        return "", 0.0
    name, n = min(counted.items(), key=lambda kv: (-kv[1], kv[0]))
    return str(name), n / sum(counted.values())


def payers(evidence: Evidence, account: TimeAccount, waits: Waits, kind: str) -> dict[tuple[str, str], float | None]:
    """For each route, the share of the waits that lay inside one of its requests beyond chance (0–1); None where that cannot be told.

    A request that waits for a lock is in flight for the whole wait. Chance: the same waits shifted in time. A route that is nearly
    always in flight contains every wait by chance.
    """
    keep = waits.kind == kind
    start, stop = waits.start[keep], waits.stop[keep]
    window = account.windows.affected
    if not len(start) or account.requests is None:
        return {}
    longest = np.quantile(stop - start, 0.9)
    result: dict[tuple[str, str], float | None] = {}
    rows = evidence.columns(
        f"SELECT coalesce(method, '') AS method, coalesce(route, '') AS route, epoch_us(time) AS start, epoch_us(time) + duration_us AS stop FROM requests"
        f" WHERE {account.tiers.condition} AND {within(window)} AND duration_us >= {int(min(longest, 50_000) * 0.5)} ORDER BY start LIMIT {MOST_REQUESTS}"
    )
    if not len(rows["start"]):
        return {}
    begin, end = np.asarray(rows["start"], np.int64), np.asarray(rows["stop"], np.int64)
    slack = 1_000_000 if bool(np.all(end % 1_000_000 == 0)) else 20_000
    routes = np.array([f"{m}\t{r}" for m, r in zip(rows["method"], rows["route"], strict=True)])
    names, of = np.unique(routes, return_inverse=True)
    for k, name in enumerate(names):
        mine = of == k
        ends = np.maximum.accumulate(end[mine])
        cover = _cover(start, stop, begin[mine], ends, slack)
        chance = max(_cover(start + s, stop + s, begin[mine], ends, slack) for s in SHIFTS)
        method, route = str(name).split("\t")
        if chance < BLIND:
            result[method, route] = max(0.0, (cover - chance) / (1 - chance))
        elif longest >= MATTERS * float(np.median(end[mine] - begin[mine])):
            result[method, route] = None
    return result


def _cover(start: Any, stop: Any, begin: Any, ends: Any, slack: int) -> float:
    position = np.searchsorted(begin, start + slack, side="right") - 1
    return float(np.mean((position >= 0) & (ends[np.maximum(position, 0)] >= stop - slack)))


def coincidence(evidence: Evidence, account: TimeAccount, waits: Waits, kind: str) -> tuple[float, float] | None:
    """``(share, chance)``: of the added seconds, the share that lies in requests which overlap a wait, and that by chance.

    A queue for workers or connections behind a lock shows here: its requests are slow exactly while sessions wait. None where
    nothing was added, or where waits fill the window so that chance says nothing.
    """
    keep = waits.kind == kind
    calm = {(r.method, r.route): r.reference.quantile(0.95) for r in account.routes if r.reference.durations.n >= 20}
    if not keep.any() or not calm:
        return None
    cases = " ".join(f"WHEN method = {quote(m)} AND route = {quote(r)} THEN {int(bar or 0)}" for (m, r), bar in calm.items() if m)
    if not cases:
        return None
    rows = evidence.columns(
        f"SELECT start, stop, excess FROM (SELECT epoch_us(time) AS start, epoch_us(time) + duration_us AS stop, duration_us - CASE {cases} ELSE NULL END AS excess FROM requests"
        f" WHERE {account.tiers.condition} AND {within(account.windows.affected)}) WHERE excess > 0 ORDER BY start, stop LIMIT {MOST_REQUESTS}"
    )
    begin, end, excess = (np.asarray(rows[k], np.float64) for k in ("start", "stop", "excess"))
    if len(begin) < 10:
        return None
    pad = 500_000
    first, last = waits.start[keep] - pad, np.maximum(waits.stop, waits.seen)[keep] + pad
    share = float(np.average(_overlaps(begin, end, first, last), weights=excess))
    chance = max(float(np.average(_overlaps(begin, end, first + s, last + s), weights=excess)) for s in SHIFTS)
    return share, chance


def _overlaps(begin: Any, end: Any, first: Any, last: Any) -> Any:
    """For each ``[begin, end]``, whether it overlaps any ``[first, last]``."""
    order = np.argsort(first, kind="stable")
    starts, stops = first[order], np.maximum.accumulate(last[order])
    position = np.searchsorted(starts, end, side="right") - 1
    return (position >= 0) & (stops[np.maximum(position, 0)] >= begin)


def crowded(evidence: Evidence, window: Window, kind: str) -> float | None:
    """The largest share of the busy client sessions that waited for this kind of lock at one snapshot (None without snapshots)."""
    if not evidence.has("sessions"):
        return None
    (share,) = evidence.one(
        f"SELECT max(w / n) FROM (SELECT count(*) FILTER (wait_type = 'Lock' AND {_EVENTS[kind]}) AS w, count(*) AS n FROM sessions"
        f" WHERE {within(window)} AND coalesce(state, '') NOT IN ('idle', '') AND coalesce(backend_type, 'client backend') = 'client backend' GROUP BY time HAVING count(*) >= 3)"
    )
    return None if share is None else float(share)
