"""Readings of a recording, each against files small enough to count by hand."""

import json
from pathlib import Path

import pytest

from lab.load import Request
from lab.mechanisms._calls import attempts_each, caller, calls_each
from lab.observed import Observed, Phase, write_clients

OTLP_SPAN = {"traceId": "t1", "name": "GET /a", "kind": 2, "parentSpanId": "", "spanId": "s1", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1100000000"}


@pytest.fixture
def phase(tmp_path: Path) -> Phase:
    return Phase(tmp_path)


def spans(path: Path, *told: dict[str, object]) -> None:
    service = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    path.write_text(json.dumps({"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [{"spans": told}]}]}) + "\n")


def child(n: int, begin: int, end: int, kind: int = 3, parent: str = "s1", name: str = "SELECT") -> dict[str, object]:
    return {**OTLP_SPAN, "spanId": f"c{n}", "parentSpanId": parent, "name": name, "kind": kind, "startTimeUnixNano": str(begin * 10**6), "endTimeUnixNano": str(end * 10**6)}


def test_requests_belong_to_the_part_in_which_they_began(tmp_path: Path) -> None:
    folder = tmp_path / "fault"
    folder.mkdir()
    requests = [Request(100.5, 1000, "a", 200), Request(101, 500, "a", 200), Request(125, 20_000, "a", 0), Request(111, 500, "b", 200), Request(104, 10, "b", 429)]
    write_clients(folder, requests, 100, 110)
    fault = Observed(tmp_path).fault
    assert fault.seconds == 10
    assert {n: (t.count, t.errors) for n, t in fault.routes.items()} == {"a": (2, 1), "b": (1, 1)}
    assert fault.everything.rate == pytest.approx(0.3)
    assert fault.route("a").told() == {"count": 2, "rate": 0.2, "errors": 1, "p50": 500, "p95": 20_000, "p99": 20_000}


def test_what_was_not_recorded_is_empty(phase: Phase) -> None:
    assert (phase.requests, phase.all_spans, phase.rows("x.csv"), phase.lines("x.log"), phase.json("x.json")) == ([], [], [], [], None)
    assert (phase.statements(), phase.sessions().samples, phase.redis()["hits"], phase.group("app").cpu_s) == ({}, 0, 0.0, 0.0)
    assert (phase.metric("m"), phase.mean("m"), phase.most("m"), phase.per_request("x"), phase.self_ms("shop")) == ([], 0.0, 0.0, 0.0, 0.0)


def test_own_time_is_what_no_call_and_no_innermost_step_explains(phase: Phase) -> None:
    # 100 ms: calls cover 10–30 and 20–40, an inner step without steps 50–60, a wrapper (60–95) only by the call inside it (70–75)
    told = [OTLP_SPAN, child(1, 1010, 1030), child(2, 1020, 1040), child(3, 1050, 1060, 1), child(4, 1060, 1095, 1), child(5, 1070, 1075, parent="c4")]
    spans(phase.folder / "otlp-traces.jsonl", *told)
    assert phase.self_ms("shop") == pytest.approx(100 - 30 - 10 - 5)
    assert phase.per_request("SELECT", within="GET /a") == 5
    assert phase.span_ms("SELECT", 1.0) == pytest.approx(35)


def test_attempts_are_calls_to_one_address_within_a_request(phase: Phase) -> None:
    calls = [("t1", "/quotes"), ("t1", "/quotes"), ("t1", "/quotes"), ("t1", "/confirm"), ("t2", "/quotes"), ("t2", "/confirm")]
    told = [
        {**child(n, 1010 + n, 1011 + n, name="POST"), "traceId": trace, "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in (("http.method", "POST"), ("http.url", url))]}
        for n, (trace, url) in enumerate(calls)
    ]
    spans(phase.folder / "otlp-traces.jsonl", OTLP_SPAN, *told)
    assert caller(phase) == "shop"
    assert (attempts_each(phase, "shop"), calls_each(phase, "shop")) == (pytest.approx(6 / 4), 3)


def test_zipkin_and_otlp_give_the_same_span(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    told = {**OTLP_SPAN, "attributes": [{"key": "http.route", "value": {"stringValue": "/a"}}]}
    spans(tmp_path / "one" / "otlp-traces.jsonl", told)
    zipkin = {"traceId": "t1", "id": "s1", "name": "GET /a", "kind": "SERVER", "timestamp": 1_000_000, "duration": 100_000, "localEndpoint": {"serviceName": "shop"}, "tags": {"http.route": "/a"}}
    (tmp_path / "two" / "zipkin-spans.json").write_text(json.dumps([zipkin]))
    one, two = (Phase(tmp_path / name) for name in ("one", "two"))
    assert one.all_spans == two.all_spans
    assert one.spans("shop", "^GET", "server", http__route="^/a$") and not one.spans(http__route="/b")


def test_statements_are_differences_of_the_first_and_the_last_snapshot(phase: Phase) -> None:
    (phase.folder / "pg_stat_statements.csv").write_text(
        "now,userid,queryid,toplevel,query,calls,total_exec_time,shared_blks_hit,shared_blks_read,rows\n"
        '1,10,7,t,"select  a\nfrom t",100,1000,10,0,100\n2,10,7,t,"select  a\nfrom t",105,1010,11,1,101\n'
        '3,10,7,t,"select  a\nfrom t",110,1200,60,50,120\n3,10,8,t,new,2,1,0,0,0\n1,10,9,t,idle,4,4,0,0,0\n3,10,9,t,idle,4,4,0,0,0\n'
    )
    assert phase.statements() == {"select a from t": (10, 20.0, 10.0, 2.0, 0.0), "new": (2, 0.5, 0.0, 0.0, 0.0)}
    assert phase.statement("FROM t").total_ms == 200
    (phase.folder / "pg_stat_statements.csv").unlink()
    (phase.folder / "events_statements_summary_by_digest.csv").write_text(
        "now,schema_name,digest,digest_text,count_star,sum_timer_wait,sum_rows_sent,sum_rows_affected,sum_rows_examined\n1,s,d,q,1,1000000000,1,0,5\n2,s,d,q,3,5000000000,3,2,25\n"
    )
    assert phase.statements() == {"q": (2, 2.0, 0.0, 2.0, 10.0)}


def test_sessions_of_postgres(phase: Phase) -> None:
    client, now = "client backend", "2026-11-23 22:00:0{}.5+00"
    rows = [
        (now.format(1), "app", "active", "Lock", "transactionid", "2026-11-23 22:00:00+00", client, '"{12,13}"'),
        (now.format(1), "app", "idle in transaction", "Client", "ClientRead", "2026-11-23 21:59:58+00", client, "{}"),
        (now.format(2), "monitoring", "active", "", "", "2026-11-23 21:00:00+00", client, "{}"),
        (now.format(2), "", "", "Activity", "BgWriterMain", "", "background writer", "{}"),
    ]
    header = "now,application_name,state,wait_event_type,wait_event,xact_start,backend_type,blocked_by\n"
    (phase.folder / "pg_stat_activity.csv").write_text(header + "\n".join(map(",".join, rows)) + "\n")
    seen = phase.sessions()
    assert (seen.samples, seen.blocked, dict(seen.waits), dict(seen.blockers)) == (2, 1, {"Lock:transactionid": 1}, {"12": 1, "13": 1})
    assert (seen.active, seen.idle_in_transaction, seen.most, seen.oldest_s) == (0.5, 0.5, 2, 3.5)


def test_sessions_of_mariadb(phase: Phase) -> None:
    now = "2026-11-23 22:00:01.5"
    (phase.folder / "processlist.csv").write_text(
        f"now,id,user,command,state\n{now},1,app,Query,Updating\n{now},2,app,Sleep,\n{now},3,app,Query,Waiting for table metadata lock\n{now},4,system user,Daemon,\n"
    )
    (phase.folder / "innodb_trx.csv").write_text(f"now,trx_mysql_thread_id,trx_started\n{now},2,2026-11-23 21:59:59\n")
    (phase.folder / "innodb_lock_waits.csv").write_text(f"now,waiting_pid,blocking_pid,locked_table,locked_index\n{now},1,2,t,PRIMARY\n")
    seen = phase.sessions()
    assert (seen.samples, seen.blocked, seen.oldest_s, seen.active, seen.idle_in_transaction) == (1, 2, 2.5, 2.0, 1.0)
    assert dict(seen.waits) == {"innodb:t:PRIMARY": 1, "Waiting for table metadata lock": 1}


def test_counters_of_servers_and_groups(phase: Phase) -> None:
    first, last = "# time 2026-11-23T22:00:00.000Z ", "# time 2026-11-23T22:00:10.000Z "
    (phase.folder / "redis-info.txt").write_text(f"{first}INFO\nkeyspace_misses:5\ncmdstat_get:calls=1,usec=2\n{last}INFO\nkeyspace_misses:9\ncmdstat_get:calls=7,usec=9\n")
    assert (phase.redis()["keyspace_misses"], phase.redis()["cmdstat_get.calls"], phase.redis()["none"]) == (4, 6, 0)
    (phase.folder / "cgroups.txt").write_text(
        f"{first}app-1/cpu.stat\nnr_periods 10\nnr_throttled 1\nthrottled_time 1000000000\n{first}app-1/cpuacct.usage\n1000000000\n{first}app-10/cpuacct.usage\n7\n"
        f"{first}app-1/io.pressure\nsome avg10=0.00 avg60=0.00 avg300=0.00 total=10\n{last}app-1/io.pressure\nsome avg10=0.00 avg60=0.00 avg300=0.00 total=500010\n"
        f"{last}app-1/cpu.stat\nnr_periods 20\nnr_throttled 5\nthrottled_time 3500000000\n{last}app-1/cpuacct.usage\n4000000000\n{last}app-1/memory.usage_in_bytes\n4096\n"
    )
    use = phase.group("app-1")
    assert (use.cpu_s, use.throttled_periods, use.throttled_s, use.stalled_s["io"]) == (3.0, 4, 2.5, 0.5)
    assert [size for _, size in use.memory] == [4096.0]
    assert set(phase.groups("app-*")) == {"app-1", "app-10"}


def test_metrics_of_prometheus(phase: Phase) -> None:
    (phase.folder / "prometheus.prom").write_text(
        'n_total{instance="a"} 5 100.0\nn_total{instance="a"} 9 102.0\nn_total{instance="a"} 2 104.0\nn_total{code="500",instance="a"} 3 104.0\n'
        'n_total{instance="b"} 50 100.5\nn_total{instance="b"} 51 102.5\nw_sum{instance="a"} 1 100.0\nw_sum{instance="a"} 3 102.0\nw_count{instance="a"} 10 100.0\nw_count{instance="a"} 20 102.0\n# EOF\n'
    )
    assert phase.metric("n_total", instance="b") == [(100.5, 50.0), (102.5, 51.0)]
    assert phase.counted("n_total", instance="b") == 1
    assert phase.counted("n_total") == 4 + 2 + 3 + 1  # grown, after a reset, a series that appeared, the other instance
    assert phase.mean("w") == pytest.approx(0.2)
    assert phase.most("n_total") == 51


def test_metrics_of_otlp(phase: Phase) -> None:
    def at(seconds: int, total: float, count: int) -> dict[str, object]:
        return {"timeUnixNano": str(seconds * 10**9), "count": str(count), "sum": total, "bucketCounts": [str(count), "0"], "explicitBounds": [0.1], "attributes": []}

    metric = {"name": "wait", "histogram": {"dataPoints": [at(1, 1.0, 1), at(2, 3.0, 5)]}}
    gauge = {"name": "used", "gauge": {"dataPoints": [{"timeUnixNano": "1000000000", "asInt": "4", "attributes": [{"key": "state", "value": {"stringValue": "used"}}]}]}}
    (phase.folder / "otlp-metrics.jsonl").write_text(json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric, gauge]}]}]}) + "\n")
    assert phase.mean("wait") == 0.5
    assert phase.metric("wait_bucket", le="+Inf") == [(1.0, 1.0), (2.0, 5.0)]
    assert phase.most("used", state="used") == 4


def test_logs_and_documents(phase: Phase) -> None:
    (phase.folder / "app.log").write_text("a\nERROR one\nb\nERROR two\n")
    (phase.folder / "events.jsonl").write_text('{"kind": "deploy"}\n{"kind": "job"}\n')
    assert [m[1] for m in phase.log_matches("app.log", r"^ERROR (\w+)$")] == ["one", "two"]
    assert [e["kind"] for e in phase.json("events.jsonl")] == ["deploy", "job"]
