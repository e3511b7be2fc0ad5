"""Pauses of a service, told apart by what comes next."""

from __future__ import annotations

from perfaudit.paths.slots import slots
from tests.paths.made import seconds, trace, tracing


def test_own_time_is_split_by_the_call_that_follows() -> None:
    rows = []
    for i, at in enumerate(seconds("affected", 4)):
        rows += trace(i, at, "r shop/POST_/x server 0-10000", "a<r shop/SELECT client 1000-2000 system=mysql", "b<r shop/POST client 6000-9000", "s<b bank/POST_/y server 6000-8500")
    found = {(s.service, s.before): s for s in slots(tracing(rows))}
    assert {key: s.spent.tolist() for key, s in found.items()} == {("shop", "POST"): [4000] * 4, ("shop", "SELECT"): [1000] * 4, ("shop", ""): [1000] * 4, ("bank", ""): [2500] * 4}
    called = found["shop", "POST"]
    assert (called.until - called.since).tolist() == [4000] * 4 and (called.following >= 0).all() and not called.said


def test_a_span_for_a_wait_is_a_slot_with_the_call_behind_it() -> None:
    rows = trace(0, 1500.0, "r shop/POST_/x server 0-10000", "w<r shop/lock.acquire internal 1000-5000", "b<r shop/POST client 5100-9000")
    (wait,) = [s for s in slots(tracing(rows)) if s.said]
    assert wait.operation == "lock.acquire" and wait.spent.tolist() == [4000]
    assert tracing(rows).texts("operation", wait.following) == ["POST"]


def test_small_slots_are_left_out() -> None:
    rows = trace(0, 1500.0, "r shop/POST_/x server 0-10000", "b<r shop/POST client 50-9000")
    assert [s.before for s in slots(tracing(rows), least=500)] == [""]
