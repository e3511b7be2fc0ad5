"""Steps in series with known truth: few where nothing changed, found where something did, told from what only looks like one."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.stats.changepoint import changes
from perfaudit.stats.scores import normal_scores, trend


def rngs(n, seed):
    return [np.random.default_rng([seed, i]) for i in range(n)]


def ar(rng, n, phi):
    x = rng.standard_normal(n)
    for i in range(1, n):
        x[i] += phi * x[i - 1]
    return x


NO_CHANGE = {
    "iid": lambda rng, n: rng.standard_normal(n),
    "AR .7": lambda rng, n: ar(rng, n, 0.7),
    "AR .9": lambda rng, n: ar(rng, n, 0.9),
    "lognormal AR .7": lambda rng, n: np.exp(ar(rng, n, 0.7)),
    "Pareto 2.5": lambda rng, n: rng.pareto(2.5, n),
    "1 % spikes": lambda rng, n: rng.standard_normal(n) + 20 * (rng.random(n) < 0.01),
    "season, seven cycles": lambda rng, n: rng.standard_normal(n) + 2 * np.sin(2 * np.pi * np.arange(n) * 7 / n),
    "spread × 3": lambda rng, n: rng.standard_normal(n) * np.where(np.arange(n) < n // 2, 1, 3),
}


@pytest.mark.parametrize("name", NO_CHANGE)
def test_where_nothing_changed_few_changes_are_seen(name):
    """The bar is 5 %; 60 series exceed 6 of them by chance in 1 of 30 at 5 %. Tables: benchmarks/figures.py."""
    seen = sum(bool(changes(NO_CHANGE[name](rng, 200)).points) for rng in rngs(60, 1))
    assert seen <= 6


def test_a_step_is_found_where_it_is():
    found = [changes(rng.standard_normal(200) + 1.5 * (np.arange(200) >= 100)).points for rng in rngs(40, 2)]
    assert sum(bool(p) for p in found) >= 38
    assert sum(min(abs(c.at - 100) for c in p) <= 10 for p in found if p) >= 36
    assert sum(any(c.low <= 100 <= c.high for c in p) for p in found if p) >= 34  # 95 % intervals


def test_a_step_in_autocorrelated_noise_is_found():
    sd = 1 / np.sqrt(1 - 0.49)
    found = [changes(ar(rng, 200, 0.7) + 1.5 * sd * (np.arange(200) >= 100)).points for rng in rngs(60, 3)]
    assert sum(bool(p) for p in found) >= 45  # 85 % in the tables


def test_a_staircase_has_its_steps():
    sd = 1 / np.sqrt(1 - 0.49)
    found = [[c.at for c in changes(ar(rng, 1000, 0.7) + 1.6 * sd * np.repeat(np.arange(5), 200)).points] for rng in rngs(10, 4)]
    right = [sum(any(abs(at - t) <= 50 for at in cuts) for t in (200, 400, 600, 800)) for cuts in found]
    assert np.mean(right) >= 3.6
    assert np.mean([len(cuts) for cuts in found]) - np.mean(right) <= 0.3


def test_long_memory_makes_few_steps_and_says_that_it_cannot_tell():
    results = [changes(fractional(rng, 200)) for rng in rngs(60, 5)]
    assert sum(bool(r.points) for r in results) <= 10
    unsure = [r for r in results if not r.can_tell]
    assert len(unsure) >= 10 and all("long memory" in r.reason or "wave" in r.reason for r in unsure)


def fractional(rng, n, d=0.3):
    k = np.arange(1, 3 * n)
    return np.convolve(rng.standard_normal(4 * n), np.r_[1, np.cumprod((k - 1 + d) / k)])[3 * n : 4 * n]


def test_less_than_two_cycles_cannot_be_told_from_a_change():
    results = [changes(rng.standard_normal(200) + 2 * np.sin(2 * np.pi * np.arange(200) / 144)) for rng in rngs(20, 6)]
    assert not any(r.points for r in results)
    assert sum(not r.can_tell and "fewer than two cycles" in r.reason for r in results) >= 15


def test_a_season_is_taken_out_and_named_and_a_step_beside_it_stays():
    t = np.arange(1000)
    for rng in rngs(5, 7):
        x = rng.standard_normal(1000) + 2 * np.sin(2 * np.pi * t / 144) + 2.0 * (t >= 600)
        found = changes(x)
        assert found.season == pytest.approx(144, rel=0.03)
        assert any(abs(c.at - 600) <= 15 for c in found.points)
        assert changes(x, periods=(144.0,)).season == pytest.approx(144, rel=0.03)


def test_an_episode_within_a_known_cycle():
    """Three days in half hours, and eleven hours in which it is slower."""
    t = np.arange(144)
    right = 0
    for rng in rngs(8, 17):
        found = changes(0.3 * rng.standard_normal(144) + np.sin(2 * np.pi * t / 48) + 2 * ((t >= 86) & (t < 108)), periods=(48.0,))
        right += [round((c.at - a) / 3) for c, a in zip(found.points, (86, 108), strict=False)] == [0, 0] and len(found.points) == 2
        assert found.season == 48
    assert right >= 6


def test_drift_spike_spread_and_step_are_told_apart():
    t = np.arange(200)
    for rng in rngs(5, 8):
        drift = changes(0.2 * rng.standard_normal(200) + t / 50)
        assert drift.drift and not drift.points and "drift" in drift.reason
        x = rng.standard_normal(200)
        x[70] += 30
        spike = changes(x)
        assert 70 in spike.spikes and not any(abs(c.at - 70) < 15 for c in spike.points)
        assert not changes(rng.standard_normal(200)).spikes
    spread = [changes(rng.standard_normal(300) * np.where(np.arange(300) < 150, 1, 5)) for rng in rngs(10, 9)]
    assert sum(any(abs(v - 150) <= 25 for v in r.variance) for r in spread) >= 8
    assert sum(bool(r.points) for r in spread) <= 2


def test_what_went_away_is_told():
    x = np.random.default_rng(10).standard_normal(300) + 4.0 * ((np.arange(300) >= 100) & (np.arange(300) < 180))
    up, down = changes(x).points
    assert abs(up.at - 100) <= 2 and up.returns == down.at and up.after > up.before
    assert down.returns is None
    assert up.p < 1e-6


def test_a_step_below_the_least_practical_size_is_none():
    x = np.random.default_rng(11).standard_normal(400) + 2.0 * (np.arange(400) >= 200)
    assert changes(x, least=1.0).points
    assert not changes(x, least=4.0).points


def test_long_series_are_searched_coarsely_and_placed_exactly():
    x = np.random.default_rng(12).standard_normal(20_000) + 2.0 * (np.arange(20_000) >= 7_777)
    found = changes(x)
    assert found.resolution == 20
    assert [abs(c.at - 7_777) <= 10 for c in found.points] == [True]


@pytest.mark.parametrize("x", [[], [1.0], [1.0, 2.0], np.full(11, np.nan), np.arange(11.0)], ids=["none", "one", "two", "NaN", "eleven"])
def test_too_little_tells_nothing(x):
    found = changes(x)
    assert not found.points and not found.can_tell and "fewer than 12" in found.reason


@pytest.mark.parametrize("n", [12, 13, 25, 119, 120, 121, 1000, 1001, 1999])
def test_every_length_gives_an_answer(n):
    for x in (np.zeros(n), np.arange(n) % 2, np.arange(n) * 1.0, np.r_[np.zeros(n - 1), 1.0], np.r_[np.zeros(n // 2), np.ones(n - n // 2)]):
        found = changes(x)
        assert all(0 < c.at < n and c.low <= c.at <= c.high < n for c in found.points)


def test_missing_and_infinite_values():
    x = np.random.default_rng(13).standard_normal(300) + 5.0 * (np.arange(300) >= 200)
    x[::7] = np.nan
    x[5] = np.inf
    (change,) = changes(x).points
    assert abs(change.at - 200) <= 3
    assert changes(np.r_[np.full(50, 1e308), np.full(50, -1e308)]).starts == [0, 50]
    assert not changes([-1, -2] * 50).drift
    assert not changes(np.full(100, 3.0)).points and changes(np.full(100, 3.0)).can_tell


@pytest.mark.parametrize("n", [20, 40, 60, 100])
def test_short_series(n):
    """False alarms on independent values and steps of three standard deviations, as found inside a recording of a minute."""
    assert sum(bool(changes(rng.standard_normal(n)).points) for rng in rngs(60, 14)) <= 7
    assert sum(bool(changes(rng.standard_normal(n) + 3.0 * (np.arange(n) >= n // 2)).points) for rng in rngs(40, 15)) >= 34


def test_normal_scores_are_standard_normal_whatever_the_values():
    rng = np.random.default_rng(1)
    scores = normal_scores(rng.pareto(0.5, 5000))
    assert abs(scores.mean()) < 0.01
    assert abs(scores.std() - 1) < 0.02
    assert np.all(normal_scores(np.array([5.0, 5.0])) == 0)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_wandering_is_no_trend(phi):
    assert sum(abs(trend(ar(rng, 100, phi))) >= 4 for rng in rngs(200, 16)) <= 4


def test_a_drift_is_a_trend_and_short_series_have_none():
    rng = np.random.default_rng(2)
    assert trend(np.arange(100) / 20 + rng.standard_normal(100)) > 4
    assert trend(np.arange(11.0)) == 0
