from __future__ import annotations

import json
from typing import Any

import pytest

from perfaudit.evidence.readers import NamedFormat, ReadOptions, Sample, postgres_log

T = 1_795_420_943_000_000
UPDATE = "update inventory set stock=stock-1 where product_id=17"
SHAPE, HASH = "update inventory set stock=stock-$1 where product_id=$2", "5e5257f721cec381"
CANARIES = ("SECRET_CANARY", "4111111111111111", "alice@example.com", "203.0.113.77", "hunter2")


def record(message: str, second: float = 0.0, pid: int = 3072, level: str = "LOG", **more: Any) -> dict[str, Any]:
    stamp = f"2026-11-23 08:02:{23 + second:06.3f} UTC"
    return {"timestamp": stamp, "user": "lab", "dbname": "shop", "pid": pid, "remote_host": "203.0.113.77", "error_severity": level, "message": message, **more}


def jsonlog(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(r) + "\n" for r in records).encode()


def csvlog(*records: dict[str, Any], columns: int = 26) -> bytes:
    out = []
    for r in records:
        fields = [r["timestamp"], r["user"], r["dbname"], str(r["pid"]), r["remote_host"], "6b03f307.bc8", "1", "UPDATE", "2026-11-23 08:02:15 UTC", "3/1",
                  str(r.get("txid", 0)), r["error_severity"], "00000", r["message"], r.get("detail", ""), "", "", "", r.get("context", ""), r.get("statement", ""),
                  "", "", r.get("application_name", ""), "client backend", "", "0"][:columns]  # fmt: skip
        quoted = {1, 2, 4, 7, 13, 14, 18, 19, 22, 23}
        out.append(",".join('"' + f.replace('"', '""') + '"' if i in quoted and f else f for i, f in enumerate(fields)) + "\n")
    return "".join(out).encode()


def stderr(*records: dict[str, Any], prefix: str = "{timestamp} [{pid}] {user}@{dbname} ") -> bytes:
    out = []
    for r in records:
        head = prefix.format(**r)
        for level, text in ((r["error_severity"], r["message"]), ("DETAIL", r.get("detail")), ("CONTEXT", r.get("context")), ("STATEMENT", r.get("statement"))):
            if text:
                out.append(f"{head}{level}:  " + text.replace("\n", "\n\t") + "\n")
    return "".join(out).encode()


def waiting(target: str = "transaction 1959", after: float = 200.110, second: float = 0.2, event: str = "still waiting for", pid: int = 3072, **more: Any):
    return record(f"process {pid} {event} ShareLock on {target} after {after:.3f} ms", second, pid, statement=UPDATE, **more)


HOLDERS = {"detail": "Process holding the lock: 3062. Wait queue: 3072, 3066.", "context": 'while updating tuple (0,189) in relation "inventory"'}
STORY = [
    record("duration: 306.017 ms  statement: select *\n  from orders where name = 'SECRET_CANARY'\n and card = 4111111111111111", 0.1, application_name="psql"),
    waiting(**HOLDERS),
    waiting(event="acquired", after=205.774, second=0.205, context=HOLDERS["context"]),
    record("duration: 210.5 ms  execute <unnamed>: update inventory set stock=stock-$1 where product_id=$2", 0.21, detail="parameters: $1 = 'SECRET_CANARY'"),
    record("duration: 0.05 ms  parse <unnamed>: select 1", 0.22),
    record("duration: 0.07 ms  bind s1: select 1", 0.22),
    record('temporary file: path "base/pgsql_tmp/pgsql_tmp3036.0", size 6447104', 0.3, statement="select * from t where a='SECRET_CANARY' order by 1"),
    record("checkpoint starting: wal", 0.4, 1),
    record("checkpoint complete: wrote 5 buffers (0.0%); 0 WAL file(s) added; write=0.1 s, sync=0.003 s, total=1.028 s; sync files=4; distance=2493 kB, estimate=2 kB", 1.5, 1),
    record("sorry, too many clients already", 2, 4000, "FATAL"),
    record('duplicate key value violates unique constraint "users_email_key"', 3, level="ERROR", detail="Key (email)=(alice@example.com) already exists.", statement="insert into users values ('alice@example.com','hunter2')"),
    record("database system is ready to accept connections", 4, 1),
]  # fmt: skip


