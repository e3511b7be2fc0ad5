"""Budgets and burn rates: known figures, and false alerts by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfaudit.stats import budget
from perfaudit.stats.budget import DAY, HOUR, BurnAlert

MONTH = 30 * DAY
FAST, SLOW, TICKET, TRICKLE = budget.standard(MONTH)
RNG = np.random.default_rng


def test_the_workbook_s_factors() -> None:
    assert [a.factor for a in budget.standard(MONTH)] == [14.4, 6.0, 3.0, 1.0]
    assert [(a.long_s, a.short_s, a.severity) for a in budget.standard(MONTH)] == [(3600, 300, "page"), (21600, 1800, "page"), (86400, 7200, "ticket"), (259200, 21600, "ticket")]
    assert [round(a.share(MONTH), 4) for a in budget.standard(MONTH)] == [0.02, 0.05, 0.1, 0.1]
    assert budget.factor(0.02, HOUR, 28 * DAY) == pytest.approx(13.44)


def test_no_factor_below_one_and_no_window_as_long_as_the_period() -> None:
    assert [a.factor for a in budget.standard(28 * DAY)] == [13.44, 5.6, 2.8, 1.0]
    assert [a.long_s for a in budget.standard(DAY)] == [3600, 21600]
    assert [(a.severity, a.factor) for a in budget.standard(2 * DAY)] == [("ticket", 1.0)] * 3, "a page never fires on an objective that is just kept"


def test_a_total_outage_at_three_nines_fires_after_51_84_seconds() -> None:
    assert budget.detection_s(FAST, 0.999) == pytest.approx(51.84)
    bad, total = np.zeros(7200), np.full(7200, 50.0)
    bad[3600:] = 50
    (fired,) = budget.episodes(FAST, bad, total, 1.0, 0.999)
    assert fired.first - 3600 == 52 and fired.last is None
    assert budget.detection_s(FAST, 0.9) == math.inf


def test_it_ends_when_the_short_window_is_clean() -> None:
    bad, total = np.zeros(3 * 3600), np.full(3 * 3600, 50.0)
    bad[3600:5400] = 50
    (fired,) = budget.episodes(FAST, bad, total, 1.0, 0.999)
    assert fired.last is not None
    assert fired.last - 5400 == pytest.approx(budget.reset_s(FAST, 0.999), abs=1)


def test_burn_is_weighted_by_requests() -> None:
    assert budget.burn_rate(1 + 0, 10 + 990, 0.99) == pytest.approx(0.1)  # the mean of the ratios would say 5
    bad, total = np.array([1.0, 0.0]), np.array([10.0, 990.0])
    assert budget.error_ratio(bad, total).value == pytest.approx(0.001)
    assert budget.burn_series(bad, total, 60, 0.99, 120)[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.5, 2.0, math.nan])
def test_a_target_outside_is_refused(target: float) -> None:
    for call in (lambda: budget.burn_rate(1, 2, target), lambda: budget.detection_s(FAST, target), lambda: budget.episodes(FAST, np.ones(3), np.ones(3), 1, target)):
        with pytest.raises(ValueError, match="target must lie between 0 and 1"):
            call()


def test_without_events_there_is_no_burn_and_no_alert() -> None:
    none = np.zeros(600)
    assert math.isnan(budget.burn_rate(0, 0, 0.99))
    assert np.isnan(budget.burn_series(none, none, 1, 0.99, 60)).all()
    assert budget.episodes(FAST, none, none, 1, 0.99) == []
    assert budget.episodes(FAST, np.zeros(0), np.zeros(0), 1, 0.99) == []
    assert budget.error_ratio(none, none)[1:] == (0.0, 1.0, 0.0)


def test_an_alert_must_hold_before_it_fires() -> None:
    bad, total = np.zeros(1800), np.full(1800, 10.0)
    bad[600:780] = 10
    wait = BurnAlert("page", 14.4, 300, 0, after_s=300)
    at_once = budget.episodes(BurnAlert("page", 14.4, 300), bad, total, 1, 0.999, minimum=0)[0]
    (held,) = budget.episodes(wait, bad, total, 1, 0.999, minimum=0)
    assert held.first == at_once.first + 300
    assert budget.episodes(BurnAlert("page", 14.4, 60, 0, after_s=300), bad, total, 1, 0.999, minimum=0) == []


def test_without_a_minimum_low_traffic_exceeds_the_hour_42_times_a_month() -> None:
    """60 requests an hour, exactly on an objective of 99.9 %: one failure in an hour is a burn of 16.7."""
    failures = RNG(4).binomial(60, 0.001, size=(400, 720))
    exceeded = (failures / 60 > 14.4 * 0.001).sum(axis=1)
    assert exceeded.mean() == pytest.approx(42, abs=1.5)


@pytest.mark.parametrize("a_minute", [1, 3, 10])
def test_with_the_minimum_false_pages_are_rare(a_minute: int) -> None:
    """A service exactly on its objective is paged for nothing at most once a year: 30 months are simulated."""
    rng, pages, naive = RNG(a_minute), 0, 0
    for _ in range(30):
        total = rng.poisson(a_minute, 43_200).astype(float)
        bad = rng.binomial(total.astype(int), 0.001).astype(float)
        pages += sum(len(budget.episodes(a, bad, total, 60, 0.999, before=a_minute)) for a in (FAST, SLOW))
        naive += sum(len(budget.episodes(a, bad, total, 60, 0.999, minimum=0, before=a_minute)) for a in (FAST, SLOW))
    assert pages <= 5  # 2 alerts × 2.5 years × 1 a year
    if a_minute == 1:
        assert naive > 30 * 30


def test_the_formula_for_false_alerts_bounds_the_simulation() -> None:
    """Alm's clumps of a scan statistic against counts in sliding hours of Poisson failures."""
    expected, hours, k = 0.35, 720, 3
    rng, seen = RNG(9), 0
    for _ in range(60):
        failures = rng.poisson(expected / 60, hours * 60).astype(float)
        over = budget.sums(failures, 60) >= k
        seen += int((np.diff(over.astype(int)) == 1).sum())
    assert seen / 60 == pytest.approx(budget.false_alerts(k, expected, hours), rel=0.25)


