"""What slow traces have in common."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.paths import attributes
from tests.paths.made import Row, seconds, trace, tracing


def shop(n: int = 600, bad: float = 0.6, **more: object) -> list[Row]:
    """Requests to four pods; those of pod3 are slow with chance ``bad``, others with 2 %; each has ten queries, an id of its own, and a region that says nothing."""
    rng = np.random.default_rng(5)
    rows: list[Row] = []
    for i, at in enumerate(seconds("affected", n)):
        pod = i % 4
        slow = rng.random() < (bad if pod == 3 else 0.02)
        took = int(rng.uniform(8_000, 9_000)) + (50_000 if slow else 0)
        lines = [f"a shop/GET_/list server 0-{took} instance=pod{pod}", *(f"q{k}<a shop/SELECT client {100 + k * 100}-{150 + k * 100} system=mysql peer=db instance=pod{pod}" for k in range(10))]
        made = trace(i, at, *lines, **more)
        for row in made:
            row["attributes"] = {"region": "eu" if rng.random() < 0.5 else "us", "order": str(i)}
        rows += made
    return rows


def test_the_instance_is_found_and_nothing_else() -> None:
    found = attributes.compare(tracing(shop()), 0)
    assert (found.slow, found.fast) == (60, 300)
    (value,) = found.values
    assert (value.attribute, value.value) == ("instance", "pod3")
    assert value.slow >= 50 and value.fast < 0.25 * 300
    assert 1 < value.odds[1] < value.odds[0] < value.odds[2]
    assert value.p < 1e-6


def test_each_trace_counts_once_however_many_spans_it_has() -> None:
    found = attributes.compare(tracing(shop()), 0)
    assert found.values[0].slow <= found.slow
    assert found.tested == 9  # four pods, the peer, two operations, two regions; ids are in one trace each


def test_where_nothing_differs_nothing_is_said() -> None:
    assert attributes.compare(tracing(shop(bad=0.02)), 0).values == ()


def test_of_many_random_values_few_are_taken_for_a_difference() -> None:
    rng = np.random.default_rng(8)
    rows = [r for i, at in enumerate(seconds("affected", 400)) for r in trace(i, at, f"a shop/GET_/list server 0-{int(rng.uniform(8000, 9000))}")]
    for row in rows:
        row["attributes"] = {f"k{j}": str(rng.integers(2)) for j in range(16)}
    found = attributes.compare(tracing(rows), 0)
    assert found.tested >= 32 and len(found.values) <= 1


def test_with_several_services_a_value_says_whose_it_is() -> None:
    rows: list[Row] = []
    for i, at in enumerate(seconds("affected", 400)):
        bad = i % 5 == 0
        more = 30_000 if bad else 0
        rows += trace(i, at, f"a shop/GET_/list server 0-{9000 + more + i} instance=s1", f"b<a tax/POST_/tax server 1000-{3000 + more} instance={'t2' if bad else 't1'}")
    values = attributes.compare(tracing(rows), 0).values
    assert ("instance", "tax: t2") in {(v.attribute, v.value) for v in values}
    assert not any(v.value == "shop: s1" for v in values)


def test_a_label_of_a_version_is_found() -> None:
    rows = shop(bad=0.02)
    for row in rows:
        number = int(str(row["trace_id"]), 16)
        took = next(r["duration_us"] for r in rows[number * 11 : number * 11 + 1])
        row["attributes"] = {"service.version": "2" if took > 8_900 else "1"}
    values = attributes.compare(tracing(rows), 0).values
    assert [(v.attribute, v.value) for v in values] == [("service.version", "2")]


def test_too_few_traces_are_told() -> None:
    found = attributes.compare(tracing(shop(n=120)), 0)
    assert found.values == () and found.note == "120 traces are too few to compare slow with fast: 200 are needed"


@pytest.mark.parametrize(("a", "slow", "b", "fast"), [(0, 20, 0, 100), (20, 20, 100, 100), (20, 20, 0, 100)])
def test_an_odds_ratio_is_finite_at_the_corners(a: int, slow: int, b: int, fast: int) -> None:
    value, low, high = attributes._odds(a, slow, b, fast)
    assert 0 < low <= value <= high < float("inf")
