"""MSER-5 on transients of known length, on none, and on series that never settle."""

import numpy as np
import pytest

from benchmarks.series import arma, seeded
from perfaudit.stats.steady import Truncation, truncation


def warming(rng, n=1000, height=5.0, half_life=30, phi=0.0):
    return arma(rng, n, (phi,)) + height * 0.5 ** (np.arange(n) / half_life)


@pytest.mark.parametrize("phi", [0.0, 0.7])
def test_a_decaying_warm_up_is_cut_where_it_has_become_noise(phi):
    """5 sd falling by half every 30 values: after 150 it is 0.16 sd. The bias left is small beside that of the whole."""
    cuts, left = [], []
    for i in range(100):
        x = warming(seeded("warm", phi, i), phi=phi)
        found = truncation(x)
        assert found.index is not None
        cuts.append(found.index)
        left.append(x[found.index :].mean())
        assert found.bias == pytest.approx(x.mean() - x[found.index :].mean())
    assert 60 <= np.median(cuts) <= 180
    assert abs(np.mean(left)) <= 0.06  # the whole series: 0.216


def test_a_rectangular_warm_up_is_cut_at_its_end():
    cuts = []
    for i in range(50):
        x = seeded("box", i).normal(size=500) + 4 * (np.arange(500) < 60)
        cuts.append(truncation(x).index)
    assert min(cuts) == 60
    assert np.median(cuts) <= 70
    assert max(cuts) <= 250


def test_the_exact_cut_of_a_series_without_noise():
    found = truncation(np.r_[np.full(40, 9.0), np.full(160, 2.0)])
    assert (found.index, found.bias, found.error) == (40, pytest.approx(1.4), 0.0)
    assert truncation(np.r_[np.full(43, 9.0), np.full(157, 2.0)]).index == 45


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.9])
def test_a_series_in_steady_state_loses_little_and_what_it_loses_does_not_matter(phi):
    found = [truncation(arma(seeded("steady", phi, i), 1000, (phi,))) for i in range(200)]
    kept = [f for f in found if f.index is not None]
    assert len(kept) >= 0.85 * len(found)
    assert np.median([f.index for f in kept]) <= 120
    assert np.median([abs(f.bias) for f in kept]) <= 0.06 * np.sqrt((1 + phi) / (1 - phi))


@pytest.mark.parametrize("x", [np.arange(400.0), np.r_[np.zeros(240), np.ones(160) * 7] + np.sin(np.arange(400))], ids=["ramp", "late jump"])
def test_a_series_that_never_settles_is_refused(x):
    found = truncation(x)
    assert found.index is None
    assert found.reason.endswith("no steady state was reached")


@pytest.mark.parametrize(("x", "says"), [([], "0 values, 100 are needed"), (np.ones(99), "99 values"), (np.r_[np.ones(100), np.nan], "not finite"), (np.r_[np.ones(100), np.inf], "not finite")])
def test_too_short_or_damaged(x, says):
    assert says in truncation(x).reason


def test_a_constant_series_is_steady_from_its_start():
    assert truncation(np.full(100, 3.7)) == Truncation(0, 0.0, 0.0)


def test_large_offsets_do_not_drown_the_noise():
    x = warming(seeded("offset", 1))
    assert truncation(x + 1e9).index == truncation(x).index


def test_batches_of_another_size():
    x = np.r_[np.full(12, 50.0), np.ones(48)]
    assert truncation(x, batch=1).index == 12
    assert truncation(np.r_[x, np.ones(60)]).index == 15
