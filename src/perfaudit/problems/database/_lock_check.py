"""The decision that row and table locks share: do waits of one class own user-visible time, who blocks, which rival is left?"""

from __future__ import annotations

from dataclasses import dataclass

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Exhibit, Finding, Fix, Measurement, Outcome, Test, Wanted
from perfaudit.paths.account import TimeAccount
from perfaudit.problems.database import _locks
from perfaudit.stats.percentile import wilson

#: Waits are on the request path when this share of them lies inside requests beyond chance.
ON_PATH = 0.3
#: The wait must have grown by this factor over the reference; smaller changes lie inside the error of one-second sampling.
GROWN = 1.5
#: Where chance alone gives more than this, slow requests that coincide with waits say nothing.
CHANCE = 0.9
#: A rate that rose by more than this makes a surge a rival that is not ruled out.
RATE = 1.25

SESSIONS = Wanted(
    "session snapshots with blockers (sessions)",
    "for i in $(seq 60); do psql -XAtc \"\\copy (select now(), *, pg_blocking_pids(pid) as blocked_by from pg_stat_activity) to stdout csv header\"; sleep 1; done > pg_stat_activity.csv",
    "shows who waits for whom, and whether the root of the chain works or idles in its transaction",
)
LOCK_LOG = Wanted(
    "the database log with lock waits (lock_events)",
    "psql -Xc \"alter system set log_lock_waits = on\" -c \"alter system set deadlock_timeout = '200ms'\" -c \"select pg_reload_conf()\"  # then copy the log",
    "shows every whole wait with its relation and lock mode",
)


@dataclass(frozen=True)
class Question:
    """What differs between the two checks."""

    problem: str
    kind: str
    other: str
    rival: str
    noun: str
    mechanism: str


def decide(question: Question, evidence: Evidence, account: TimeAccount, fixes: tuple[Fix, ...]) -> Outcome:
    """The outcome for one class of lock."""
    windows = account.windows
    seen = _locks.picture(evidence, windows)
    kind = question.kind
    seconds = seen.seconds[kind]
    wanted = tuple(w for w, table in ((SESSIONS, "sessions"), (LOCK_LOG, "lock_events")) if not evidence.has(table))
    if seconds <= 0:
        return Outcome.clear(f"no session waited for a {question.noun}")
    if account.seconds <= 0:
        return Outcome.no_evidence(f"sessions waited {seconds:.1f} s for a {question.noun}, but no requests tell whether users did", *wanted)
    share = seconds / account.seconds
    if share < RELEVANT:
        return Outcome.clear(f"waits for a {question.noun} own {share:.2%} of the request-seconds, under {RELEVANT:.0%}")
    roots = _locks.roots(evidence, seen.waits, kind)
    behind = roots.waits_behind_table / max(1, int((seen.waits.kind == kind).sum()))
    if kind == "row" and behind > 0.5:
        return Outcome.clear(f"{behind:.0%} of the row waits stand behind a session that waits for a table lock itself")
    if seen.seconds[question.other] > seconds and not (kind == "table" and _row_waits_are_behind(evidence, seen)):
        return Outcome.clear(f"{question.noun} waits own less time ({seconds:.1f} s) than waits of the other kind ({seen.seconds[question.other]:.1f} s)")
    payers = _locks.payers(evidence, account, seen.waits, kind)
    told = [v for v in payers.values() if v is not None]
    paying = max(told, default=0.0)
    if payers and paying < ON_PATH and len(told) == len(payers):
        return Outcome.clear(f"the waits do not lie inside requests beyond chance ({paying:.0%}): they belong to work that no user waits for")
    if seen.before is not None and seconds < GROWN * seen.before[kind]:
        return Outcome.clear(f"the reference holds as much waiting ({seen.before[kind]:.1f} s at the same length): it is not what changed")
    return Outcome.problem(_finding(question, evidence, account, seen, roots, payers, fixes))


def _row_waits_are_behind(evidence: Evidence, seen: _locks.Picture) -> bool:
    rows = _locks.roots(evidence, seen.waits, "row")
    return rows.waits_behind_table > 0.5 * max(1, int((seen.waits.kind == "row").sum()))


