"""What the account cannot tell apart."""

from __future__ import annotations

import pytest

from perfaudit.baseline.tiers import Tiers
from perfaudit.paths.account import Component, TimeAccount
from perfaudit.paths.blind_spots import blind_spots
from tests.paths.made import WINDOWS, Row, seconds, trace, tracing


def account(rows: list[Row] | None, total: float = 100.0, **parts: float) -> TimeAccount:
    """An account with these shares of ``total`` seconds."""
    components = tuple(Component(name.replace("__", ": ").replace("_", " "), share * total, "test") for name, share in parts.items())
    return TimeAccount(WINDOWS, None, Tiers(()), total, components, None, tracing(rows) if rows else None)


def said(told: TimeAccount) -> dict[str, str]:
    return {spot.inside: spot.what for spot in blind_spots(told)}


def test_without_traces_all_that_is_unexplained_could_be_anything() -> None:
    (spot,) = blind_spots(account(None, edge=0.05, unexplained=0.95))
    assert spot.inside == "unexplained" and spot.share.value == pytest.approx(0.95)
    assert "own work, waiting, databases and other services" in spot.what and "traces.jsonl" in spot.collect


@pytest.mark.parametrize(
    ("part", "word"),
    [("edge", "holds back"), ("queue_for_a_worker", "holds back"), ("edge_and_queue_for_a_worker", "holds back"), ("database__executing_and_waiting", "locks"), ("self__shop", "pauses of the runtime")],
)
def test_large_parts_say_what_they_could_hide(part: str, word: str) -> None:
    rows = trace(1, 1500, "a shop/GET_/x server 0-1000")
    assert word in next(iter(said(account(rows, **{part: 0.4})).values()))
    assert said(account(rows, **{part: 0.05})) == {}


def test_a_callee_without_spans_is_a_blind_spot_and_one_with_spans_is_not() -> None:
    rows = trace(1, 1500, "a shop/GET_/x server 0-1000", "b<a shop/GET client 0-900 peer=t:80", "c<b tax/GET server 100-800")
    assert said(account(rows, downstream__tax=0.5)) == {}
    assert "no spans" in said(account(rows, downstream__bank=0.5))["downstream: bank"]


def waiting(pool: bool, commit: bool) -> list[Row]:
    """A hundred traces of 100 ms: 30 ms of own time before the first query, 20 ms after the last write."""
    rows = []
    for i, at in enumerate(seconds("affected", 100)):
        spans = ["a shop/POST_/x server 0-100000", "b<a shop/INSERT client 30000-40000 system=mysql", "c<a shop/SELECT client 40000-50000 system=mysql", "d<a shop/UPDATE client 50000-80000 system=mysql"]
        spans += ["p<a shop/pool.acquire internal 0-30000"] * pool + ["e<a shop/COMMIT client 80000-100000 system=mysql"] * commit
        rows += trace(i, at, *spans)
    return rows


def test_own_time_beside_database_calls_bounds_pool_and_commit() -> None:
    spots = {s.what.partition(":")[0]: s for s in blind_spots(account(waiting(False, False), total=10.0, self__shop=0.5, database=0.5))}
    assert spots["waiting for a connection of the pool"].share.value == pytest.approx(0.3)
    assert spots["committing"].share.value == pytest.approx(0.2)
    assert "hikaricp" in spots["waiting for a connection of the pool"].collect


def test_what_has_a_span_is_no_blind_spot() -> None:
    whats = [s.what for s in blind_spots(account(waiting(True, True), total=10.0, self__shop=0.02, pool_wait=0.3, database=0.68))]
    assert whats == []


def test_they_come_in_order_of_what_they_could_be() -> None:
    shares = [s.share.value or 0 for s in blind_spots(account(waiting(False, False), total=10.0, self__shop=0.5, edge=0.15, database__executing_and_waiting=0.35))]
    assert shares == sorted(shares, reverse=True) and len(shares) == 5
