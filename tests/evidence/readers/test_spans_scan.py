"""What the scanner of JSON must read alike: every way to write a span, cut anywhere, odd in any member."""

from __future__ import annotations

import json
from typing import Any

import pytest
import test_jaeger
import test_otlp_json as made

from perfaudit.evidence.readers import _spans_json, _spans_scan, jaeger, otlp_json

ODD: dict[str, Any] = {"service__name": "no resource", "tenant": 'quo"te \\ é', "n": 1 << 40, "share": 0.25, "hit": True, "http__route": "/a/{id}", "url__full": "https://h.example/a/7?x=1"}


def spellings(value: Any) -> list[bytes]:
    """The same JSON, written in several ways."""
    text = json.dumps(value, separators=(",", ":"))
    return [text.encode(), json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode(), text.replace(":", " :\t").replace(",", " , ").encode() if '":"' in text else b"", json.dumps(value, separators=(",", ":"), sort_keys=True).encode()]


def test_white_space_order_and_escapes_change_nothing(read) -> None:  # type: ignore[no-untyped-def]
    value = made.request(made.span(name="GET /é", attributes=made.attributes(**ODD)), made.span(spanId="1" * 16, kind="SPAN_KIND_CLIENT", attributes=list(reversed(made.attributes(db__system="redis", server__port=6379, server__address="cache")))))
    del value["resourceSpans"][0]["resource"]["attributes"][1]
    rows = [read(otlp_json, text + b"\n").rows["spans"] for i, text in enumerate(spellings(value)) if i != 3]
    assert all(other == rows[0] for other in rows)
    assert rows[0][0]["operation"] == "GET /é"
    assert dict(rows[0][0]["attributes"])["tenant"].startswith("quo")
    assert rows[0][1]["peer"] == "cache:6379"
    value = test_jaeger.answer(test_jaeger.trace(test_jaeger.span(1, operationName="é"), test_jaeger.span(2)))
    rows = [read(jaeger, text).rows["spans"] for i, text in enumerate(spellings(value)) if i != 3]
    assert all(other == rows[0] for other in rows)


@pytest.mark.parametrize("odd", [{"kind": [2]}, {"kind": "2"}, {"status": {"message": "no", "code": "STATUS_CODE_ERROR"}}, {"attributes": {"a": 1}}, {"attributes": [7, {}, {"key": 3}, {"value": {"stringValue": "x"}}]}, {"links": 7}, {"droppedLinksCount": 3}, {"name": None}])
def test_members_of_unusual_types_cost_nothing(read, odd: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    sink = read(otlp_json, made.lines(made.request(made.span(), made.span(spanId="2" * 16, **odd), made.span(spanId="3" * 16))))
    assert sink.column("spans", "span_id") == [made.SPAN, "2" * 16, "3" * 16]
    assert sink.column("spans", "service") == ["library-web"] * 3


@pytest.mark.parametrize("wrong", [{"traceId": 7}, {"startTimeUnixNano": "soon"}, {"startTimeUnixNano": 1.5e18}, {"name": {"a": "b"}}, {"endTimeUnixNano": True}, {"parentSpanId": []}])
@pytest.mark.parametrize("indent", [None, 1])
def test_members_of_wrong_types_cost_their_span(read, wrong: dict[str, Any], indent: int | None) -> None:  # type: ignore[no-untyped-def]
    text = json.dumps(made.request(made.span(), made.span(spanId="2" * 16, **wrong), "x", made.span(spanId="3" * 16)), indent=indent)
    sink = read(otlp_json, text.encode())
    assert sink.column("spans", "span_id") == [made.SPAN, "3" * 16]
    assert sink.notes == ["2 spans set aside: a member has the wrong type"]


def test_escaped_and_long_ids(read) -> None:  # type: ignore[no-untyped-def]
    text = json.dumps(made.request(made.span(traceId=made.TRACE[:-1] + "F"), made.span(spanId="0000000000000000"))).replace(made.SPAN, "\\u0030" + made.SPAN[1:]).encode()
    sink = read(otlp_json, text)
    assert sink.column("spans", "trace_id") == [made.TRACE[:-1] + "f"]
    assert sink.column("spans", "span_id") == [made.SPAN]
    assert sink.notes == ["1 span set aside: no trace id or span id but zeros"]


@pytest.mark.parametrize("first", [True, False])
def test_a_group_longer_than_what_is_held(read, monkeypatch, first: bool) -> None:  # type: ignore[no-untyped-def]
    for module in (_spans_json, _spans_scan):
        monkeypatch.setattr(module, "LINE", 40_000)
    monkeypatch.setattr(_spans_scan, "_PIECE", 9_000)
    spans = [made.span(spanId=f"{i:016x}") for i in range(1, 900)]
    group = made.request(*spans)["resourceSpans"][0]
    if not first:
        group = {"scopeSpans": group["scopeSpans"], "resource": group["resource"]}
    text = json.dumps({"resourceSpans": [group, made.request(made.span(), service="other")["resourceSpans"][0]]}, indent=1)
    sink = read(otlp_json, text.encode())
    assert sink.column("spans", "service") == ["library-web"] * 899 + ["other"]
    assert sink.column("spans", "span_id")[:899] == [s["spanId"] for s in spans]
    trace = test_jaeger.trace(*(test_jaeger.span(i, processID="p2" if i % 2 else "p1") for i in range(1, 600)))
    sink = read(jaeger, json.dumps(test_jaeger.answer(trace, test_jaeger.trace(test_jaeger.span(700))), indent=1).encode())
    assert sink.column("spans", "service") == ["cart" if i % 2 else "front" for i in range(1, 600)] + ["front"]


def test_rows_and_tables_that_are_full_change_nothing(read, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    spans = [made.span(spanId=f"{i:016x}", name=f"job {i}", attributes=made.attributes(shard=f"s{i % 900}", blob="b" * (i % 5) * 900, http__response__body__size=i)) for i in range(1, 2000)]
    text = made.lines(*(made.request(*spans[i : i + 100]) for i in range(0, 2000, 100)))
    whole = read(otlp_json, text).rows["spans"]
    monkeypatch.setattr(_spans_scan, "_ROWS", 64)
    assert read(otlp_json, text).rows["spans"] == whole
    assert [row["response_bytes"] for row in whole] == list(range(1, 2000))
    assert [row["operation"] for row in whole] == [s["name"] for s in spans]


def test_urls_that_differ_in_every_span_are_one_meaning(read) -> None:  # type: ignore[no-untyped-def]
    spans = [made.span(spanId=f"{i:016x}", kind=3, attributes=made.attributes(http__request__method="GET", url__full=f"https://u:p@api.example/v1/pay/{i}?card={i}")) for i in range(1, 500)]
    sink = read(otlp_json, made.lines(made.request(*spans)))
    assert set(sink.column("spans", "route")) == {"/v1/pay/{id}"}
    assert set(sink.column("spans", "peer")) == {"api.example"}
