"""OTLP protobuf in three framings, whole and broken."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import test_otlp_json as made
import zstandard

from perfaudit.evidence.readers import otlp_json, otlp_proto


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    return varint(number << 3 | 2) + varint(len(value)) + value


def pair(said: dict[str, Any]) -> bytes:
    (kind, value), = said["value"].items()
    inner = {"stringValue": lambda v: field(1, v.encode()), "boolValue": lambda v: field(2, int(v)), "intValue": lambda v: field(3, int(v)), "doubleValue": lambda v: b"\x21" + struct.pack("<d", v)}[kind](value)
    return field(1, said["key"].encode()) + field(2, inner)


def span(said: dict[str, Any]) -> bytes:
    out = field(1, bytes.fromhex(said["traceId"])) + field(2, bytes.fromhex(said["spanId"])) + field(3, said.get("traceState", "").encode()) + field(4, bytes.fromhex(said["parentSpanId"]))
    out += field(5, said["name"].encode()) + field(6, said["kind"]) + b"\x39" + int(said["startTimeUnixNano"]).to_bytes(8, "little") + b"\x41" + int(said["endTimeUnixNano"]).to_bytes(8, "little")
    out += b"".join(field(9, pair(p)) for p in said.get("attributes", ()))
    out += b"".join(field(11, field(2, e["name"].encode()) + b"".join(field(3, pair(p)) for p in e.get("attributes", ()))) for e in said.get("events", ()))
    out += b"".join(field(13, field(1, bytes.fromhex(x["traceId"])) + field(2, bytes.fromhex(x["spanId"]))) for x in said.get("links", ()))
    return out + field(15, field(3, said["status"].get("code", 0))) + b"\x85\x01\x01\x01\x00\x00"


def message(request: dict[str, Any]) -> bytes:
    return b"".join(
        field(1, field(1, b"".join(field(1, pair(p)) for p in group["resource"]["attributes"])) + b"".join(field(2, field(1, b"") + b"".join(field(2, span(s)) for s in scope["spans"])) for scope in group["scopeSpans"]))
        for group in request["resourceSpans"]
    )


def requests() -> list[dict[str, Any]]:
    rng = random.Random(2)
    out = []
    for _ in range(5):
        spans = [
            made.span(
                spanId=f"{rng.getrandbits(64):016x}", parentSpanId=rng.choice(["", made.PARENT]), kind=rng.randrange(6), status={"code": rng.randrange(3)}, name=rng.choice(["GET /a/{id}", "SELECT"]), traceState=rng.choice(["", "ot=th:8"]),
                attributes=made.attributes(db__system="postgresql", db__statement="select 1", net__peer__name="db", net__peer__port=5432, http__status_code=200, cache__hit=True, share=0.25, n=-3) if rng.random() < 0.5
                else made.attributes(http__route="/a/{id}", http__target=f"/a/{rng.random()}", net__peer__port=rng.randrange(60_000), thread__id=rng.randrange(99)),
                events=[{"name": "exception", "attributes": made.attributes(exception__type="Timeout")}] if rng.random() < 0.3 else [], links=[{"traceId": made.TRACE, "spanId": made.PARENT}] if rng.random() < 0.3 else [],
            )
            for _ in range(20)
        ]  # fmt: skip
        out.append(made.request(*spans))
    return out


def framed(*bodies: bytes) -> bytes:
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


def delimited(*bodies: bytes) -> bytes:
    return b"".join(varint(len(body)) + body for body in bodies)


def test_every_framing_gives_the_rows_of_the_json(read) -> None:  # type: ignore[no-untyped-def]
    said = requests()
    bodies = [message(request) for request in said]
    expected = read(otlp_json, made.lines(*said)).rows["spans"]
    packed = framed(*(zstandard.ZstdCompressor().compress(body) for body in bodies))
    packed_json = framed(*(zstandard.ZstdCompressor().compress(json.dumps(request).encode()) for request in said))
    for data in (framed(*bodies), delimited(*bodies), b"".join(bodies), packed, packed_json, zstandard.ZstdCompressor().compress(delimited(*bodies))):
        sink = read(otlp_proto, data, name="traces.pb")
        assert sink.n_lines == sink.n_parsed == 5
        assert [{key: row.get(key) for key in expected[0]} for row in sink.rows["spans"]] == expected


def test_the_attributes_that_are_passed_over_are_not_missed(read) -> None:  # type: ignore[no-untyped-def]
    said = made.attributes(http__target="/only/17?x=1", net__peer__port=99, net__peer__name="client.example", client__address="192.0.2.1")
    sink = read(otlp_proto, framed(message(made.request(made.span(attributes=said), made.span(kind=3, attributes=said)))))
    assert sink.column("spans", "route") == ["/only/{id}"] * 2
    assert sink.column("spans", "peer") == [None, "client.example:99"]


def test_corrupt_messages_are_counted_and_the_rest_is_kept(read) -> None:  # type: ignore[no-untyped-def]
    good = message(requests()[0])
    sink = read(otlp_proto, framed(good, good[:-7], b"", field(1, b""), good) + b"\x00\x00\x10\x00" + good[:50])
    assert len(sink.rows["spans"]) == 40
    assert sink.n_parsed == 3
    assert dict(sink.rejected) == {"not an OTLP request": 1, "a request without spans": 1, "the last message ends in the middle": 1}
    nothing = made.request(made.span(traceId="00" * 16), made.span(spanId=""), made.span(parentSpanId="00" * 8))
    sink = read(otlp_proto, framed(message(nothing), good))
    assert len(sink.rows["spans"]) == 21
    assert sink.rows["spans"][0]["parent_span_id"] is None
    assert len(sink.notes) >= 2


def test_garbage_never_raises(read) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(3)
    good = framed(*map(message, requests()[:2]))
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(300, len(data))] = rng.randrange(256)
        sink = read(otlp_proto, bytes(data[: rng.randrange(400, len(data) + 1)]))
        assert sink.n_lines == sink.n_parsed + sum(sink.rejected.values())


def test_ids_of_odd_lengths_are_hexadecimal(read) -> None:  # type: ignore[no-untyped-def]
    odd = [made.span(traceId="00010203", spanId="090a", parentSpanId=""), made.span(traceId="0c" * 40, parentSpanId="01"), made.span(spanId="00" * 8)]
    sink = read(otlp_proto, framed(message(made.request(made.span(parentSpanId="00" * 8), *odd))))
    assert sink.column("spans", "trace_id") == [made.TRACE, "00010203", "0c" * 32]
    assert sink.column("spans", "span_id") == [made.SPAN, "090a", made.SPAN]
    assert sink.column("spans", "parent_span_id") == [None, None, "01"]
    assert sink.notes == ["1 span set aside: no trace id or span id but zeros"]
