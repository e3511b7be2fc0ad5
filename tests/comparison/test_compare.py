"""A comparison on arms with known truth: no difference, a real one, a change of mix alone, another load."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from perfaudit.comparison.compare import Compared, compare, pairs, part
from perfaudit.comparison.shift import Least, Shift

from .make import ar1, arm, requests
from .make import part as route

ROUTE = ("GET", "/")
FINE = Least(share=0.01, micros=0.0)


def one(rng: np.random.Generator, level: Any, *, failing: float = 0.0, **how: float) -> Any:
    at, value = requests(rng, level, **how)
    return route(at, value, len(level), rng.random(len(at)) < failing if failing else None)


def compared(a: dict[str, Any], b: dict[str, Any], least: Least = FINE, *, concurrent: bool = False, step: int = 60) -> Compared:
    arms = arm("before", a, step), arm("after", b, step)
    return compare(*arms, [k for k in arms[0].parts if k in arms[1].parts], least, concurrent=concurrent)


@pytest.mark.parametrize("phi", [0.0, 0.7])
def test_no_difference_is_not_called_one(phi: float) -> None:
    """Nominal 5 % over all metrics and routes; 20 pairs: 4 and more would come with a chance of 1.6 % at the nominal rate (400 pairs: 0 to 1 % up to φ 0.7, 5 % at 0.9)."""
    found: Counter[str] = Counter()
    for seed in range(20):
        rng = np.random.default_rng([seed, int(10 * phi)])
        both = [{"/": one(rng, ar1(rng, 60, phi, 0.15), failing=0.01, per_bin=20), "/b": one(rng, ar1(rng, 60, phi, 0.15), per_bin=5)} for _ in "ab"]
        found[compared(*both).result] += 1
    assert found["worse"] + found["better"] <= 3, found


@pytest.mark.parametrize(("change", "word"), [(0.3, "worse"), (-0.3, "better")])
def test_a_difference_is_found_and_measured(change: float, word: str) -> None:
    rng = np.random.default_rng(1)
    done = compared({"/": one(rng, ar1(rng, 60, 0.3, 0.1))}, {"/": one(rng, ar1(rng, 60, 0.3, 0.1) + np.log1p(change))})
    assert done.result == word
    for metric in ("typical", "p50", "p95"):
        _, low, high = done.routes[ROUTE][metric].interval(0.95)
        assert low is not None and high is not None
        assert low < np.log1p(change) < high


def test_arms_that_run_together_share_their_noise() -> None:
    """+3 % under common noise of 5 % (φ 0.7) and own noise of 2 %, 60 bins: found in pairs, out of reach one after the other."""
    found: Counter[tuple[bool, str]] = Counter()
    for seed in range(6):
        rng = np.random.default_rng([seed, 3])
        common = ar1(rng, 60, 0.7, 0.05)
        both = [{"/": one(rng, common + rng.normal(0, 0.02, 60) + shift, per_bin=200, sd=0.15)} for shift in (0.0, np.log(1.03))]
        for together in (True, False):
            found[together, compared(*both, concurrent=together).result] += 1
    assert found[True, "worse"] == 6
    assert found[False, "worse"] <= 1


def test_the_interval_of_a_percentile_covers() -> None:
    """95 % nominal on autocorrelated levels: at least 35 of 40."""
    covered = Counter[str]()
    for seed in range(40):
        rng = np.random.default_rng([seed, 9])
        arms = [arm(name, {"/": one(rng, ar1(rng, 60, 0.5, 0.1), per_bin=15)}) for name in "ab"]
        (found,) = pairs(*arms, [ROUTE])
        for metric in ("p50", "p95"):
            _, low, high = Shift(metric, found.a, found.b, FINE).interval(0.95)
            covered[metric] += (low is None or low < 0) and (high is None or high > 0)
    assert min(covered["p50"], covered["p95"]) >= 35


def test_practically_the_same_is_told_when_there_is_enough() -> None:
    rng = np.random.default_rng(4)
    both = [{"/": one(rng, np.zeros(120), per_bin=400, sd=0.3)} for _ in "ab"]
    assert compared(*both, Least(share=0.10, micros=0.0)).result == "no practical difference"


def test_too_little_names_what_would_decide() -> None:
    rng = np.random.default_rng(5)
    done = compared(*[{"/": one(rng, ar1(rng, 30, 0.5, 0.2), per_bin=4)} for _ in "ab"])
    assert done.result == "inconclusive"
    row = part(done, "before-after", {})["metrics"][0]
    assert row["needed"]["times"] > 10
    assert row["detectable"]["value"] > 0.05
    assert "minutes per arm would decide" in part(done, "before-after", {})["summary"]


def test_errors_alone_make_an_arm_worse() -> None:
    rng = np.random.default_rng(6)
    done = compared({"/": one(rng, np.zeros(60), failing=0.001)}, {"/": one(rng, np.zeros(60), failing=0.03)})
    assert done.result == "worse"
    assert done.answers[ROUTE].metric == "errors"
    shift = part(done, "before-after", {})["routes"][0]["errors"]["shift"]
    assert shift["ci"][0] < 0.029 < shift["ci"][1]


def test_a_slow_tail_alone_makes_an_arm_worse() -> None:
    rng = np.random.default_rng(7)
    at, value = requests(rng, np.zeros(60), per_bin=60)
    slow = rng.random(len(at)) < 0.03
    done = compared({"/": one(rng, np.zeros(60), per_bin=60)}, {"/": route(at, np.where(slow, value * 40, value), 60)})
    assert done.result == "worse"
    assert done.answers[ROUTE].metric in ("p95", "p99")


def test_simpsons_paradox() -> None:
    """Every route is a third slower, and the pooled figure is better, because the traffic moved to the fast route; and the reverse."""
    rng = np.random.default_rng(8)

    def mixed(fast: float, slow: float, change: float) -> dict[str, Any]:
        levels = np.zeros(60)
        return {"/fast": one(rng, levels + change, per_bin=fast, median_ms=10.0), "/slow": one(rng, levels + change, per_bin=slow, median_ms=200.0)}

    before, after = mixed(20, 60, 0.0), mixed(60, 20, 0.3)
    done = compared(before, after)
    out = part(done, "before-after", {})
    typical = next(m for m in out["metrics"] if m["metric"] == "typical")
    assert typical["pooled"]["shift"]["value"] < -0.3
    assert typical["at_mix_of_a"]["shift"]["value"] == pytest.approx(0.35, abs=0.05)
    assert typical["at_mix_of_b"]["shift"]["value"] == pytest.approx(0.35, abs=0.05)
    assert out["result"] == "worse"
    assert "Simpson" in out["mix"]["paradox"][0]
    assert [r["weights"]["a"] for r in out["routes"]] == [1 - r["weights"]["b"] for r in out["routes"]] or out["mix"]["distance"]["value"] == pytest.approx(0.5, abs=0.05)
    back = part(compared(after, before), "before-after", {})
    assert back["result"] == "better"


def test_a_change_of_mix_alone_is_no_difference() -> None:
    rng = np.random.default_rng(9)

    def mixed(fast: float, slow: float) -> dict[str, Any]:
        return {"/fast": one(rng, np.zeros(60), per_bin=fast, median_ms=10.0), "/slow": one(rng, np.zeros(60), per_bin=slow, median_ms=200.0)}

    out = part(compared(mixed(80, 20), mixed(20, 80)), "before-after", {})
    assert out["result"] in ("inconclusive", "no practical difference")
    assert next(m for m in out["metrics"] if m["metric"] == "typical")["pooled"]["shift"]["value"] > 2


def test_another_load_is_told() -> None:
    rng = np.random.default_rng(10)
    out = part(compared({"/": one(rng, np.zeros(60), per_bin=30)}, {"/": one(rng, np.full(60, 0.5), per_bin=60)}), "before-after", {})
    assert out["result"] == "worse"
    assert not out["load"]["like_for_like"]
    assert "not like for like: B carried 2 times the load" in out["summary"]
    low, high = out["load"]["ratio"]["ci"]
    assert low < 2 < high


@pytest.mark.parametrize("bins", [1, 2, 7])
def test_too_short_to_tell_is_no_answer(bins: int) -> None:
    rng = np.random.default_rng(11)
    out = part(compared({"/": one(rng, np.zeros(bins), per_bin=100)}, {"/": one(rng, np.ones(bins), per_bin=100)}), "before-after", {})
    assert out["result"] == "inconclusive"
    assert "too little to compare" in out["summary"]


def test_constant_and_zero_durations() -> None:
    at = np.repeat(np.arange(60), 10)

    def constant(value: int) -> dict[str, Any]:
        return {"/": route(at, np.full(len(at), value, np.int64), 60)}

    assert compared(constant(5_000), constant(5_000)).result == "no practical difference"
    assert compared(constant(5_000), constant(50_000)).result == "worse"
    assert compared(constant(0), constant(0), Least()).result == "no practical difference"
    assert compared(constant(0), constant(0)).result == "inconclusive"  # one per cent of nothing


def test_a_route_without_weight_is_listed_not_judged() -> None:
    rng = np.random.default_rng(12)
    both = [{"/": one(rng, np.zeros(60), per_bin=200), "/rare": one(rng, np.full(60, shift), per_bin=0.5)} for shift in (0.0, 1.0)]
    rows = {r["route"]: r for r in part(compared(*both), "before-after", {})["routes"]}
    assert "less than 1 %" in rows["/rare"]["reason"]


def test_the_same_bytes_again() -> None:
    import json

    rng = np.random.default_rng(13)
    both = [{"/": one(rng, np.zeros(60)), "/b": one(rng, np.zeros(60))} for _ in "ab"]
    assert json.dumps(part(compared(*both), "canary", {"a": {("GET", "/x"), ("GET", "/y")}})) == json.dumps(part(compared(*both), "canary", {"a": {("GET", "/y"), ("GET", "/x")}}))