def check_story(sink: Any) -> None:
    assert sink.n_rejected == 0
    slow, update = sink.rows["statement_events"]
    assert (slow["time"], slow["duration_us"], slow["statement"], slow["database"], slow["pid"]) == (T + 100_000, 306_017, "select * from orders where name = $1 and card = $2", "shop", 3072)
    assert (update["duration_us"], update["fingerprint"], update["statement"]) == (210_500, HASH, SHAPE)
    wait, temp, checkpoint, refused = sink.rows["lock_events"]
    assert {k: v for k, v in wait.items() if v is not None} == {
        "time": T - 110, "kind": "lock-wait", "duration_us": 205_774, "acquired": True, "pid": 3072, "lock_mode": "ShareLock", "lock_target": "transaction",
        "object": "inventory", "holders": [3062], "queue": [3072, 3066], "fingerprint": HASH, "statement": SHAPE, "database": "shop", "service": "postgresql",
    }  # fmt: skip
    assert (temp["kind"], temp["bytes"], temp["statement"]) == ("temp-file", 6_447_104, "select * from t where a=$1 order by $2")
    assert (checkpoint["kind"], checkpoint["duration_us"], checkpoint["bytes"], checkpoint["detail"]) == ("checkpoint", 1_028_000, 2493 * 1024, "wal")
    assert refused["kind"] == "connection-refused"
    assert [(r["level"], r["template"]) for r in sink.rows["logs"]] == [
        ("critical", "sorry, too many clients already"), ("error", "duplicate key value violates unique constraint …"), ("info", "database system is ready to accept connections"),
    ]  # fmt: skip
    assert not [c for c in CANARIES if c in repr(sink.rows)]


def test_jsonlog(read):
    sink = read(postgres_log, jsonlog(*STORY), "postgresql.json")
    check_story(sink)
    assert sink.rows["statement_events"][0]["application"] == "psql"
    assert sink.notes == []


@pytest.mark.parametrize("columns", [23, 24, 26])
def test_csvlog(read, columns):
    sink = read(postgres_log, csvlog(*STORY, columns=columns), "postgresql.csv")
    check_story(sink)
    assert sink.n_lines == len(STORY) + 2


@pytest.mark.parametrize(
    ("prefix", "declared"),
    [
        ("{timestamp} [{pid}] {user}@{dbname} ", None),
        ("{timestamp} [{pid}]: [5-1] user={user},db={dbname},app=[unknown],client=203.0.113.77 ", None),
        ("{timestamp}:203.0.113.77(4242):{user}@{dbname}:[{pid}]:", None),
        ("{timestamp}|{pid}|{dbname}| ", "%m|%p|%d| "),
        ("{dbname} {timestamp}     {pid} 6b03f307.bc8 ", "%d %m %8p %c "),
    ],
)
def test_stderr(read, prefix, declared):
    options = ReadOptions(formats=(NamedFormat("postgresql", "log_line_prefix", declared, "postgresql.conf"),) if declared else ())
    sink = read(postgres_log, stderr(*STORY, prefix=prefix), options=options)
    check_story(sink)
    assert sink.n_lines == sum(len([k for k in ("detail", "context", "statement") if k in r]) + 1 for r in STORY) + 2


def test_an_unknown_prefix_is_guessed_and_said(read):
    data = stderr(*STORY, prefix="[{timestamp}] pid={pid} xx db={dbname} ")
    check_story(read(postgres_log, data))
    claim = postgres_log.sniff(Sample("x", data))
    assert claim is not None and "guessed" in claim.note and claim.hint == "log_line_prefix = '%m [%p] %q%u@%d '"


def test_epoch_prefix_and_log_format_option(read):
    data = b"1795420943.100 7 LOG:  duration: 5.0 ms  statement: select 1\n"
    assert read(postgres_log, data, options=ReadOptions(log_format="%n %p ")).column("statement_events", "time") == [T + 100_000]


