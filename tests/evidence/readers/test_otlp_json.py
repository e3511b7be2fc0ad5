"""OTLP JSON as the Collector, SDKs and strangers write it."""

from __future__ import annotations

import json
from typing import Any

from perfaudit.evidence.readers import otlp_json

TRACE, SPAN, PARENT = "5b8aa5a2d2c872e8321cf37308d69df2", "051581bf3cb55c13", "5fb397be34d26b51"
START = 1_795_473_426_402_294_498


def span(**more: Any) -> dict[str, Any]:
    return {"traceId": TRACE, "spanId": SPAN, "parentSpanId": "", "name": "GET /api/books", "kind": 2, "startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 4_354_635), "status": {}} | more


def attribute(key: str, value: Any) -> dict[str, Any]:
    kind = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}[type(value)]
    return {"key": key, "value": {kind: str(value) if type(value) is int else value}}


def attributes(**pairs: Any) -> list[dict[str, Any]]:
    return [attribute(key.replace("__", "."), value) for key, value in pairs.items()]


def request(*spans: Any, service: str = "library-web", **resource: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {"attributes": attributes(service__name=service, service__instance__id="app-2", **resource)}, "scopeSpans": [{"scope": {"name": "app"}, "spans": list(spans)}]}]}


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values)


def test_a_span_as_the_collector_writes_it(read) -> None:  # type: ignore[no-untyped-def]
    said = attributes(http__request__method="GET", http__route="/api/books/<int:book_id>", http__status_code=200, http__server__request__queue_time=0.0035, http__response__body__size=1234, net__peer__ip="192.0.2.7")
    sink = read(otlp_json, lines(request(span(attributes=said, status={"code": 2}), service__version="4.1")))
    row = sink.rows["spans"][0]
    assert row["time"] == START // 1000
    assert row["duration_us"] == (START + 4_354_635) // 1000 - START // 1000
    expected = {
        "trace_id": TRACE, "span_id": SPAN, "parent_span_id": None, "service": "library-web", "instance": "app-2", "operation": "GET /api/books", "kind": "server", "status": "error",
        "peer": None, "method": "GET", "route": "/api/books/{id}", "http_status": 200, "queue_us": 3500, "response_bytes": 1234, "attributes": [("service.version", "4.1")],
    }  # fmt: skip
    assert {key: row.get(key) for key in expected} == expected


def test_statements_are_fingerprinted_and_redacted(read) -> None:  # type: ignore[no-untyped-def]
    texts = ("SELECT id FROM book WHERE title LIKE %s LIMIT 20", "SELECT id FROM book WHERE title LIKE 'secret' LIMIT 5", "select id from book where title like ? limit ?")
    spans = [span(spanId=f"{i:016x}", kind=3, attributes=attributes(db__system="postgresql", db__name="library", db__statement=text)) for i, text in enumerate(texts, 1)]
    redis = span(spanId="aa00000000000000", kind="SPAN_KIND_CLIENT", attributes=attributes(db__system="redis", db__statement="GET session:4711", net__peer__name="cache", net__peer__port=6379))
    sink = read(otlp_json, lines(request(*spans, redis)))
    assert len(set(sink.column("spans", "fingerprint")[:3])) == 1
    assert sink.column("spans", "statement") == ["SELECT id FROM book WHERE title LIKE $1 LIMIT $2"] * 2 + ["select id from book where title like $1 limit $2", "GET"]
    assert sink.column("spans", "peer") == ["postgresql/library"] * 3 + ["cache:6379"]
    assert "secret" not in str(sink.rows)
    assert "4711" not in str(sink.rows)


def test_links_exceptions_resends_and_sampling(read) -> None:  # type: ignore[no-untyped-def]
    event = {"name": "exception", "attributes": attributes(exception__type="psycopg.OperationalError", exception__message="password=hunter2")}
    said = span(
        events=[{"name": "retry"}, event], links=[{"traceId": TRACE.upper(), "spanId": PARENT}, {"traceId": 1}], traceState="vendor=1,ot=th:c;rv:1234",
        kind=3, attributes=attributes(http__request__resend_count=2, url__full="https://user:pw@api.example:8443/v1/pay?card=4111"),
    )  # fmt: skip
    sink = read(otlp_json, lines(request(said)))
    row = sink.rows["spans"][0]
    assert (row["exceptions"], row["links"], row["resend_count"], row["weight"]) == (["psycopg.OperationalError"], [f"{TRACE}:{PARENT}"], 2, 4.0)
    assert (row["peer"], row["route"]) == ("api.example:8443", "/v1/pay")
    assert "hunter2" not in str(sink.rows)
    assert "4111" not in str(sink.rows)
    assert any("sample" in note for note in sink.notes)


