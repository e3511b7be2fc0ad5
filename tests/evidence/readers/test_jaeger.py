"""Jaeger's JSON in the shapes that its API, its interface and its storage give."""

from __future__ import annotations

import json
from typing import Any

from perfaudit.evidence.readers import jaeger

TRACE = "0c9a1b2c3d4e5f60718293a4b5c6d7e8"


def tag(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "type": {str: "string", bool: "bool", int: "int64", float: "float64"}[type(value)], "value": value}


def tags(**pairs: Any) -> list[dict[str, Any]]:
    return [tag(key.replace("__", "."), value) for key, value in pairs.items()]


def span(number: int = 2, **more: Any) -> dict[str, Any]:
    parent = [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": f"{number - 1:016x}"}] if number > 1 else []
    return {
        "traceID": TRACE, "spanID": f"{number:016x}", "flags": 1, "operationName": "GET /cart/42?x=1", "references": parent, "startTime": 1795473050887888, "duration": 1500,
        "tags": tags(span__kind="client", http__status_code=503, error=True, peer__service="cart"), "logs": [], "processID": "p1", "warnings": None,
    } | more  # fmt: skip


PROCESSES = {"p1": {"serviceName": "front", "tags": tags(hostname="web-1", ip="192.0.2.9")}, "p2": {"serviceName": "cart", "tags": []}}


def trace(*spans: Any) -> dict[str, Any]:
    return {"traceID": TRACE, "spans": list(spans), "processes": PROCESSES, "warnings": None}


def answer(*traces: Any) -> dict[str, Any]:
    return {"data": list(traces), "total": 0, "limit": 0, "offset": 0, "errors": None}


def test_every_shape_gives_the_same_rows(read) -> None:  # type: ignore[no-untyped-def]
    one, other = trace(span(1), span(2, processID="p2")), trace(span(3))
    shapes = (
        json.dumps(answer(one, other)), json.dumps(answer(one, other), indent=2), json.dumps([one, other]), f"{json.dumps(one)}\n{json.dumps(other)}\n", f"{json.dumps(answer(one))}\n{json.dumps(answer(other))}\n",
        json.dumps(one, indent=1) + "\n" + json.dumps(other, indent=1), f"[{json.dumps(one)},\n{json.dumps(other)}]",
    )  # fmt: skip
    for text in shapes:
        rows = read(jaeger, text.encode()).rows["spans"]
        assert [(r["span_id"], r["parent_span_id"], r["service"], r.get("instance")) for r in rows] == [
            ("0000000000000001", None, "front", "web-1"), ("0000000000000002", "0000000000000001", "cart", None), ("0000000000000003", "0000000000000002", "front", "web-1"),
        ], text  # fmt: skip
        row = rows[0]
        assert (row["time"], row["duration_us"], row["kind"], row["status"], row["http_status"], row["peer"]) == (1795473050887888, 1500, "client", "error", 503, "cart")
        assert row["operation"] == "GET /cart/{id}"
        assert "192.0.2.9" not in str(rows)


def test_stored_spans_a_line(read) -> None:  # type: ignore[no-untyped-def]
    stored = span(1, process={"serviceName": "front", "tags": []}, startTimeMillis=1)
    del stored["processID"]
    assert read(jaeger, (json.dumps(stored) + "\n" + json.dumps(stored) + "\n").encode()).column("spans", "service") == ["front", "front"]


def test_references_logs_and_sampling(read) -> None:  # type: ignore[no-untyped-def]
    follows = [{"refType": "FOLLOWS_FROM", "traceID": TRACE, "spanID": "00000000000000aa"}]
    mixed = [{"refType": "FOLLOWS_FROM", "traceID": "ff" * 16, "spanID": "bb"}, {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "cc"}]
    logs = [{"timestamp": 1, "fields": tags(event="error", error__kind="Timeout", message="token=abc")}, {"timestamp": 2, "fields": tags(event="retry")}]
    sink = read(jaeger, json.dumps(answer(trace(span(1, references=follows, logs=logs, tags=tags(sampler__type="probabilistic", sampler__param=0.1)), span(2, references=mixed), span(3, spanID="1F")))).encode())
    assert sink.column("spans", "parent_span_id") == ["00000000000000aa", "00000000000000cc", "0000000000000002"]
    assert sink.column("spans", "links") == [[f"{TRACE}:00000000000000aa"], ["ff" * 16 + ":00000000000000bb"], None]
    assert sink.column("spans", "exceptions") == [["Timeout"], None, None]
    assert sink.column("spans", "span_id")[2] == "000000000000001f"
    assert sink.column("spans", "weight") == [10.0, None, None]
    assert sink.column("spans", "sampler")[0] == "probabilistic"
    assert "abc" not in str(sink.rows)


def test_bad_spans_are_counted_and_the_rest_is_kept(read) -> None:  # type: ignore[no-untyped-def]
    sink = read(jaeger, json.dumps(answer(trace(span(1), span(2, traceID=None), span(3, startTime="soon"), span(4, processID="p9"), span(5, references="x"), 7, span(6, tags={"a": 1})), "x")).encode())
    assert sink.column("spans", "service") == ["front", None, "front"]
    assert sorted(sink.notes) == ["1 span set aside: no trace id", "3 spans set aside: a member has the wrong type"]
