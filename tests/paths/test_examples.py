"""Example traces as rows of a waterfall."""

from __future__ import annotations

from perfaudit.paths import examples
from perfaudit.paths.attempts import attempts
from perfaudit.paths.traced import labels
from tests.paths.made import Row, seconds, trace, tracing


def shown(rows: list[Row]) -> list[examples.Example]:
    found = tracing(rows)
    return examples.examples(found, labels(found), 0, attempts(found).again)


def test_the_median_and_a_slow_trace_are_shown_with_what_the_user_waited_for() -> None:
    rows = [r for i, at in enumerate(seconds("affected", 100)) for r in trace(i, at, f"a shop/GET_/x server 0-{1000 + i * 10}", f"b<a shop/SELECT client 100-{600 + i * 10} system=mysql", "c<a shop/GET client 150-200 system=redis")]
    usual, slow = shown(rows)
    assert (usual.what, usual.duration) == ("median", 1500) and (slow.what, slow.duration) == ("p95", 1950)
    assert slow.trace_id == f"{95:032x}"
    assert [(r.depth, r.operation, r.times) for r in slow.rows] == [(0, "GET /x", 1), (1, "SELECT", 1), (1, "GET", 1)]
    assert slow.rows[0].critical == [(0, 100), (1550, 1950)]
    assert slow.rows[1].critical == [(100, 1550)]
    assert slow.rows[2].critical == [] and slow.rows[2].spans == [(150, 200)]
    assert sum(b - a for r in slow.rows for a, b in r.critical) == slow.duration
    assert slow.left_out == 0


def test_repeats_stand_in_one_row_and_retries_are_marked() -> None:
    calls = [f"q{k}<a shop/SELECT client {100 + k * 100}-{180 + k * 100} system=mysql" for k in range(37)]
    rows = trace(1, 1500, "a shop/GET_/x server 0-6000", *calls, "r<a shop/POST client 4000-4500 peer=p status=error", "s<a shop/POST client 4600-5000 peer=p")
    example = shown(rows)[0]
    assert [(r.operation, r.times, r.failed, r.again) for r in example.rows] == [("GET /x", 1, False, False), ("SELECT", 37, False, False), ("POST", 1, True, False), ("POST", 1, False, True)]
    assert example.rows[1].spans[0] == (100, 180) and len(example.rows[1].spans) == 37
    assert example.left_out == 0


def test_a_long_trace_is_cut_and_says_how_much() -> None:
    lines = ["a shop/GET_/x server 0-100000"]
    for k in range(300):
        lines += [f"s{k}<a shop/step{k} internal {k * 100}-{k * 100 + (90 if k != 170 else 99)}", f"t{k}<s{k} shop/inner{k} internal {k * 100}-{k * 100 + 50}"]
    example = shown(trace(1, 1500, *lines))[0]
    assert len(example.rows) <= examples.MOST_ROWS
    assert "step170" in {r.operation for r in example.rows}
    assert example.left_out == 601 - len(example.rows)
    depth = 0
    for row in example.rows:  # what stands above a row is there
        assert row.depth <= depth + 1
        depth = row.depth


def test_a_row_of_very_many_spans_stays_small_and_a_deep_trace_is_walked() -> None:
    many = [f"q{k}<a shop/SELECT client {100 + k * 10}-{105 + k * 10} system=mysql" for k in range(900)]
    row = shown(trace(1, 1500, "a shop/GET_/x server 0-20000", *many))[0].rows[1]
    assert row.times == 900 and len(row.spans) <= examples.MOST_PIECES and len(row.critical) <= examples.MOST_PIECES
    deep = ["s0 shop/w0 internal 0-9000"] + [f"s{i}<s{i - 1} shop/w{i} internal {i}-{9000 - i}" for i in range(1, 2000)]
    example = shown(trace(1, 1500, *deep))[0]
    assert len(example.rows) == examples.MOST_ROWS and example.left_out == 2000 - examples.MOST_ROWS


def test_without_traces_in_the_affected_window_there_is_nothing_to_show() -> None:
    assert shown(trace(1, 10, "a shop/GET_/x server 0-1000")) == []


def test_retries_stand_beside_the_first_attempt_in_a_row_of_their_own() -> None:
    calls = [f"r{k}<a shop/POST client {1000 + k * 1000}-{1900 + k * 1000} peer=p status={'error' if k < 4 else 'ok'}" for k in range(5)]
    example = shown(trace(1, 1500, "a shop/GET_/x server 0-8000", *calls))[0]
    assert [(r.operation, r.times, r.again, r.component) for r in example.rows] == [
        ("GET /x", 1, False, "self: shop"), ("POST", 1, False, "downstream: p"), ("POST", 4, True, "retries"),
    ]  # fmt: skip
