"""JSON access logs: the products' own samples, exactness against a plain reader, units, hostile lines."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard

from perfaudit.evidence.readers import NamedFormat, ReadOptions, Sample, access_json
from perfaudit.evidence.routes import normalise
from perfaudit.kernels.siphash import siphash

Read = Callable[..., Any]
AT = 1_795_420_800_000_000  # 2026-11-23T08:00:00Z


def dumps(*records: Any) -> bytes:
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records)


def nginx_line(i: int, pick: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line as nginx writes it with ``escape=json``, and the row it must become."""
    duration, upstream = pick.randrange(1, 3_000), pick.choice(["", "0.010", "0.001, 0.020", "0.1 : 0.2, -"])
    each = {"": [], "0.010": [10_000], "0.001, 0.020": [1_000, 20_000], "0.1 : 0.2, -": [100_000, 200_000, None]}[upstream]
    uri = pick.choice(["/", f"/users/{i}", f"/orders/{i}/items?x=1", "/app.3f2a9c1b.js"])
    status, size, address = pick.choice([200, 200, 404, 500, 499]), pick.randrange(10**6), f"198.51.100.{pick.randrange(250)}"
    line = {
        "msec": f"{1_795_420_800 + i / 100:.3f}", "remote_addr": address, "request_method": "GET", "request_uri": uri, "status": str(status),
        "request_time": f"{duration / 1000:.3f}", "upstream_response_time": upstream, "body_bytes_sent": size, "http_user_agent": 'x"y',
    }  # fmt: skip
    spent = [t for t in each if t is not None]
    return line, {
        "time": AT + i * 10_000 - duration * 1_000, "duration_us": duration * 1_000, "status": status, "method": "GET",
        "route": normalise(uri.encode()).decode(), "response_bytes": size, "upstream_us": sum(spent) if spent else None,
        "tries": len(each), "try_us": each if len(each) > 1 else None, "client_key": siphash(b"\0" * 16, address.encode()),
    }  # fmt: skip


def generated(n: int) -> tuple[bytes, list[dict[str, Any]], int]:
    pick = random.Random(3)
    out, rows, bad = [], [], 0
    for i in range(n):
        line, row = nginx_line(i, pick)
        text = json.dumps(line).encode()
        chance = pick.random()
        if chance < 0.01:
            bad += 1
            text = pick.choice([text[: pick.randrange(1, len(text))], b"", b"\x00\x00", b'{"level":"info","msg":"reload"}', b"plain text", b"[1,2]", b'{"status":'])
        else:
            rows.append(row)
        out.append(text)
    return b"\n".join(out) + b"\n", rows, bad


DATA, ROWS, BAD = generated(20_000)


@pytest.mark.parametrize(
    "wrap",
    [lambda d: d, gzip.compress, lambda d: zstandard.ZstdCompressor().compress(d), lambda d: d.replace(b"\n", b"\r\n"), lambda d: d[:-1]],
    ids=["plain", "gzip", "zstd", "crlf", "no-final-newline"],
)
def test_it_reads_exactly_what_was_written(read: Read, wrap: Callable[[bytes], bytes]) -> None:
    sink = read(access_json, wrap(DATA))
    assert (sink.n_lines, sink.n_rejected) == (20_000, BAD)
    assert {"not JSON", "not a request", "blank line"} == set(sink.rejected)
    rows = [{**dict.fromkeys(ROWS[0]), **row} for row in sink.rows["requests"]]
    assert len(rows) == len(ROWS)
    for got, expected in zip(rows, ROWS, strict=True):
        assert got == expected


def one(read: Read, *records: Any, **options: Any) -> dict[str, Any]:
    sink = read(access_json, dumps(*records), options=ReadOptions(**options))
    assert sink.n_rejected == 0
    return dict(sink.rows["requests"][0])


# ---------------------------------------------------------------- products


