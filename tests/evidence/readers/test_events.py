from __future__ import annotations

import json

import pytest

from perfaudit.evidence.readers import ReadOptions, Sample, events, recognise

T = 1_795_420_943_000_000


def lines(*records: dict) -> bytes:
    return "".join(json.dumps(r) + "\n" for r in records).encode()


def test_json_lines(read):
    data = lines(
        {"time": "2026-11-23T08:02:23Z", "kind": "deploy", "service": "shop", "version": "1.2.3", "commit": "abc123", "note": "new cart"},
        {"ts": 1795420943, "type": "feature_flag", "name": "new-cart", "description": "on", "percent": 50, "nested": {"a": [1, "x"]}},
        {"timestamp": 1795420943000, "event": "solar flare", "title": "X9"},
        {"timestamp": "1795420943000000", "version": "v7"},
    )
    sink = read(events, data, "deploys.jsonl")
    rows = sink.rows["events"]
    assert [r["time"] for r in rows] == [T] * 4
    assert rows[0] == {"time": T, "kind": "deploy", "service": "shop", "name": None, "version": "1.2.3", "commit": "abc123", "detail": "new cart"}
    assert (rows[1]["kind"], rows[1]["name"]) == ("flag", "new-cart")
    assert json.loads(rows[1]["detail"]) == {"note": "on", "percent": 50, "nested": {"a": [1, "x"]}}
    assert (rows[2]["kind"], rows[2]["name"]) == ("solar flare", "X9")
    assert (rows[3]["kind"], rows[3]["version"]) == ("deploy", "v7")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(read, delimiter):
    table = [["Time", "Kind", "service", "message", "region"], ["2026-11-23 08:02:23+00", "deploy", "shop", '"a, b\nc"', "eu"], ["1795420943", "config", "shop", "pool=5", ""]]
    sink = read(events, "\n".join(delimiter.join(row) for row in table).encode())
    assert [(r["time"], r["kind"]) for r in sink.rows["events"]] == [(T, "deploy"), (T, "config")]
    assert json.loads(sink.rows["events"][0]["detail"]) == {"note": "a, b c", "region": "eu"}
    assert sink.rows["events"][1]["detail"] == "pool=5"
    assert sink.n_lines == 4


def test_documents_and_kubernetes(read):
    assert read(events, b'[\n {"time": "2026-11-23T08:02:23Z", "kind": "incident", "title": "x"}\n]\n').rows["events"][0]["kind"] == "incident"
    item = {"kind": "Event", "lastTimestamp": "2026-11-23T08:02:23Z", "reason": "OOMKilling", "message": "killed", "involvedObject": {"kind": "Pod", "name": "shop-7d9f8b6c5-abcde"}}
    sink = read(events, json.dumps({"kind": "List", "items": [item, {**item, "reason": "Odd", "lastTimestamp": None}]}, indent=1).encode())
    event = sink.rows["events"][0]
    assert (event["kind"], event["service"], event["name"]) == ("restart", "shop", "shop-7d9f8b6c5-abcde")
    assert "1 of 2 events have no time" in sink.notes[0]


def test_secrets_and_people_are_not_kept(read):
    data = lines({
        "time": T // 10**6, "kind": "deploy", "author": "alice", "by": "Alice", "password": "hunter2", "note": "token=SECRET_CANARY for alice@example.com from 203.0.113.77",
        "env": {"DB_PASSWORD": "hunter2", "user": "alice"}, "card": 4111111111111111, "url": "http://alice:hunter2@h/?q=SECRET_CANARY",
    })  # fmt: skip
    text = repr(read(events, data).rows)
    assert not [c for c in ("alice", "Alice", "hunter2", "SECRET_CANARY", "203.0.113.77", "4111111111111111") if c in text], text


def test_bad_lines(read):
    data = lines({"time": 1795420943, "kind": "deploy"}, {"time": "soon", "kind": "deploy"}) + b'{"time": 17\n\0\xff\n[1]\n\n'
    data += lines({"time": 1795420000, "kind": "deploy"}) * 4
    sink = read(events, data)
    assert sink.column("events", "time") == [T] + [1_795_420_000_000_000] * 4
    assert dict(sink.rejected) == {"no time that can be read": 1, "not a JSON object": 3}


def test_zone_and_label(read):
    options = ReadOptions(zone="Europe/Berlin", service="shop", labelled=frozenset({"service"}))
    row = read(events, b"time,kind,service\n2026-11-23 09:02:23,deploy,other\n", options=options).rows["events"][0]
    assert (row["time"], row["service"]) == (T, "shop")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        lines({"time": 1795420943, "level": "info", "msg": "x", "event": "y"}),
        lines({"time": 1795420943, "type": "access", "status": 200, "path": "/"}),
        lines({"timestamp": 1795420943, "kind": "CLIENT", "traceId": "a", "name": "get"}),
        lines({"timestamp": "2026-11-23 08:02:23 UTC", "error_severity": "LOG", "message": "m", "pid": 1}),
        lines({"resourceSpans": []}),
        b"now,datname,numbackends\n2026-11-23 08:02:23+00,shop,3\n",
        b"metric_name,timestamp,metric_value\nhttp_reqs,1795420943,1\n",
        b"\0\1\2",
        b"[" * 100_000,
    ],
)
def test_other_files_are_left_alone(data):
    assert events.sniff(Sample("x.log", data)) is None


def test_events_win_over_application_logs():
    data = lines({"time": "2026-11-23T08:02:23Z", "event": "deploy", "message": "v2"})
    claim = recognise(Sample("deploys.jsonl", data))
    assert claim is not None and claim[0] == "events"
