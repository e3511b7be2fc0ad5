"""Two arms: level where nothing changed, power where something did, the cases that others got wrong, and broken input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from perfaudit.stats.compare import Comparison, judge, paired, two_sample
from perfaudit.stats.decision import decide

CALLED = ("better", "worse")


def ar(phi, n, rng):
    return lfilter([1], [1, -phi], rng.standard_normal(n + 200) * np.sqrt(1 - phi**2))[200:]


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 0.9])
def test_two_arms_of_an_hour_in_which_nothing_changed(phi):
    rng, called, rounds = np.random.default_rng(31), 0, 150
    for _ in range(rounds):
        called += two_sample(ar(phi, 60, rng), ar(phi, 60, rng), least=0).result in CALLED
    assert called / rounds <= 0.06  # nominal .05; .01–.03 with 400 rounds


@pytest.mark.parametrize(("phi", "shift", "least_found"), [(0.0, 1.0, 0.9), (0.7, 2.0, 0.75)])
def test_a_real_shift_is_found(phi, shift, least_found):
    rng = np.random.default_rng(32)
    found = [two_sample(ar(phi, 60, rng), ar(phi, 60, rng) + shift, least=0.2).result == "worse" for _ in range(60)]
    assert np.mean(found) >= least_found


def test_paired_arms_find_three_percent_in_common_noise():
    rng, found, called = np.random.default_rng(33), 0, 0
    for _ in range(80):
        common = 0.05 * ar(0.7, 60, rng)
        a, b, c = (200 * np.exp(common + 0.02 * rng.normal(size=60)) for _ in range(3))
        found += paired(a, 1.03 * b, least=0.01).result == "worse"
        called += paired(a, c, least=0).result in CALLED
    assert found / 80 >= 0.95
    assert called / 80 <= 0.06


def test_the_rule():
    assert decide(0.03, 0.01, 0.05, 0.02) == ("worse", "")
    assert decide(0.03, 0.01, 0.05, 0.02, "lower") == ("better", "")
    assert decide(0.01, 0.001, 0.019, 0.02) == ("no practical difference", "")
    assert decide(0.015, 0.001, 0.03, 0.02)[0] == "inconclusive"
    assert decide(0.5, -0.1, 1.1, 0.02)[0] == "inconclusive"


def test_alike_when_long_and_inconclusive_with_the_n_that_decides_when_short():
    rng = np.random.default_rng(34)
    short = two_sample(rng.normal(0, 1, 40), rng.normal(0, 1, 40), least=0.3)
    assert short.result == "inconclusive"
    assert short.needed is not None and short.needed > 40 and short.mde is not None and short.mde > 0.3
    decided = [two_sample(rng.normal(0, 1, short.needed), rng.normal(0, 1, short.needed), least=0.3).result == "no practical difference" for _ in range(30)]
    assert np.mean(decided) >= 0.7


def test_ratio_is_relative_and_lower_may_be_worse():
    rng = np.random.default_rng(35)
    a = np.exp(rng.normal(5, 0.1, 200))
    slower = two_sample(a, 1.2 * a[::-1], least=0.05, scale="ratio")
    assert slower.effect == pytest.approx(0.2)
    assert slower.unit == "relative change" and slower.result == "worse"
    assert two_sample(a, 1.2 * a[::-1], least=0.05, scale="ratio", worse="lower").result == "better"


@pytest.mark.parametrize("kind", ["latency", "count"])
def test_cases_that_a_rank_test_got_wrong(kind):
    tail = judge([1] * 10, [100] * 7 + [1] * 3, least=0.1, kind=kind)
    assert (tail.result, tail.why) == ("worse", "tail")
    few = judge([0] * 6, [0, 1, 2, 1, 0, 0], least=0.1, kind=kind)
    assert few.result == "inconclusive" and few.needed is not None and few.needed > 6
    assert judge([0] * 5, [1, 4, 2, 3, 1], least=0.1, kind=kind).result == "worse"
    assert judge([1, 4, 2, 3, 1], [0] * 5, least=0.1, kind=kind).result == "better"


@pytest.mark.parametrize(("n", "least_found"), [(20, 0.7), (60, 0.97)])
def test_equal_means_with_ten_times_the_variance_are_worse_in_the_tail(n, least_found):
    rng = np.random.default_rng(36)
    answers = [judge(100 + rng.normal(0, 1, n), 100 + rng.normal(0, math.sqrt(10), n), least=0.005) for _ in range(40)]
    assert np.mean([answer.result == "worse" for answer in answers]) >= least_found
    assert np.mean([answer.why == "tail" for answer in answers if answer.result == "worse"]) >= 0.9


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.9])
def test_judging_two_questions_keeps_the_level(phi):
    rng, called, rounds = np.random.default_rng(37), 0, 100
    for _ in range(rounds):
        called += judge(np.exp(0.1 * ar(phi, 60, rng)), np.exp(0.1 * ar(phi, 60, rng)), least=0).result in CALLED
    assert called / rounds <= 0.08  # .01–.05 with 300 rounds, simulation error .02


def test_counts_keep_the_level_and_see_a_tripled_rate():
    rng = np.random.default_rng(38)
    alike = [judge(rng.poisson(0.8, 20), rng.poisson(0.8, 20), least=0, kind="count").result in CALLED for _ in range(60)]
    assert np.mean(alike) <= 0.06
    tripled = [judge(rng.poisson(0.8, 20), rng.poisson(2.4, 20), least=0.2, kind="count") for _ in range(40)]
    assert np.mean([answer.result == "worse" for answer in tripled]) >= 0.75


def test_one_burst_is_not_a_rate():
    assert judge([0] * 5, [0, 0, 11, 0, 0], least=0.1, kind="count").result == "inconclusive"
    assert judge([0] * 60, [0] * 60, least=0.1, kind="count").result == "no practical difference"


def test_a_shift_of_everything_is_told_from_the_tail():
    rng = np.random.default_rng(39)
    answer = judge(100 + rng.normal(0, 5, 60), 115 + rng.normal(0, 5, 60), least=0.05)
    assert (answer.result, answer.why) == ("worse", "location")


@pytest.mark.parametrize("compare", [two_sample, paired, judge])
def test_too_little_is_inconclusive_with_a_reason(compare):
    for a, b in (([], []), ([1.0, 2.0], [2.0, 3.0]), ([5.0] * 9, [5.0] * 9), ([math.nan] * 9, [math.nan] * 9), ([math.nan] * 5 + [1.0] * 5, [1.0] * 5 + [math.nan] * 5)):
        answer = compare(a, b, least=0.1)
        assert isinstance(answer, Comparison)
        assert answer.result == "inconclusive" and answer.reason


def test_holes_are_told_and_impossible_values_refused():
    rng = np.random.default_rng(40)
    a, b = rng.normal(10, 1, 50), rng.normal(10, 1, 50)
    a[3] = math.nan
    assert "1 missing" in two_sample(a, b, least=0.1).reason + judge(a, b, least=0.1).reason
    assert two_sample(a, b, least=0.1).n_a == 49
    assert paired(a, b, least=0.1).n_b == 49
    with pytest.raises(ValueError, match="b: holds an infinite"):
        two_sample([1.0] * 5, [math.inf] * 5, least=0.1)
    with pytest.raises(ValueError, match="experiment: holds a negative"):
        judge([1.0] * 5, [-1.0] * 5, least=0.1)
    with pytest.raises(ValueError, match="a: holds a negative"):
        paired([-1.0] * 5, [1.0] * 5, least=0.1)
    with pytest.raises(ValueError, match="cannot be paired"):
        paired([1.0] * 5, [1.0] * 6, least=0.1)
    with pytest.raises(ValueError, match="least"):
        two_sample(a, b, least=math.nan)
    assert two_sample([0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], least=0.1, scale="ratio").reason == "arm a holds zeros, of which there is no ratio"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e12), max_size=12), st.lists(st.floats(0, 1e12), max_size=12), st.sampled_from(["latency", "count"]))
def test_any_arms_give_a_word(a, b, kind):
    answer = judge(a, b, least=0.1, kind=kind)
    assert answer.result in (*CALLED, "no practical difference", "inconclusive")
    assert answer.result != "inconclusive" or answer.reason
    assert answer.effect is None or math.isfinite(answer.effect)
    mirrored = judge(b, a, least=0.1, kind="count")
    if kind == "count" and answer.result in CALLED:
        assert mirrored.result in CALLED and mirrored.result != answer.result


def test_an_undecided_spread_says_what_would_decide_on_it():
    rng = np.random.default_rng(41)
    answers = [judge(100 + rng.normal(0, 1, 10), 100 + rng.normal(0, math.sqrt(10), 10), least=0.005) for _ in range(20)]
    hints = [answer for answer in answers if "spread" in answer.reason]
    assert len(hints) >= 5
    assert all(answer.result == "inconclusive" and answer.needed is not None and 10 < answer.needed < 100 for answer in hints)
