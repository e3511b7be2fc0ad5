"""Traces from rows: what is odd is counted, and the sections are those of the reference."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from perfaudit import testing
from perfaudit.errors import QueryError
from perfaudit.evidence import traces
from perfaudit.evidence.store import Evidence
from tests.spans import Row, odd_trace, reference, trees

TRACES = 20_000


@pytest.fixture(scope="module")
def recorded() -> tuple[list[Row], list[list[int]], Evidence]:
    """20,000 random traces, their spans mixed within groups of ten traces."""
    rng = random.Random(6)
    rows: list[Row] = []
    for group in range(TRACES // 10):
        mixed = [odd_trace(rng, f"t{group}-{i}") for i in range(10)]
        while mixed:
            one = rng.choice(mixed)
            rows.append(one.pop(0))
            mixed = [m for m in mixed if m]
    places: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        places.setdefault(row["trace_id"], []).append(i)
    # A constant service: one source, so that the order of rows is kept.
    columns = {name: [row[name] for row in rows] for name in rows[0]} | {"service": "shop"}
    return rows, list(places.values()), testing.evidence(spans=columns)


@pytest.mark.parametrize("completion", [False, True])
def test_sections_of_20_000_random_traces_are_those_of_the_reference(recorded: tuple[list[Row], list[list[int]], Evidence], completion: bool) -> None:
    rows, places, evidence = recorded
    read = traces.read(evidence.bundle)
    expected = []
    for place in places:
        mine = [rows[i] for i in place]
        for root, found in reference(mine, completion).items():
            expected += [(place[i], start, end) for i, start, end in found]
            if not completion:
                assert sum(end - start for _, start, end in found) == max(0, mine[root]["duration_us"])
    got = [(int(read.row[i]), int(start), int(end)) for part in read.sections(completion) for i, start, end in zip(*part, strict=True)]
    assert len(got) > TRACES
    assert got == expected


def test_what_is_odd_is_counted(recorded: tuple[list[Row], list[list[int]], Evidence]) -> None:
    rows, places, evidence = recorded
    counted: Counter[str] = Counter()
    for place in places:
        counted.update(trees([rows[i] for i in place])[2])
    counts = traces.read(evidence.bundle).counts
    assert {name: counts[name] for name in counted} == counted
    assert min(counted.values()) > 100
    assert counts["spans"] + counts["duplicates"] == counts["rows"] == len(rows)
    assert counts["traces"] == TRACES


def test_the_view_is_what_a_person_reads(recorded: tuple[list[Row], list[list[int]], Evidence]) -> None:
    _, _, evidence = recorded
    for view, completion in (("critical_path", False), ("critical_path_completion", True)):
        parts = list(traces.read(evidence.bundle).sections(completion))
        n, total = evidence.one(f"SELECT count(*), sum(epoch_us(end_time) - epoch_us(start_time)) FROM {view}")
        more = n - sum(len(p.span) for p in parts)
        assert more > 0 if completion else more == 0, "what a span set off waits behind its end: a piece of its own"
        assert total == sum(int((p.end - p.start).sum()) for p in parts)
    names, found = evidence.ask("SELECT * FROM critical_path WHERE trace_id = 't7-3' ORDER BY start_time")
    assert names[:4] == ["trace_id", "span_id", "start_time", "end_time"]
    assert all(row[1].startswith("s") and row[4].startswith("s") for row in found)


def test_a_fragment_is_not_added_up() -> None:
    rows = [span("a", None, 0, 100), span("b", "gone", 10, 50), {**span("c", "gone", 0, 7), "trace_id": "U"}]
    evidence = testing.evidence(spans=rows)
    assert evidence.rows("SELECT root_span_id, root_service, fragment FROM critical_path ORDER BY 1") == [("a", "web", False), ("b", "web", True), ("c", "web", False)]


def span(span_id: str, parent: str | None, time: int, duration: int, service: str = "web", **more: Any) -> Row:
    return {"trace_id": "T", "span_id": span_id, "parent_span_id": parent, "time": time, "duration_us": duration, "operation": "op", "kind": "internal"} | more | {"service": service}


def test_rows_that_cannot_be_placed_are_counted() -> None:
    rows = [span("a", None, 0, 10), {**span("b", "a", 1, 2), "trace_id": None}, {**span("c", "a", 1, 2), "time": None}, {**span("d", "a", 1, 2), "duration_us": None}]
    read = traces.read(testing.evidence(spans=rows).bundle)
    assert (len(read), read.counts["without trace id"], read.counts["without time"], read.counts["without duration"]) == (2, 1, 1, 1)


def test_no_spans_no_sections() -> None:
    evidence = testing.evidence()
    assert evidence.rows("SELECT * FROM critical_path") == []
    assert len(traces.read(evidence.bundle)) == 0


def test_clocks_are_corrected_on_request_and_the_shift_is_shown() -> None:
    rows = [
        span("a", None, 1000, 100), span("b", "a", 400, 60, "api"), span("c", "b", 410, 20, "api"), span("d", "c", 5000, 10, "db"), span("e", "a", 900, 300, "api"), span("f", "a", 1090, 50),
    ]  # fmt: skip
    bundle = testing.evidence(spans=rows).bundle
    as_is, moved = traces.read(bundle), traces.read(bundle, correct_skew=True)
    assert as_is.shift is None
    assert as_is.counts["skewed"] == 2, "one of another service that fits and lies outside: b, d"
    shift = dict(zip(_ids(bundle, moved), moved.shift.tolist(), strict=True))
    assert shift == {"a": 0, "b": 620, "c": 620, "d": 1035 - 5000, "e": 100, "f": 0}
    assert (moved.counts["shifted"], moved.counts["largest shift, µs"]) == (4, 3965)
    assert np.array_equal(moved.end - moved.start, as_is.end - as_is.start)


def _ids(bundle: Any, read: traces.Traces) -> list[str]:
    ids = traces.read(bundle, ids=True).span_ids.to_pylist()
    return [ids[i] for i in read.row]


def test_damaged_spans_are_told() -> None:
    evidence = testing.evidence(spans=[span("a", None, 0, 10)])
    ((path, _),) = evidence.bundle.parts("spans")
    whole = path.read_bytes()
    evidence.connection  # noqa: B018 (the connection looks at the file, too)
    path.write_bytes(whole[:100])
    with pytest.raises(QueryError, match="critical_path cannot be made"):
        evidence.rows("SELECT * FROM critical_path")
    path.write_bytes(whole)
    assert len(evidence.rows("SELECT * FROM critical_path")) == 1, "tried again"
