"""Arithmetic over configuration across tiers: do pools fit the database, do timeouts nest, do idle connections end on the right side?

Pure: rows of ``settings`` in, :class:`Rule` out. What a rule needs and does not find is named, and the rule is open (``ok`` None); a default
takes part only where the manual documents it and the product's configuration was read, and is then called so. Nothing here says that a
rule that does not hold is what limits the system: that is for the evidence of what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perfaudit.paths.settings_facts import Group, Known, Tiers, Unknown, Value, figure, only, replicas, tiers

#: Gunicorn, "Design: How many workers": (2 × cores) + 1, and 4–12 workers for any load; "Settings": 2–4 × cores. Beyond both, workers share cores.
WORKERS_PER_CORE = 4
#: A proxied request holds two connections of the proxy: client's and upstream's (nginx, worker_connections).
CONNECTIONS_PER_REQUEST = 2
#: SQLAlchemy, "QueuePool": max_overflow, where only the pool's size is set by its name.
SQLALCHEMY_OVERFLOW = 10


@dataclass(frozen=True)
class Rule:
    """One rule judged: ``ok`` None where a value is unknown, and ``missing`` then says which. ``arithmetic`` is the calculation as text."""

    name: str
    scope: str
    statement: str
    ok: bool | None
    arithmetic: str
    values: tuple[Value, ...] = ()
    missing: tuple[str, ...] = ()
    reference: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in the result; ``holds`` null where it is open."""
        return {
            "name": self.name, "scope": self.scope, "statement": self.statement, "holds": self.ok, "arithmetic": self.arithmetic,
            "values": [v.to_json() for v in self.values], "missing": list(self.missing), "reference": self.reference,
        }  # fmt: skip


