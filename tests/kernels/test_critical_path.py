"""The compiled sections are a partition, and the ones that NumPy makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.kernels import critical_path, critical_path_plain


def forest(rng: np.random.Generator, n: int, scale: int, deep: bool = False) -> tuple[Any, ...]:
    """Random spans; a parent comes before or after its children, times are as they fall."""
    parent = np.full(n, -1, np.int32)
    for i in range(1, n):
        if rng.random() < 0.9:
            parent[i] = i - 1 if deep else rng.integers(0, i)
    place = rng.permutation(n)
    moved = np.full(n, -1, np.int32)
    moved[place] = np.where(parent < 0, -1, place[parent])
    start = rng.integers(0, scale, n)
    return start, start + rng.integers(0, scale, n), moved, rng.random(n) < 0.1


def same(spans: tuple[Any, ...], completion: bool) -> critical_path.Sections:
    compiled, plain = critical_path.sections(*spans, completion), critical_path_plain.sections(*spans, completion)
    for a, b in zip(compiled, plain, strict=True):
        assert np.array_equal(a, b)
        assert a.dtype == b.dtype
    return compiled


def roots(parent: Any) -> Any:
    above = np.where(parent < 0, np.arange(len(parent)), parent)
    while not np.array_equal(above[above], above):
        above = above[above]
    return above


@pytest.mark.parametrize("completion", [False, True])
@pytest.mark.parametrize("scale", [3, 10, 100_000])
def test_sections_are_disjoint_contiguous_and_sum_to_the_root(scale: int, completion: bool) -> None:
    rng = np.random.default_rng(scale)
    for n in (*range(1, 12), *[40] * 40, 700):
        spans = forest(rng, n, scale)
        start, end, parent, _ = spans
        found = same(spans, completion)
        root = roots(parent)[found.span]
        assert (found.start < found.end).all()
        first = np.r_[True, root[1:] != root[:-1]][: len(root)]
        last = np.r_[first[1:], True][: len(root)]
        assert (found.start[1:][~first[1:]] == found.end[:-1][~first[1:]]).all()
        assert (found.start[first] == start[root[first]]).all()
        assert sorted(root[first]) == [i for i in range(n) if parent[i] < 0 and (end[i] > start[i] or i in root)]
        if not completion:
            assert (found.end[last] == end[root[last]]).all()
            assert (found.end - found.start).sum() == (end - start)[parent < 0].sum()


@pytest.mark.parametrize("completion", [False, True])
def test_a_chain_of_100_000_and_a_fan_of_100_000(completion: bool) -> None:
    n = 100_000
    chain = np.arange(n), 3 * n - np.arange(n), np.arange(-1, n - 1, dtype=np.int32), np.zeros(n, bool)
    assert len(same(chain, completion).span) == 2 * n - 1
    rng = np.random.default_rng(5)
    starts = rng.permutation(n - 1) * 3 + 1
    fan = np.r_[0, starts], np.r_[3 * n, starts + 2], np.r_[-1, np.zeros(n - 1)].astype(np.int32), np.zeros(n, bool)
    assert len(same(fan, completion).span) == 2 * n - 1
    crowded = np.r_[0, starts], np.r_[3 * n, starts + rng.integers(0, 50, n - 1)], *fan[2:]
    same(crowded, completion)


def one(*spans: tuple[int, int, int], late: tuple[int, ...] = (), completion: bool = False) -> list[tuple[int, int, int]]:
    start, end, parent = (np.array(column, np.int64) for column in zip(*spans, strict=True))
    found = same((start, end, parent.astype(np.int32), np.isin(np.arange(len(spans)), late)), completion)
    return list(zip(*(column.tolist() for column in found), strict=True))


def test_each_rule() -> None:
    assert one((0, 10, -1)) == [(0, 0, 10)]
    assert one((0, 0, -1)) == []
    assert one((0, 10, -1), (0, 10, 0)) == [(1, 0, 10)]
    assert one((5, 10, -1), (0, 20, 0)) == [(1, 5, 10)], "covering its parent: clamped, not dropped"
    assert one((0, 10, -1), (2, 4, 0), (4, 8, 0)) == [(0, 0, 2), (1, 2, 4), (2, 4, 8), (0, 8, 10)], "touching siblings are both on the path"
    assert one((0, 10, -1), (2, 5, 0), (4, 8, 0)) == [(0, 0, 4), (2, 4, 8), (0, 8, 10)], "a sibling still running is not"
    assert one((0, 10, -1), (2, 8, 0), (4, 8, 0)) == [(0, 0, 2), (1, 2, 8), (0, 8, 10)], "ties: the first"
    assert one((0, 10, -1), (4, 8, 0), (2, 8, 0)) == [(0, 0, 4), (1, 4, 8), (0, 8, 10)]
    assert one((0, 10, -1), (2, 30, 0), (12, 20, 1)) == [(0, 0, 2), (1, 2, 10)], "parents are clamped first"
    assert one((0, 10, -1), (12, 20, 0)) == [(0, 0, 10)], "outside its parent"
    assert one((0, 10, -1), (5, 5, 0)) == [(0, 5, 10), (0, 0, 5)][::-1], "an instant is waited for, too, and owns nothing"


def test_two_horizons() -> None:
    spans = (0, 10, -1), (2, 4, 0), (12, 20, 1), (13, 15, 2)
    assert one(*spans, late=(2,)) == [(0, 0, 2), (1, 2, 4), (0, 4, 10)]
    assert one(*spans, late=(2,), completion=True) == [(0, 0, 2), (1, 2, 12), (2, 12, 13), (3, 13, 15), (2, 15, 20)]
    assert one(*spans) == one(*spans, completion=True), "without late spans they are one"
