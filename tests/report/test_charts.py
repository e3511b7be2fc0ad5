"""Charts are well-formed SVG that shows what it was given."""

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.report import charts
from perfaudit.report.charts import Band, Grid, Line, Mark

from .sample import HOSTILE

GRID = Grid(1795420800.0, 10.0, 6)


def parse(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"]
    assert root.find("title") is not None
    assert root.find("desc") is not None
    assert "style" not in svg
    return root


def paths(root: ElementTree.Element, css: str) -> list[str]:
    return [p.attrib["d"] for p in root.iter("path") if css in p.attrib.get("class", "").split()]


def test_a_gap_is_left_where_nothing_was_measured() -> None:
    root = parse(charts.line_chart([Line("p95", [1, 2, None, 4, None, 6], "p95")], GRID, title="t", desc="d"))
    (line,) = paths(root, "line")
    assert line.count("M") == 3
    assert line.count("L") == 1
    assert line.count("h1") == 2  # points without a neighbour are dashes


def test_windows_and_events_are_drawn_inside_the_plot() -> None:
    svg = charts.line_chart(
        [Line("p95", [1, 2, 3, 4, 5, 6], "p95")], GRID, title="t", desc="d", bands=[Band(GRID.start - 99, GRID.start + 30, "reference", "reference")], marks=[Mark(GRID.start + 30, "deploy"), Mark(GRID.end + 99, "later")]
    )
    root = parse(svg)
    (band,) = [r for r in root.iter("rect") if r.attrib["class"] == "reference"]
    assert float(band.attrib["x"]) == 64
    assert float(band.attrib["width"]) == pytest.approx((charts.WIDTH - 64 - 52) / 2, abs=0.1)
    assert "deploy" in svg
    assert "later" not in svg


def test_nothing_to_draw_is_no_chart() -> None:
    assert charts.line_chart([Line("p95", [None, None], "p95")], GRID, title="t", desc="d") == ""
    assert charts.line_chart([Line("p95", [0.0, math.nan], "p95")], GRID, title="t", desc="d") == ""
    assert charts.heat_map([[0, 0]], [1, 2, 4], GRID, title="t", desc="d") == ""
    assert charts.stacked_bar([], title="t", desc="d") == ""


def test_logarithmic_ticks_are_round_and_inside() -> None:
    scale = charts.scale_for([[3.0, 2800.0]], 0, 100, log=True)
    assert scale is not None
    assert scale.ticks() == [3, 10, 30, 100, 300, 1000, 3000] or scale.ticks() == [10, 100, 1000]
    assert all(0 <= scale.y(tick) <= 100 for tick in scale.ticks())
    assert scale.y(3.0) > scale.y(2800.0)


def test_linear_ticks_start_at_zero() -> None:
    scale = charts.scale_for([[18.0, 22.0]], 0, 100, log=False)
    assert scale is not None
    assert scale.ticks() == [0, 10, 20]


@pytest.mark.parametrize(("interval", "first"), [(1, "00:00:00"), (10, "00:00"), (3600, "Nov 23"), (86400, "Dec 03")])
def test_time_ticks_are_round_at_every_length(interval: int, first: str) -> None:
    ticks = charts.time_ticks(Grid(1795392000.0, interval, 120))
    assert 3 <= len(ticks) <= 10
    assert first in ticks[0][1]


def test_a_long_empty_stretch_breaks_the_axis() -> None:
    counts = [5.0] * 20 + [0.0] * 60 + [5.0] * 20
    gaps = charts.long_gaps(counts, GRID.start, 10.0)
    assert gaps == ((GRID.start + 200, GRID.start + 800),)
    grid = Grid(GRID.start, 10.0, 100, gaps)
    plain = Grid(GRID.start, 10.0, 100)
    assert grid.x(grid.start) == plain.x(plain.start)
    assert grid.x(grid.end) == plain.x(plain.end)
    assert grid.x(GRID.start + 800) - grid.x(GRID.start + 200) == pytest.approx(0.03 / 1.03 * (charts.WIDTH - 64 - 52))
    assert [grid.x(t) for t in range(10)] == sorted(grid.x(t) for t in range(10))
    assert not [t for t, _ in charts.time_ticks(grid) if gaps[0][0] < t < gaps[0][1]]
    svg = charts.line_chart([Line("p95", [v or None for v in counts], "p95")], grid, title="t", desc="d")
    assert len([r for r in parse(svg).iter("rect") if r.attrib["class"] == "gap"]) == 1
    assert charts.long_gaps([1.0, 0.0, 1.0] * 10, 0.0, 1.0) == ()


def test_thinning_keeps_the_largest_and_never_averages() -> None:
    values: list[float | None] = [1.0] * 2000
    values[777] = 99.0
    values[1000:1008] = [None] * 8
    thinned = charts.thin(values)
    assert len(thinned) <= charts.MAX_POINTS
    assert max(v for v in thinned if v is not None) == 99.0
    assert None in thinned


def test_heat_map_draws_every_count_once() -> None:
    counts = [[1, 0, 5], [1, 0, 50], [0, 0, 0], [2, 3, 4], [0, 0, 1], [9, 9, 9]]
    root = parse(charts.heat_map(counts, [1, 10, 100, 1000], GRID, title="t", desc="d"))
    boxes = [re.findall(r"M([\d.]+) ([\d.]+)H([\d.]+)V([\d.]+)", d) for d in paths(root, "heat")]
    area = sum((float(x2) - float(x1)) * abs(float(y2) - float(y1)) for group in boxes for x1, y1, x2, y2 in group)
    plot = (charts.WIDTH - 64 - 52) * (300 - 26 - 12)
    assert area == pytest.approx(plot * sum(c > 0 for row in counts for c in row) / 18, rel=0.01)


def test_a_long_recording_stays_small() -> None:
    n = 20_000
    grid = Grid(GRID.start, 1.0, n)
    line: list[float | None] = [1 + (i * 7919 % 997) for i in range(n)]
    assert len(charts.line_chart([Line("p95", line, "p95")], grid, title="t", desc="d")) < 20_000
    assert len(charts.heat_map([[(i * j) % 5 for j in range(40)] for i in range(n)], [1.3**i for i in range(41)], grid, title="t", desc="d")) < 400_000


def test_parts_of_a_bar_sum_to_the_whole() -> None:
    root = parse(charts.stacked_bar([("a", 0.2, "k0"), ("b", 0.5, "k1"), ("c", 0.1, "k2")], title="t", desc="d"))
    widths = [float(r.attrib["width"].rstrip("%")) for r in root.iter("rect")]
    assert widths == pytest.approx([25, 62.5, 12.5])


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_names_are_text(payload: str) -> None:
    for svg in (
        charts.line_chart([Line(payload, [1, 2], "p95")], GRID, title=payload, desc=payload, bands=[Band(GRID.start, GRID.end, payload, "affected")], marks=[Mark(GRID.start + 1, payload)]),
        charts.stacked_bar([(payload, 0.9, "k0"), ("b", 0.1, "k1")], title=payload, desc=payload),
        charts.dumbbell([2, 1, 3], [5, 4, 6], (1, 10), title=payload, desc=payload),
        charts.heat_map([[1, 2]], [1, 2, 4], GRID, title=payload, desc=payload),
    ):
        root = parse(svg)
        assert {element.tag for element in root.iter()} <= {"svg", "title", "desc", "rect", "path", "text", "circle"}


numbers: Any = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-10, 10**9))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.lists(numbers, min_size=1, max_size=30), st.booleans(), st.floats(0.001, 1e6))
def test_any_numbers_give_a_well_formed_chart_or_none(values: list[float | None], log: bool, interval: float) -> None:
    svg = charts.line_chart([Line("x", values, "p95")], Grid(0.0, interval, len(values)), title="t", desc="d", log=log)
    if svg:
        root = parse(svg)
        for d in paths(root, "line"):
            ordinates = [float(y) for _, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", d)]
            assert all(0 <= y <= 320 for y in ordinates)
