"""Time stamps of all shapes give one instant; what is none gives None."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.evidence.clock import Clock, epoch

T = 1_795_420_943_770_000


@pytest.mark.parametrize("value", [1795420943.77, "1795420943.770", 1795420943770, "1795420943770", 1795420943770000, 1795420943770000123, "1.79542094377e9"])
def test_epochs_by_magnitude(value):
    assert epoch(value) == T


@pytest.mark.parametrize("value", [0, 17, -1795420943, "x", "", "1" * 50, float("nan"), float("inf"), 1e30])
def test_numbers_that_are_no_instant(value):
    assert epoch(value) is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23 08:02:23.770 UTC", "2026-11-23T08:02:23.77Z", "2026-11-23T08:02:23,770+00:00", "2026-11-23 09:02:23.770+01", "2026-11-23 09:02:23.770 +0100",
        "2026/11/23 08:02:23.770000", "2026-11-23 13:32:23.77+05:30", "1795420943.77", "[2026-11-23 08:02:23.770]", "23/Nov/2026:08:02:23.770 +0000",
        "Mon, 23 Nov 2026 09:02:23.770 +0100", "Mon Nov 23 08:02:23.770000 2026", "2026-11-23 08:02:23.770123456 UTC"[:23] + " UTC", "2026-11-23 08:02:23.770 CET",
    ],
)  # fmt: skip
def test_stamps(text):
    clock = Clock()
    assert clock.read(text) == T
    assert clock.read(text) == T  # also when the second is known


@pytest.mark.parametrize("text", ["2026-13-01 00:00:00", "2026-02-30 00:00:00", "2026-11-23 25:00:00", "yesterday", "", "23/Foo/2026:08:02:23 +0000", "08:02:23", "2026-11-23"])
def test_what_is_no_stamp(text):
    assert Clock().read(text) is None


def test_zones():
    berlin = Clock("Europe/Berlin")
    assert berlin.read("2026-11-23 09:02:23.770") == berlin.read("2026-11-23 09:02:23.770 CET") == berlin.read("2026-11-23 08:02:23.770 UTC") == T
    assert berlin.read("2026-07-01 12:00:00") == berlin.read("2026-07-01 10:00:00Z")
    assert berlin.note() == ""
    plain = Clock()
    assert plain.note() == ""
    plain.read("2026-11-23 08:02:23.770 UTC")
    assert plain.note() == ""
    plain.read("2026-11-23 08:02:23.770")
    assert "no zone" in plain.note()
    plain.read("2026-11-23 08:02:23.770 CET")
    assert "CET is ambiguous" in plain.note()
    with pytest.raises(KeyError):
        Clock("Mars/Olympus")


def test_a_leap_second_is_the_next_second():
    assert Clock().read("2016-12-31 23:59:60Z") == Clock().read("2017-01-01 00:00:00Z")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="0123456789-:. TZ+/UTCNov[],", max_size=40))
def test_any_text(text):
    found = Clock().read(text)
    assert found is None or isinstance(found, int)