def _finding(q: Question, evidence: Evidence, account: TimeAccount, seen: _locks.Picture, roots: _locks.Roots, payers: dict[tuple[str, str], float | None], fixes: tuple[Fix, ...]) -> Finding:
    seconds, total = seen.seconds[q.kind], account.seconds
    split = next((c.seconds for c in account.components if c.name == "database lock wait"), seconds)
    share = Measurement(
        min(1.0, seconds / total, split / total if account.tracing is not None else 1.0),  # traces bound what snapshots estimate
        "share of request-seconds",
        (max(0.0, (seconds - 1.96 * seen.errors[q.kind]) / total), min(1.0, (seconds + 1.96 * seen.errors[q.kind]) / total)) if seen.errors[q.kind] else None,
        n=int((seen.waits.kind == q.kind).sum()),
        method="session snapshots, successive differences" if seen.sampled else "lock waits in the database log: a lower bound",
        query=seen.queries[q.kind],
    )
    mine = seen.waits.kind == q.kind
    statement, hot = _locks.most(seen.waits.statement[mine])
    relation = _relation(evidence, account, seen, q.kind, statement)
    routes = _routes(account, payers, q.kind)
    inside = max((v for v in payers.values() if v is not None), default=0.0)
    callers = [s for s in account.tiers.outermost if s not in ("", "web")]
    scope: dict[str, str | list[str]] = {"service": [_service(evidence), *callers] if callers else _service(evidence)}
    if routes:
        scope["route"] = routes[0][1] if len(routes) == 1 else [r for _, r in routes]
    if statement:
        scope["statement"] = statement
    if relation:
        scope["object"] = relation
    added = seconds - (seen.before[q.kind] if seen.before else 0.0)
    explained = _explained(evidence, account, seen, q.kind, added)
    root_state, root_share = _locks.most(list(roots.states.elements()))
    root_statement, _ = _locks.most(list(roots.statements.elements()))
    tests = (
        Test(f"{q.noun} waits own request-seconds", round(seconds / total, 4), f"≥ {RELEVANT:.0%}", True, query=seen.queries[q.kind]),
        Test("the waits grew over the reference", None if seen.before is None else round(seconds / max(seen.before[q.kind], 0.1), 2), f"≥ {GROWN} times", None if seen.before is None else True),
        Test("the waits lie inside requests of a route, beyond chance", round(inside, 3) if inside else None, f"≥ {ON_PATH:.0%}", inside >= ON_PATH or None),
        Test("the root of the chain does not wait itself", roots.seen, "≥ 1 seen", roots.seen > 0 or None),
        Test("one statement waits", round(hot, 3), "the share of the commonest", hot >= 0.5),
    )
    exhibits = [Exhibit(f"sessions waited {seconds:.1f} s for a {q.noun} in {account.windows.affected.seconds:.0f} s", share, "sessions" if seen.sampled else "lock_events")]
    if statement:
        exhibits.append(Exhibit(f"{hot:.0%} of the waits are in: {statement}", Measurement(hot, "share of waits", wilson(round(hot * int(mine.sum())), int(mine.sum())), n=int(mine.sum()), method="Wilson", query=_waits_query(account, q.kind))))
    if root_state:
        exhibits.append(Exhibit(f"the session at the root of the chain was “{root_state}”" + (f" with: {root_statement}" if root_statement else ""), Measurement(root_share, "share of roots", wilson(round(root_share * roots.seen), roots.seen), n=roots.seen, method="Wilson", query=_waits_query(account, q.kind))))
    cause = f"{_root_words(root_state)} holds the {q.noun}" + (f" on {relation}" if relation else "") + (f" (last statement: {root_statement})" if root_statement else "")
    return Finding(
        problem=q.problem,
        title=f"Sessions queue for a {q.noun}" + (f" on {relation}" if relation else "") + (f"; {routes[0][0]} {routes[0][1]} waits".replace("  ", " ") if routes else ""),
        scope=scope,
        share=share,
        added_seconds=max(0.0, added),
        explains=explained,
        components=("database lock wait",),
        mechanism=q.mechanism,
        cause=cause,
        evidence=tuple(exhibits),
        tests=tests,
        rejected=_rivals(q, evidence, account, seen, explained),
        fixes=fixes,
    )


def _waits_query(account: TimeAccount, kind: str) -> str:
    return f"SELECT seen_by, statement, holder_statement, object, count(*) AS waits FROM lock_waits WHERE lock_class = '{kind}' AND {within(account.windows.affected, 'seen')} GROUP BY ALL ORDER BY waits DESC"


