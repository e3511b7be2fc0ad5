"""Zipkin v2 in the shapes that the API and exporters give."""

from __future__ import annotations

import json
from typing import Any

from perfaudit.evidence.readers import ReadOptions, zipkin

TRACE = "2ca25582c3668a6218ec95c88c0389b5"


def span(**more: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE, "id": "6f7e630b7998c7f3", "parentId": "fccc45a994636cb0", "name": "SELECT purchasing", "timestamp": 1795473050887888, "duration": 3835, "kind": "CLIENT",
        "localEndpoint": {"serviceName": "procurement"},
        "tags": {"db.system": "mariadb", "db.name": "purchasing", "db.statement": "SELECT `budget` FROM depots WHERE id = %s FOR UPDATE", "db.response.returned_rows": "25", "service.instance.id": "app-2", "service.version": "3.12.5"},
    } | more  # fmt: skip


EXPECTED = {
    "trace_id": TRACE, "span_id": "6f7e630b7998c7f3", "parent_span_id": "fccc45a994636cb0", "time": 1795473050887888, "duration_us": 3835, "service": "procurement", "instance": "app-2",
    "operation": "SELECT purchasing", "kind": "client", "status": "unset", "peer": "mariadb/purchasing", "system": "mariadb", "rows": 25, "statement": "SELECT `budget` FROM depots WHERE id = $1 FOR UPDATE",
    "shared": False, "attributes": [("service.version", "3.12.5")],
}  # fmt: skip


def test_every_shape_gives_the_same_rows(read) -> None:  # type: ignore[no-untyped-def]
    one, other = span(), span(id="17192ab693526298", kind="SERVER", parentId=None)
    shapes = (
        json.dumps([one, other]), json.dumps([[one], [other]]), f"[{json.dumps(one)},\n{json.dumps(other)}]\n", f"[\n{json.dumps(one)}\n,{json.dumps(other)}\n]",
        f"{json.dumps(one)}\n{json.dumps(other)}\n", json.dumps([one, other], indent=2), json.dumps([[one], [other]], indent=1), f"{json.dumps([one])}\n{json.dumps([other])}",
    )  # fmt: skip
    for text in shapes:
        rows = read(zipkin, text.encode()).rows["spans"]
        assert len(rows) == 2, text
        assert {key: rows[0].get(key) for key in EXPECTED} == EXPECTED
        assert (rows[1]["kind"], rows[1]["parent_span_id"], rows[1]["peer"]) == ("server", None, None)


def test_shared_spans_peers_errors_and_short_ids(read) -> None:  # type: ignore[no-untyped-def]
    client = span(tags={}, remoteEndpoint={"serviceName": "quotes", "ipv4": "192.0.2.1", "port": 80}, traceId="4D1E00C0DB9010DB")
    server = span(tags={"error": "timeout after 3 s for anna@example.com", "http.path": "/quotes/17"}, kind="SERVER", shared=True)
    sink = read(zipkin, json.dumps([client, server]).encode())
    assert sink.column("spans", "shared") == [False, True]
    assert sink.column("spans", "trace_id")[0] == "4d1e00c0db9010db"
    assert sink.column("spans", "peer") == ["quotes", None]
    assert sink.column("spans", "status") == ["unset", "error"]
    assert sink.column("spans", "route") == [None, "/quotes/{id}"]
    assert "anna" not in str(sink.rows)


def test_halves_wrong_types_and_torn_lines_are_counted(read) -> None:  # type: ignore[no-untyped-def]
    half = {"traceId": TRACE, "id": "aa00000000000000", "annotations": [{"timestamp": 5, "value": "ws"}], "localEndpoint": None}
    torn = json.dumps(span())[:90]
    sink = read(zipkin, "\n".join(["[" + json.dumps(span()) + ",", torn, json.dumps(half) + ",", json.dumps(span(timestamp="x")) + ",", json.dumps(span(timestamp="1795473050887888", duration=None)) + "]"]).encode())
    assert sink.column("spans", "duration_us") == [3835, None]
    assert (sink.n_lines, sink.n_parsed, sum(sink.rejected.values())) == (5, 2, 3)
    assert sink.rejected["not JSON"] == 1
    assert len(sink.notes) == 2


def test_the_other_end_yields_to_tags_and_tags_may_be_anything(read) -> None:  # type: ignore[no-untyped-def]
    end = {"serviceName": "quotes", "port": 80, "ipv6": "2001:db8::1", "other": {"a": [1]}}
    spans = [
        span(remoteEndpoint=end, tags={"peer.service": "tagged", "rows": 3, "deep": {"a": "}"}, "list": ["x"], 'quo"té': "v"}), span(remoteEndpoint=end | {"serviceName": None}, tags={}),
        span(remoteEndpoint={"ipv4": "192.0.2.7"}, tags=None), span(remoteEndpoint=7, tags=[1]), span(tags={"serviceName": "no peer", "port": "80"}),
    ]  # fmt: skip
    for text in (json.dumps(spans), json.dumps(spans, ensure_ascii=False, indent=1), json.dumps([dict(reversed(s.items())) for s in spans], separators=(",", ":"))):
        sink = read(zipkin, text.encode())
        assert sink.column("spans", "peer") == ["tagged", "2001:db8::1", "192.0.2.7", None, None]
        kept = [dict(row["attributes"]) for row in sink.rows["spans"]]
        assert kept == [{"list": "x", 'quo"té': "v", "rows": "3"}, {}, {}, {}, {"port": "80", "serviceName": "no peer"}]


def test_a_span_without_an_endpoint_is_of_the_service_that_was_given(read) -> None:  # type: ignore[no-untyped-def]
    sink = read(zipkin, json.dumps([span(localEndpoint=None), span(), span(localEndpoint={"ipv4": "192.0.2.1"})]).encode(), options=ReadOptions(service="given"))
    assert sink.column("spans", "service") == ["given", "procurement", "given"]


def test_a_line_of_wrong_type_is_rejected_and_a_time_in_exponents_is_one(read) -> None:  # type: ignore[no-untyped-def]
    lines = [json.dumps(span(), separators=(",", ":")), json.dumps(span(timestamp=1.5e15), separators=(",", ":")).replace("1500000000000000.0", "15e14"), json.dumps(span(name=["x"])), json.dumps(span(id="1" * 16))]
    for text in ("\n".join(lines), f"[{','.join(lines)}]"):
        sink = read(zipkin, text.encode())
        assert sink.column("spans", "time") == [1795473050887888, 1500000000000000, 1795473050887888]
        assert sink.notes == ["1 span set aside: a member has the wrong type"]
    assert read(zipkin, "\n".join(lines).encode()).rejected == {"a member has the wrong type": 1}