def test_caddy(read: Read) -> None:
    row = one(read, {
        "level": "info", "ts": 1795420800.5, "logger": "http.log.access.log0", "msg": "handled request",
        "request": {"remote_ip": "203.0.113.7", "remote_port": "5100", "client_ip": "203.0.113.7", "proto": "HTTP/2.0", "method": "GET", "host": "x", "uri": "/a/12?k=s", "headers": {"Cookie": ["REDACTED"]}},
        "bytes_read": 10, "user_id": "", "duration": 0.25, "size": 99, "status": 200, "resp_headers": {"Server": ["Caddy"]},
    })  # fmt: skip
    assert (row["time"], row["duration_us"], row["status"], row["method"], row["route"]) == (AT + 250_000, 250_000, 200, "GET", "/a/{id}")
    assert (row["response_bytes"], row["request_bytes"], row["client_key"]) == (99, 10, siphash(b"\0" * 16, b"203.0.113.7"))


def test_traefik(read: Read) -> None:
    row = one(read, {
        "ClientAddr": "203.0.113.7:51000", "ClientHost": "203.0.113.7", "DownstreamContentSize": 14, "DownstreamStatus": 502, "Duration": 30000000, "OriginDuration": 29000000,
        "OriginStatus": 502, "Overhead": 1000000, "RequestMethod": "POST", "RequestPath": "/pay/9", "RetryAttempts": 2, "ServiceName": "pay@docker", "StartUTC": "2026-11-23T08:00:00.123456789Z",
        "StartLocal": "2026-11-23T09:00:00.123456789+01:00", "level": "info", "msg": "", "time": "2026-11-23T08:00:00Z",
    })  # fmt: skip
    assert (row["time"], row["duration_us"], row["upstream_us"], row["tries"]) == (AT + 123_456, 30_000, 29_000, 3)
    assert (row["status"], row["method"], row["route"]) == (502, "POST", "/pay/{id}")


def test_envoy(read: Read) -> None:
    row = one(read, {
        "start_time": "2026-11-23T08:00:00.100Z", "method": "GET", "path": "/api/7?x", "protocol": "HTTP/1.1", "response_code": 200, "response_flags": "-", "bytes_received": 5,
        "bytes_sent": 17, "duration": 12, "x-envoy-upstream-service-time": "10", "x_forwarded_for": "203.0.113.7, 10.0.0.1", "x-request-id": "abc-1", "downstream_remote_address": "10.0.0.9:4000",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    })  # fmt: skip
    assert (row["time"], row["duration_us"], row["upstream_us"]) == (AT + 100_000, 12_000, 10_000)
    assert (row["request_id"], row["trace_id"]) == ("abc-1", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert row["client_key"] == siphash(b"\0" * 16, b"203.0.113.7")


def test_elastic_common_schema(read: Read) -> None:
    row = one(read, {
        "@timestamp": "2026-11-23T08:00:01.000Z", "event": {"duration": 5_000_000}, "http": {"request": {"method": "get"}, "response": {"status_code": 200, "body": {"bytes": 7}}},
        "url": {"path": "/a/1"}, "service": {"name": "shop"}, "trace": {"id": "AB12"}, "source": {"ip": "203.0.113.7"}, "host": {"name": "web1"},
    })  # fmt: skip
    assert (row["time"], row["duration_us"], row["method"], row["service"], row["trace_id"]) == (AT + 995_000, 5_000, "GET", "shop", "ab12")
    assert (row["response_bytes"], row["instance"]) == (7, "web1")


def test_pino(read: Read) -> None:
    row = one(read, {
        "level": 30, "time": 1795420800500, "pid": 1, "hostname": "web1", "req": {"id": 1, "method": "GET", "url": "/a/1?x=y", "remoteAddress": "::1"},
        "res": {"statusCode": 200}, "responseTime": 25, "msg": "request completed",
    })  # fmt: skip
    assert (row["time"], row["duration_us"], row["status"], row["route"]) == (AT + 475_000, 25_000, 200, "/a/{id}")


@pytest.mark.parametrize(
    ("record", "us"),
    [
        ({"duration_ms": 12.5}, 12_500),
        ({"durationMs": 12}, 12_000),
        ({"latency_us": 350}, 350),
        ({"elapsed_seconds": 1.5}, 1_500_000),
        ({"latency_ns": 2_000_000}, 2_000),
        ({"latency": "350µs"}, 350),
        ({"latency": "1m2.5s"}, 62_500_000),
        ({"duration": "12.3ms"}, 12_300),
        ({"Elapsed": 12.345}, 12_345),
        ({"Elapsed": "00:00:01.5000000"}, 1_500_000),
        ({"request_time": "0.250"}, 250_000),
    ],
)
def test_units_come_from_the_key_the_text_or_the_size(read: Read, record: dict[str, Any], us: int) -> None:
    assert one(read, {"time": "2026-11-23T08:00:00Z", "method": "GET", "path": "/", "status": 200} | record)["duration_us"] == us


def test_a_guessed_unit_is_told(read: Read) -> None:
    records = [{"time": "2026-11-23T08:00:00Z", "method": "GET", "path": "/", "status": 200, "duration": ms} for ms in (40, 120, 300)]
    sink = read(access_json, dumps(*records))
    assert sink.rows["requests"][1]["duration_us"] == 120_000
    assert len(sink.notes) == 1 and "'duration'" in sink.notes[0] and "ms" in sink.notes[0]


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T08:00:00Z", "2026-11-23 09:00:00,000+0100", "23/Nov/2026:08:00:00 +0000", 1795420800, 1795420800000, "1795420800.000", 1795420800000000, "2026-11-23T08:00:00"],
)
def test_instants_in_all_their_forms(read: Read, text: Any) -> None:
    assert one(read, {"ts": text, "method": "GET", "path": "/", "status": 200})["time"] == AT


