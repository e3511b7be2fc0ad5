"""Replayed traces: unchanged when nothing changes, never longer for less work, and a parallel sibling takes over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.kernels.replay import replay
from tests.kernels.test_critical_path import forest


def spans(*rows: tuple[int, int, int]) -> tuple[Any, Any, Any, Any]:
    start, end, parent = (np.array(column) for column in zip(*rows, strict=True))
    return start, end, parent.astype(np.int32), np.zeros(len(rows), bool)


def test_nothing_changes_when_no_factor_does() -> None:
    rng = np.random.default_rng(3)
    for n in (*range(1, 12), *[40] * 40, 700):
        start, end, parent, late = forest(rng, n, 50)
        took = replay(start, end, parent, late, np.ones(n))
        roots = parent < 0
        assert took[roots] == pytest.approx((end - start)[roots])


def test_a_common_factor_scales_everything_and_less_work_is_never_longer() -> None:
    rng = np.random.default_rng(4)
    for n in (5, 40, 300):
        start, end, parent, late = forest(rng, n, 1000)
        roots = parent < 0
        assert replay(start, end, parent, late, np.full(n, 0.25))[roots] == pytest.approx((end - start)[roots] / 4)
        some = rng.random(n)
        assert (replay(start, end, parent, late, some)[roots] <= (end - start)[roots] + 1e-9).all()
        assert (replay(start, end, parent, late, some / 2)[roots] <= replay(start, end, parent, late, some)[roots] + 1e-9).all()


def test_what_runs_beside_takes_over() -> None:
    # root 0–100: A 10–90 and B 10–60 in parallel; without A's work the root still waits for B
    given = spans((0, 100, -1), (10, 90, 0), (10, 60, 0))
    assert replay(*given, np.array([1.0, 0.0, 1.0]))[0] == 10 + 50 + 10
    # one after the other both are saved
    given = spans((0, 100, -1), (10, 50, 0), (50, 90, 0))
    assert replay(*given, np.array([1.0, 0.0, 1.0]))[0] == 60
    assert replay(*given, np.array([1.0, 0.0, 0.0]))[0] == 20


def test_calls_that_begin_together_cost_the_longest() -> None:
    given = spans((0, 100, -1), (10, 50, 0), (50, 80, 0))
    assert replay(*given, np.ones(3), np.array([-1, -1, 1]))[0] == 10 + 40 + 20


def test_what_nobody_waits_for_and_what_outlasts_its_parent() -> None:
    start, end, parent, late = spans((0, 100, -1), (90, 500, 0), (20, 30, 0))
    late[1] = True
    assert replay(start, end, parent, late, np.array([1.0, 0.0, 0.0])).tolist() == [90, 0, 0]
    assert replay(start, end, parent, np.zeros(3, bool), np.array([1.0, 0.5, 1.0]))[0] == 95  # clamped: it owns the last 10


def test_a_chain_of_100_000_spans() -> None:
    n = 100_000
    start, end = np.arange(n), np.full(n, 2 * n)
    parent = np.arange(-1, n - 1, dtype=np.int32)
    assert replay(start, end, parent, np.zeros(n, bool), np.full(n, 0.5))[0] == pytest.approx(n)
