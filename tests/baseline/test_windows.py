"""Windows: found where a route departs, and not where nothing does."""

import pytest

from perfaudit.audit import Audit, Request
from perfaudit.testing import evidence
from tests.traffic import START, requests


def windows(traffic, *, since=None, until=None, only=False, baseline=None):
    asked = Request(since=since, until=until, only_window=only)
    own, other = evidence(requests=traffic).bundle, evidence(requests=baseline).bundle if baseline else None
    return Audit(own, asked, baseline=other).prepare().windows


def at(second):
    return START + round(second * 1e6)


@pytest.mark.parametrize("seed", range(12))
def test_steady_traffic_has_no_affected_window(seed):
    found = windows(requests(seed=seed))
    assert (found.source, found.reference) == ("none", None)
    assert found.affected == found.whole


@pytest.mark.parametrize("seed", range(4))
def test_a_route_that_becomes_slow_is_found_where_it_begins(seed):
    found = windows(requests(seed=seed, slower={"/orders": 300}, since=50))
    assert found.source == "found"
    assert abs(found.affected.start - at(50)) <= 4_000_000
    assert found.onset and found.onset[1] <= at(50) + 2_000_000 and found.onset[2] >= at(50) - 2_000_000
    assert found.reference and found.reference.end <= found.affected.start


def test_a_stretch_that_heals_ends_where_it_heals():
    found = windows(requests(180, slower={"/orders": 400}, since=60, until=110))
    assert abs(found.affected.start - at(60)) <= 4_000_000
    assert abs(found.affected.end - at(110)) <= 5_000_000


def test_errors_without_slowness_are_a_departure():
    found = windows(requests(errors={"/items/{id}": 0.2}, since=70))
    assert abs(found.affected.start - at(70)) <= 5_000_000


def test_on_and_off_within_one_episode_is_one_window():
    traffic = requests(160, seed=3)
    for i, t in enumerate(traffic["time"]):
        second = (t - START) / 1e6
        if 60 <= second < 110 and second % 8 < 5 and traffic["route"][i] == "/orders":
            traffic["duration_us"][i] += 2_000_000
    found = windows(traffic)
    assert abs(found.affected.start - at(60)) <= 4_000_000
    assert abs(found.affected.end - at(109)) <= 6_000_000


def test_a_warm_up_is_noted_and_left_out():
    found = windows(requests(120, slower={"/orders": 300, "/": 100}, until=12))
    assert found.source == "none"
    assert found.affected.start >= at(10)
    assert any("warm-up" in note for note in found.notes)


def test_whole_site_figures_would_hide_the_route():
    routes = {"/": ("GET", 0.97, 4), "/pay": ("POST", 0.03, 80)}
    found = windows(requests(200, 100, routes=routes, slower={"/pay": 500}, since=100))
    assert abs(found.affected.start - at(100)) <= 8_000_000


def test_two_recordings_in_one_folder_never_share_a_window():
    calm, slow = requests(60), requests(60, seed=1, slower={"/orders": 300}, start=START + 200_000_000)
    both = {k: (calm[k] + slow[k] if isinstance(calm[k], list) else calm[k]) for k in calm}
    found = windows(both)
    assert found.affected.start >= at(200)
    assert found.reference and found.reference.end <= at(70)


def test_a_separate_baseline_is_the_reference():
    found = windows(requests(60, seed=1, slower={"/orders": 300}, start=START + 200_000_000), baseline=requests(60))
    assert found.source == "baseline"
    assert found.reference and found.reference.end <= at(61)
    assert found.onset is None  # it was slow from the first second: where it began is not in the recording


def test_the_recording_may_begin_healthy_with_a_baseline():
    found = windows(requests(120, seed=1, slower={"/orders": 300}, since=60, start=START + 200_000_000), baseline=requests(60))
    assert abs(found.affected.start - at(260)) <= 4_000_000
    assert found.onset is not None


def test_the_given_window_is_taken_and_the_rest_is_the_reference():
    found = windows(requests(), since=at(30), until=at(60))
    assert (found.affected.start, found.affected.end) == (at(30), at(60))
    assert found.source == "given"
    assert found.reference and found.reference.end == at(30)


def test_only_the_given_window():
    found = windows(requests(), since=at(30), until=at(60), only=True)
    assert found.reference is None
    assert found.whole.start >= at(30)
    assert found.whole.end <= at(60)


def test_another_routes_earlier_slowness_does_not_swallow_the_reference():
    traffic = requests(160, slower={"/orders": 600}, since=90)
    for i, t in enumerate(traffic["time"]):
        if t < at(140) and traffic["route"][i] == "/items/{id}":
            traffic["duration_us"][i] += 60_000
    found = windows(traffic)
    assert abs(found.affected.start - at(90)) <= 4_000_000
    assert found.reference and found.reference.overlap(found.affected) == 0
