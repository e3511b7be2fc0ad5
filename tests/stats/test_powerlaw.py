"""The exponent of a cost: found above a base, with intervals that hold, and refused where sizes say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.stats.powerlaw import law, spans


def made(k: float, base: float, n: int, seed: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = 30 * np.exp(rng.uniform(0, np.log(20), n))
    return size, (base + (size / 100) ** k) * rng.lognormal(0, noise, n)


@pytest.mark.parametrize("k", [0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("base", [0.0, 1.0])
def test_the_exponent_is_found_above_a_base(k: float, base: float) -> None:
    laws = [law(*made(k, base, 120, seed)) for seed in range(8)]
    assert abs(float(np.median([found.k for found in laws if found])) - k) <= 0.2
    assert sum(found.low - 0.05 <= k <= found.high + 0.05 for found in laws if found) >= 6


def test_a_line_through_logarithms_would_say_less() -> None:
    size, y = made(2.0, 5.0, 200, 1)
    found = law(size, y)
    assert found is not None and np.polyfit(np.log(size), np.log(y), 1)[0] < 1.5 < found.low


def test_what_it_predicts_is_in_the_unit_of_the_costs() -> None:
    size, y = made(2.0, 1.0, 300, 2)
    found = law(size, 1000 * y)
    assert found is not None and abs(float(found.predict(200.0)) / 5000 - 1) < 0.15


def test_what_sizes_cost_before_is_a_base() -> None:
    size, _ = made(1.0, 0.0, 200, 3)
    before = 5 + size / 10
    rng = np.random.default_rng(4)
    found = law(size, (before + 60 * (size / 300) ** 2) * rng.lognormal(0, 0.2, 200), before)
    assert found is not None and abs(found.k - 2) < 0.4


def test_a_few_values_far_off_change_nothing() -> None:
    size, y = made(1.0, 0.0, 100, 5)
    y[:5] *= 200
    found = law(size, y)
    assert found is not None and found.high < 1.3


@pytest.mark.parametrize("size", [np.full(50, 7.0), np.linspace(100, 200, 50), np.repeat([10.0, 100.0, 1000.0], 20), np.arange(1.0, 6.0)])
def test_sizes_that_say_nothing(size: np.ndarray) -> None:
    assert law(size, size * 2.0) is None


def test_zeros_gaps_and_infinities_are_left_out() -> None:
    size, y = made(2.0, 0.0, 60, 6)
    odd = np.concatenate([size, [0.0, -5.0, np.nan, np.inf]]), np.concatenate([y, [1.0, 1.0, 1.0, 1.0]])
    assert law(*odd) == law(size, y)
    assert spans(np.zeros(10)) == 0.0
