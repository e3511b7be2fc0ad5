from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.evidence.readers import Sample, prometheus_text

T = 1_795_420_943_770_000
TEXT = b"""# HELP http_requests_total Requests, "quoted" \\\\ and {braces}
# TYPE http_requests_total counter
http_requests_total{code="200",path="/a b"} 5 1795420943770
http_requests_total{code="200",path="/a b"} 6 1795420944770
# TYPE rt_seconds histogram
rt_seconds_bucket{le="0.5"} 3 1795420943770
rt_seconds_bucket{le="+Inf"} 4 1795420943770
rt_seconds_sum 1.5e0 1795420943770
rt_seconds_count 4 1795420943770
queue_bytes NaN 1795420943770
cpu_ratio{} +Inf 1795420943770
temp -Inf 1795420943770
"""


def test_an_exposition(read):
    sink = read(prometheus_text, TEXT, "app.prom")
    rows = sink.rows["metrics"]
    assert sink.n_rejected == 0 and len(rows) == 9
    assert rows[0] == {"time": T, "value": 5.0, "name": "http_requests_total", "kind": "counter", "unit": None, "labels": [("code", "200"), ("path", "/a b")]}
    assert [(r["name"], r["kind"], r["unit"]) for r in rows[2:7]] == [
        ("rt_seconds_bucket", "histogram", None), ("rt_seconds_bucket", "histogram", None), ("rt_seconds_sum", "histogram", "seconds"),
        ("rt_seconds_count", "histogram", None), ("queue_bytes", "unknown", "bytes"),
    ]  # fmt: skip
    assert math.isnan(rows[6]["value"]) and rows[7]["value"] == math.inf and rows[8]["value"] == -math.inf
    assert rows[7]["unit"] == "ratio" and rows[7]["labels"] == []


def test_openmetrics_with_seconds_units_and_exemplars(read):
    data = b"""# TYPE foo counter
# UNIT foo seconds
foo_total{a="x # {"} 17.0 1795420943.770 # {trace_id="KOO5S4vxi0o"} 0.67 1795420943.7
foo_created{a="x # {"} 1520430000.123 1795420943.770
# TYPE bar gauge
bar 1 1795420943
# EOF
"""
    rows = read(prometheus_text, data).rows["metrics"]
    assert [(r["time"], r["value"], r["kind"]) for r in rows] == [(T, 17.0, "counter"), (T, 1520430000.123, "counter"), (T - 770_000, 1.0, "gauge")]
    assert rows[0]["unit"] == "seconds" and rows[0]["labels"] == [("a", "x # {")]


def test_escapes_and_quoted_names(read):
    data = b'm{a="x\\\\y\\"z\\n",b=""} 1 1795420943770\n{"a.name",b="c"} 2 1795420943770\n# TYPE m gauge\n'
    rows = read(prometheus_text, data).rows["metrics"]
    assert dict(rows[0]["labels"]) == {"a": 'x\\y"z ', "b": ""}
    assert (rows[1]["name"], rows[1]["labels"]) == ("a.name", [("b", "c")])


def test_appended_scrapes_repeat_their_comments(read):
    sink = read(prometheus_text, TEXT + b"\n" + TEXT.replace(b"1795420943770", b"1795420953770"))
    assert len(sink.rows["metrics"]) == 18
    assert len({str(r["labels"]) + r["name"] for r in sink.rows["metrics"]}) == 8


def test_samples_without_timestamp_are_rejected_with_a_hint(read):
    sink = read(prometheus_text, b'# TYPE up gauge\nup{job="a b"} 1\nup 1\nup{job="a b"} 1 1795420943770\n')
    assert dict(sink.rejected) == {"no timestamp": 2}
    assert len(sink.rows["metrics"]) == 1
    assert "date +%s%3N" in sink.notes[0]


def test_bad_lines(read):
    data = TEXT + b'http_requests_total{code="200" 5 1795420943770\nfoo bar 1795420943770\nfoo 1 12\nx{1="2"} 1 1795420943770\n\xff\xfe\x00\n' + b'trunc{a="'
    sink = read(prometheus_text, data)
    assert len(sink.rows["metrics"]) == 9
    assert dict(sink.rejected) == {"not a sample": 4, "timestamp cannot be read": 1, "labels cannot be read": 1}
    example, offset = sink.examples["timestamp cannot be read"]
    assert data[offset:].startswith(example) and example == b"foo 1 12"


def test_clock_going_back_crlf_and_no_final_newline(read):
    sink = read(prometheus_text, b"# TYPE a gauge\r\na 1 1795420943770\r\na 2 1795420900000\r\na 3 1795420943770")
    assert sink.column("metrics", "value") == [1, 2, 3]
    assert sink.column("metrics", "time")[1] < T


def test_labels_hold_no_secrets(read):
    data = b'# TYPE a gauge\na{password="hunter2",client_ip="203.0.113.77",mail="alice@example.com",url="/x?t=SECRET_CANARY",card="4111111111111111",instance="10.0.0.1:9100"} 1 1795420943770\n'
    text = repr(read(prometheus_text, data).rows)
    assert not [c for c in ("hunter2", "203.0.113.77", "alice", "SECRET_CANARY", "4111111111111111") if c in text]
    assert "10.0.0.1:9100" in text


def test_many_series_and_a_huge_line(read):
    lines = b"".join(b'm{i="%d"} %d 1795420943770\n' % (i, i) for i in range(20_000))
    sink = read(prometheus_text, b"# TYPE m gauge\n" + lines + b'm{i="' + b"x" * 5_000_000 + b'"} 1 1795420943770\nm{i="1"} 7 1795420943770\n')
    assert len(sink.rows["metrics"]) + sink.n_rejected == 20_002
    assert max(len(str(labels)) for labels in sink.column("metrics", "labels")) < 5_000
    assert sink.rows["metrics"][-1]["labels"] == [("i", "1")] and sink.rows["metrics"][-1]["value"] == 7


@pytest.mark.parametrize("data", [b"", b"hello world\n", b"a.b.c 5 1795420943\n", b'{"a": 1}\n', b"\0\0", b"# just a comment\nls -l\n", b"1.2.3.4 - - [x] \"GET / HTTP/1.1\" 200 5\n"])
def test_other_files_are_left_alone(data):
    assert prometheus_text.sniff(Sample("x.prom", data)) is None


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_counted(read_bytes):
    from conftest import FakeSink

    sink = FakeSink()
    reader = prometheus_text._Reader(sink)
    reader.block(read_bytes, 0)
    assert sink.n_parsed + sink.n_rejected == sink.n_lines
