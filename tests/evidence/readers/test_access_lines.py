"""HAProxy, ALB, W3C (IIS, CloudFront): the vendors' own samples, what each column becomes, and hostile bytes for every reader of access logs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import FakeSink, read_into  # type: ignore[import-not-found]
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.evidence.readers import ReadOptions, Sample, access_json, access_text, alb, haproxy, iis
from perfaudit.kernels.siphash import siphash

Read = Callable[..., Any]


def us(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1e6)  # type: ignore[misc, arg-type]


SYSLOG = b"Feb  6 12:14:14 localhost haproxy[14389]: "
HTTP = b'10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index/7?x=1 HTTP/1.1"\n'
REFUSED = b'10.0.1.3:33318 [06/Feb/2009:12:14:15.000] http-in http-in/<NOSRV> -1/-1/-1/-1/5 400 187 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"\n'
RETRIED = b'2001:db8::1:33319 [06/Feb/2009:12:14:16.000] http-in be/s2 1/2/-1/-1/5003 503 187 - - SC-- 1/1/0/0/+3 0/0 {a b|"c"} "GET /cut-off-by-sysl\n'


@pytest.mark.parametrize("prefix", [b"", SYSLOG, b"<134>1 2009-02-06T12:14:14Z host haproxy 1 - - : "])
def test_haproxy(read: Read, prefix: bytes) -> None:
    rows = read(haproxy, b"".join(prefix + line for line in (HTTP, REFUSED, RETRIED))).rows["requests"]
    assert [row["time"] for row in rows] == [us(2009, 2, 6, 12, 14, 14, 655_000), us(2009, 2, 6, 12, 14, 15), us(2009, 2, 6, 12, 14, 16)]
    assert [row["duration_us"] for row in rows] == [109_000, 5_000, 5_003_000]
    assert [row["status"] for row in rows] == [200, 400, 503]
    assert [row["upstream_connect_us"] for row in rows] == [30_000, None, None]
    assert [row["upstream_header_us"] for row in rows] == [99_000, None, None]
    assert [row["upstream_us"] for row in rows] == [99_000, None, None]
    assert [row["tries"] for row in rows] == [1, 0, 4]
    assert [row["route"] for row in rows] == ["/index/{id}", None, "/cut-off-by-sysl"]
    assert {row["service"] for row in rows} == {"http-in"}
    assert [row["client_key"] for row in rows] == [siphash(b"\0" * 16, a) for a in (b"10.0.1.2", b"10.0.1.3", b"2001:db8::1")]


def test_haproxy_keeps_other_messages_apart_and_obeys_label_and_zone(read: Read) -> None:
    data = SYSLOG + HTTP + SYSLOG + b"Server be/s is DOWN, reason: Layer4 timeout\n"
    sink = read(haproxy, data, options=ReadOptions(service="edge", labelled=frozenset({"service"}), zone="Europe/Berlin"))
    assert dict(sink.rejected) == {"does not match the format": 1}
    assert sink.rows["requests"][0]["service"] == "edge"
    assert sink.rows["requests"][0]["time"] == us(2009, 2, 6, 11, 14, 14, 655_000)
    assert any("Europe/Berlin" in note for note in sink.notes)
    assert any("UTC" in note for note in read(haproxy, HTTP).notes)


ALB = (
    b"https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 34 366 "
    b'"GET https://www.example.com:443/users/12?a=b HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    b'arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" '
    b'"arn:aws:acm:us-east-2:123456789012:certificate/12345678" 1 2018-07-02T22:22:59.900000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_123456\n'
)
LOST = ALB.replace(b"10.0.0.1:80 0.086 0.048 0.037 200 200", b"- -1 -1 -1 502 -").replace(b'"GET https://www.example.com:443/users/12?a=b HTTP/1.1"', b'"- http://x:80- -"')


def test_alb(read: Read) -> None:
    rows = read(alb, ALB + LOST).rows["requests"]
    assert [row["time"] for row in rows] == [us(2018, 7, 2, 22, 22, 59, 900_000)] * 2
    assert [row["duration_us"] for row in rows] == [171_000, 286_641]
    assert [row["upstream_us"] for row in rows] == [85_000, None]
    assert [row["tries"] for row in rows] == [1, 0]
    assert [(row["status"], row["method"], row["route"]) for row in rows] == [(200, "GET", "/users/{id}"), (502, None, None)]
    assert (rows[0]["request_bytes"], rows[0]["response_bytes"], rows[0]["service"]) == (34, 366, "my-loadbalancer")
    assert rows[0]["trace_id"] == "583372811d84f3d73c47ec4e58577259"
    assert rows[0]["client_key"] == siphash(b"\0" * 16, b"192.168.131.39")


IIS = b"""#Software: Microsoft Internet Information Services 10.0\r
#Version: 1.0\r
#Date: 2026-11-23 08:00:00\r
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\r
2026-11-23 08:00:01 10.0.0.1 GET /users/42 token=1 443 - 203.0.113.7 Mozilla/5.0+(x) - 200 0 0 1015\r
cut off\r
#Fields: date time cs-method cs-uri-stem sc-status sc-bytes time-taken\r
2026-11-23 08:00:02 POST /a.aspx 500 77 1500"""


def test_iis_and_a_header_that_changes(read: Read) -> None:
    sink = read(iis, IIS)
    rows = sink.rows["requests"]
    assert (sink.n_lines, sink.n_parsed) == (8, 7)
    assert sum(sink.rejected.values()) == 1
    assert [row["time"] for row in rows] == [us(2026, 11, 23, 7, 59, 59, 985_000), us(2026, 11, 23, 8, 0, 0, 500_000)]
    assert [(row["method"], row["route"], row["status"], row["duration_us"]) for row in rows] == [("GET", "/users/{id}", 200, 1_015_000), ("POST", "/a.aspx", 500, 1_500_000)]
    assert rows[1]["response_bytes"] == 77
    assert sink.examples[next(iter(sink.rejected))] == (b"cut off", IIS.index(b"cut off"))


def test_iis_rejects_what_follows_a_header_without_status(read: Read) -> None:
    sink = read(iis, IIS + b"\n#Fields: date time cs-method\n2026-11-23 08:00:02 POST\n")
    assert len(sink.rows["requests"]) == 2
    assert any("#Fields" in note for note in sink.notes)


def test_cloudfront(read: Read) -> None:
    data = (
        b"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) x-edge-result-type x-edge-request-id time-taken\n"
        b"2026-11-23\t08:00:01\tFRA2-C1\t2390\t203.0.113.7\tGET\td1.cloudfront.net\t/view/17\t200\t-\tHit\tabc==\t0.250\n"
    )
    row = read(iis, data).rows["requests"][0]
    assert (row["time"], row["duration_us"], row["cache_status"], row["request_id"]) == (us(2026, 11, 23, 8, 0, 0, 750_000), 250_000, "Hit", "abc==")


SAMPLES: list[tuple[Any, bytes]] = [
    (haproxy, SYSLOG + HTTP),
    (alb, ALB),
    (iis, IIS.replace(b"\r", b"") + b"\n"),
    (access_text, b'203.0.113.7 - - [23/Nov/2026:08:00:00 +0000] "GET /a/1 HTTP/1.1" 200 12 "-" "agent" 0.100 0.050, 0.050\n'),
    (access_json, b'{"msec":1795420800.5,"request_method":"GET","uri":"/a/1","status":200,"request_time":0.1,"upstream_response_time":"0.1, 0.2"}\n'),
]
NOISE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b'"', b'" ', b"\x00", b"\n", b"\r\n", b"\\", b"-", b" ", b"[", b"] ", b":", b"9" * 40, b"\xff", b"{", b"}", b",", b"\x16\x03\x01", b"0.1, " * 80, b"#"]),
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 30), NOISE), min_size=1, max_size=4))
def test_no_bytes_break_a_reader_or_lose_a_line(case: tuple[Any, bytes], wounds: list[tuple[int, int, bytes]]) -> None:
    reader, sample = case
    data = bytearray(sample * 3)
    for at, length, noise in wounds:
        data[at % len(data) : at % len(data) + length] = noise
    sink = read_into(FakeSink(), reader, sample * 3 + bytes(data) + sample * 3)
    lines = (sample * 3 + bytes(data) + sample * 3).split(b"\n")
    assert sink.n_lines == len(lines) - (not lines[-1])
    assert len(sink.rows["requests"]) >= 5
    for row in sink.rows["requests"]:
        assert 0 <= row["status"] <= 999
        assert (row.get("duration_us") or 0) >= 0


@pytest.mark.parametrize("reader", [haproxy, alb, iis])
@pytest.mark.parametrize("data", [b"", b"\n", b"hello\n", b"#Fields:\n", b"#Fields: date time\n", b"\x00" * 500, b"http a b c\n" * 20])
def test_what_is_another_format_is_left_to_others(reader: Any, data: bytes) -> None:
    assert reader.sniff(Sample("x", data)) is None


def test_each_reader_recognises_its_own_best() -> None:
    readers = [haproxy, alb, iis, access_text, access_json]
    for own, sample in SAMPLES:
        claims = {reader.NAME: claim.confidence for reader in readers if (claim := reader.sniff(Sample("x", sample * 5)))}
        assert max(claims, key=lambda name: claims[name]) == own.NAME
