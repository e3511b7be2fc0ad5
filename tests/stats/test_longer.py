"""Standard errors that mean what they say, with ties, weights and heavy tails."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.stats.longer import longer
from perfaudit.stats.percentile import Distribution


def of(values: np.ndarray) -> Distribution:
    distinct, counts = np.unique(values, return_counts=True)
    return Distribution(distinct, counts)


@pytest.mark.parametrize("round_to", [1, 2000])
def test_alike_samples_are_seldom_three_errors_apart(round_to: int) -> None:
    rng = np.random.default_rng(1)
    seen = sum(longer(*(of((rng.lognormal(9, 0.8, n) // round_to).astype(np.int64) * round_to) for n in (84, 24))) >= 3 for _ in range(2000))
    assert seen <= 20  # two one-sided tests at z = 3: 0.27 % expected, 1 % allowed for the skew of small samples


def test_a_body_that_moved_and_a_tail_that_grew_are_seen() -> None:
    rng = np.random.default_rng(2)
    calm = rng.lognormal(9, 0.5, 200).astype(np.int64)
    tail = rng.lognormal(9, 0.5, 200).astype(np.int64)
    tail[::8] += 200_000
    assert longer(of((calm * 1.5).astype(np.int64)), of(calm)) > 5
    assert longer(of(tail), of(calm)) > 3
    assert longer(of(calm), of((calm * 1.5).astype(np.int64))) < 0


def test_nothing_to_compare() -> None:
    one = of(np.array([5]))
    assert longer(one, one) == 0
    same = of(np.full(50, 7))
    assert longer(same, same) == 0
    assert longer(of(np.full(50, 8)), same) == np.inf