def _explained(evidence: Evidence, account: TimeAccount, seen: _locks.Picture, kind: str, added: float) -> float | None:
    """The share of the window's added time that goes with the waits: their own, and the queues that stand only while they last."""
    if account.added_seconds <= 0:
        return None
    own = min(1.0, max(0.0, added / account.added_seconds))
    together = _locks.coincidence(evidence, account, seen.waits, kind)
    if together is None:
        return own
    share, chance = together
    beyond = (share - chance) / (1 - chance) if chance < CHANCE else 0.0
    crowd = _locks.crowded(evidence, account.windows.affected, kind) or 0.0
    # Slow requests come only with the waits; or the waits fill the window and hold most of the busy sessions.
    behind = share if beyond >= 0.5 or (share >= 0.9 and crowd >= 0.5) else 0.0
    return max(own, min(1.0, behind))


def _root_words(state: str) -> str:
    return {"idle in transaction": "a transaction that idles between statements", "active": "a transaction at work"}.get(state, "another transaction")


def _service(evidence: Evidence) -> str:
    for table in ("sessions", "lock_events"):
        if evidence.has(table):
            name = evidence.one(f"SELECT mode(service) FROM {table}")[0]
            if name and not str(name).startswith("pg-stat"):
                return str(name)
    return "postgresql"


#: Methods that do not change state (RFC 9110, 9.2.1): a route of these does not queue for the right to write a row.
SAFE = ("GET", "HEAD", "OPTIONS")


def _routes(account: TimeAccount, payers: dict[tuple[str, str], float | None], kind: str) -> list[tuple[str, str]]:
    """The routes that pay: beyond chance and, where there is a reference, slower than in it."""
    told = {k: v for k, v in payers.items() if v is not None}
    best = max(told.values(), default=0.0)
    # A route that is always in flight cannot be told from chance: it stays in question.
    best = max(best, ON_PATH)
    told |= {k: best for k, v in payers.items() if v is None}
    if not told:
        return []
    added = {(r.method, r.route): account.added(r) for r in account.routes}
    worst = max(added.values(), default=0.0)
    chosen = [k for k, v in told.items() if v >= 0.5 * best and (worst <= 0 or added.get(k, 0.0) >= 0.2 * worst)]
    if kind == "row" and any(k[0] not in SAFE for k in chosen):
        chosen = [k for k in chosen if k[0] not in SAFE]
    return sorted(chosen or [max(told, key=lambda k: (told[k], k))], key=lambda k: (-added.get(k, 0.0), -told[k], k))


def _relation(evidence: Evidence, account: TimeAccount, seen: _locks.Picture, kind: str, statement: str) -> str:
    name, _ = _locks.most(seen.waits.object[seen.waits.kind == kind])
    if not name and evidence.has("lock_events"):
        rows = evidence.rows(f"SELECT object FROM lock_waits WHERE seen_by = 'log' AND lock_class = '{kind}' AND object IS NOT NULL AND {within(account.windows.affected)} LIMIT 5000")
        name, _ = _locks.most([o for (o,) in rows])
    if not name and statement:
        from perfaudit.evidence import sql

        tables = sql.tables(statement)
        return tables[0] if tables else ""
    return name


def _rivals(q: Question, evidence: Evidence, account: TimeAccount, seen: _locks.Picture, explained: float | None) -> tuple[Test, ...]:
    out = [Test("seconds waited for the other kind of lock", round(seen.seconds[q.other], 2), f"< half of {seen.seconds[q.kind]:.1f} s", seen.seconds[q.other] < 0.5 * seen.seconds[q.kind], q.rival, seen.queries[q.other])]
    windows, requests = account.windows, account.requests
    if windows.reference and requests:
        total = requests.total
        ratio = account.rate(windows.affected, total.affected.count) / max(account.rate(windows.reference, total.reference.count), 1e-9)
        out.append(Test("arrival rate, affected over reference", round(ratio, 3), f"< {RATE}", ratio < RATE, "traffic-surge"))
    if seen.sampled:
        busy = [c.seconds for c in account.components if c.name == "database executing"]
        executing = busy[0] if busy else 0.0
        out.append(Test("seconds of executing without waiting for a lock", round(executing, 2), f"< {seen.seconds[q.kind]:.1f} s waited", executing < seen.seconds[q.kind], "missing-index"))
    else:
        out.append(Test("seconds of executing without waiting for a lock", None, "session snapshots would tell", None, "missing-index"))
    out.append(Test("share of the added time that goes with the waits", None if explained is None else round(explained, 3), "≥ 50 %", None if explained is None else explained >= 0.5, "pool-exhaustion"))
    return tuple(out)
