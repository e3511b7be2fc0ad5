"""Results written by hand: a row-lock incident, a healthy system, too little evidence, and the incident with hostile text."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, wraps
from typing import Any

START = datetime(2026, 11, 23, 7, 50, tzinfo=UTC)
INTERVAL = 10
POINTS = 126  # 21 minutes
ONSET = 74  # 08:02:20
END = 120  # 08:10:00
SQL_P = "select quantile_cont(duration_us, {p}) / 1e3 from requests where route = '{route}' and time >= '2026-11-23 08:02:20' and time < '2026-11-23 08:10:00'"
STATEMENT = "update inventory set stock = stock - $1 where product_id = $2"

#: Payloads that must appear as text and act nowhere.
HOSTILE = [
    "<script>document.title='owned'</script>",
    "</script><img src=x onerror=\"document.title='owned'\">",
    "\x1b[31mred\x1b[0m\x1b]0;owned\x07",
    "a|b `c` **d** [e](javascript:alert(1)) <!-- f -->",
    "\u202eevil\u202c\u2066x\u2069\x00\x08\r\n::error::injected",
    "=cmd|' /C calc'!A0",
    "{{ 7*7 }} {% raw %} ${7*7}",
    "]]>&amp;\"'\ud800\ufffe www.evil.example https://evil.example/x @team",
]


def fresh(build: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Build once, hand out a copy each time."""
    made = cache(lambda: pickle.dumps(build()))

    @wraps(build)
    def copy() -> dict[str, Any]:
        return pickle.loads(made())

    return copy


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def m(value: float | None, unit: str, low: float | None = None, high: float | None = None, n: int = 0, query: str = "", method: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {"value": value, "unit": unit}
    if low is not None or high is not None:
        out |= {"ci": [low, high], "level": 0.95}
    if n:
        out["n"] = n
    if method:
        out["method"] = method
    if query:
        out["query"] = query
    return out


def durations(route: str, n: int, **values: float) -> dict[str, Any]:
    level = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1}
    return {
        p: m(v, "ms", round(v * 0.95, 1), round(v * 1.07, 1), n, SQL_P.format(p=level[p], route=route), "order statistics")
        for p, v in values.items()
    }


ROUTES: list[tuple[str, str, int, float, tuple[float, float, float], tuple[float, float, float]]] = [
    ("POST", "/checkout", 2900, 0.55, (163, 233, 271), (313, 1882, 2798)),
    ("GET", "/quote/{id}", 3870, 0.333, (203, 289, 344), (204, 293, 385)),
    ("GET", "/export", 1070, 0.04, (22, 24, 26), (22, 26, 30)),
    ("GET", "/products/{id}", 6080, 0.03, (3.1, 5.6, 9.2), (3.2, 5.4, 8.1)),
    ("GET", "/orders/{id}", 3850, 0.025, (3.9, 9.1, 17.0), (3.1, 6.2, 15.4)),
    ("GET", "/recommend/{id}", 4790, 0.012, (2.1, 3.2, 6.4), (2.0, 3.9, 9.3)),
    ("GET", "/report", 1450, 0.007, (3.2, 5.1, 6.3), (3.3, 5.6, 9.7)),
    ("", "other", 90, 0.003, (4.0, 9.0, 12.0), (4.1, 9.2, 12.4)),
]


def _routes() -> list[dict[str, Any]]:
    rows = []
    for method, route, count, share, ref, aff in ROUTES:
        n_ref, n_aff = int(count * 0.6), int(count * 0.4)
        row: dict[str, Any] = {
            "route": route,
            "service": "edge",
            "count": count,
            "rate_per_s": count / 1260,
            "error_ratio": 0.0041 if route == "/checkout" else 0.0,
            "duration_ms": durations(route, count, p50=aff[0], p90=aff[1] * 0.7, p95=aff[1], p99=aff[2], p999=aff[2] * 1.2, max=aff[2] * 1.3),
            "share_of_time": m(share, "share", share * 0.96, min(1, share * 1.04), count),
            "seconds": share * 2425,
            "affected": {"count": n_aff, "error_ratio": 0.009 if route == "/checkout" else 0.0, "duration_ms": durations(route, n_aff, p50=aff[0], p95=aff[1], p99=aff[2])},
            "reference": {"count": n_ref, "error_ratio": 0.0, "duration_ms": durations(route, n_ref, p50=ref[0], p95=ref[1], p99=ref[2])},
        }
        if method:
            row["method"] = method
        rows.append(row)
    return rows


