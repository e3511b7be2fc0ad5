"""Writes traces for the benchmark: ``python spans.py KIND FILE SPANS``, KIND is jaeger, otlp, otlp-proto or zipkin. The same seed, the same bytes.

A trace is a request through six services: servers, clients, statements and cache commands, 5 to 40 spans, with the attributes that
OpenTelemetry's instrumentations set. Ids and times differ in every span, ports and targets in every request.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from typing import Any

SERVICES = ("front", "cart", "catalogue", "payment", "search", "stock")
ROUTES = ("/", "/cart/{id}", "/products/{id}", "/pay", "/search", "/stock/{id}")
STATEMENTS = ("SELECT id, name, price FROM product WHERE id = $1", "UPDATE stock SET n = n - $1 WHERE id = $2", "SELECT * FROM orders WHERE customer = $1 ORDER BY at DESC LIMIT 20", "INSERT INTO orders (customer, total) VALUES ($1, $2)")
START = 1_795_473_426_000_000


def traces(spans: int, seed: int = 1) -> Iterator[list[dict[str, Any]]]:
    """Traces as lists of plain spans: trace, id, parent, name, service, kind, start and duration in µs, attributes."""
    rng = random.Random(seed)
    made, clock = 0, START
    while made < spans:
        clock += rng.randrange(200, 4000)
        trace = f"{rng.getrandbits(128):032x}"
        out = [_server(rng, trace, "", 0, clock, rng.randrange(20_000, 200_000))]
        for _ in range(min(rng.randrange(4, 40), spans - made - 1)):
            parent = rng.choice(out)
            at = parent["start"] + rng.randrange(1 + parent["duration"] // 2)
            spent = 1 + parent["duration"] // rng.randrange(3, 9)
            draw = rng.random()
            if parent["kind"] == "client" and draw < 0.3:
                out.append(_server(rng, trace, parent["id"], rng.randrange(6), at, spent))
            elif draw < 0.7:
                out.append(_span(rng, trace, parent, "SELECT", at, spent, {"db.system": "postgresql", "db.name": "shop", "db.statement": rng.choice(STATEMENTS), "db.user": "app", "net.peer.name": "db", "net.peer.port": 5432}))
            elif draw < 0.85:
                out.append(_span(rng, trace, parent, "GET", at, spent, {"db.system": "redis", "db.statement": "GET ?", "net.peer.name": "cache", "net.peer.port": 6379}))
            else:
                out.append(_span(rng, trace, parent, "POST", at, spent, {"http.method": "POST", "http.url": f"http://pay:8080/v1/{rng.randrange(10**6)}", "http.status_code": 200}))
        made += len(out)
        yield out


def _span(rng: random.Random, trace: str, parent: dict[str, Any], name: str, at: int, spent: int, said: dict[str, Any]) -> dict[str, Any]:
    return {"trace": trace, "id": f"{rng.getrandbits(64):016x}", "parent": parent["id"], "name": name, "service": parent["service"], "kind": "client", "start": at, "duration": spent, "said": said}


def _server(rng: random.Random, trace: str, parent: str, which: int, at: int, spent: int) -> dict[str, Any]:
    said = {"http.method": "GET", "http.scheme": "http", "http.target": f"{ROUTES[which]}?q={rng.randrange(10**5)}", "http.route": ROUTES[which], "http.status_code": 200, "net.host.name": "10.0.0.7", "net.peer.port": rng.randrange(20_000, 60_000)}
    return {"trace": trace, "id": f"{rng.getrandbits(64):016x}", "parent": parent, "name": f"GET {ROUTES[which]}", "service": SERVICES[which], "kind": "server", "start": at, "duration": spent, "said": said}


def jaeger(spans: int) -> Iterator[str]:
    """One line, as Jaeger's API answers."""
    yield '{"data":['
    for i, trace in enumerate(traces(spans)):
        rows = [
            {
                "traceID": s["trace"], "spanID": s["id"], "flags": 1, "operationName": s["name"], "references": [{"refType": "CHILD_OF", "traceID": s["trace"], "spanID": s["parent"]}] if s["parent"] else [],
                "startTime": s["start"], "duration": s["duration"], "tags": [{"key": k, "type": "int64" if isinstance(v, int) else "string", "value": v} for k, v in {**s["said"], "span.kind": s["kind"]}.items()],
                "logs": [], "processID": f"p{SERVICES.index(s['service'])}", "warnings": None,
            }
            for s in trace
        ]  # fmt: skip
        processes = {f"p{k}": {"serviceName": name, "tags": [{"key": "hostname", "type": "string", "value": f"{name}-1"}]} for k, name in enumerate(SERVICES)}
        yield "," * (i > 0) + json.dumps({"traceID": trace[0]["trace"], "spans": rows, "processes": processes, "warnings": None}, separators=(",", ":"))
    yield '],"total":0,"limit":0,"offset":0,"errors":null}'