def test_zones(read):
    data = stderr(STORY[0]).replace(b" UTC ", b" CET ")
    assert "ambiguous" in read(postgres_log, data).notes[0]
    sink = read(postgres_log, data, options=ReadOptions(zone="Europe/Berlin"))
    assert sink.column("statement_events", "time") == [T + 100_000 - 3_600_000_000] and sink.notes == []
    without = data.replace(b" CET ", b" ")
    assert read(postgres_log, without).column("statement_events", "time") == [T + 100_000]


@pytest.mark.parametrize("reason", ["lock timeout", "statement timeout", "user request"])
def test_a_cancelled_wait_was_not_acquired(read, reason):
    sink = read(postgres_log, jsonlog(waiting(**HOLDERS), record(f"canceling statement due to {reason}", 1.0, level="ERROR", statement=UPDATE)))
    (wait,) = sink.rows["lock_events"]
    assert (wait["kind"], wait["acquired"], wait["duration_us"], wait["time"]) == ("lock-wait", False, 1_000_110, T - 110)


def test_the_log_ends_while_it_waits(read):
    (wait,) = read(postgres_log, jsonlog(waiting(**HOLDERS))).rows["lock_events"]
    assert (wait["acquired"], wait["duration_us"]) == (False, 200_110)


def test_a_lock_timeout_without_a_logged_wait(read):
    data = jsonlog(record("canceling statement due to lock timeout", level="ERROR", statement=UPDATE, context=HOLDERS["context"]), record('could not obtain lock on row in relation "t2"', level="ERROR", statement=UPDATE))
    assert [(r["kind"], r["acquired"], r["object"]) for r in read(postgres_log, data).rows["lock_events"]] == [("lock-timeout", False, "inventory"), ("lock-timeout", False, "t2")]


@pytest.mark.parametrize(
    ("target", "kind", "name", "statement"),
    [
        ("transaction 1959", "transaction", None, UPDATE),
        ("virtual transaction 3/17", "virtualxid", None, UPDATE),
        ("tuple (0,1) of relation 16384 of database 5", "tuple", "inventory", UPDATE),
        ("relation 16384 of database 5", "relation", "oid:16384", "select * from a join b using (x)"),
        ("extension of relation 16384 of database 5", "extend", "shop.t", "insert into shop.t values (1)"),
        ("page 3 of relation 16384 of database 5", "page", "oid:16384", "nonsense"),
        ("advisory lock [5,0,1,1]", "advisory", None, "select pg_advisory_lock(1)"),
        ("object 1 of class 2615 of database 5", "object", None, UPDATE),
    ],
)
def test_targets_and_objects(read, target, kind, name, statement):
    first = {**waiting(target, second=0.2), "statement": statement}
    (wait,) = read(postgres_log, jsonlog(first)).rows["lock_events"]
    assert (wait["lock_target"], wait["object"]) == (kind, name)
    assert (wait["detail"] is not None) == (name is not None and "oid" not in name)


def test_the_blocker_is_known_by_its_transaction_or_its_process(read):
    holder = record("duration: 5.0 ms  statement: update inventory set stock=0 where product_id=3", 0.05, 3062, txid=1959)
    (wait,) = read(postgres_log, jsonlog(holder, waiting(**HOLDERS), waiting(event="acquired", after=205.774, second=0.21))).rows["lock_events"]
    assert wait["holder_statement"] == "update inventory set stock=$1 where product_id=$2"
    long = record("duration: 2000.0 ms  statement: vacuum full inventory", 0.202, 3062)
    rows = read(postgres_log, jsonlog(waiting("relation 1 of database 5", **HOLDERS), long, waiting("relation 1 of database 5", event="acquired", after=205.774, second=0.21))).rows
    assert rows["lock_events"][0]["holder_statement"] == "vacuum full inventory"


