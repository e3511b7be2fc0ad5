"""Busy workers and the three parts of their growth."""

from __future__ import annotations

import math

import pytest

from perfaudit.paths.busy import Route, split

NAN = math.nan


def test_longer_holds() -> None:
    out = split([Route("/a", (10, 10), (0.3, 0.1)), Route("/b", (5, 5), (0.2, 0.2))])
    assert (out.now, out.before) == (pytest.approx(4), pytest.approx(2))
    assert out.longer == pytest.approx(2) and out.mix == pytest.approx(0) and out.load == pytest.approx(0)


def test_a_new_kind_of_request_is_mix() -> None:
    out = split([Route("/a", (10, 10), (0.1, 0.1)), Route("/news", (2, 0), (5.0, NAN))])
    assert out.longer == pytest.approx(0) and out.load == pytest.approx(0.2) and out.mix == pytest.approx(9.8)
    assert out.routes[0].name == "/news" and out.routes[0].busy == pytest.approx(10)


def test_more_of_the_same_is_load() -> None:
    out = split([Route("/a", (30, 10), (0.1, 0.1)), Route("/b", (15, 5), (0.2, 0.2))])
    assert out.load == pytest.approx(out.grown) == pytest.approx(4)


def test_the_parts_add_up() -> None:
    out = split([Route("/a", (12, 10), (0.3, 0.1)), Route("/b", (1, 5), (0.2, 0.4)), Route("/c", (2, 0.5), (1.0, NAN)), Route("", (3, 1), (NAN, NAN))])
    assert out.longer + out.mix + out.load == pytest.approx(out.grown)
    assert [r.name for r in out.routes] == ["/a", "/c", "/b"]
