"""The PromQL that is understood, what it means in an access log, and that strings stay strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfaudit.slo import selector
from perfaudit.slo.selector import Selector, on_requests, parse, well_formed


@pytest.mark.parametrize(
    "text",
    [
        'sum(rate(http_requests_total{code=~"5.."}[5m]))',
        'sum by (job) (rate(http_requests_total{code=~"5.."}[5m]))',
        'sum(increase(http_requests_total{code=~"5.."}[30d])) by (job)',
        ' sum ( rate ( {__name__="http_requests_total", code=~\'5..\',} [1h] ) ) ',
    ],
)
def test_a_count_in_any_wrapping(text: str) -> None:
    assert parse(text) == Selector("http_requests_total", (("code", "=~", "5.."),), counts=True)


def test_a_plain_series() -> None:
    assert parse("up") == Selector("up")
    assert parse('sum(queue{name="a\\"b}"})') == Selector("queue", (("name", "=", 'a"b}'),))


@pytest.mark.parametrize(
    "text",
    ["", "1", "a + b", "rate(a)", "a[5m]", "sum(rate(a[5m])) / 2", "histogram_quantile(0.9, a)", "a{b=c}", 'a{b="c" d="e"}', "sum(rate(a[5m:1m]))", "rate(a[5m]) offset 1d", "a)", "sum(a", "sum(a) + sum(b)"],
)
def test_anything_else_is_not_guessed(text: str) -> None:
    assert parse(text) is None


def test_what_an_access_log_can_count() -> None:
    bad = on_requests(parse('http_requests_total{status=~"5..",job="shop",pod="p1",route="/a"}'), ("shop",))  # type: ignore[arg-type]
    assert bad == ("regexp_full_match(status::VARCHAR, '5..') AND service = 'shop' AND coalesce(route, '') = '/a'", ['pod="p1"'])
    assert on_requests(Selector("http_request_duration_seconds_bucket", (("le", "=", "0.8"),)), ()) == ("duration_us <= 800000", [])
    assert on_requests(Selector("http_request_duration_seconds_bucket", (("le", "=", "+Inf"),)), ()) == ("true", [])
    assert on_requests(Selector("http_request_duration_seconds_bucket"), ()) is None
    assert on_requests(Selector("queue_length"), ()) is None
    assert on_requests(Selector("http_request_duration_seconds_count", (("method", "!=", "GET"),)), ()) == ("coalesce(method, '') <> 'GET'", [])


@given(st.text())
def test_a_string_is_read_back_and_closed(value: str) -> None:
    quoted = selector.string(value)
    assert quoted.isprintable() and quoted[0] == quoted[-1] == '"'
    assert well_formed(f"a{{b={quoted}}}")


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]), max_size=30))
def test_printable_labels_survive(value: str) -> None:
    found = parse(f"a{{b={selector.string(value)}}}")
    assert found is not None and found.matchers == (("b", "=", value),)


@pytest.mark.parametrize("text", ["a) or vector(1) or (b", "a # comment", 'a{b="c}', "a]", "", "   ", "a; b", "a\x00", "a{b='}"])
def test_queries_that_would_break_out(text: str) -> None:
    assert not well_formed(text)


@pytest.mark.parametrize("text", ['sum(rate(a{b="#)"}[5m])) / sum(rate(c[5m]))', "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))"])
def test_queries_that_may_stand_in_parentheses(text: str) -> None:
    assert well_formed(text)
