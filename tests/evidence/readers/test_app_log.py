from __future__ import annotations

import json
import os

import pytest

from perfaudit.evidence.readers import ReadOptions, Sample, app_log
from perfaudit.evidence.readers._levels import level
from perfaudit.evidence.source import Source

T = 1_795_420_943_000_000


@pytest.mark.parametrize(
    ("line", "found", "template"),
    [
        ("2026-11-23 08:02:23,123 - shop.cart - ERROR - cannot add product 17", "error", "cannot add product …"),
        ("2026-11-23 08:02:23,123 WARNING shop: slow query took 12ms", "warning", "shop: slow query took …"),
        ("2026-11-23 08:02:23.123  INFO 1 --- [nio-8080-exec-1] c.e.Shop : Started", "info", "… --- [nio-…] c.e.Shop : Started"),
        ("2026-11-23 08:02:23.123 [main] ERROR c.e.Shop - card 4111111111111111 declined", "error", "c.e.Shop - card … declined"),
        ("[2026-11-23T08:02:23Z] [error] boom", "error", "boom"),
        ("[2026-11-23T08:02:23.123+00:00] production.ERROR: boom", None, "production.ERROR: boom"),
        ("2026/11/23 08:02:23 listening on :8080", None, "listening on :…"),
        ("I, [2026-11-23T08:02:23.123456 #1234]  INFO -- : Started", "info", "Started"),
        ("2026-11-23T08:02:23Z WARN retrying", "warning", "retrying"),
        ('time="2026-11-23T08:02:23Z" level=warning msg="retry 3 of 5" user=alice password=hunter2', "warning", "retry … of …"),
        ("ts=1795420943.123 lvl=fatal msg=gone", "critical", "gone"),
        ("<34>1 2026-11-23T08:02:23.003Z web1 su 123 ID47 - 'su root' failed", "critical", "… failed"),
        ('<165>1 2026-11-23T08:02:23.003Z web1 app - ID47 [x@1 iut="3"] hello', "notice", "hello"),
        ("2026-11-23T08:02:23+0000 web1 shop[123]: ERROR no route", "error", "no route"),
        ("[23/Nov/2026:08:02:23 +0000] ERROR lost", "error", "lost"),
    ],
)
def test_text_formats(read, line, found, template):
    (row,) = read(app_log, (line + "\n").encode(), "shop.log").rows["logs"]
    assert (row["time"], row["level"], row["template"], row["count"]) == (T, found, template, 1)


@pytest.mark.parametrize("line", ["Nov 23 08:02:23 web1 sshd[123]: Failed password for root", "<38>Nov 23 08:02:23 web1 sshd[123]: Failed password for root", "I1123 08:02:23.123456       1 reflector.go:138] Failed password for root"])
def test_times_without_a_year_take_that_of_the_file(tmp_path, sink, line):
    path = tmp_path / "syslog"
    path.write_text(line + "\n")
    os.utime(path, (1_795_500_000, 1_795_500_000))
    with Source("syslog", path) as source:
        claim = app_log.sniff(Sample("syslog", source.head))
        assert claim is not None
        app_log.read(source, sink, claim, ReadOptions())
    assert sink.rows["logs"][0]["time"] == T
    assert sink.rows["logs"][0]["template"] == "Failed password for root"
    assert any("no year" in note for note in sink.notes)


def test_stack_traces_continue_their_event(read):
    data = b"""2026-11-23 08:02:23,123 ERROR shop: failed
Traceback (most recent call last):
  File "x.py", line 1, in f

ValueError: SECRET_CANARY
2026-11-23 08:02:23,900 ERROR shop: failed
java.lang.IllegalStateException: SECRET_CANARY
\tat c.e.Shop.f(Shop.java:12)
"""
    sink = read(app_log, data)
    assert (sink.n_lines, sink.n_parsed) == (8, 8)
    assert [(r["template"], r["count"]) for r in sink.rows["logs"]] == [("shop: failed", 2)]
    assert "SECRET_CANARY" not in repr(sink.rows)