def test_ids_in_base64_and_upper_case_numbers_and_names(read) -> None:  # type: ignore[no-untyped-def]
    base = span(traceId="W4qlotLIcugyHPNzCNad8g==", spanId="BRWBvzy1XBM=", kind="SPAN_KIND_SERVER", status={"code": "STATUS_CODE_ERROR"}, startTimeUnixNano=START)
    sink = read(otlp_json, lines(request(base, span(traceId=TRACE.upper(), spanId=SPAN.upper(), parentSpanId="0000000000000000"), span(traceId="my trace", spanId="span-1"))))
    assert sink.column("spans", "trace_id") == [TRACE, TRACE, "my?trace"]
    assert sink.column("spans", "span_id") == [SPAN, SPAN, "span-1"]
    assert sink.column("spans", "parent_span_id") == [None, None, None]
    assert sink.column("spans", "status") == ["error", "unset", "unset"]
    assert sink.column("spans", "time") == [START // 1000] * 3


def test_bad_input_is_counted_and_the_rest_is_kept(read) -> None:  # type: ignore[no-untyped-def]
    good = lines(request(span()))
    bad = lines(request(span(), span(traceId=""), span(spanId=None), span(startTimeUnixNano=None), span(name=7), span(attributes="x")))
    sink = read(otlp_json, good + good[:200] + b"\n\n" + bad + lines({"resourceMetrics": [{"a": 1}]}, request(span(traceId=None)), ["x"]) + b"\xff\xfe{}\n" + good[:-1])
    assert len(sink.rows["spans"]) == 4
    assert dict(sink.rejected) == {"not JSON": 2, "OTLP metrics, not spans": 1, "spans without ids or times": 1, "no OTLP request": 1}
    assert [note for note in sink.notes if "wrong type" in note] == ["1 span set aside: a member has the wrong type"]
    assert [note for note in sink.notes if "no trace id" in note] == ["2 spans set aside: no trace id"]


def test_time_zero_is_a_time_and_ends_may_lie_before_starts(read) -> None:  # type: ignore[no-untyped-def]
    sink = read(otlp_json, lines(request(span(startTimeUnixNano="0", endTimeUnixNano="5000"), span(endTimeUnixNano=str(START - 2000)), span(endTimeUnixNano=0), span(startTimeUnixNano=2**64 - 1, endTimeUnixNano=2**64 - 1))))
    assert sink.column("spans", "time")[:3] == [0, START // 1000, START // 1000]
    assert sink.column("spans", "duration_us")[0] == 5
    assert sink.column("spans", "duration_us")[1] in (-2, -3)
    assert sink.column("spans", "duration_us")[2] is None


def test_secrets_people_and_addresses_do_not_reach_the_map(read) -> None:  # type: ignore[no-untyped-def]
    said = attributes(
        api_key="k-123456", user__id="anna", session__id="s1", client__address="192.0.2.1", http__user_agent="curl", cache__hit=True, tenant="acme", app__items=12,
        note="mail anna@example.com now", queue__wait_ms=12.5,
    )  # fmt: skip
    sink = read(otlp_json, lines(request(span(attributes=said))))
    row = sink.rows["spans"][0]
    assert dict(row["attributes"]) == {"cache.hit": "true", "tenant": "acme", "app.items": "12", "note": "mail … now"}
    assert row["queue_us"] == 12_500


def test_an_attribute_of_ten_megabytes_and_one_of_too_many_values(read) -> None:  # type: ignore[no-untyped-def]
    big = span(attributes=attributes(blob="x" * 10_000_000, db__statement="select '" + "y" * 1_000_000 + "'"))
    many = [span(spanId=f"{i:016x}", attributes=attributes(shard=f"s{'abcdefghij'[i % 10]}{i}")) for i in range(1, 3000)]
    sink = read(otlp_json, lines(request(big), request(*many)))
    assert len(sink.rows["spans"]) == 3000
    assert all(len(value) <= 100 for row in sink.rows["spans"] for _, value in row["attributes"])
    assert len({row["attributes"][0][1] for row in sink.rows["spans"][1:]}) <= 1001


def test_attributes_that_differ_in_every_span_change_nothing(read) -> None:  # type: ignore[no-untyped-def]
    route = {"http__route": "/a/{id}", "http__request__method": "GET"}
    orders = ({"net__peer__port": 1, **route}, {**route, "http__target": "/a/1?x=2"}, {"net__peer__ip": "192.0.2.1", **route, "net__peer__port": 2, "tenant": "t"}, {"http__target": "/b", "net__peer__port": 3, **route})
    sink = read(otlp_json, lines(request(*(span(spanId=f"{i:016x}", attributes=attributes(**said)) for i, said in enumerate(orders, 1)))))
    assert sink.column("spans", "route") == ["/a/{id}"] * 4
    assert sink.column("spans", "method") == ["GET"] * 4
    assert [row["attributes"] for row in sink.rows["spans"]] == [[], [], [("tenant", "t")], []]