def _series(incident: bool) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    rng = random.Random(7)
    names = ("count", "rate_per_s", "error_ratio", "p50_ms", "p95_ms", "p99_ms", "in_flight")
    cols: dict[str, list[float | None]] = {name: [] for name in names}
    per_route: list[list[float | None]] = [[] for _ in range(6)]
    bounds = [10 ** (i / 6) for i in range(25)]  # 1 ms … 10 s
    heat = []
    for i in range(POINTS):
        bad = incident and ONSET <= i < END
        gap = 40 <= i < 43
        rate = 19 + 2 * math.sin(i / 9) + rng.random()
        p95 = (1500 + 500 * rng.random()) if bad else 230 + 20 * rng.random()
        values = {
            "count": round(rate * 10), "rate_per_s": rate, "error_ratio": 0.004 * rng.random() if bad else 0.0,
            "p50_ms": (8 if bad else 4) + rng.random(), "p95_ms": p95, "p99_ms": p95 * (1.4 + 0.2 * rng.random()), "in_flight": (9 if bad else 3) + 2 * rng.random(),
        }
        for name in names:
            cols[name].append((0 if name in ("count", "rate_per_s") else None) if gap else values[name])
        for r, series in enumerate(per_route):
            level = ROUTES[r][5 if bad else 4][1]
            series.append(None if gap else level * (0.9 + 0.2 * rng.random()))
        row = [0] * 24
        for _ in range(0 if gap else round(rate * 10)):
            mu = rng.choice((3, 4, 22, 190, 210))
            if bad and rng.random() < 0.12:
                mu = 900
            bucket = int(6 * math.log10(max(1, rng.lognormvariate(math.log(mu), 0.35))))
            row[min(bucket, 23)] += 1
        heat.append(row)
    grid = {"interval_s": INTERVAL, "start": at(0)}
    routes = [{"method": ROUTES[r][0], "route": ROUTES[r][1], "p95_ms": per_route[r], "count": [round(ROUTES[r][2] / POINTS)] * POINTS} for r in range(6)]
    return grid | cols, routes, grid | {"bounds_ms": bounds, "counts": heat}


def _source(name: str, reader: str, lines: int, **more: Any) -> dict[str, Any]:
    rejected = more.pop("rejected", {})
    return {
        "name": name, "sha256": f"{abs(hash_of(name)):064x}", "reader": reader, "lines": lines, "parsed": lines - sum(rejected.values()),
        "rejected": rejected, "bytes": lines * 210, "from": at(0), "to": at(1260), **more,
    }


def hash_of(text: str) -> int:
    return sum(ord(c) * 31**i for i, c in enumerate(text)) % 2**60


