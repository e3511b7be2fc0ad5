"""Documents of any size: cut anywhere, torn anywhere, the same rows."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import test_jaeger
import test_otlp_json
import test_zipkin

from perfaudit.evidence.readers import _spans_json, _spans_scan, jaeger, otlp_json, zipkin


def documents() -> list[tuple[Any, str]]:
    tricky = 'a "quoted" \\ {brace] [ "spans":[{ \\'
    traces = [test_jaeger.trace(*(test_jaeger.span(i, operationName=f"{tricky}{i % 3}") for i in range(1, n))) for n in (2, 9, 1, 5)]
    groups = [test_otlp_json.request(*(test_otlp_json.span(spanId=f"{i:016x}", name=tricky, attributes=test_otlp_json.attributes(spans=tricky)) for i in range(1, n)), service=f"s{n}")["resourceSpans"][0] for n in (2, 9, 1, 5)]
    lists = [[test_zipkin.span(id=f"{i:016x}", name=tricky) for i in range(1, n)] for n in (2, 9, 1, 5)]
    return [
        (jaeger, json.dumps(test_jaeger.answer(*traces), indent=1)), (jaeger, json.dumps(traces, indent=2)), (otlp_json, json.dumps({"resourceSpans": groups}, indent=3)),
        (otlp_json, json.dumps([{"resourceSpans": groups[:2]}, {"resourceSpans": groups[2:]}], indent=1)), (zipkin, json.dumps(lists, indent=1)), (zipkin, json.dumps([s for spans in lists for s in spans], indent=1)),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize("which", range(6))
def test_pieces_of_any_size_give_the_same_rows(read, monkeypatch, size: int, which: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(_spans_scan, "_PIECE", size)
    reader, text = documents()[which]
    sink = read(reader, text.encode())
    assert len(sink.rows["spans"]) == 13
    assert sink.n_parsed == sink.n_lines == text.count("\n") + 1
    services = [row["service"] for row in sink.rows["spans"]]
    assert services == (["s2"] + ["s9"] * 8 + ["s5"] * 4 if reader is otlp_json else ["front" if reader is jaeger else "procurement"] * 13)
    assert not sink.notes


def test_a_long_line_is_a_document(read, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(_spans_json, "LINE", 400 << 10)
    monkeypatch.setattr(_spans_scan, "_PIECE", 100 << 10)
    monkeypatch.setattr(_spans_scan, "LINE", 400 << 10)
    trace = test_jaeger.trace(*(test_jaeger.span(i, processID="p2" if i % 2 else "p1") for i in range(1, 2000)))
    trace["spans"][7]["logs"] = "x" * (1 << 20)
    sink = read(jaeger, json.dumps(test_jaeger.answer(trace)).encode() + b"\n")
    assert len(sink.rows["spans"]) == 1998
    assert sink.n_lines == sink.n_parsed == 1
    assert sink.notes == ["1 span set aside: larger than 32 MiB"]
    assert {row["service"] for row in sink.rows["spans"] if row["span_id"] == "0000000000000003"} == {"cart"}


def test_torn_documents_keep_what_can_be_told_apart(read) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(4)
    for reader, text in documents():
        for _ in range(30):
            at = rng.randrange(300, len(text))
            for torn in (text[:at], text[:at] + text[at + 40 :], text[:at] + "\n" + text[at:], text[:at] + "\x00\xff" + text[at:]):
                sink = read(reader, torn.encode("latin-1"))
                assert sink.n_lines == sink.n_parsed + sum(sink.rejected.values())
                assert len(sink.rows.get("spans", [])) <= 13


def test_a_bad_span_costs_only_itself(read) -> None:  # type: ignore[no-untyped-def]
    text = json.dumps([test_zipkin.span(id=f"{i:016x}") for i in range(1, 9)], indent=1).replace('"0000000000000003"', "nonsense", 1)
    sink = read(zipkin, text.encode())
    assert len(sink.rows["spans"]) == 7
    assert len(sink.notes) == 1