def test_json_lines(read):
    records = [
        {"time": "2026-11-23T08:02:23.1Z", "level": "error", "msg": "user alice@example.com failed, password='hunter2'", "service": "cart"},
        {"time": "2026-11-23T08:02:23.9Z", "level": "ERROR", "msg": "user bob@example.com failed, password='x'", "service": "cart"},
        {"level": 50, "time": 1795420943123, "pid": 1, "hostname": "web1", "msg": "pino 17"},
        {"@timestamp": "2026-11-23T08:02:23Z", "log.level": "WARN", "message": "ecs", "service": {"name": "cart"}},
        {"severity": "CRITICAL", "timestamp": "2026-11-23T08:02:23Z", "message": "cloud"},
        {"PRIORITY": "6", "__REALTIME_TIMESTAMP": "1795420943000000", "MESSAGE": "journal", "_SYSTEMD_UNIT": "shop.service"},
        {"log": "2026-11-23 ERROR x\n", "stream": "stderr", "time": "2026-11-23T08:02:23.123456789Z"},
    ]
    sink = read(app_log, "".join(json.dumps(r) + "\n" for r in records).encode(), options=ReadOptions(service="shop"))
    rows = sink.rows["logs"]
    assert {r["time"] for r in rows} == {T}
    assert [(r["service"], r["level"], r["template"], r["count"]) for r in rows] == [
        ("cart", "error", "user … failed, password=…", 2), ("shop", "error", "pino …", 1), ("cart", "warning", "ecs", 1), ("shop", "critical", "cloud", 1),
        ("shop.service", "info", "journal", 1), ("shop", "error", "… ERROR x", 1),
    ]  # fmt: skip
    assert rows[1]["instance"] == "web1"


def test_labels_win_over_fields(read):
    data = b'{"time":"2026-11-23T08:02:23Z","level":"info","msg":"x","service":"cart","host":"h"}\n'
    options = ReadOptions(service="shop", instance="a", labelled=frozenset({"service", "instance"}))
    assert [(r["service"], r["instance"]) for r in read(app_log, data, options=options).rows["logs"]] == [("shop", "a")]


def test_bad_lines(read):
    good = b'{"time":"2026-11-23T08:02:23Z","level":"info","msg":"x"}\n'
    sink = read(app_log, good * 3 + b'{"time":"2026-11-2\n{"level":"info","msg":"y"}\n\0\xff\n\n' + good * 3)
    assert dict(sink.rejected) == {"not a JSON object": 2, "no time that can be read": 1}
    text = b"2026-11-23 08:02:23 ERROR x\n"
    sink = read(app_log, b"\0\0\n" + text * 3 + b"\0\xfe\xff\n" + b"2026-11-23 08:02:23 ERROR " + b"A" * 5_000_000 + b"\n2026-11-23 07:00:00 ERROR x")
    assert sink.n_rejected >= 2
    assert sink.rows["logs"][0]["count"] == 3 and sink.rows["logs"][-1]["time"] < T


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello\nworld\n",
        b"ERROR:root:no time\n",
        b'{"time":"2026-11-23T08:02:23Z","method":"GET","path":"/x","status":200,"duration_ms":1,"msg":"request"}\n',
        b"now,pid\n2026-11-23 08:02:23.770000+00,1\n2026-11-23 08:02:23.770000+00,2\n",
        b"2026-11-23T08:02:23.770Z\n# Server\nredis_version:7\n",
        b'1.2.3.4 - - [23/Nov/2026:08:02:23 +0000] "GET / HTTP/1.1" 200 5\n',
        b"\0\1\2",
        b"a;b;c 12\n",
    ],
)
def test_other_files_are_left_alone(data):
    assert app_log.sniff(Sample("x.log", data)) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [("WARN", "warning"), ("fatal", "critical"), (3, "error"), (0, "emergency"), (30, "info"), ("6", "info"), ("nonsense", None), (True, None), (None, None), (99, None), ("Information", "info")],
)
def test_levels(value, name):
    assert level(value) == name