def test_an_instant_without_zone_is_told(read: Read) -> None:
    sink = read(access_json, dumps({"ts": "2026-11-23T08:00:00", "method": "GET", "path": "/", "status": 200}))
    assert any("UTC" in note for note in sink.notes)


def test_http_route_wins_over_the_path(read: Read) -> None:
    record = {"time": "2026-11-23T08:00:00Z", "http.method": "GET", "http.route": "/shops/:shop/items/<int:id>", "http.target": "/shops/a/items/9", "http.status_code": 200}
    assert one(read, record)["route"] == "/shops/{id}/items/{id}"


def test_a_request_line_gives_method_and_route(read: Read) -> None:
    row = one(read, {"time_iso8601": "2026-11-23T08:00:00+00:00", "request": "PUT /a/1?secret=2 HTTP/1.1", "status": 200, "request_time": 0.0})
    assert (row["method"], row["route"]) == ("PUT", "/a/{id}")


def test_a_directive_maps_keys_of_any_name(read: Read) -> None:
    directive = NamedFormat("nginx", "j", """log_format j escape=json '{"a":$msec,"b":"$request",' '"c":"$status","d":"$request_time"}';""", "nginx.conf")
    row = one(read, {"a": 1795420800.25, "b": "GET /x HTTP/1.1", "c": "200", "d": "0.250"}, formats=(directive,))
    assert (row["time"], row["route"], row["duration_us"]) == (AT, "/x", 250_000)


def test_a_field_names_the_service_unless_a_label_does(read: Read) -> None:
    record = {"time": "2026-11-23T08:00:00Z", "method": "GET", "path": "/", "status": 200, "service": "shop"}
    assert one(read, record, service="from-file")["service"] == "shop"
    assert one(read, record, service="mine", labelled=frozenset({"service"}))["service"] == "mine"


# ---------------------------------------------------------------- hostile

GOOD = {"msec": 1795420800.0, "request_method": "GET", "uri": "/a", "status": 200, "request_time": 0.0}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b'{"msec":1795420801.0,"request_method":"GET","uri":"/a\\x22b","status":404,"request_time":0.1}', 404),
        (b'{"msec":1795420801.0,"request_method":"GET","uri":"/a\xff\x01","status":404,"request_time":0.1}', 404),
        (b'{"msec":1795420801.0,"request_method":"GET","uri":"/a","status":404,"request_time":-}', 404),
        (b'{"msec":1795420801.0,"request_method":"GET","uri":"/a","status":404,"request_time":}', 404),
        (b'{"msec":1795420801.0,"request_method":"","uri":"","status":400,"request_time":0.1}', 400),
    ],
)
def test_what_servers_break_in_json_is_mended(read: Read, line: bytes, status: int) -> None:
    sink = read(access_json, dumps(GOOD, GOOD, line))
    assert sink.n_rejected == 0
    assert sink.rows["requests"][2]["status"] == status


