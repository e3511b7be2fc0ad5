"""Association by simulation: independent series that wander are not associated; a real link is found at its lag.

The full tables, with more series a cell, come from ``make figures`` (benchmarks/figures.py).
"""

import numpy as np
import pytest

from benchmarks.series import UNCHANGED, arma, seeded
from perfaudit.stats.correlation import lagged, ranks, spearman
from perfaudit.stats.multiple import false_discovery

HOSTILE = ["AR(2) (.5, .3)", "lognormal AR .7", "Pareto 2.5", "1 % spikes", "variance step ×3", "long memory .3", "season 144, AR .7"]


def false(pairs, **options):
    """Share of independent pairs that are called associated at 0.05."""
    told = [lagged(x, y, **options).p <= 0.05 for x, y in pairs]
    return sum(told) / len(told)


def pairs(key, make, count=120):
    return [(make(seeded("pair", key, i, 0)), make(seeded("pair", key, i, 1))) for i in range(count)]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.97])
def test_independent_series_that_wander_are_rarely_called_associated(phi):
    assert false(pairs(phi, lambda rng: arma(rng, 200, (phi,)))) <= 0.1  # nominal 0.05, simulation error 0.02


@pytest.mark.parametrize("family", HOSTILE)
def test_hostile_noise(family):
    assert false(pairs(family, lambda rng: UNCHANGED[family](rng, 200))) <= 0.1


@pytest.mark.parametrize("kind", ["trend", "curve", "rise", "hump", "step", "season"])
def test_a_shape_that_both_share_is_no_association(kind):
    t = np.arange(300) / 300
    shape = {
        "trend": 20 * t,
        "curve": 6 * t**2,
        "rise": 4 / (1 + np.exp(-20 * (t - 0.5))),
        "hump": 4 * np.exp(-(((t - 0.6) / 0.1) ** 2)),
        "step": 2.0 * (t > 0.5),
        "season": 2 * np.sin(2 * np.pi * 300 * t / 144),
    }[kind]
    assert false(pairs(kind, lambda rng: arma(rng, 300, (0.5,)) + shape)) <= 0.1


@pytest.mark.parametrize(("strength", "given"), [(1.0, None), (0.25, 20)], ids=["strong and found", "weak and given"])
def test_a_quick_season_is_removed(strength, given):
    wave = 3 * np.sin(2 * np.pi * np.arange(390) / 20) + 2 * (np.arange(390) % 20 < 3)
    assert false(pairs("quick", lambda rng: arma(rng, 390, (0.5,)) + strength * wave, 80), period=given) <= 0.12


@pytest.mark.parametrize(("phi", "lag"), [(0.0, 3), (0.7, 3), (0.95, 3), (0.7, -6)])
def test_a_link_of_coefficient_four_tenths_over_200_points_is_found_at_its_lag(phi, lag):
    """y_t = 0.4 x_{t−lag} + e_t, both AR(1) with standard deviation 1: 14 % of the variance."""
    found = []
    for i in range(80):
        cause, noise = arma(seeded("cause", phi, i), 220, (phi,)), arma(seeded("noise", phi, i), 220, (phi,))
        effect = noise + 0.4 * np.roll(cause, abs(lag))
        x, y = (cause, effect) if lag > 0 else (effect, cause)
        found.append(lagged(x[20:], y[20:]))
    told = [f for f in found if f.p <= 0.05]
    assert len(told) >= 0.8 * len(found)
    assert sum(f.lag == lag for f in told) >= 0.9 * len(told)
    assert np.median([f.r for f in told]) == pytest.approx(0.4 / np.sqrt(1.16), abs=0.06)
    assert all(f.low > 0 for f in told if f.lag == lag)


def test_the_interval_holds_the_correlation_of_the_innovations():
    truth, hits = 0.5 / np.sqrt(1.25), 0
    for i in range(150):
        x = arma(seeded("x", i), 300, (0.6,))
        found = lagged(x, arma(seeded("y", i), 300, (0.6,)) + 0.5 * x, most=0)
        hits += found.low <= truth <= found.high
    assert hits / 150 >= 0.89


def test_what_the_load_moves_is_associated_until_the_load_is_partialled_out():
    data = []
    for i in range(80):
        load = np.exp(arma(seeded("load", i), 300, (0.8,)))
        x, y = (arma(seeded(name, i), 300, (0.6,)) + np.log(np.roll(load, shift)) for name, shift in (("cpu", 1), ("wait", 4)))
        data.append((x, y, load))
    assert sum(lagged(x, y).p <= 0.05 for x, y, _ in data) >= 75
    assert sum(lagged(x, y, load=load).p <= 0.05 for x, y, load in data) <= 9