def test_the_minimum_does_not_silence_an_outage_at_low_traffic() -> None:
    minimum = budget.minimum_bad(14.4, HOUR)
    bad, total = np.zeros(240), np.ones(240)
    bad[120:] = 1
    (fired,) = budget.episodes(FAST, bad, total, 60, 0.999, before=1)
    assert fired.first == 120 + minimum


def test_minimum_grows_as_the_factor_falls() -> None:
    minima = [budget.minimum_bad(a.factor, a.long_s) for a in budget.standard(MONTH)]
    assert minima == sorted(minima) and minima[0] >= 2
    assert budget.minimum_bad(0.5, DAY) <= budget.MOST_EVENTS


def test_time_slices() -> None:
    bad, total = np.array([0, 1, 0, 0, 5, 5.0]), np.array([10, 10, 0, 0, 10, 10.0])
    lost, seen = budget.slices(bad, total, 2, 0.9)
    assert lost.tolist() == [0, 0, 1] and seen.tolist() == [1, 0, 1]  # 19 of 20, nothing, 10 of 20
    ratios, _ = budget.slices(bad, total, 2, None)
    assert ratios.tolist() == pytest.approx([0.05, 0, 0.5])
    assert budget.slices(bad, total, 4, 0.9)[0].tolist() == [0, 1]  # the last slice is shorter


@pytest.mark.parametrize(("burst", "plain_covers"), [(1, 1.0), (8, 0.4)])
def test_interval_covers_also_when_errors_come_in_bursts(burst: int, plain_covers: float) -> None:
    """Nominal 95 % over 300 series of 600 minutes: errors alone, or in some seven runs of 8 minutes. The plain interval covers 22 % of those."""
    rng, covered, plain, shown, share = RNG(burst), 0, 0, 0, 0.02
    for _ in range(300):
        total = rng.poisson(20, 600).astype(float)
        bad = rng.binomial(total.astype(int), share if burst == 1 else np.where(in_bursts(rng, burst), share * 10, 0.0)).astype(float)
        found, simple = budget.error_ratio(bad, total), budget.interval(bad.sum() / total.sum(), total.sum())
        if found.low is None or found.high is None:
            continue
        shown += 1
        covered += found.low <= share <= found.high
        plain += simple[0] <= share <= simple[1]
    assert shown / 300 >= 0.95 and covered / shown >= 0.90
    assert plain / 300 <= plain_covers


def in_bursts(rng: np.random.Generator, burst: int) -> np.ndarray:
    """600 minutes of which a tenth lies in runs of ``burst`` minutes on average."""
    on, state, flips = np.zeros(600, bool), rng.random() < 0.1, rng.random(600)
    for i in range(600):
        state = flips[i] > 1 / burst if state else flips[i] < 0.1 / 0.9 / burst
        on[i] = state
    return on


def test_effective_events_shrink_with_bursts_only() -> None:
    rng = RNG(3)
    total = np.full(1000, 20.0)
    alone = rng.binomial(20, 0.02, 1000).astype(float)
    burst = np.zeros(1000)
    burst[300:340] = 10
    assert budget.error_ratio(alone, total).effective > 0.5 * total.sum()
    assert budget.error_ratio(burst, total).effective < 0.05 * total.sum()


def test_one_burst_has_no_interval() -> None:
    total, bad = np.full(1000, 20.0), np.zeros(1000)
    bad[300:340] = 20
    assert budget.error_ratio(bad, total)[:3] == (pytest.approx(0.04), None, None)
    assert budget.error_ratio(np.zeros(1000), total).high == pytest.approx(3.69 / 20_000, rel=0.01)


def test_load_and_its_interval_cover_under_autocorrelation() -> None:
    rng, covered = RNG(6), 0
    for _ in range(300):
        noise = np.zeros(600)
        for i in range(1, 600):
            noise[i] = 0.7 * noise[i - 1] + rng.normal(0, 2)
        mean, low, high = budget.load(np.maximum(0, 30 + noise))
        covered += low <= 30 <= high
        assert low <= mean <= high
    assert covered / 300 >= 0.9


def test_interval_of_a_share_against_scipy() -> None:
    from scipy.stats import binomtest

    known = binomtest(3, 1000).proportion_ci(0.95, method="exact")
    assert budget.interval(0.003, 1000) == pytest.approx((known.low, known.high))
    assert budget.interval(0.0, 0) == (0.0, 1.0)
    assert budget.interval(1.0, 10)[1] == 1.0
