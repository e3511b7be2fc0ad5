"""Random traces, randomly written, against ``json.loads`` and a plain walk: what the compiled scanner must read alike."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from perfaudit.evidence.readers import _spans_scan, jaeger, otlp_json, zipkin

NAMES = ("load cart", 'say "hi" \\ {', "é ] }", "spans [{", "x")
KEYS = ("tenant", 'quo"té', "sp an}", "back\\slash")
VALUES = ("gold", 'a "b" \\ {[', "é, ü", "}]")
KINDS = ("internal", "server", "client", "producer", "consumer")
#: Member names, words of enumerations and ids are compared as bytes, as every exporter writes them; other values and the keys of attributes may have escapes.
_IDS = re.compile(r"p\d|[0-9a-f]{16}|[0-9a-f]{32}|CHILD_OF|(SPAN_KIND_)?(INTERNAL|SERVER|CLIENT|PRODUCER|CONSUMER)")
FIXED = frozenset(
    ["traceId", "traceID", "spanId", "spanID", "id", "parentId", "parentSpanId", "name", "operationName", "kind", "timestamp", "startTime", "startTimeUnixNano", "endTimeUnixNano", "duration", "attributes", "tags", "key", "value", "type", "stringValue", "intValue", "data", "spans", "processes", "processID", "serviceName", "localEndpoint", "remoteEndpoint", "shared", "references", "refType", "resource", "resourceSpans", "scopeSpans", "annotations", "port", "ipv4", "zz"]
)


def written(rng: random.Random, value: Any, blanks: tuple[str, ...]) -> str:
    """``value`` as JSON: members in any order, white space and escapes anywhere."""

    def gap() -> str:
        return rng.choice(blanks)

    def text(of: str) -> str:
        plain = of in FIXED or _IDS.fullmatch(of)
        return '"' + "".join(f"\\u{ord(c):04x}" if not plain and rng.random() < 0.1 else json.dumps(c, ensure_ascii=rng.random() < 0.5)[1:-1] for c in of) + '"'

    if isinstance(value, dict):
        members = [*value.items(), *([("zz", junk(rng))] if rng.random() < 0.2 else [])]
        rng.shuffle(members)
        return "{" + gap() + ",".join(f"{gap()}{text(k)}{gap()}:{gap()}{written(rng, v, blanks)}{gap()}" for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + gap() + ",".join(f"{gap()}{written(rng, v, blanks)}{gap()}" for v in value) + "]"
    return text(value) if isinstance(value, str) else json.dumps(value)


def junk(rng: random.Random, depth: int = 0) -> Any:
    """Something that no reader knows."""
    if depth < 3 and rng.random() < 0.5:
        inner = [junk(rng, depth + 1) for _ in range(rng.randrange(3))]
        return inner if rng.random() < 0.5 else {f"{i}{rng.choice(VALUES)}": v for i, v in enumerate(inner)}
    return rng.choice([None, True, False, 0, -1.5e-3, 12, *VALUES, '"spans":[{"traceId":"7"}]'])


def plain(rng: random.Random) -> dict[str, Any]:
    """A span of no format."""
    said = {key: rng.choice(VALUES) for key in KEYS if rng.random() < 0.4} | ({"http.status_code": rng.randrange(200, 599)} if rng.random() < 0.5 else {}) | ({"peer.service": rng.choice(("stock", "bank"))} if rng.random() < 0.5 else {})
    start = 1_795_473_050_887_888 + rng.randrange(10**9)
    parent = f"{rng.getrandbits(64) | 1:016x}" if rng.random() < 0.8 else None
    return {"trace": f"{rng.getrandbits(128) | 1:032x}", "id": f"{rng.getrandbits(64) | 1:016x}", "parent": parent, "name": rng.choice(NAMES), "service": rng.choice(("a", "b", "ü")), "kind": rng.choice(KINDS), "start": start, "duration": rng.randrange(10**6), "said": said}


def number(rng: random.Random, value: int) -> int | str:
    return str(value) if rng.random() < 0.3 else value


def as_otlp(rng: random.Random, spans: list[dict[str, Any]]) -> Any:
    def pairs(said: dict[str, Any]) -> list[Any]:
        return [{"key": k, "value": {"intValue": number(rng, v)} if isinstance(v, int) else {"stringValue": v}} for k, v in said.items()]

    def one(s: dict[str, Any]) -> dict[str, Any]:
        start = s["start"] * 1000 + 417
        kind = rng.choice([KINDS.index(s["kind"]) + 1, f"SPAN_KIND_{s['kind'].upper()}"])
        return {"traceId": s["trace"], "spanId": s["id"], "parentSpanId": s["parent"] or "", "name": s["name"], "kind": kind, "startTimeUnixNano": number(rng, start), "endTimeUnixNano": number(rng, start + s["duration"] * 1000 + 999), "attributes": pairs(s["said"])}

    return {"resourceSpans": [{"resource": {"attributes": pairs({"service.name": name})}, "scopeSpans": [{"spans": [one(s) for s in spans if s["service"] == name]}]} for name in dict.fromkeys(s["service"] for s in spans)]}


def as_jaeger(rng: random.Random, spans: list[dict[str, Any]]) -> Any:
    names = sorted({s["service"] for s in spans})

    def one(s: dict[str, Any]) -> dict[str, Any]:
        tags = [{"key": k, "type": "int64" if isinstance(v, int) else "string", "value": v} for k, v in {**s["said"], "span.kind": s["kind"]}.items()]
        references = [{"refType": "CHILD_OF", "traceID": s["trace"], "spanID": s["parent"]}] if s["parent"] else []
        return {"traceID": s["trace"], "spanID": s["id"], "operationName": s["name"], "references": references, "startTime": number(rng, s["start"]), "duration": number(rng, s["duration"]), "tags": tags, "processID": f"p{names.index(s['service'])}"}

    return {"data": [{"spans": [one(s) for s in spans], "processes": {f"p{i}": {"serviceName": name} for i, name in enumerate(names)}}]}


def as_zipkin(rng: random.Random, spans: list[dict[str, Any]]) -> Any:
    def one(s: dict[str, Any]) -> dict[str, Any]:
        tags = {k: str(v) for k, v in s["said"].items() if k != "peer.service"}
        end = {"remoteEndpoint": {"serviceName": s["said"]["peer.service"], "port": 80}} if "peer.service" in s["said"] else {}
        kind = {} if s["kind"] == "internal" else {"kind": s["kind"].upper()}
        return {"traceId": s["trace"], "id": s["id"], "parentId": s["parent"], "name": s["name"], "timestamp": number(rng, s["start"]), "duration": number(rng, s["duration"]), "shared": rng.random() < 0.5, "localEndpoint": {"serviceName": s["service"]}, "tags": tags, **kind, **end}

    return [[one(s)] for s in spans] if rng.random() < 0.5 else [one(s) for s in spans]


def walked(value: Any) -> Iterator[dict[str, Any]]:
    """The rows that the parsed JSON says, by a plain walk."""
    if isinstance(value, dict) and "resourceSpans" in value:
        for group in value["resourceSpans"]:
            yield from (row(s, said(s["attributes"]), said(group["resource"]["attributes"])["service.name"]) for s in group["scopeSpans"][0]["spans"])
    elif isinstance(value, dict):
        for trace in value["data"]:
            yield from (row(s, said(s["tags"]), trace["processes"][s["processID"]]["serviceName"]) for s in trace["spans"])
    else:
        for item in value:
            yield from walked(item) if isinstance(item, list) else [row(item, dict(item["tags"]), item["localEndpoint"]["serviceName"])]


def said(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {p["key"]: p["value"] if not isinstance(p["value"], dict) else p["value"].get("stringValue", p["value"].get("intValue")) for p in pairs}


def row(s: dict[str, Any], tags: dict[str, Any], service: str) -> dict[str, Any]:
    parent = s.get("parentId") or s.get("parentSpanId") or next((r["spanID"] for r in s.get("references", ())), None)
    kind = s.get("kind") or tags.get("span.kind") or "internal"
    kind = KINDS[int(kind) - 1] if isinstance(kind, int) else kind.rpartition("_")[2].lower()
    per_us = 1000 if "startTimeUnixNano" in s else 1
    start = int(s.get("startTimeUnixNano") or s.get("startTime") or s.get("timestamp")) // per_us
    status = tags.get("http.status_code")
    peer = tags.get("peer.service") or s.get("remoteEndpoint", {}).get("serviceName")
    return {
        "trace_id": s.get("traceId") or s.get("traceID"), "span_id": s.get("spanId") or s.get("spanID") or s["id"], "parent_span_id": parent, "time": start, "operation": s.get("name") or s.get("operationName"),
        "duration_us": int(s["duration"]) if "duration" in s else int(s["endTimeUnixNano"]) // per_us - start, "service": service, "kind": kind, "http_status": None if status is None else int(status),
        "peer": peer if kind in ("client", "producer") else None, "shared": s.get("shared", False), "attributes": sorted((k, v) for k, v in tags.items() if k in KEYS),
    }  # fmt: skip


@pytest.mark.parametrize("blanks", [("",), ("", "", " ", "\t "), ("", " ", "\n", "\r\n  ")])
@pytest.mark.parametrize(("reader", "shape"), [(otlp_json, as_otlp), (jaeger, as_jaeger), (zipkin, as_zipkin)])
def test_rows_are_those_of_a_plain_walk(read, monkeypatch, reader: Any, shape: Any, blanks: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(f"{shape.__name__}{blanks}")
    for _ in range(25):
        values = [shape(rng, [plain(rng) for _ in range(rng.randrange(1, 30))]) for _ in range(1 if "\n" in blanks else rng.randrange(1, 4))]
        text = "\n".join(written(rng, value, blanks) for value in values)
        expected = [row for line in (text.split("\n") if len(values) > 1 else [text]) for row in walked(json.loads(line))]
        monkeypatch.setattr(_spans_scan, "_PIECE", rng.choice((97, 5_000, 1 << 22)))
        sink = read(reader, text.encode())
        rows = [{name: r.get(name) for name in expected[0]} | {"attributes": sorted(pair for pair in r["attributes"] if pair[0] in KEYS)} for r in sink.rows["spans"]]
        assert len(rows) == len(expected)
        for got, wanted in zip(rows, expected, strict=True):
            assert got == wanted
        assert not sink.notes
        assert not sink.rejected
