"""What is odd about spans is told, with its share."""

from __future__ import annotations

from typing import Any

from perfaudit import testing
from perfaudit.baseline.note import Note
from perfaudit.baseline.trace_quality import notes


def told(rows: list[dict[str, Any]]) -> dict[str, Note]:
    given = [{"trace_id": "T", "span_id": f"s{i}", "time": 0, "duration_us": 100, "service": "web", "operation": "op"} | row for i, row in enumerate(rows)]
    return {note.check: note for note in notes(testing.evidence(spans=given))}


def test_sound_traces_pass() -> None:
    found = told([{}, *({"parent_span_id": "s0", "time": 10, "duration_us": 20} for _ in range(5))])
    assert all(note.ok for note in found.values())
    assert found["spans"].detail == "nothing is odd about 6 spans"
    assert notes(testing.evidence()) == []


def test_what_is_odd_is_told() -> None:
    found = told([
        {}, {"parent_span_id": "s0", "span_id": "s0"}, {"parent_span_id": "gone"}, {"duration_us": -5}, {"parent_span_id": "s4"}, {"parent_span_id": "s6"}, {"parent_span_id": "s5"}, {"trace_id": None},
    ])  # fmt: skip
    assert found["spans"].detail == "1 without trace id set aside; 1 duplicates set aside; 1 end before they begin; 1 are their own parent; 1 close a cycle of parents"
    assert (found["spans"].ok, found["spans"].value) == (False, 5 / 8)
    assert (found["whole traces"].ok, found["whole traces"].value) == (False, 1 / 6)


def test_clocks_that_differ_are_told_with_the_shift() -> None:
    rows: list[dict[str, Any]] = [{}, *({"parent_span_id": "s0", "service": "api", "time": 5000 + 10 * i, "duration_us": 20} for i in range(3))]
    note = told(rows)["clocks of services"]
    assert note.ok is False
    assert "3 spans" in note.detail
    assert "4.98 ms" in note.detail