def zipkin(spans: int) -> Iterator[str]:
    """One line, as Zipkin's API answers."""
    yield "["
    for i, trace in enumerate(traces(spans)):
        rows = [
            {"traceId": s["trace"], "id": s["id"], **({"parentId": s["parent"]} if s["parent"] else {}), "name": s["name"], "kind": s["kind"].upper(), "timestamp": s["start"], "duration": s["duration"], "localEndpoint": {"serviceName": s["service"]}, "tags": {k: str(v) for k, v in s["said"].items()}}
            for s in trace
        ]
        yield "," * (i > 0) + json.dumps(rows, separators=(",", ":"))
    yield "]"


def otlp(spans: int) -> Iterator[str]:
    """One request a line, a hundred traces each, as the Collector's file exporter writes them after its batch processor."""
    for requests in _batches(spans):
        groups = [
            {"resource": {"attributes": _said({"service.name": name, "service.instance.id": f"{name}-1", "service.version": "1.4.2"})}, "scopeSpans": [{"scope": {"name": "app"}, "spans": rows}]}
            for name, rows in requests.items()
        ]
        yield json.dumps({"resourceSpans": groups}, separators=(",", ":")) + "\n"


def _batches(spans: int) -> Iterator[dict[str, list[dict[str, Any]]]]:
    by_service: dict[str, list[dict[str, Any]]] = {}
    for n, trace in enumerate(traces(spans), 1):
        for s in trace:
            by_service.setdefault(s["service"], []).append({
                "traceId": s["trace"], "spanId": s["id"], "parentSpanId": s["parent"], "flags": 257, "name": s["name"], "kind": 2 if s["kind"] == "server" else 3,
                "startTimeUnixNano": str(s["start"] * 1000 + 417), "endTimeUnixNano": str((s["start"] + s["duration"]) * 1000 + 991), "attributes": _said(s["said"]), "status": {},
            })  # fmt: skip
        if n % 100 == 0:
            yield by_service
            by_service = {}
    if by_service:
        yield by_service


def _said(pairs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": k, "value": {"intValue": str(v)} if isinstance(v, int) else {"stringValue": v}} for k, v in pairs.items()]


def otlp_proto(spans: int) -> Iterator[bytes]:
    """The same requests in the frames of the Collector's file exporter."""
    for requests in _batches(spans):
        body = b"".join(
            _bytes(1, _bytes(1, _pairs(1, _said({"service.name": name, "service.instance.id": f"{name}-1", "service.version": "1.4.2"}))) + _bytes(2, _bytes(1, _bytes(1, b"app")) + b"".join(_bytes(2, _wire(s)) for s in rows)))
            for name, rows in requests.items()
        )
        yield len(body).to_bytes(4, "big") + body


def _wire(s: dict[str, Any]) -> bytes:
    times = b"\x39" + int(s["startTimeUnixNano"]).to_bytes(8, "little") + b"\x41" + int(s["endTimeUnixNano"]).to_bytes(8, "little")
    ids = _bytes(1, bytes.fromhex(s["traceId"])) + _bytes(2, bytes.fromhex(s["spanId"])) + (_bytes(4, bytes.fromhex(s["parentSpanId"])) if s["parentSpanId"] else b"")
    return ids + _bytes(5, s["name"].encode()) + b"\x30" + _varint(s["kind"]) + times + _pairs(9, s["attributes"]) + _bytes(15, b"") + b"\x85\x01\x01\x01\x00\x00"


def _pairs(number: int, pairs: list[dict[str, Any]]) -> bytes:
    return b"".join(_bytes(number, _bytes(1, p["key"].encode()) + _bytes(2, b"\x18" + _varint(int(p["value"]["intValue"])) if "intValue" in p["value"] else _bytes(1, p["value"]["stringValue"].encode()))) for p in pairs)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def main() -> None:
    """Write the file."""
    kind, path, spans = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "otlp-proto":
        with open(path, "wb") as file:
            file.writelines(otlp_proto(spans))
        return
    with open(path, "w") as out:
        out.writelines({"jaeger": jaeger, "zipkin": zipkin, "otlp": otlp}[kind](spans))


if __name__ == "__main__":
    main()
