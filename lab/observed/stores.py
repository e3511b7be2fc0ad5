"""What stores told: counters of statements, sessions and who blocks whom, server counters, control groups."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

Row = Mapping[str, str]
#: Waiting for the next question is no wait of the database.
_RESTING = ("Client", "Activity", "Timeout", "Extension")


class Statement(NamedTuple):
    """A normalised statement between the first and the last snapshot: calls, and of a call its ms, blocks, rows returned, rows looked at."""

    calls: int
    mean_ms: float
    blocks: float
    rows: float
    examined: float

    @property
    def total_ms(self) -> float:
        """Time of all calls."""
        return self.calls * self.mean_ms


class Block(NamedTuple):
    """A text block of a file of blocks: epoch seconds, name, text."""

    time: float
    name: str
    text: str


def instant(text: str) -> float:
    """Epoch seconds of an instant as databases and ``# time`` lines write it; without a zone it is UTC."""
    found = datetime.fromisoformat(re.sub(r"([+-]\d\d)$", r"\1:00", text.replace("Z", "+00:00")))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def blocks(text: str) -> list[Block]:
    """Splits a file of blocks."""
    found: list[Block] = []
    for part in re.split(r"^# time ", text, flags=re.M)[1:]:
        head, _, body = part.partition("\n")
        at, _, name = head.partition(" ")
        found.append(Block(instant(at), name, body))
    return found


def snapshots(rows: Iterable[Row], key: Sequence[str]) -> tuple[dict[tuple[str, ...], Row], dict[tuple[str, ...], Row]]:
    """The rows of the first and of the last snapshot (column ``now``) by their key."""
    rows = list(rows)
    if not rows:
        return {}, {}
    times = sorted({row["now"] for row in rows})

    def at(time: str) -> dict[tuple[str, ...], Row]:
        return {tuple(row[k] for k in key): row for row in rows if row["now"] == time}

    return at(times[0]), at(times[-1])


def growth(rows: Iterable[Row], key: Sequence[str], column: str) -> dict[tuple[str, ...], float]:
    """How much a counter grew between the first and the last snapshot. What was reset counts from 0."""
    first, last = snapshots(rows, key)
    found: dict[tuple[str, ...], float] = {}
    for one, row in last.items():
        before, after = number(first.get(one, {}).get(column)), number(row.get(column))
        found[one] = after - before if after >= before else after
    return found


def number(text: str | None) -> float:
    """A cell as a number; what is none is 0."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def statements(postgres: list[dict[str, str]], mariadb: list[dict[str, str]]) -> dict[str, Statement]:
    """Statements that were called, by text, the costliest first."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 5)
    for rows, key, text, columns in (
        (postgres, ("userid", "queryid", "toplevel"), "query", {"calls": 1, "total_exec_time": 1, "shared_blks_hit": 1, "shared_blks_read": 1, "rows": 1}),
        (mariadb, ("schema_name", "digest"), "digest_text", {"count_star": 1, "sum_timer_wait": 1e-9, "sum_rows_sent": 1, "sum_rows_affected": 1, "sum_rows_examined": 1}),
    ):
        places = (0, 1, 2, 2, 3) if rows is postgres else (0, 1, 3, 3, 4)
        _, last = snapshots(rows, key)
        for (column, factor), place in zip(columns.items(), places, strict=True):
            for one, grown in growth(rows, key, column).items():
                sums[" ".join(last[one][text].split())][place] += grown * factor
    found = {text: Statement(int(n), ms / n, blks / n, rows / n, seen / n) for text, (n, ms, blks, rows, seen) in sums.items() if n}
    return dict(sorted(found.items(), key=lambda item: -item[1].total_ms))


@dataclass(slots=True)
class Sessions:
    """Samples of the database's sessions.

    `samples` is how often was looked, `rows` the client sessions that were seen (of all samples), `blocked` how many of those waited for another's
    lock, `waits` for what they waited, `active` and `idle_in_transaction` means of a sample, `oldest_s` the longest transaction, `most` the most sessions in a sample.
    """

    samples: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)
    blocked: int = 0
    blockers: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    active: float = 0.0
    idle_in_transaction: float = 0.0
    oldest_s: float = 0.0
    most: int = 0