def test_an_unreadable_request_keeps_its_row(read: Read) -> None:
    sink = read(access_json, dumps(GOOD, GOOD | {"request_method": "\x16\x03", "uri": "", "status": 400}))
    row = sink.rows["requests"][1]
    assert (row["status"], row["method"], row["route"]) == (400, None, None)


def test_nesting_without_end_is_no_json(read: Read) -> None:
    sink = read(access_json, dumps(GOOD, GOOD, b'{"uri":' * 50_000, b'{"uri":' + b"[" * 9_000 + b"]" * 9_000 + b"}"))
    assert dict(sink.rejected) == {"not JSON": 2}


def test_rejected_lines_have_reason_and_place(read: Read) -> None:
    first = dumps(GOOD)
    sink = read(access_json, first + dumps(GOOD)[:30] + b"\n" + dumps({"msg": "hello"}, GOOD | {"msec": "never"}) + b"\n" + dumps(GOOD))
    assert dict(sink.rejected) == {"not JSON": 1, "not a request": 1, "bad time": 1, "blank line": 1}
    assert sink.examples["not JSON"] == (dumps(GOOD)[:30], len(first))


@pytest.mark.parametrize("value", ["NaN", [], {}, True, None, "-", -1, 1e400, 10**30, "x" * 1000])
def test_nonsense_values_become_null(read: Read, value: Any) -> None:
    text = json.dumps(GOOD | {"request_time": value, "body_bytes_sent": value, "trace_id": value, "remote_addr": value}).encode()
    sink = read(access_json, dumps(GOOD, GOOD, text.replace(b"Infinity", b"1e308")))
    assert sink.n_parsed == 3
    assert sink.rows["requests"][2].get("duration_us") in (None, 1_000_000)


def test_null_and_text_where_an_object_was(read: Read) -> None:
    good = {"ts": 1795420800, "req": {"method": "GET", "url": "/"}, "res": {"statusCode": 200}}
    sink = read(access_json, dumps(good, good, good | {"req": None}, good | {"res": "gone"}))
    assert sink.n_parsed == 2
    assert sink.rejected["not a request"] == 2


def test_nothing_private_is_stored(read: Read) -> None:
    record = GOOD | {"uri": "/login?password=hunter2", "remote_addr": "203.0.113.7", "http_user_agent": "agent-x", "http_cookie": "sid=1", "remote_user": "anna"}
    stored = str(read(access_json, dumps(record)).rows)
    assert not any(secret in stored for secret in ("hunter2", "203.0.113", "agent-x", "sid", "anna"))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}\n", b"{\n", dumps({"time": "2026-11-23T08:00:00Z", "level": "info", "msg": "started"}), b"203.0.113.7 - - [x] \n",
        dumps({"timestamp": "2026-11-23 08:00:00.000 UTC", "pid": 7, "error_severity": "LOG", "message": "checkpoint"}), dumps({"resourceSpans": []}), b"\x00" * 999, b'{"a":' * 500,
    ],
)  # fmt: skip
def test_what_holds_no_requests_is_left_to_others(data: bytes) -> None:
    assert access_json.sniff(Sample("x", data)) is None


def test_an_application_log_with_few_requests_gets_little_confidence() -> None:
    app = {"time": datetime(2026, 11, 23, tzinfo=UTC).isoformat(), "level": "info", "msg": "x"}
    claim = access_json.sniff(Sample("x", dumps(*[app] * 19, app | {"method": "GET", "path": "/", "status": 200})))
    assert claim is not None and claim.confidence <= 0.3
