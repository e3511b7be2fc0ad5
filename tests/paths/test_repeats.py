"""Loops of calls: counted per piece of work, without attempts, whatever spans a framework puts between."""

from __future__ import annotations

from perfaudit.paths.repeats import loops
from tests.paths.made import seconds, trace, tracing


def test_calls_of_one_work_are_one_loop_and_a_wrapped_call_counts_once() -> None:
    rows = []
    for i, at in enumerate([*seconds("affected", 6), *seconds("reference", 6)]):
        spans = ["r shop/GET_/x server 0-9000", "a<r shop/SELECT client 100-500 system=mysql statement=list rows=3", "h<r shop/handler internal 600-8000"]
        for k in range(3):
            spans += [f"o{k}<h shop/orm client {1000 + k * 1000}-{1900 + k * 1000} system=mysql statement=one", f"d{k}<o{k} shop/driver client {1100 + k * 1000}-{1800 + k * 1000} system=mysql statement=one"]
        rows += trace(i, at, *spans)
    for row in rows:
        row["rows"] = int(row["rows"]) if "rows" in row else None
    found, said = loops(tracing(rows))
    assert len(found) == 1
    loop = found[0]
    assert loop.counts.tolist() == [3] * 6 and loop.before.tolist() == [3] * 6
    assert loop.in_turn == 1.0 and loop.gaps.tolist() == [100] * 12
    (rows_of_a,) = loop.drivers.values()
    assert rows_of_a.tolist() == [3.0] * 6
    assert int((said >= 0).sum()) == 12 * 4


def test_attempts_and_calls_at_once() -> None:
    rows = []
    for i, at in enumerate(seconds("affected", 5)):
        rows += trace(i, at, "r shop/GET_/x server 0-9000", *(f"c{k}<r shop/GET client 100-{4000 + k} peer=b route=/y" for k in range(3)))
        rows += trace(i + 50, at, "r shop/GET_/z server 0-9000", "f<r shop/GET client 100-400 peer=b route=/q status=error", "g<r shop/GET client 500-900 peer=b route=/q")
    found, _ = loops(tracing(rows))
    assert [loop.in_turn for loop in found] == [0.0]
    assert found[0].counts.tolist() == [3] * 5


def test_nothing_to_count() -> None:
    assert loops(tracing(trace(0, 1500.0, "r shop/GET_/x server 0-9000")))[0] == []