def _checks(problem: bool) -> list[dict[str, Any]]:
    locks = {"evidence": "cgroup counters", "collect": "perfaudit collect host --for 10m", "effect": "could rule cpu-throttling in or out"}
    rows = [
        ("latency", "tail-under-concurrency", "clear", "At fixed route the tail does not follow the arrival rate: slope 0.02 (−0.05–0.09)."),
        ("latency", "cascading-delay", "clear", "The self time of no service rose; payments p95 151 ms before and after."),
        ("latency", "app-lock-contention", "no-evidence", "No profiles of kind lock or off-cpu."),
        ("latency", "pool-exhaustion", "symptom" if problem else "clear", "Pool waits rose 40 ms after the row locks did; they vanish when the lock time is removed." if problem else "No acquire waits."),
        ("latency", "retry-storm", "clear", "1.00 attempts per request."),
        ("latency", "connection-churn", "clear", "0.01 new connections per request."),
        ("throughput", "cpu-saturation", "clear", "Run queue 0.4 per core; 31 % of request time on CPU."),
        ("throughput", "cpu-throttling", "no-evidence", "No cgroup counters of the workers."),
        ("throughput", "disk-saturation", "clear", "0.3 % of request time in I/O wait."),
        ("throughput", "runtime-pause", "no-evidence", "No runtime log or pause metric."),
        ("database", "row-lock-contention", "problem" if problem else "clear", "96 waits on one tuple of inventory." if problem else "No lock wait was logged."),
        ("database", "table-lock", "clear", "No root blocker holds a relation lock."),
        ("database", "missing-index", "clear", "The statement reads 4.1 buffers per call."),
        ("database", "deadlock", "clear", "No deadlock was logged."),
        ("database", "bloat", "not-applicable", "The recording is shorter than one vacuum cycle."),
        ("caching", "low-hit-ratio", "clear", "Hit ratio 0.94; misses own 0.4 % of request time."),
        ("caching", "cache-stampede", "no-evidence", "No command capture of the cache."),
        ("architecture", "memory-leak", "error", "ValueError in examine(): zero-length window"),
        ("architecture", "traffic-surge", "clear", "40.0 requests/s before and after."),
        ("architecture", "deploy-regression", "clear", "A mechanism explains the change; the deploy is its trigger."),
    ]
    out = [{"area": a, "problem": p, "outcome": o, "reason": r} for a, p, o, r in rows]
    out[7]["wanted"] = [locks]
    return out


