from __future__ import annotations

import pytest

from perfaudit.evidence.readers import ReadOptions, Sample, error_log

T = 1_795_420_943_000_000
NGINX = b"""2026/11/23 08:02:23 [error] 31#31: *45 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 203.0.113.77, server: _, request: "GET /x?token=SECRET_CANARY HTTP/1.1", upstream: "http://10.0.0.1:80/x", host: "shop"
2026/11/23 08:02:23 [error] 31#31: *46 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 203.0.113.78, server: _, request: "GET /y HTTP/1.1"
2026/11/23 08:02:24 [crit] 31#31: *47 open() "/var/www/alice@example.com" failed (24: Too many open files)
2026/11/23 08:02:24 [warn] 31#31: 1024 worker_connections are not enough
"""
APACHE = b"""[Mon Nov 23 08:02:23.123456 2026] [proxy:error] [pid 123:tid 456] (110)Connection timed out: [client 203.0.113.77:5] AH01102: error reading status line from remote server 10.0.0.1:80, referer: http://x/?SECRET_CANARY
[Mon Nov 23 08:02:23 2026] [error] [client 203.0.113.77] File does not exist: /var/www/alice@example.com
[Mon Nov 23 08:02:24.1 2026] [mpm_event:notice] [pid 1:tid 2] AH00484: server reached MaxRequestWorkers setting
"""
MYSQL = b"""2026-11-23T08:02:23.123456Z 0 [Warning] [MY-010068] [Server] CA certificate ca.pem is self signed.
2026-11-23  8:02:23 0 [Note] InnoDB: Buffer pool(s) load completed
261123  8:02:23 [ERROR] Aborted connection 12 to db: 'x' user: 'alice' host: '203.0.113.77'
InnoDB: END OF MONITOR OUTPUT 'SECRET_CANARY'
"""


def test_nginx(read):
    sink = read(error_log, NGINX, "error.log")
    assert [(r["time"], r["level"], r["template"], r["count"], r["service"]) for r in sink.rows["logs"]] == [
        (T, "error", "upstream timed out (…: Connection timed out) while reading response header from upstream", 2, "nginx"),
        (T + 1_000_000, "critical", "open() … failed (…: Too many open files)", 1, "nginx"),
        (T + 1_000_000, "warning", "… worker_connections are not enough", 1, "nginx"),
    ]
    assert "no zone" in sink.notes[0]


def test_apache(read):
    sink = read(error_log, APACHE)
    assert [(r["level"], r["template"].split(" ")[0]) for r in sink.rows["logs"]] == [("error", "AH01102"), ("error", "File"), ("notice", "AH00484")]


def test_mysql_and_mariadb(read):
    sink = read(error_log, MYSQL)
    assert [(r["time"], r["level"]) for r in sink.rows["logs"]] == [(T, "warning"), (T, "notice"), (T, "error")]
    assert sink.rows["logs"][0]["template"] == "MY-010068 CA certificate ca.pem is self signed."
    assert (sink.n_lines, sink.n_parsed) == (4, 4)


@pytest.mark.parametrize("data", [NGINX, APACHE, MYSQL])
def test_nothing_personal_is_kept(read, data):
    text = repr(read(error_log, data).rows)
    assert not [c for c in ("203.0.113.7", "SECRET_CANARY", "alice", "10.0.0.1") if c in text]


def test_zone_labels_and_stack_traces(read):
    data = NGINX + b"Stack trace:\n#0 /var/www/x.php(12)\n  thrown\n"
    sink = read(error_log, data, options=ReadOptions(zone="Europe/Berlin", service="edge", instance="web1", labelled=frozenset({"service"})))
    assert sink.n_rejected == 0 and sink.notes == []
    assert {(r["service"], r["instance"]) for r in sink.rows["logs"]} == {("edge", "web1")}
    assert sink.rows["logs"][0]["time"] == T - 3_600_000_000


def test_hostile(read):
    data = b"\0\xff\n" + NGINX + b"\0\0\xfe\n2026/13/45 99:99:99 [error] 1#1: x\n" + NGINX.replace(b"08:02", b"07:02") + b"2026/11/23 08:02:23 [error] 1#1: " + b"x" * 5_000_000
    sink = read(error_log, data)
    assert sink.n_rejected >= 2
    assert sum(sink.column("logs", "count")) >= 8
    assert max(map(len, sink.column("logs", "template"))) <= 300


@pytest.mark.parametrize("data", [b"", b"hello\n", b"2026-11-23 08:02:23 INFO x\n", b"\0\1", b'1.2.3.4 - - [23/Nov/2026:08:02:23 +0000] "GET / HTTP/1.1" 200 5\n'])
def test_other_files_are_left_alone(data):
    assert error_log.sniff(Sample("error.log", data)) is None
