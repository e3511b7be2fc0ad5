from __future__ import annotations

import json

import pytest

from perfaudit.evidence.readers import ReadOptions, Sample, pg_activity

HEADER = "now,datid,datname,pid,usename,application_name,client_addr,xact_start,query_start,state_change,wait_event_type,wait_event,state,query,backend_type,blocked_by"
T = 1_795_420_943_770_000


def row(now="2026-11-23 08:02:23.770000+00", pid="3062", query="update inventory set stock=stock-1 where product_id=17", blocked="{3070,3071}", state="active", start="2026-11-23 08:02:23.7+00", wait="Lock,transactionid"):
    return f'{now},5,shop,{pid},lab,web,203.0.113.77,{start},{start},{start},{wait},{state},"{query}",client backend,"{blocked}"'


def test_a_dump_of_two_snapshots(read):
    data = "\n".join([
        HEADER, row(), row(pid="3070", query="", blocked="{}", state="idle in transaction", wait="Client,ClientRead"),
        HEADER, row(now="2026-11-23 08:02:24.770000+00", query="select now(), * from pg_stat_activity"), "",
    ]).encode()  # fmt: skip
    sink = read(pg_activity, data, "pg_stat_activity.csv")
    assert (sink.n_lines, sink.n_parsed) == (5, 5)
    first, second = sink.rows["sessions"]
    assert first == {
        "time": T, "pid": 3062, "database": "shop", "application": "web", "state": "active", "wait_type": "Lock", "wait_event": "transactionid",
        "fingerprint": "5e5257f721cec381", "statement": "update inventory set stock=stock-$1 where product_id=$2", "query_age_us": 70_000,
        "xact_age_us": 70_000, "state_age_us": 70_000, "blocked_by": [3070, 3071], "backend_type": "client backend", "service": "postgresql",
    }  # fmt: skip
    assert second["statement"] is None and second["fingerprint"] is None and second["blocked_by"] == []
    assert any("1 rows of the session that took the snapshots" in note for note in sink.notes)
    assert "203.0.113.77" not in repr(sink.rows) and "lab" not in repr(sink.rows)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_orders(read, delimiter):
    data = delimiter.join(["pid", "state", "query", "ts", "query_start"]) + "\n" + delimiter.join(["7", "active", "select 1", "1795420943.770", "NULL"])
    session = read(pg_activity, data.encode()).rows["sessions"][0]
    assert (session["time"], session["pid"], session["query_age_us"], session["statement"], session["database"]) == (T, 7, None, "select $1", None)


def test_aligned_output_of_psql(read):
    data = """              now              | pid  | state  | wait_event_type | query
-------------------------------+------+--------+-----------------+----------
 2026-11-23 08:02:23.77+00     | 3062 | active |                 | select 1
(1 row)

"""
    sink = read(pg_activity, data.encode())
    assert sink.n_rejected == 0
    assert [(s["time"], s["pid"], s["wait_type"], s["statement"]) for s in sink.rows["sessions"]] == [(T, 3062, None, "select $1")]


def test_json_lines(read):
    record = {"snapshot_time": "2026-11-23T08:02:23.77Z", "pid": 9, "state": "active", "query": "select 'SECRET_CANARY'", "xact_start": "2026-11-23T08:02:20Z", "blocked_by": [4, 4, 5]}
    sink = read(pg_activity, (json.dumps(record) + "\nnot json\n\n").encode())
    session = sink.rows["sessions"][0]
    assert (session["time"], session["xact_age_us"], session["blocked_by"], session["statement"]) == (T, 3_770_000, [4, 5], "select $1")
    assert dict(sink.rejected) == {"not a JSON object": 1}


def test_ages_are_never_negative_and_the_clock_may_go_back(read):
    data = "\n".join([HEADER, row(start="2026-11-23 09:00:00+00"), row(now="2026-11-23 07:02:23+00", start="")]).encode()
    sessions = read(pg_activity, data).rows["sessions"]
    assert [s["query_age_us"] for s in sessions] == [0, None]
    assert sessions[1]["time"] < sessions[0]["time"]


def test_a_query_over_several_lines(read):
    data = "\n".join([HEADER, row(query='select ""a""\n from t\n\n where b = \'SECRET_CANARY\''), row(pid="8")]).encode()
    sink = read(pg_activity, data)
    assert (sink.n_lines, sink.n_parsed) == (6, 6)
    assert sink.column("sessions", "statement")[0] == 'select "a" from t where b = $1'


def test_bad_lines_do_not_lose_good_ones(read):
    data = "\n".join([
        HEADER, row(pid="1"), "2026-11-23 08:02:23.770000+00,5,sh", row(pid="x"), row(now="yesterday"), row(pid="2", query='select ""'), row(pid="3"),
        "\0\xff\x01", row(pid="4"),
    ]).encode("latin-1")  # fmt: skip
    sink = read(pg_activity, data)
    assert sink.column("sessions", "pid") == [1, 2, 3, 4]
    assert sink.rejected["no pid"] == 1 and sink.rejected["snapshot time cannot be read"] == 1
    assert any(reason.startswith("3 columns") for reason in sink.rejected)


def test_an_open_quote_ends_at_the_next_record(read):
    data = "\n".join([HEADER, row(pid="1").replace('"update', '"up""date "'), row(pid="2"), row(pid="3")]).encode()
    sink = read(pg_activity, data)
    assert sink.column("sessions", "pid")[-1] == 3
    assert sink.n_rejected <= 2


def test_zone(read):
    data = b"now,pid,state,query\n2026-11-23 09:02:23.77,7,active,select 1\n"
    assert read(pg_activity, data, options=ReadOptions(zone="Europe/Berlin")).column("sessions", "time") == [T]
    sink = read(pg_activity, data)
    assert sink.column("sessions", "time") == [T + 3_600_000_000]
    assert any("no zone" in note for note in sink.notes)


def test_service_of_a_label(read):
    options = ReadOptions(service="orders-db", labelled=frozenset({"service"}))
    assert read(pg_activity, f"{HEADER}\n{row()}".encode(), options=options).column("sessions", "service") == ["orders-db"]


@pytest.mark.parametrize("data", [b"", b"time,pid\n1,2\n", b"now,datname,numbackends\n1,2,3\n", b'{"pid":1}\n', b"\x00\x01\x02", b"{" * 1000])
def test_other_files_are_left_alone(data):
    assert pg_activity.sniff(Sample("x.csv", data)) is None


def test_a_dump_without_snapshot_time_says_what_to_do(read):
    sink = read(pg_activity, b"pid,state,query\n1,active,select 1\n")
    assert dict(sink.rejected) == {"no snapshot time": 1}
    claim = pg_activity.sniff(Sample("x", b"pid,state,query\n1,active,select 1\n"))
    assert claim is not None and "select now(), *" in claim.hint


def test_old_servers_and_missing_privileges(read):
    data = b"now,pid,waiting,state,query\n2026-11-23 08:02:23.77+00,7,t,active,<insufficient privilege>\n"
    session = read(pg_activity, data).rows["sessions"][0]
    assert (session["wait_type"], session["statement"], session["fingerprint"]) == ("Lock", None, None)


def test_deep_json_is_rejected(read):
    good = b'{"now":"2026-11-23T08:02:23.77Z","pid":9,"state":"active","query":"select 1"}\n'
    sink = read(pg_activity, good + good.replace(b"9", b"[" * 100_000) + good)
    assert sink.column("sessions", "pid") == [9, 9] and sink.n_rejected == 1