def test_a_deadlock_is_one_row(read):
    detail = (
        "Process 3072 waits for ShareLock on transaction 1959; blocked by process 3062.\nProcess 3062 waits for ShareLock on transaction 1960; blocked by process 3072.\n"
        "Process 3072: update b set x = 'SECRET_CANARY'\nwhere id = 2\nProcess 3062: update a set x = 'SECRET_CANARY' where id = 1"
    )
    data = jsonlog(
        waiting("transaction 1960", pid=3062, second=0.3, detail="Process holding the lock: 3072. Wait queue: 3062."),
        waiting("transaction 1959", event="detected deadlock while waiting for", after=1000.2, second=1.2),
        record("deadlock detected", 1.2, level="ERROR", detail=detail, context='while updating tuple (0,2) in relation "b"', statement="update b set x = 'SECRET_CANARY'\nwhere id = 2"),
        waiting("transaction 1960", event="acquired", after=1100.5, second=1.2, pid=3062),
        waiting("transaction 1961", pid=3062, second=2.0, event="acquired", after=300.0),
    )
    sink = read(postgres_log, data)
    deadlock, later = sink.rows["lock_events"]
    assert {k: deadlock[k] for k in ("kind", "time", "duration_us", "pid", "holders", "object", "lock_mode", "lock_target", "statement", "holder_statement", "detail")} == {
        "kind": "deadlock", "time": T + 1_200_000, "duration_us": 1_000_200, "pid": 3072, "holders": [3072, 3062], "object": "b", "lock_mode": "ShareLock",
        "lock_target": "transaction", "statement": "update b set x = $1 where id = $2", "holder_statement": "update a set x = $1 where id = $2",
        "detail": "update a set x = $1 where id = $2 ⇄ update b set x = $1 where id = $2",
    }  # fmt: skip
    assert (later["kind"], later["acquired"]) == ("lock-wait", True)
    assert "SECRET_CANARY" not in repr(sink.rows)


def test_avoided_deadlocks_and_several_holders_are_one_wait(read):
    data = jsonlog(
        waiting("relation 5 of database 1", event="avoided deadlock for", second=0.2).copy() | {"message": "process 3072 avoided deadlock for ShareLock on relation 5 of database 1 by rearranging queue order after 200.110 ms"},
        waiting("relation 5 of database 1", second=0.2, detail="Processes holding the lock: 1, 2. Wait queue: 3072."),
        waiting("relation 5 of database 1", event="acquired", second=0.5, after=500.110),
    )
    (wait,) = read(postgres_log, data).rows["lock_events"]
    assert (wait["holders"], wait["queue"], wait["duration_us"], wait["acquired"]) == ([1, 2], [3072], 500_110, True)


def test_a_duration_joins_the_statement_logged_before(read):
    data = jsonlog(record("statement: select 'SECRET_CANARY'", pid=1), record("statement: select a from t", pid=2), record("duration: 7.001 ms", 0.1, pid=1), record("duration: 9.0 ms", 0.2, pid=1))
    sink = read(postgres_log, data)
    assert [(r["duration_us"], r["statement"], r["pid"]) for r in sink.rows["statement_events"]] == [(7_001, "select $1", 1)]
    assert "logs" not in sink.rows


JSON_PLAN = {"Query Text": "select * from t where a = 'SECRET_CANARY'", "Query Parameters": "$1 = 'SECRET_CANARY'", "Plan": {
    "Node Type": "Nested Loop", "Plan Rows": 3, "Plans": [
        {"Node Type": "Index Scan", "Relation Name": "t", "Index Name": "t_a", "Index Cond": "(a = 'SECRET_CANARY'::text)", "Output": ["id", "'SECRET_CANARY'::text"], "Actual Rows": 7},
        {"Node Type": "Seq Scan", "Relation Name": "u", "Filter": "(n = 4111111111111111)"}]}}  # fmt: skip
TEXT_PLAN = """Query Text: select * from t where a = 'SECRET_CANARY'
Nested Loop  (cost=0.00..9.00 rows=3 width=4) (actual time=0.010..0.020 rows=3 loops=1)
  ->  Index Scan using t_a on t  (cost=0.14..8.16 rows=1 width=4) (actual time=0.005..0.006 rows=7 loops=1)
        Index Cond: (a = 'SECRET_CANARY'::text)
  ->  Seq Scan on u  (cost=0.00..1.00 rows=1 width=4) (actual rows=1 loops=3)
        Filter: (n = 4111111111111111)"""