@fresh
def incident() -> dict[str, Any]:
    """Row locks: POST /checkout queues behind one row of inventory."""
    series, route_series, heat = _series(True)
    wait = "select sum(duration_us) / 1e6 from lock_events where kind = 'lock-wait' and object = 'inventory'"
    share = m(0.63, "share of added request-seconds", 0.58, 0.68, 1160, wait, "moving-block bootstrap")
    scope = {"route": "/checkout", "service": ["postgresql", "shop"], "statement": STATEMENT, "object": "inventory"}
    rejected = [
        {"problem": "table-lock", "test": "root blockers that hold a relation lock", "value": 0, "bound": "≥ 1", "passed": True},
        {"problem": "missing-index", "test": "shared buffers per call of the statement", "value": 4.1, "bound": "> 100", "passed": True, "query": "select blocks_hit / calls from statements"},
        {"problem": "pool-exhaustion", "test": "pool wait left once lock time is removed", "value": "0.4 %", "bound": "≥ 10 %", "passed": True},
        {"problem": "traffic-surge", "test": "arrival rate, affected over reference", "value": 1.002, "bound": "≥ 1.1", "passed": True},
        {"problem": "app-lock-contention", "test": "off-CPU samples in lock waits", "value": None, "bound": "≥ 5 %", "passed": None},
    ]
    wanted = [
        {"evidence": "off-CPU or lock profile of the workers", "collect": "py-spy record --idle --threads --format raw -d 60 -p PID -o lock.collapsed", "effect": "would rule out app-lock-contention; confidence 0.93 → 0.97"},
        {"evidence": "cgroup counters", "collect": "perfaudit collect host --for 10m", "effect": "could rule cpu-throttling in or out"},
    ]
    predicted = {"duration_ms": {"p95": m(246, "ms", 231, 290, 1160, method="replay of 1,160 traces without the lock wait, then queueing")}, "capped_by": "the payment call (150 ms, by design)"}
    fixes = [
        {"action": "Update the stock after the payment call, in its own short transaction", "impact": "p95 of /checkout 1.88 s → 231–290 ms", "effort": "low", "risk": "medium",
         "basis": "one handler, 12 lines; the order of two steps changes, so a failed payment no longer needs to return stock", "reversible": True,
         "rollback": "revert the commit; no data migration", "verify": "perfaudit compare before/ after/ --objective '/checkout p95<400ms'"},
        {"action": "Reserve stock in a ledger table (insert, no update of a shared row)", "impact": "removes the hot row altogether", "effort": "high", "risk": "medium",
         "basis": "schema change and backfill", "reversible": False, "rollback": "dual-write for one release, then switch back reading", "verify": "lock_events of inventory stay at 0 under 2× load"},
        {"action": "set lock_timeout = '500ms' for the role", "impact": "bounds p99 at ~0.7 s, at the price of failed checkouts", "effort": "low", "risk": "high",
         "basis": "symptomatic: fails requests instead of letting them wait", "reversible": True, "rollback": "alter role … reset lock_timeout", "verify": "error ratio of /checkout"},
    ]
    return {
        "schema_version": 1,
        "audit": {
            "name": "checkout-incident",
            "question": "What constraint limits this system now, and what decision should be made next?",
            "definition": {"symptom": "Checkout takes seconds since this morning", "flow": "POST /checkout", "objectives": ["/checkout p95<400ms", "errors<1%"], "success": "p95 of /checkout below 400 ms at 40 requests/s"},
            "assumptions": ["No audit.toml: the affected window was found inside the recording.", "pg_stat_activity.csv has no zone: read as UTC."],
            "command": "perfaudit analyze incident --baseline healthy -o report.html",
            "tool": {"name": "perfaudit", "version": "0.1.0"},
        },
        "window": {"start": at(0), "end": at(1260)},
        "windows": {"affected": {"start": at(740), "end": at(1200)}, "reference": {"start": at(0), "end": at(740), "source": "found"}},
        "services": [
            {"service": "edge", "requests": 24010, "request_seconds": 2425.0, "role": "outermost"},
            {"service": "downstream", "requests": 7420, "request_seconds": 1180.5, "role": "inner"},
        ],
        "inventory": [
            {"table": "requests", "rows": 31402, "from": at(0), "to": at(1260), "sources": [
                _source("incident/access.log", "json_lines", 24010, rejected={"truncated line": 9, "not JSON": 19}, rejected_examples={"truncated line": {"text": '{"msec":1795420943.7,"request_me', "offset": 48213}},
                        notes=["request_time read as seconds; say otherwise with --log-format"]),
                _source("incident/downstream.access.log", "json_lines", 7420),
            ]},
            {"table": "lock_events", "rows": 96, "from": at(742), "to": at(1198), "sources": [_source("incident/postgresql.json", "postgres_log", 549)]},
            {"table": "sessions", "rows": 7940, "from": at(0), "to": at(1260), "sources": [_source("incident/pg_stat_activity.csv", "csv_dump", 7941, notes=["no zone: read as UTC, agrees with access.log"])]},
            {"table": "spans", "rows": 0, "sources": []},
        ],
        "not_read": [{"name": "incident/k6-stdout.txt", "reason": "no reader knows this format"}],
        "events": [
            {"time": at(715), "kind": "deploy", "service": "shop", "name": "deploy", "version": "2.14.0", "commit": "9fceb02"},
            {"time": at(300), "kind": "config", "service": "edge", "name": "keepalive_timeout 65"},
        ],
        "baseline": {
            "validity": [
                {"check": "length", "ok": True, "detail": "740 s of reference, 460 s affected"},
                {"check": "sample size", "ok": True, "detail": "14,406 reference requests; p99 has 144 beyond it"},
                {"check": "gaps", "ok": False, "detail": "no request for 30 s at 07:56:40"},
                {"check": "clock", "ok": None, "detail": "one source only says when; cannot be compared"},
            ],
            "requests": {
                "count": 24010, "rate_per_s": 19.06, "error_ratio": m(0.0005, "ratio", 0.0003, 0.0009, 24010), "client_aborts": 14,
                "status": {"2xx": 23984, "4xx": 14, "5xx": 12},
                "duration_ms": durations("%", 24010, p50=4.1, p90=214, p95=387, p99=1220, p999=2910, max=3241),
                "affected": {"count": 9604, "rate_per_s": 20.9, "error_ratio": 0.0012, "duration_ms": durations("%", 9604, p50=8.2, p95=1882, p99=2798)},
                "reference": {"count": 14406, "rate_per_s": 19.5, "error_ratio": 0.0, "duration_ms": durations("%", 14406, p50=4.1, p95=233, p99=271)},
            },
            "routes": _routes(), "series": series, "route_series": route_series, "heatmap": heat,
        },
        "time_account": [
            {"component": c, "share": m(s, "share of request-seconds", s * 0.9, s * 1.1, 9604, q), "seconds": s * 1204, "evidence": e, "problems": ["row-lock-contention"] if "lock" in c else []}
            for c, s, e, q in (
                ("database lock wait", 0.43, "lock_events", wait), ("downstream: payments", 0.31, "requests of downstream", ""), ("CPU running", 0.11, "profiles", ""),
                ("database executing", 0.05, "statement_events", ""), ("pool wait", 0.021, "spans", ""), ("queue for a worker", 0.014, "spans", ""),
                ("cache", 0.006, "spans", ""), ("edge", 0.004, "requests", ""), ("unexplained", 0.055, "what is left", ""),
            )
        ],
        "verdict": {
            "status": "constraint", "problem": "row-lock-contention", "scope": scope, "share": share, "confidence": 0.93,
            "since": {"time": at(743), "interval": [at(740), at(750)]},
            "trigger": {"time": at(715), "kind": "deploy", "service": "shop", "version": "2.14.0", "commit": "9fceb02"},
            "impact": {
                "objective": "broken", "requests": m(1160, "requests", n=9604), "share_of_requests": m(0.12, "share of requests", 0.11, 0.13, 9604),
                "seconds_lost": m(518, "s", 470, 561, 1160, wait), "clients": m(642, "clients"),
            },
            "chain": ["POST /checkout p95 233 ms → 1.88 s since 08:02:23", "96 transactions waited for one tuple of inventory, 6 deep", "The stock update runs before the 150 ms payment call, inside one transaction"],
            "rejected": rejected,
            "decision": "Move the stock update behind the payment call (shop 2.14.0 put it before); roll 2.14.0 back if that takes longer than today. Do not scale.",
            "predicted": predicted, "would_change": wanted,
        },
        "findings": [
            {
                "id": "F1", "fingerprint": "b6a0…1c", "problem": "row-lock-contention", "type": "problem", "parents": [], "scope": scope, "share": share, "added_seconds": 518.2, "confidence": 0.93,
                "title": "POST /checkout queues behind one row of inventory", "mechanism": "Transactions that update the same product wait for each other while the holder waits for payments.",
                "cause": "The stock update comes before the payment call, so the row stays locked for its 150–200 ms.", "onset": {"time": at(743), "interval": [at(740), at(750)]},
                "evidence": [
                    {"statement": "Time spent waiting for a row lock on inventory", "measurement": m(518.2, "s", 470.1, 561.3, 96, wait), "query": wait, "source": "incident/postgresql.json"},
                    {"statement": "Sessions in Lock: transactionid or tuple, at most", "measurement": m(7, "sessions", n=460), "source": "incident/pg_stat_activity.csv"},
                    {"statement": "Root blockers that wait for nothing themselves", "measurement": m(0.98, "share", 0.95, 1.0, 96)},
                ],
                "tests": [{"test": "lock waits own of the added request-seconds", "value": 0.63, "bound": "≥ 0.01", "passed": True, "query": wait}, {"test": "waits on one tuple", "value": "94 of 96", "bound": "≥ half", "passed": True}],
                "rejected": rejected, "benefit": predicted, "fixes": fixes,
            },
            {
                "id": "F2", "fingerprint": "77d1…02", "problem": "pool-exhaustion", "type": "symptom", "parents": ["F1"], "scope": {"service": "shop", "object": "db pool (8)"},
                "share": m(0.021, "share of request-seconds", 0.01, 0.03, 1160), "confidence": 0.8, "title": "The database pool of shop fills while checkouts wait for the row",
                "evidence": [{"statement": "Acquire wait, p95", "measurement": m(41.5, "ms", 30, 55, 1160), "source": "incident/app.prom"}], "tests": [], "rejected": [], "benefit": {}, "fixes": [],
            },
        ],
        "checks": _checks(True),
    }