def postgres_sessions(rows: list[dict[str, str]]) -> Sessions:
    """From pg_stat_activity with ``blocked_by``."""
    seen = Sessions(len({r["now"] for r in rows}))
    seen.rows = [r for r in rows if r["backend_type"] in ("client backend", "parallel worker") and r["application_name"] != "monitoring"]
    for row in seen.rows:
        blockers = re.findall(r"\d+", row["blocked_by"])
        seen.blocked += bool(blockers)
        seen.blockers.update(blockers)
        if row["wait_event"] and row["wait_event_type"] not in _RESTING:
            seen.waits[f"{row['wait_event_type']}:{row['wait_event']}"] += 1
        if row["xact_start"]:
            seen.oldest_s = max(seen.oldest_s, instant(row["now"]) - instant(row["xact_start"]))
    return _counted(seen, [r["state"] == "active" for r in seen.rows], [r["state"].startswith("idle in transaction") for r in seen.rows])


def mariadb_sessions(rows: list[dict[str, str]], transactions: list[dict[str, str]], waits: list[dict[str, str]]) -> Sessions:
    """From the process list, open transactions and lock waits."""
    seen = Sessions(len({r["now"] for r in rows}))
    seen.rows = [r for r in rows if r["user"] not in ("system user", "event_scheduler") and r["command"] not in ("Daemon", "Binlog Dump")]
    seen.waits.update(r["state"] for r in seen.rows if r["state"].lower().startswith("waiting") or "lock" in r["state"].lower())
    seen.waits.update(f"innodb:{r['locked_table']}:{r['locked_index']}" for r in waits)
    seen.blockers.update(r["blocking_pid"] for r in waits)
    seen.blocked = len({(r["now"], r["waiting_pid"]) for r in waits}) + sum("metadata lock" in r["state"] for r in seen.rows)
    seen.oldest_s = max((instant(r["now"]) - instant(r["trx_started"]) for r in transactions), default=0.0)
    working = {(r["now"][:19], r["trx_mysql_thread_id"]) for r in transactions}
    idle = [r["command"] == "Sleep" and (r["now"][:19], r["id"]) in working for r in seen.rows]
    return _counted(seen, [r["command"] not in ("Sleep",) for r in seen.rows], idle)


def _counted(seen: Sessions, active: list[bool], idle: list[bool]) -> Sessions:
    if seen.samples:
        seen.active, seen.idle_in_transaction = sum(active) / seen.samples, sum(idle) / seen.samples
        seen.most = max(Counter(r["now"] for r in seen.rows).values(), default=0)
    return seen


@dataclass(slots=True)
class Counters:
    """A server's counters in the first and the last block: ``counters["keyspace_misses"]`` is the difference; 0 where there is none."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    #: The values of each block, with their times.
    series: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def __getitem__(self, name: str) -> float:
        return self.last.get(name, 0.0) - self.first.get(name, 0.0)

    @classmethod
    def of(cls, found: Iterable[Block], pattern: str) -> Counters:
        """Reads blocks whose lines match `pattern` (groups: name, value)."""
        series = [(b.time, {name: number(value) for name, value in re.findall(pattern, b.text, flags=re.M)}) for b in found]
        return cls(series[0][1], series[-1][1], series) if series else cls()


class GroupUse(NamedTuple):
    """What a component's control group used in a part: CPU seconds, throttled periods and seconds, memory as (time, bytes), stalls in seconds by resource."""

    cpu_s: float
    throttled_periods: int
    throttled_s: float
    memory: list[tuple[float, float]]
    stalled_s: dict[str, float]


def group_use(found: Iterable[Block]) -> GroupUse:
    """From the blocks ``component/file`` of one component."""
    files: dict[str, list[Block]] = defaultdict(list)
    for one in found:
        files[one.name.partition("/")[2]].append(one)

    def grown(file: str, key: str = r"(?:)", last: bool = False) -> float:
        values = [number(m[1]) for b in files.get(file, ()) if (m := re.search(rf"{key}(\d+)\s*$", b.text, re.M))]
        return values[-1] - values[0] if values else 0.0

    memory = [(b.time, number(b.text.strip())) for name in ("memory.usage_in_bytes", "memory.current") for b in files.get(name, ())]
    stalled = {r: grown(f"{r}.pressure", r"some .*total=") / 1e6 for r in ("cpu", "io", "memory")}
    throttled = grown("cpu.stat", "throttled_time ") / 1e9 + grown("cpu.stat", "throttled_usec ") / 1e6
    cpu = grown("cpuacct.usage") / 1e9 or grown("cpu.stat", "usage_usec ") / 1e6
    return GroupUse(cpu, int(grown("cpu.stat", "nr_throttled ")), throttled, memory, stalled)
