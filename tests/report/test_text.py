"""Numbers and evidence texts as words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.report import text

from .sample import HOSTILE, m


@pytest.mark.parametrize(
    ("ms", "said"),
    [(0, "0.0 ms"), (0.42, "420 µs"), (3.14, "3.1 ms"), (9.96, "10 ms"), (313.4, "313 ms"), (999.6, "1.00 s"), (2798, "2.80 s"), (10_500, "10.5 s"), (144_000, "2.4 min")],
)
def test_durations_are_rounded_to_what_people_read(ms: float, said: str) -> None:
    assert text.duration(ms) == said


@pytest.mark.parametrize(("share", "said"), [(0, "0 %"), (1, "100 %"), (0.63, "63 %"), (0.0412, "4.1 %"), (0.0005, "0.05 %"), (0.00001, "< 0.01 %"), (0.9996, "99.96 %"), (0.999999, "99.99 %"), (0.996, "99.6 %")])
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float, said: str) -> None:
    assert text.percent(share) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(1204, "s", "1,204 s"), (0.42, "s", "0.42 s"), (40.02, "1/s", "40.0/s"), (7, "sessions", "7 sessions"), (1536, "bytes", "1.5 KiB"), (None, "ms", "–"), (float("nan"), "ms", "–"), (2500, "µs", "2.5 ms"), (24010, "", "24,010")],
)
def test_numbers_carry_their_unit(value: float | None, unit: str, said: str) -> None:
    assert text.number(value, unit) == said


@pytest.mark.parametrize(("value", "said"), [(0.5, "0.50 s"), (80, "80 s"), (120, "2 min"), (5400, "90 min"), (27_000, "7.5 h"), (604_800, "7 days")])
def test_stretches_of_time(value: float, said: str) -> None:
    assert text.stretch(value) == said


def test_a_share_says_of_what() -> None:
    assert text.measured(m(0.63, "share of added request-seconds")) == "63 % of added request-seconds"
    assert text.measured(m(None, "share of requests")) == "–"


def test_an_interval_names_its_unit_once_and_an_open_end() -> None:
    assert text.interval(m(246, "ms", 231, 290)) == "231–290 ms"
    assert text.interval(m(900, "ms", 800, 1200)) == "800 ms–1.20 s"
    assert text.interval(m(900, "ms", 800, None)) == "800 ms–?"
    assert text.interval(m(0.12, "share", 0.11, 0.13)) == "11–13 %"
    assert text.interval(m(900, "ms")) == text.interval(12) == ""


def test_provenance_tells_interval_sample_and_method() -> None:
    assert text.provenance(m(246, "ms", 231, 290, 1160, method="order statistics")) == "95 % interval 231–290 ms; n = 1,160; order statistics"


def test_a_test_without_a_value() -> None:
    assert text.bound_value({"value": None, "passed": None}) == "not measured"
    assert text.bound_value({"value": None, "passed": True}) == "–"
    assert [text.bound_value({"value": v}) for v in (0.63, 1.002, 4.1, 0, "94 of 96", 1234567)] == ["0.63", "1.002", "4.1", "0", "94 of 96", "1,234,567"]


def test_windows_and_instants() -> None:
    assert text.span({"start": "2026-11-23T07:50:00Z", "end": "2026-11-23T08:11:00Z"}) == "2026-11-23 07:50:00 – 08:11:00 UTC"
    assert text.span({"start": "2026-11-23T23:50:00Z", "end": "2026-11-24T00:11:00.5Z"}) == "2026-11-23 23:50:00 – 2026-11-24 00:11:00 UTC"
    assert text.span(None) == ""
    assert text.clock("not a time") == "not a time"
    assert text.length({"start": "2026-11-23T07:50:00Z", "end": "2026-11-23T08:11:00Z"}) == 1260


def test_plurals_and_lists() -> None:
    assert [text.plural(n, word) for n, word in ((1, "source"), (2, "class"), (3, "query"))] == ["1 source", "2 classes", "3 queries"]
    assert [text.joined(x) for x in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


@pytest.mark.parametrize("payload", HOSTILE)
def test_no_hostile_text_keeps_a_character_that_acts(payload: str) -> None:
    said = text.plain(payload)
    assert said.isprintable()
    assert said.encode("utf-8")


def test_dangerous_characters_become_visible() -> None:
    assert text.plain("\x1b[31m\u202ex\ud800") == "\\x1b[31m\\u202ex\\ud800"
    assert text.plain("a\r\nb\tc", lines=True) == "a\nb c"
    assert text.plain("a\n::error::b", lines=True) == "a\n: :error::b"


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.text(alphabet=st.characters(), max_size=40))
def test_plain_text_is_printable_and_stays_so(value: str) -> None:
    said = text.plain(value)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 or c in "\u202e\u2066\u200b" for c in said)
    assert text.plain(said) == said
    assert len(text.cut(value, 10)) <= 10