@fresh
def healthy() -> dict[str, Any]:
    """Nothing wrong: one recording, all alike."""
    out = incident()
    series, route_series, heat = _series(False)
    out["audit"]["name"] = "checkout-healthy"
    out["verdict"] = {
        "status": "healthy", "confidence": 0.9, "rejected": [], "decision": "Leave it alone. The payment call owns 57 % of the time by design; nothing departs from the rest.",
        "would_change": [{"evidence": "an objective", "collect": "perfaudit analyze healthy --objective 'p95<300ms'", "effect": "a verdict against it"}],
    }
    out["windows"] = {"affected": out["window"]}
    out["findings"], out["events"] = [], []
    out["baseline"] |= {"series": series, "route_series": route_series, "heatmap": heat}
    for row in out["baseline"]["routes"]:
        del row["reference"], row["affected"]
    del out["baseline"]["requests"]["affected"], out["baseline"]["requests"]["reference"]
    out["time_account"] = [{"component": c, "share": m(s, "share of request-seconds")} for c, s in (("downstream: payments", 0.57), ("CPU running", 0.3), ("unexplained", 0.13))]
    out["checks"] = _checks(False)
    return out


@fresh
def insufficient() -> dict[str, Any]:
    """One short log without durations: only what must be there."""
    checks = [{**c, "outcome": "no-evidence", "reason": "The log holds no durations."} for c in _checks(False)]
    return {
        "schema_version": 1,
        "audit": {"question": "What constraint limits this system now, and what decision should be made next?"},
        "verdict": {
            "status": "insufficient-evidence", "confidence": 0.5, "rejected": [], "decision": "Collect request durations, then ask again.",
            "would_change": [{"evidence": "request durations", "collect": "log_format timed '$remote_addr … $request_time $upstream_response_time';", "effect": "every latency class could then be examined"}],
        },
        "inventory": [{"table": "requests", "rows": 120, "sources": [_source("access.log", "nginx", 121, rejected={"binary": 1})]}],
        "checks": checks,
    }


