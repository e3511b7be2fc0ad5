"""Adjusted p-values against SciPy, by hand, and by simulation of the error they bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfaudit.stats.multiple import false_discovery, holm

PUBLISHED = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]


def test_the_example_of_benjamini_and_hochberg():
    """Their §4.1: at 0.05 the step-up procedure rejects four of fifteen, Bonferroni and Holm three."""
    assert (false_discovery(PUBLISHED) <= 0.05).sum() == 4
    assert (holm(PUBLISHED) <= 0.05).sum() == 3


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]).tolist() == []
    assert holm([0.7]).tolist() == [0.7]


@pytest.mark.parametrize(("dependent", "method"), [(False, "bh"), (True, "by")])
def test_false_discovery_is_scipys(dependent, method):
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(1).random(200) ** 3
    assert np.allclose(false_discovery(p, dependent=dependent), false_discovery_control(p, method=method), atol=1e-15)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_adjusting_never_lowers_and_keeps_order(p):
    for adjusted in (holm(p), false_discovery(p), false_discovery(p, dependent=True)):
        assert np.all(adjusted >= np.array(p) - 1e-12)
        assert np.all(adjusted <= 1)
        assert np.all(np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12)


@pytest.mark.parametrize("bad", [[0.5, float("nan")], [-0.1], [1.2], [[0.1]]])
def test_what_is_no_p_value_is_refused(bad):
    with pytest.raises(ValueError, match="p: "):
        holm(bad)
    with pytest.raises(ValueError, match="p: "):
        false_discovery(bad)


def test_the_errors_they_bound():
    """40 true hypotheses and 10 false ones: any false answer ≤ 5 % with Holm, share of false answers ≤ 5 % with the other."""
    from scipy.special import ndtr

    rng = np.random.default_rng(2)
    truth = np.r_[np.zeros(40), np.full(10, 3.5)]
    anyone, share, found = 0, [], []
    for _ in range(2000):
        p = 2 * ndtr(-np.abs(rng.normal(size=50) + truth))
        anyone += bool((holm(p)[:40] <= 0.05).any())
        told = false_discovery(p) <= 0.05
        share.append(told[:40].sum() / max(told.sum(), 1))
        found.append(told[40:].mean())
    assert anyone / 2000 <= 0.06
    assert np.mean(share) <= 0.05
    assert np.mean(found) >= 0.7
