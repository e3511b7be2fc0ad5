"""Cycles: found when seen twice, not made out of noise or of a step."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.stats import season


def test_a_sine_is_found_and_described():
    t = np.arange(600)
    for i in range(5):
        x = np.random.default_rng([1, i]).standard_normal(600) + 2 * np.sin(2 * np.pi * t / 90)
        periods = season.candidates(x)
        assert periods and periods[0] == pytest.approx(90, rel=0.15)
        found = season.fitted(x, periods[0])
        assert found.period == pytest.approx(90, rel=0.02)
        assert np.corrcoef(found.shape, np.sin(2 * np.pi * t / 90))[0, 1] > 0.98


def test_a_shape_needs_its_harmonics():
    x = np.tile(np.repeat([0.0, 1.0, 0.0, 0.0], 10), 12)
    found = season.fitted(x + 0.01 * np.random.default_rng(2).standard_normal(480), 40)
    assert found.parameters > 3
    assert np.corrcoef(found.shape, x)[0, 1] > 0.9


def test_noise_has_none():
    assert sum(bool(season.candidates(np.random.default_rng([3, i]).standard_normal(300))) for i in range(100)) <= 5


def test_only_what_fits_twice():
    x = np.random.default_rng(4).standard_normal(100)
    assert season.candidates(x, (60.0,)) == []
    assert season.candidates(x, (24.0,))[:1] == [24.0]
    assert season.candidates(np.zeros(100)) == []
    assert season.candidates(np.ones(3), (2.0,)) == []