@fresh
def hostile() -> dict[str, Any]:
    """The incident with a payload in every text that can come from evidence."""
    out = incident()
    turn = iter(range(10**9))

    def bad(text: str = "") -> str:
        return text + HOSTILE[next(turn) % len(HOSTILE)]

    for row in out["baseline"]["routes"] + out["baseline"]["route_series"]:
        row["route"] = bad(row["route"])
    for table in out["inventory"]:
        for source in table["sources"]:
            source["name"] = bad(source["name"])
            source["notes"] = [bad() for _ in HOSTILE]
            source["rejected"] = {bad(k): v for k, v in source["rejected"].items()}
            source["rejected_examples"] = {bad(): {"text": bad(), "offset": 1}}
    out["not_read"] = [{"name": bad(), "reason": bad()} for _ in HOSTILE]
    out["events"] = [e | {"kind": bad(), "name": bad(), "detail": bad(), "version": bad()} for e in out["events"]]
    for finding in [out["verdict"], *out["findings"]]:
        finding["scope"] = {"route": [bad() for _ in HOSTILE], "statement": bad(STATEMENT), "object": bad(), "service": bad()}
        for test in finding["rejected"]:
            test |= {"test": bad(), "bound": bad(), "value": bad(), "query": bad("select 1 ")}
    for finding in out["findings"]:
        finding |= {"title": bad(finding["title"]), "mechanism": bad(), "cause": bad()}
        for exhibit in finding["evidence"]:
            exhibit |= {"statement": bad(), "source": bad()}
            exhibit["measurement"] |= {"query": bad("select 2 "), "unit": bad(), "method": bad()}
        for fix in finding["fixes"]:
            fix |= {k: bad() for k in ("action", "impact", "basis", "rollback", "verify")}
    for want in out["verdict"]["would_change"]:
        want |= {"evidence": bad(), "collect": bad(), "effect": bad()}
    out["verdict"]["trigger"] |= {"service": bad(), "version": bad(), "commit": bad()}
    out["verdict"] |= {"chain": [bad() for _ in HOSTILE], "decision": bad(out["verdict"]["decision"])}
    out["verdict"]["predicted"]["capped_by"] = bad()
    for row in out["time_account"]:
        row["component"] = bad(row["component"])
    for check in out["checks"]:
        check["reason"] = bad(check["reason"])
    for row in out["baseline"]["validity"]:
        row["detail"] = bad()
    for row in out["services"]:
        row["service"] = bad()
    out["audit"] |= {"name": bad("audit "), "command": bad(), "assumptions": [bad() for _ in HOSTILE], "question": bad("Why? ")}
    out["audit"]["definition"]["symptom"] = bad()
    return out


SAMPLES = {"incident": incident, "healthy": healthy, "insufficient": insufficient, "hostile": hostile}