@pytest.mark.parametrize("plan", [json.dumps(JSON_PLAN, indent=2), TEXT_PLAN])
@pytest.mark.parametrize("form", [jsonlog, csvlog, stderr])
def test_plans(read, plan, form):
    sink = read(postgres_log, form(record(f"duration: 12.5 ms  plan:\n{plan}"), record("duration: 12.6 ms  statement: select * from t where a = 'SECRET_CANARY'", 0.1)))
    (row,) = sink.rows["plans"]
    assert (row["time"], row["duration_us"], row["statement"], row["pid"]) == (T, 12_500, "select * from t where a = $1", 3072)
    tree = json.loads(row["plan"])["Plan"]
    assert [tree["Node Type"]] + [p["Node Type"] + " " + p["Relation Name"] for p in tree["Plans"]] == ["Nested Loop", "Index Scan t", "Seq Scan u"]
    assert tree["Plans"][0]["Index Cond"] == "(a = …::text)" and tree["Plans"][0]["Actual Rows"] == 7
    assert len(sink.rows["statement_events"]) == 1
    assert not [c for c in CANARIES if c in repr(sink.rows)]
    other = read(postgres_log, jsonlog(record("duration: 99 ms  plan:\n" + json.dumps(JSON_PLAN).replace('"Plan Rows": 3', '"Plan Rows": 4'))))
    assert other.rows["plans"][0]["shape"] == row["shape"]
    changed = read(postgres_log, jsonlog(record("duration: 99 ms  plan:\n" + json.dumps(JSON_PLAN).replace("Index Scan", "Seq Scan"))))
    assert changed.rows["plans"][0]["shape"] != row["shape"]


def test_localised_messages_are_noted(read):
    sink = read(postgres_log, jsonlog(record("Dauer: 306.017 ms  Anweisung: select 1")))
    assert "lc_messages = 'C'" in sink.notes[0]


@pytest.mark.parametrize("form", [jsonlog, csvlog, stderr])
def test_damage_does_not_lose_good_records(read, form):
    good = record("duration: 5.0 ms  statement: select 1", 0.1)
    whole = form(good)
    data = whole * 3 + whole[: len(whole) // 3] + b"\n" + b"\0\xff\xfe\x01 garbage \x1b[31m\n" + whole.replace(b"select 1", b"select '\xff\xfe'") + b"\n" + whole + whole[:25]
    sink = read(postgres_log, data)
    assert len(sink.rows["statement_events"]) >= 4
    assert sink.n_rejected >= 2


@pytest.mark.parametrize("form", [jsonlog, csvlog, stderr])
def test_a_huge_message_and_a_clock_going_back(read, form):
    huge = "duration: 5.0 ms  statement: select '" + "SECRET_CANARY" * 400_000 + "'"
    sink = read(postgres_log, form(record("duration: 1.0 ms  statement: select 1", 9), record(huge), record("duration: 2.0 ms  statement: select 1", -20)))
    assert sink.column("statement_events", "duration_us")[0] == 1_000 and sink.column("statement_events", "duration_us")[-1] == 2_000
    assert "SECRET_CANARY" not in repr(sink.rows)


def test_an_unterminated_quote_costs_one_record(read):
    good = record("duration: 5.0 ms  statement: select 1", 0.1)
    bad = csvlog(good).replace(b'statement: select 1"', b'statement: select ""1 "" "')
    sink = read(postgres_log, csvlog(good) + bad.replace(b'"" "', b'"') + csvlog(good) * 3)
    assert len(sink.rows["statement_events"]) >= 4


def test_deep_json_is_rejected(read):
    good = jsonlog(record("duration: 5.0 ms  statement: select 1"))
    deep = good.replace(b"203.0.113.77", b"") .replace(b'"remote_host": ""', b'"remote_host": ' + b"[" * 100_000)
    plan = jsonlog(record("duration: 5.0 ms  plan:\n" + '{"Plan":{"Node Type":"A","Plans":[' * 5_000))
    sink = read(postgres_log, good + deep + plan + good)
    assert len(sink.rows["statement_events"]) == 2 and sink.n_rejected == 1 and "plans" not in sink.rows


@pytest.mark.parametrize("data", [b"", b"hello\n", b'{"level":"info","msg":"x"}\n', b"2026-11-23 08:02:23 INFO x\n", b"a,b,c\n1,2,3\n", b"\0" * 100, b'{"error_severity"\n' * 5])
def test_other_files_are_left_alone(data):
    assert postgres_log.sniff(Sample("x.log", data)) is None