def test_a_link_beyond_the_load_is_still_found():
    for i in range(10):
        load = arma(seeded("load", i), 400, (0.8,))
        x = arma(seeded("cpu", i), 400, (0.6,)) + load
        y = arma(seeded("wait", i), 400, (0.6,)) + load + 0.8 * np.roll(x, 2)
        assert lagged(x, y, load=load).lag == 2


def test_false_discoveries_over_many_pairs():
    """Of 45 pairs among ten independent series nearly none remains; the one true link does."""
    series = [arma(seeded("many", i), 300, (0.8,)) for i in range(10)]
    series[9] = series[9] + 0.8 * np.roll(series[0], 2)
    keys = [(i, j) for i in range(10) for j in range(i)]
    told = false_discovery([lagged(series[j], series[i]).p for i, j in keys]) <= 0.05
    assert [key for key, yes in zip(keys, told, strict=True) if yes] == [(9, 0)]


def test_scale_order_and_repetition_do_not_matter():
    x, y = arma(seeded("s", 1), 200, (0.7,)), arma(seeded("s", 2), 200, (0.7,))
    found = lagged(x, y)
    assert lagged(x, y) == found
    assert lagged(1e9 * x + 1e12, 1e-6 * y).r == pytest.approx(found.r, abs=1e-3)
    back = lagged(y, x)
    assert (back.lag, back.p) == (-found.lag, pytest.approx(found.p))


def test_of_a_very_long_series_the_end_is_used(monkeypatch):
    monkeypatch.setattr("perfaudit.stats.correlation.LONGEST", 400)
    x, y = arma(seeded("long", 1), 1000, (0.5,)), arma(seeded("long", 2), 1000, (0.5,))
    assert lagged(x, y) == lagged(x[-400:], y[-400:])
    assert lagged(x, y, load=x[::-1]) == lagged(x[-400:], y[-400:], load=x[::-1][-400:])


def test_a_series_is_associated_with_itself_at_lag_0():
    x = arma(seeded("self"), 100, (0.5,))
    found = lagged(x, x)
    assert (found.lag, found.r) == (0, pytest.approx(1))
    assert found.p < 1e-6


WALK = np.cumsum(np.random.default_rng(1).normal(size=200))


@pytest.mark.parametrize(
    ("x", "y", "load", "says"),
    [
        (np.ones(200), WALK, None, "x is constant"),
        (WALK, WALK, np.zeros(200), "load is constant"),
        (WALK, np.r_[WALK[:-1], np.nan], None, "y holds values that are not finite (1 of 200)"),
        (np.r_[WALK[:-2], np.inf, -np.inf], WALK, None, "x holds values that are not finite (2 of 200)"),
        (WALK[:30], WALK[:30], None, "30 points are too few for lags to ± 10"),
        ([], [], None, "0 points are too few"),
        ([1.0, 2.0], [2.0, 1.0], None, "2 points are too few"),
        (np.arange(200.0), WALK, None, "x is nothing but its own trend"),
        (WALK, np.roll(WALK, 0), WALK, "follows from its own past or from the load"),
    ],
)
def test_where_nothing_can_be_said_it_says_why(x, y, load, says):
    found = lagged(x, y, load=load)
    assert says in found.reason
    assert (found.r, found.p, found.lag, found.low, found.high) == (0.0, 1.0, None, -1.0, 1.0)


def test_unlike_shapes_are_the_callers_mistake():
    with pytest.raises(ValueError, match="y: shape"):
        lagged(np.ones(50), np.ones(51))
    with pytest.raises(ValueError, match="load: shape"):
        lagged(np.ones(50), np.ones(50), load=np.ones((50, 2)))


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_spearman_on_independent_series(phi):
    told = sum(spearman(arma(seeded("a", phi, i), 100, (phi,)), arma(seeded("b", phi, i), 100, (phi,))).p < 0.05 for i in range(300))
    assert told / 300 <= 0.09  # nominal 0.05, simulation error 0.013


def test_spearman_finds_a_monotone_link_whatever_its_shape():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 5, 80)
    found = spearman(x, np.exp(x) + rng.normal(scale=5, size=80))
    assert found.r > 0.7
    assert found.p < 1e-6


@pytest.mark.parametrize(("x", "y"), [([1] * 20, range(20)), (range(5), range(5)), (range(10), range(9))])
def test_spearman_has_nothing_to_say(x, y):
    assert spearman(x, y).p == 1.0


def test_ties_share_their_rank():
    assert ranks([10, 20, 20, 30]).tolist() == [1, 2.5, 2.5, 4]
