"""Text access logs: exact against a plain reader, every sniffed shape, hostile lines, formats that are declared."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard

from perfaudit.evidence.readers import NamedFormat, ReadOptions, Sample, access_text
from perfaudit.evidence.routes import normalise
from perfaudit.kernels.siphash import siphash

Read = Callable[..., Any]
START = 1_795_420_800
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
TIMED = re.compile(
    rb'(\S+) - \S+ \[([^\]]+)\] "((?:[A-Z]+ [^" ]+ HTTP/[\d.]+)|[^"]*)" (\d{3}) (\d+) "[^"]*" "[^"]*" (\d+\.\d{3}) (-|\d+\.\d{3}(?:(?:, | : )\d+\.\d{3})*)'
)


def clf(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def combined(i: int = 0, request: str = "GET /users/42?page=2 HTTP/1.1", status: str = "200", size: str = "1234", address: str = "203.0.113.7") -> str:
    return f'{address} - - [{clf(START + i)}] "{request}" {status} {size} "https://example.com/?secret=1" "{AGENT}"'


def lines_of(*lines: str | bytes) -> bytes:
    return b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)


def generated(n: int, seed: int) -> bytes:
    """A log with everything that happens: retries, aborted clients, raw bytes, broken and glued lines."""
    pick = random.Random(seed)
    out = []
    for i in range(n):
        path = pick.choice(["/", "/cart", "/products/{}", "/orders/{}/items?x={}", "/static/app.3f2a9c1b.js", "/u/9f86d081884c7d65{}"]).format(pick.randrange(9999), i)
        request = pick.choice(["GET", "GET", "GET", "POST"]) + " " + path + " HTTP/1.1"
        if pick.random() < 0.01:
            request = pick.choice(["", "-", "\\x16\\x03\\x01\\x02", "\x01\x00garbage", "quit"])
        duration = pick.lognormvariate(-3, 1.2)
        upstream = pick.choice([f"{duration:.3f}"] * 8 + ["-", f"{duration / 2:.3f}, {duration / 2:.3f}", "0.001, 0.002 : 0.003"])
        line = combined(i // 200, request, str(pick.choice([200] * 18 + [302, 404, 499, 500, 503])), str(pick.randrange(10**6)), f"198.51.100.{pick.randrange(256)}")
        line += f" {duration:.3f} {upstream}"
        chance = pick.random()
        if chance < 0.004:
            line = line[: pick.randrange(1, 90)]
        elif chance < 0.006:
            line = "\x00" * pick.randrange(1, 50)
        elif chance < 0.008:
            line = line[:100] + line
        elif chance < 0.010:
            line = line.replace("/Nov/", "/Nvo/")
        elif chance < 0.012:
            line = ""
        out.append(line)
    return lines_of(*out)


def reference(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """A slow reader of :func:`generated`: rows and the number of rejected lines."""
    rows, rejected = [], 0
    for line in data.split(b"\n")[: data.count(b"\n") + (not data.endswith(b"\n"))]:
        match = TIMED.fullmatch(line.removesuffix(b"\r"))
        try:
            end = datetime.strptime(match[2].decode(), "%d/%b/%Y:%H:%M:%S %z") if match else None
        except ValueError:
            end = None
        if match is None or end is None:
            rejected += 1
            continue
        duration = round(float(match[6]) * 1e6)
        tries = [] if match[7] == b"-" else [round(float(t) * 1e6) for t in re.split(rb", | : ", match[7])]
        request = match[3].split(b" ")
        rows.append(
            {
                "time": int(end.timestamp()) * 1_000_000 - duration,
                "duration_us": duration,
                "status": int(match[4]),
                "method": request[0].decode() if len(request) == 3 else None,
                "route": normalise(request[1]).decode() if len(request) == 3 else None,
                "response_bytes": int(match[5]),
                "upstream_us": sum(tries) if tries else None,
                "tries": len(tries),
                "try_us": tries if len(tries) > 1 else None,
                "client_key": siphash(b"\0" * 16, match[1]),
            }
        )
    return rows, rejected


DATA = generated(20_000, 5)
ROWS, REJECTED = reference(DATA)


@pytest.mark.parametrize(
    "wrap",
    [lambda d: d, gzip.compress, lambda d: zstandard.ZstdCompressor().compress(d), lambda d: d.replace(b"\n", b"\r\n"), lambda d: d[:-1]],
    ids=["plain", "gzip", "zstd", "crlf", "no-final-newline"],
)
def test_it_reads_exactly_what_a_plain_reader_reads(read: Read, wrap: Callable[[bytes], bytes]) -> None:
    sink = read(access_text, wrap(DATA))
    assert sink.n_lines == 20_000
    assert sink.n_rejected == REJECTED > 100
    rows = [{**dict.fromkeys(ROWS[0]), **row} for row in sink.rows["requests"]]
    assert len(rows) == len(ROWS)
    for got, expected in zip(rows, ROWS, strict=True):
        assert got == expected
    assert {"does not match the format", "bad time", "blank line"} <= set(sink.rejected)


def test_several_blocks_are_one_log(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    from perfaudit.evidence import source
    from perfaudit.evidence.readers import _scan

    monkeypatch.setattr(source, "BLOCK", 20_000)
    monkeypatch.setattr(source, "MAX_LINE", 5_000)
    monkeypatch.setattr(_scan, "_ROWS", 1 << 9)
    sink = read(access_text, DATA)
    assert [row["time"] for row in sink.rows["requests"]] == [row["time"] for row in ROWS]
    assert [row["route"] for row in sink.rows["requests"]] == [row["route"] for row in ROWS]


def test_only_wanted_columns_are_worked_for(read: Read) -> None:
    sink = read(access_text, DATA[:10_000], options=ReadOptions(columns={"requests": frozenset({"time", "duration_us", "status", "route"})}))
    assert "client_key" not in sink.rows["requests"][0]


# ---------------------------------------------------------------- shapes


def shape(read: Read, tail: Callable[[int], str], n: int = 40, **options: Any) -> tuple[Any, str]:
    data = lines_of(*(combined(i) + tail(i) for i in range(n)))
    sink = read(access_text, data, options=ReadOptions(**options))
    assert sink.n_rejected == 0
    claim = access_text.sniff(Sample("x", data, ReadOptions(**options)))
    assert claim is not None
    return sink, claim.note


def test_combined(read: Read) -> None:
    sink, note = shape(read, lambda i: "", service="shop", instance="web1")
    row = sink.rows["requests"][3]
    assert row["time"] == (START + 3) * 1_000_000
    assert (row["status"], row["method"], row["route"], row["response_bytes"]) == (200, "GET", "/users/{id}", 1234)
    assert (row["service"], row["instance"]) == ("shop", "web1")
    assert row.get("duration_us") is None
    assert "nginx" in note


def test_common(read: Read) -> None:
    sink = read(access_text, lines_of(*(combined(i).split(' "https')[0] for i in range(5))))
    assert [row["route"] for row in sink.rows["requests"]] == ["/users/{id}"] * 5


def test_seconds_behind_combined_are_request_and_upstream_time(read: Read) -> None:
    sink, _ = shape(read, lambda i: f" 0.{i + 100:03d} 0.{i:03d}")
    assert sink.rows["requests"][7]["duration_us"] == 107_000
    assert sink.rows["requests"][7]["upstream_us"] == 7_000
    assert "$request_time" in sink.notes[0] and "--log-format" in sink.notes[0]


def test_the_longer_time_is_the_requests(read: Read) -> None:
    sink, _ = shape(read, lambda i: f" 0.{i:03d} 0.{i + 100:03d}")
    assert sink.rows["requests"][7]["duration_us"] == 107_000


def test_pairs_behind_combined(read: Read) -> None:
    sink, _ = shape(read, lambda i: f' rt=0.{i + 5:03d} uct="0.001" uht="0.002" urt="0.003, 0.00{i % 10}" us="200" zone=eu')
    row = sink.rows["requests"][4]
    assert (row["duration_us"], row["upstream_connect_us"], row["upstream_header_us"]) == (9_000, 1_000, 2_000)
    assert (row["upstream_us"], row["tries"], row["try_us"]) == (7_000, 2, [3_000, 4_000])


def test_pairs_without_upstream(read: Read) -> None:
    sink, _ = shape(read, lambda i: f' request_time=0.{i:03d} upstream_response_time={"-" if i % 2 else "0.001"}')
    assert [row["tries"] for row in sink.rows["requests"][:2]] == [1, 0]
    assert sink.rows["requests"][1]["upstream_us"] is None


@pytest.mark.parametrize(
    ("value", "unit", "us"),
    [(lambda i: 90_000 + i * 1_000, "%D", 97_000), (lambda i: int(i == 7), "%T", 1_000_000), (lambda i: 20 + i, "%{ms}T", 27_000)],
    ids=["microseconds", "seconds", "milliseconds"],
)
def test_a_whole_number_behind_combined_takes_the_likeliest_unit_and_says_so(read: Read, value: Callable[[int], int], unit: str, us: int) -> None:
    sink, note = shape(read, lambda i: f" {value(i)}")
    assert sink.rows["requests"][7]["duration_us"] == us
    assert sink.rows["requests"][7]["time"] == (START + 7) * 1_000_000, "Apache logs the arrival"
    assert unit in sink.notes[0] and "--log-format" in sink.notes[0]
    assert "Apache" in note


def test_unknown_tails_are_skipped(read: Read) -> None:
    sink, _ = shape(read, lambda i: ' "198.51.100.9, 10.0.0.1" "-"')
    assert len(sink.rows["requests"]) == 40


def test_ingress_nginx(read: Read) -> None:
    sink, _ = shape(read, lambda i: f" 512 0.{i + 10:03d} [shop-web-80] [] 10.42.0.{i}:8080 1234 0.{i:03d} 200 {i:032x}")
    row = sink.rows["requests"][5]
    assert (row["duration_us"], row["upstream_us"], row["request_id"]) == (15_000, 5_000, f"{5:032x}")


def test_input_and_output_bytes_are_not_a_duration(read: Read) -> None:
    sink, _ = shape(read, lambda i: f" {300 + i} {1700 + i}")
    row = sink.rows["requests"][0]
    assert row.get("duration_us") is None
    assert row["request_bytes"] == 300


def test_a_virtual_host_in_front(read: Read) -> None:
    sink = read(access_text, lines_of(*(f"{host}:443 {combined(i)}" for i, host in enumerate(["a.example", "b.example", "c.example"]))))
    assert len(sink.rows["requests"]) == 3
    assert len({row["client_key"] for row in sink.rows["requests"]}) == 1


# ---------------------------------------------------------------- hostile lines


@pytest.mark.parametrize(
    "request_",
    [b"\\x16\\x03\\x01\\x02\\x00", b"\x16\x03\x01\x02\x00\x01", b"-", b"", b"\x00\x00", b"\xff\xfe GET", b"GET", b"get / HTTP/1.1", b"\x01", b"SSH-2.0-Go", b"GET relative HTTP/1.1"],
)
def test_unreadable_requests_keep_their_row(read: Read, request_: bytes) -> None:
    bad = combined(3, "@", "400", "0").encode().replace(b"@", request_)
    sink = read(access_text, lines_of(combined(1), bad, combined(5), combined(6)))
    assert sink.n_rejected == 0
    row = sink.rows["requests"][1]
    assert (row["status"], row["method"], row["route"]) == (400, None, None)


@pytest.mark.parametrize("request_", ['GET /a\\"b HTTP/1.1', 'GET /a\\x22b HTTP/1.1', 'GET /a"b HTTP/1.1', 'GET /a\\" 200 5 HTTP/1.1'])
def test_quotes_inside_a_request_do_not_break_it(read: Read, request_: str) -> None:
    sink = read(access_text, lines_of(*(combined(i) for i in range(9)), combined(3, request_, "404", "77")))
    assert sink.n_rejected == 0
    row = sink.rows["requests"][-1]
    assert (row["status"], row["response_bytes"], row["method"]) == (404, 77, "GET")


def test_bytes_of_any_kind_in_quoted_fields_are_kept_and_never_stored(read: Read) -> None:
    line = combined(1, "GET /ok HTTP/1.1").encode().replace(b"Mozilla", b"\x00\x01\xff\x1b[31m{\\x22<script>")
    sink = read(access_text, lines_of(combined(0), line, combined(2)))
    assert [row["route"] for row in sink.rows["requests"]] == ["/users/{id}", "/ok", "/users/{id}"]
    assert "script" not in str(sink.rows) and "secret" not in str(sink.rows) and "203.0.113.7" not in str(sink.rows)


def test_broken_lines_are_counted_with_reason_place_and_example(read: Read) -> None:
    good = combined(0)
    data = lines_of(good, "nonsense", good.replace("Nov", "Xxx"), "", good)[:-1] + b"\n" + combined(9)[:60].encode()
    sink = read(access_text, data)
    assert dict(sink.rejected) == {"does not match the format": 1, "bad time": 1, "blank line": 1, "truncated last line": 1}
    assert sink.examples["does not match the format"] == (b"nonsense", len(good) + 1)
    assert data[sink.examples["bad time"][1] :].startswith(good.replace("Nov", "Xxx").encode())
    assert sink.examples["truncated last line"][0] == combined(9)[:60].encode()


def test_an_over_long_line_is_set_aside(read: Read) -> None:
    data = lines_of(combined(0), combined(1, "GET /" + "a" * (18 << 20) + " HTTP/1.1"), combined(2))
    sink = read(access_text, data)
    assert sink.n_parsed == 2 and sink.n_rejected == 1


def test_routes_beyond_the_limit_are_other(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    from perfaudit.evidence.readers import _scan

    monkeypatch.setattr(_scan, "MAX_ROUTES", 10)
    names = [a + b for a in "abcdefgh" for b in "ijklmnop"]
    sink = read(access_text, lines_of(*(combined(i, f"GET /{name} HTTP/1.1") for i, name in enumerate(names))))
    routes = [row["route"] for row in sink.rows["requests"]]
    assert routes[:10] == [f"/{name}" for name in names[:10]]
    assert set(routes[10:]) == {"other"}
    assert any("other" in note for note in sink.notes)


def test_a_persons_patterns_group_routes(read: Read) -> None:
    data = lines_of(combined(0, "GET /products/blue-shirt HTTP/1.1"), combined(1, "GET /products/red-hat HTTP/1.1"), combined(2, "GET /blog/a/b HTTP/1.1"))
    sink = read(access_text, data, options=ReadOptions(route_patterns=("/products/{slug}", "/blog/*")))
    assert [row["route"] for row in sink.rows["requests"]] == ["/products/{id}", "/products/{id}", "/blog/*"]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"hello\nworld\n", b"\x00" * 5_000, b'{"a":1}\n', random.Random(1).randbytes(50_000)])
def test_what_is_no_access_log_is_left_to_others(data: bytes) -> None:
    assert access_text.sniff(Sample("x", data)) is None


# ---------------------------------------------------------------- declared formats


def test_a_persons_format_wins(read: Read) -> None:
    data = lines_of(*(combined(i) + f" {1000 + i}" for i in range(5)))
    sink = read(access_text, data, options=ReadOptions(log_format='%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %{ms}T'))
    assert sink.rows["requests"][2]["duration_us"] == 1_002_000


@pytest.mark.parametrize("name", ["combined", "common", "vhost_combined"])
def test_well_known_names(read: Read, name: str) -> None:
    line = {"combined": combined(0), "common": combined(0).split(' "https')[0], "vhost_combined": "shop.example:80 " + combined(0)}[name]
    sink = read(access_text, lines_of(line), options=ReadOptions(log_format=name))
    assert sink.rows["requests"][0]["route"] == "/users/{id}"


DIRECTIVE = """log_format timed '$remote_addr - $remote_user [$time_local] '
    '"$request" $status $body_bytes_sent '  "\\"$http_referer\\""
    ' $request_length rt=$request_time urt="$upstream_response_time" '
    'cs=$upstream_cache_status id=$request_id tp=$http_traceparent ${hostname};';"""


def test_a_directive_beside_the_log_is_used(read: Read) -> None:
    line = (
        f'203.0.113.7 - - [{clf(START)}] "GET /a HTTP/2.0" 200 5 "-" 321 rt=0.250 urt="0.100 : 0.050" cs=MISS id=abc123 '
        "tp=00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01 web7;"
    )
    formats = (NamedFormat("nginx", "other", "$msec $status", "x"), NamedFormat("nginx", "timed", DIRECTIVE, "nginx.conf"))
    sink = read(access_text, lines_of(line, line), options=ReadOptions(formats=formats))
    row = sink.rows["requests"][1]
    assert (row["duration_us"], row["upstream_us"], row["tries"], row["request_bytes"]) == (250_000, 150_000, 2, 321)
    assert (row["cache_status"], row["request_id"], row["instance"]) == ("MISS", "abc123", "web7")
    assert row["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert row["time"] == START * 1_000_000 - 250_000


def test_nginx_times_of_all_kinds(read: Read) -> None:
    for variable, text in (("$msec", f"{START}.250"), ("$time_iso8601", "2026-11-23T08:00:00+00:00"), ("[$time_local]", f"[{clf(START)}]")):
        log_format = f"{variable} $request_method $request_uri $uri $status $request_time"
        sink = read(access_text, lines_of(f"{text} GET /a/1?x=y /rewritten.php 200 0.5"), options=ReadOptions(log_format=log_format))
        row = sink.rows["requests"][0]
        assert row["time"] == START * 1_000_000 + (250_000 if "msec" in variable else 0) - 500_000
        assert (row["method"], row["route"]) == ("GET", "/a/{id}")


def test_apache_fractions_units_and_dashes(read: Read) -> None:
    log_format = '%h %l %u [%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t] "%r" %>s %b %I %O %{X-Forwarded-For}i %{UNIQUE_ID}e %D'
    line = '10.0.0.1 - - [23/Nov/2026:08:00:00.125 +0100] "POST /pay HTTP/1.1" 304 - 100 200 203.0.113.7 Xyz 1500'
    row = read(access_text, lines_of(line), options=ReadOptions(log_format=log_format)).rows["requests"][0]
    assert row["time"] == (START - 3600) * 1_000_000 + 125_000
    assert (row["duration_us"], row["response_bytes"], row["request_bytes"], row["request_id"]) == (1_500, 0, 100, "Xyz")
    assert row["client_key"] == siphash(b"\0" * 16, b"203.0.113.7")


def test_addresses_are_hashed_with_the_key_and_without_the_port(read: Read) -> None:
    key = bytes(range(16))
    addresses = {"203.0.113.7": b"203.0.113.7", "2001:db8::1": b"2001:db8::1"}
    for text, plain in addresses.items():
        row = read(access_text, lines_of(combined(0, address=text)), options=ReadOptions(client_key=key)).rows["requests"][0]
        assert row["client_key"] == siphash(key, plain)