def judge(rows: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """Every rule of which at least one setting was read, in a fixed order. ``rows`` have the columns of ``settings``."""
    found = tiers(rows)
    return [*_capacity(found), *_nesting(found), *_tries(found), *_idle(found), *_workers(found), *_proxy(found)]


def of_evidence(evidence: Any) -> list[dict[str, Any]]:
    """``configuration`` of the result: the rules over the settings of ``evidence`` (:class:`~perfaudit.evidence.store.Evidence`)."""
    names = ("service", "component", "scope", "name", "role", "value", "number", "unit", "source", "line")
    rows = evidence.rows(f"SELECT {', '.join(names)} FROM settings WHERE role IS NOT NULL ORDER BY ALL")
    return [rule.to_json() for rule in judge(dict(zip(names, row, strict=True)) for row in rows)]


def _rule(name: str, scope: str, statement: str, needs: Iterable[Known | Group], arithmetic: str = "", ok: bool | None = None, reference: str = "") -> Rule:
    given = list(needs)
    missing = tuple(n.why for n in given if isinstance(n, Unknown))
    values = tuple(n for n in given if isinstance(n, Value))
    said = arithmetic or "; ".join(map(str, values))
    return Rule(name, scope, statement, ok, said, values, missing, reference)


def _processes(service: Group) -> Known:
    """Processes that have a pool each: workers; a JVM is one."""
    found = service.get("workers")
    return Value("process of a JVM", 1, "", "default") if isinstance(found, Unknown) and found.silent and "hikari" in service.components else found


def _connections(service: Group) -> tuple[Known, Known]:
    """Pool and overflow of one process."""
    pool, overflow = service.get("pool"), service.get("pool overflow")
    if isinstance(overflow, Unknown) and overflow.silent:
        sqlalchemy = isinstance(pool, Value) and pool.name == "SQLALCHEMY_POOL_SIZE"
        overflow = Value("max_overflow", SQLALCHEMY_OVERFLOW if sqlalchemy else 0, "", "default")
    return pool, overflow


def _capacity(found: Tiers) -> Iterator[Rule]:
    """Replicas × processes × (pool + overflow), summed over services, against max_connections without what is reserved.

    PostgreSQL, "Connections and Authentication": superuser_reserved_connections (default 3), reserved_connections; MySQL, "Too many connections".
    An unknown number of replicas or processes counts as one: a sum that is too large already is too large.
    """
    pooled = [s for s in found.services if s.has("pool") or "hikari" in s.components]
    if not pooled:
        return
    database = only(found.databases, "database")
    limit: Known = database.get("max connections") if isinstance(database, Group) else database
    reserved = [v for role in ("reserved connections", "reserved by role") if isinstance(database, Group) and isinstance(v := database.get(role), Value)]
    needs: list[Known] = []
    total, terms = 0.0, []
    for service in pooled:
        count, processes, (pool, overflow) = replicas(service, found.proxies, len(found.services) == 1), _processes(service), _connections(service)
        needs += [count, processes, pool, *([overflow] if isinstance(overflow, Unknown) or overflow.number else [])]
        each = (pool.number if isinstance(pool, Value) else 1) + (overflow.number if isinstance(overflow, Value) else 0)
        product = _or_one(count) * _or_one(processes) * each
        total += product
        extra = f" + overflow {figure(overflow.number)}{' (default)' if overflow.source == 'default' else ''}" if isinstance(overflow, Value) and overflow.number else ""
        size = f"pool {_said(pool)}"
        terms.append(f"{_said(count)} replicas × {_said(processes)} workers × {f'({size}{extra})' if extra else size} = {figure(product)}{f' of {service.name}' if len(pooled) > 1 else ''}")
    room = limit.number - sum(v.number for v in reserved) if isinstance(limit, Value) else None
    known = not any(isinstance(n, Unknown) for n in needs)
    ok = None if room is None or (not known and total <= room) else total <= room
    left = f"{'at least ' if not known else ''}{figure(total)} {'?' if room is None else '≤' if total <= room else '>'} max_connections {_said(limit)}"
    left += "".join(f" − {figure(v.number)} reserved{' (default)' if v.source == 'default' else ''}" for v in reserved)
    arithmetic = f"{'; '.join(terms)}; {left}" if len(pooled) > 1 or not known else f"{terms[0]} {left[len(figure(total)) + 1 :]}"
    yield _rule("pool capacity", ", ".join(s.name for s in pooled), "all pools together fit into the connections of the database", [*needs, limit, *reserved], arithmetic, ok, "PostgreSQL, max_connections; MySQL, max_connections")


def _said(value: Known) -> str:
    return "unknown" if isinstance(value, Unknown) else f"{figure(value.number)}{' (default)' if value.source == 'default' else ''}"


def _or_one(value: Known) -> float:
    return max(1.0, value.number) if isinstance(value, Value) else 1.0


def _outer(name: str, scope: str, outer: Known, inner: Known, tries: Known | None, statement: str, reference: str, strict: bool = False) -> Rule | None:
    """The outer timeout against the inner one times the inner tier's tries; None where neither was configured."""
    if any(isinstance(side, Unknown) and side.silent for side in (inner, outer)):
        return None
    needs = [outer, inner, *([tries] if tries else [])]
    if not (isinstance(outer, Value) and isinstance(inner, Value)) or isinstance(tries, Unknown):
        return _rule(name, scope, statement, needs, reference=reference)
    if outer.number <= 0:
        return _rule(name, scope, statement, needs, f"{outer}: no limit", True, reference)
    if inner.number <= 0:
        return _rule(name, scope, statement, [*needs, Unknown(f"{inner.name} is 0: no limit, work may outlive its caller")], reference=reference)
    factor = tries.number if tries else 1.0
    whole = inner.number * factor
    ok = whole < outer.number if strict else whole <= outer.number
    times = f" × {figure(factor)} tries = {figure(whole)} s" if factor != 1 else ""
    sign = ("<" if strict else "≤") if ok else ("≥" if strict else ">")
    return _rule(name, scope, statement, needs, f"{inner}{times} {sign} {outer}", ok, reference)


def _tried(group: Group) -> Known | None:
    """How often a tier tries, where it says: tries, or retries and the first try."""
    found = group.get("tries")
    if isinstance(found, Value) or not found.silent:
        return found
    for role in ("retries", "proxy retries"):
        more = group.get(role)
        if isinstance(more, Value):
            return Value(f"{more.name} {figure(more.number)} and the first try", more.number + 1, "", more.source)
    found = group.get("proxy tries")
    if isinstance(found, Value) and found.number == 0:
        return Unknown(f"{found.name} is 0: as many tries as there are servers", silent=False)
    return found if isinstance(found, Value) or not found.silent else None


def _again(service: Group) -> Known | None:
    """How often a service asks its database, where it says so: other retries are of other calls."""
    more = service.get("database retries")
    return Value(f"{more.name} {figure(more.number)} and the first try", more.number + 1, "", more.source) if isinstance(more, Value) else None


def _nesting(found: Tiers) -> Iterator[Rule]:
    """Who waits outside waits longer than who works inside, all its tries together; else the caller gives up and the work goes on, or is done twice.

    nginx, proxy_read_timeout; Gunicorn, timeout; PostgreSQL, statement_timeout and lock_timeout (“rather pointless to set lock_timeout to the same or larger
    value”); HikariCP, connectionTimeout; Google SRE book, "Addressing Cascading Failures", deadlines.
    """
    databases = found.databases
    for service in found.services:
        request = service.get("request timeout")
        for proxy in found.proxies if isinstance(request, Value) or not request.silent else ():
            read: Known = proxy.get("proxy read timeout", default=proxy.has("proxies to"))
            yield from _some(_outer("timeouts nest", f"{proxy.name} → {service.name}", read, request, None, "the proxy waits at least as long as the service may work", "nginx, proxy_read_timeout; Gunicorn, timeout"))
        yield from _some(_outer("acquire within request", service.name, request, service.get("acquire timeout"), None, "waiting for a connection ends before the request does", "HikariCP, connectionTimeout; SQLAlchemy, pool_timeout", True))
        for inner in (service, *databases) if len(databases) < 2 else (service,):
            for role in ("statement timeout", "lock timeout"):
                yield from _some(_outer("timeouts nest", f"{service.name} → {inner.name}", request, inner.get(role), _again(service), f"the service waits longer than the {role} of the database, all tries together", "PostgreSQL, statement_timeout"))
    for database in databases:
        lock, whole = database.get("lock timeout"), database.get("statement timeout")
        if isinstance(lock, Value) and isinstance(whole, Value) and lock.number > 0 and whole.number > 0:
            yield from _some(_outer("lock timeout within statement", database.name, whole, lock, None, "a lock wait ends before the statement's own limit", "PostgreSQL, lock_timeout", True))


def _some(rule: Rule | None) -> Iterator[Rule]:
    if rule is not None:
        yield rule


def _tries(found: Tiers) -> Iterator[Rule]:
    """Retries multiply over depth: three tiers that each try four times ask the last one 64 times (Google SRE book, chapter 22). One tier should retry."""
    layers = [(g, t) for g in (*found.proxies, *found.services) if (t := _tried(g)) is not None]
    known = [(g, t) for g, t in layers if isinstance(t, Value)]
    if not layers:
        return
    product = 1.0
    for _, value in known:
        product *= max(1.0, value.number)
    several = sum(value.number > 1 for _, value in known) > 1
    said = " × ".join(f"{figure(v.number)} tries ({g.name})" for g, v in known) + f" = {figure(product)} calls for one request" if known else ""
    ok = False if several else None if len(known) < len(layers) else True
    yield _rule("retries multiply", " → ".join(g.name for g, _ in layers), "only one tier on the way tries again", [t for _, t in layers], said, ok, "Google, Site Reliability Engineering, chapter 22")


def _idle(found: Tiers) -> Iterator[Rule]:
    """Who opens a connection closes it first, or a request is sent into one that the other side has just closed.

    nginx, upstream keepalive_timeout (60 s) against the server's keep-alive (Gunicorn keepalive 2 s, not for sync workers; Tomcat); HikariCP, maxLifetime: “several
    seconds shorter than any database or infrastructure imposed connection time limit”; MySQL, wait_timeout; PostgreSQL, idle_session_timeout (0: never).
    """
    for service in found.services:
        threads = service.get("threads")
        threaded = isinstance(threads, Value) and threads.number > 1  # Gunicorn then takes gthread for sync
        kept = service.get("server keep-alive")
        if "gunicorn" in service.components and service.text("worker class") in ("", "sync") and not threaded:
            kept = Unknown("workers of class sync keep no connection")
        for proxy in found.proxies:
            if not proxy.has("upstream keep-alive"):
                continue
            reuse = proxy.get("upstream idle")
            if isinstance(kept, Unknown) and kept.silent:
                continue
            yield from _some(_outer("keep-alive", f"{proxy.name} → {service.name}", kept, reuse, None, "the proxy drops an idle connection before the server closes it", "nginx, keepalive_timeout of upstream; Gunicorn, keepalive", True))
        lifetime = service.get("pool lifetime")
        if isinstance(lifetime, Unknown) and lifetime.silent:
            continue
        for database in found.databases if len(found.databases) == 1 else ():
            yield from _some(_outer("pool lifetime", f"{service.name} → {database.name}", database.get("session idle limit"), lifetime, None, "the pool retires a connection before the database closes it as idle", "HikariCP, maxLifetime; MySQL, wait_timeout", True))


def _workers(found: Tiers) -> Iterator[Rule]:
    """Processes against cores (Gunicorn, "How many workers"; Go, GOMAXPROCS) and threads against the pool (HikariCP, "About Pool Sizing")."""
    for service in found.services:
        cores, processes, threads = service.get("cpu limit"), service.get("workers", default=False), service.get("threads")
        if isinstance(cores, Value) and cores.number > 0:
            limit = max(WORKERS_PER_CORE * cores.number, 2 * cores.number + 1)
            if isinstance(processes, Value):
                ok = processes.number <= limit
                yield _rule("workers against quota", service.name, "worker processes fit the cores that they may use", [processes, cores], f"{processes} {'≤' if ok else '>'} {WORKERS_PER_CORE} × {figure(cores.number)} cores", ok, "Gunicorn, How Many Workers?")
            parallel = service.get("parallel threads")
            if isinstance(parallel, Value):
                ok = parallel.number <= max(1.0, -(-cores.number // 1))
                yield _rule("threads against quota", service.name, "threads that run at once fit the quota, or all stand still when it is used up", [parallel, cores], f"{parallel} {'≤' if ok else '>'} {figure(cores.number)} cores", ok, "Go, GOMAXPROCS; Linux, CFS bandwidth control")
        pool, overflow = _connections(service)
        if isinstance(pool, Value) and isinstance(threads, Value) and isinstance(overflow, Value) and threads.number > 1:
            size = pool.number + overflow.number
            ok = threads.number <= size
            said = f"{threads} {'≤' if ok else '>'} {pool}" + (f" + overflow {figure(overflow.number)}" if overflow.number else "")
            said += "" if ok else f": {figure(threads.number - size)} of them wait where all ask the database at once (no fault where few do)"
            yield _rule("threads against pool", service.name, "every thread can have a connection at once", [threads, pool], said, ok, "HikariCP, About Pool Sizing")


def _proxy(found: Tiers) -> Iterator[Rule]:
    """Connections of the proxy: two for each proxied request, and no more than files that it may open (nginx, worker_connections, worker_rlimit_nofile)."""
    for proxy in (p for p in found.proxies if "nginx" in p.components):
        each, files = proxy.get("proxy connections"), proxy.get("file limit")
        if isinstance(each, Value) and isinstance(files, Value):
            ok = each.number <= files.number
            yield _rule("files of the proxy", proxy.name, "a worker may open as many files as it has connections", [each, files], f"{each} {'≤' if ok else '>'} {files}", ok, "nginx, worker_rlimit_nofile")
        if len(found.services) != 1:
            continue
        service, processes = found.services[0], proxy.get("proxy workers")
        count, workers, threads = replicas(service, found.proxies, True), service.get("workers"), service.get("threads")
        if not (proxy.has("proxy connections") and isinstance(count, Value) and isinstance(workers, Value) and isinstance(threads, Value) and isinstance(each, Value)):
            continue
        served = count.number * workers.number * threads.number
        if isinstance(processes, Unknown):
            yield _rule("proxy capacity", f"{proxy.name} → {service.name}", "the proxy can hold what the service works on", [processes, each, count, workers, threads], reference="nginx, worker_connections")
            continue
        room = processes.number * each.number / CONNECTIONS_PER_REQUEST
        ok = served <= room
        said = f"{figure(count.number)} replicas × {figure(workers.number)} workers × {figure(threads.number)} threads = {figure(served)} {'≤' if ok else '>'} {figure(processes.number)} × {figure(each.number)} / {CONNECTIONS_PER_REQUEST} = {figure(room)}"
        yield _rule("proxy capacity", f"{proxy.name} → {service.name}", "the proxy can hold what the service works on", [processes, each, count, workers, threads], said, ok, "nginx, worker_connections")
