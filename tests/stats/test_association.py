"""Rank correlation: independent series that wander are not associated; a real link is."""

import numpy as np
import pytest

from perfaudit.stats.association import ranks, spearman


def ar(rng, n, phi):
    x = np.zeros(n)
    for i in range(1, n):
        x[i] = phi * x[i - 1] + rng.normal()
    return x


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_independent_series_are_rarely_called_associated(phi):
    rng = np.random.default_rng(int(phi * 10))
    false = sum(spearman(ar(rng, 100, phi), ar(rng, 100, phi)).p < 0.05 for _ in range(300)) / 300
    assert false <= 0.09  # nominal 0.05, simulation error 0.013


def test_a_monotone_link_is_found_whatever_its_shape():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 5, 80)
    found = spearman(x, np.exp(x) + rng.normal(scale=5, size=80))
    assert found.r > 0.7
    assert found.p < 1e-6


@pytest.mark.parametrize(("x", "y"), [([1] * 20, range(20)), (range(5), range(5)), (range(10), range(9))])
def test_nothing_to_say(x, y):
    assert spearman(x, y).p == 1.0


def test_ties_share_their_rank():
    assert ranks([10, 20, 20, 30]).tolist() == [1, 2.5, 2.5, 4]
