"""Charts as server-side SVG: pure functions of plain lists, no script, no external resource.

Colours come from CSS classes of the page (light, dark and print palettes), so no chart carries a style of its own. Every text is
escaped; every chart has a title and a description for screen readers; a value of None leaves a gap. Coordinates are in
``viewBox`` units; a chart is as wide as its container and scrolls where that is too narrow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

from perfaudit.report.text import cut, duration, percent, plain, stretch

Points = Sequence[float | None]

WIDTH = 1000
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 52, 26, 26
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000)
#: More points than this are drawn as the largest of each group: the screen has no more columns.
MAX_POINTS = 500
MAX_COLUMNS = 250
MAX_MARKS = 40
#: A stretch without a value is drawn as a break where it takes more than this share of the axis; the break takes ``BREAK``.
LONG_GAP, BREAK = 0.15, 0.03
#: Values from here on are not drawn: axes around them would leave the range of floating point.
_FARTHEST = 1e300
HEAT_LEVELS = 7


@dataclass(frozen=True)
class Line:
    """A line of a chart: its label, its values (one per interval), its CSS class."""

    label: str
    values: Points
    css: str


@dataclass(frozen=True)
class Band:
    """A shaded stretch of time, in seconds since the epoch."""

    start: float
    end: float
    label: str
    css: str


@dataclass(frozen=True)
class Mark:
    """An instant that is marked by a vertical line, in seconds since the epoch."""

    time: float
    label: str


@dataclass(frozen=True)
class Grid:
    """A regular time axis: first instant (seconds since the epoch), seconds per interval, number of intervals.

    ``skipped`` are stretches that hold nothing, in order; each is drawn as a narrow break of the axis.
    """

    start: float
    interval: float
    n: int
    skipped: tuple[tuple[float, float], ...] = ()

    @property
    def end(self) -> float:
        """The end of the last interval, in seconds since the epoch."""
        return self.start + self.interval * self.n

    def x(self, time: float, left: float = _LEFT, width: float = WIDTH - _LEFT - _RIGHT) -> float:
        """The abscissa of an instant, kept inside the plot."""
        return left + width * min(1.0, max(0.0, self._drawn(time) / (self._drawn(self.end) or 1.0)))

    def _drawn(self, time: float) -> float:
        """Seconds of axis up to ``time``: a skipped stretch counts as :data:`BREAK` of what is not skipped."""
        short = BREAK * (self.end - self.start - sum(b - a for a, b in self.skipped))
        return time - self.start - sum((1 - short / (b - a)) * (min(time, b) - a) for a, b in self.skipped if time > a and b - a > short)

    def hides(self, time: float) -> bool:
        """Whether ``time`` lies inside a break of the axis."""
        return any(a < time < b for a, b in self.skipped)


@dataclass(frozen=True)
class Scale:
    """A vertical axis from ``low`` (at ``bottom``) to ``high`` (at ``top``), logarithmic or linear."""

    low: float
    high: float
    top: float
    bottom: float
    log: bool = False

    def y(self, value: float) -> float:
        """The ordinate of ``value``, kept inside the plot."""
        place = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low) if self.log else (value - self.low) / (self.high - self.low)
        return self.bottom - (self.bottom - self.top) * min(1.0, max(0.0, place))

    def ticks(self, about: int = 4) -> list[float]:
        """Round values inside the scale: 1-2-5 steps."""
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high, about)


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 3 else (1, 3) if len(decades) == 4 else (1,)
    return [tick for decade in decades for step in steps if low * 0.999 <= (tick := step * 10.0**decade) <= high * 1.001]


def _linear_ticks(low: float, high: float, about: int) -> list[float]:
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(s * unit for s in (1, 2, 2.5, 5, 10) if s * unit >= raw * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step * 1.0001) + 1)]


def scale_for(values: Sequence[Points], top: float, bottom: float, *, log: bool) -> Scale | None:
    """A scale that holds all values; None where there is none to draw."""
    known = [v for line in values for v in line if v is not None and abs(v) < _FARTHEST and (v > 0 or not log)]
    if not known:
        return None
    low, high = min(known), max(known)
    if not log:
        low, high = min(0.0, low), max(0.0, high)
        return Scale(low, high + 0.08 * (high - low) or 1.0, top, bottom)
    low, high = low / 1.2, high * 1.25
    if high / low < 4:
        middle = math.sqrt(low) * math.sqrt(high)  # their product could overflow
        low, high = middle / 2, middle * 2
    return Scale(low, high, top, bottom, log=True)


def number(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def milliseconds(value: float) -> str:
    """A tick in milliseconds: ``100 ms``, ``1 s``."""
    return re.sub(r"\.0+(?= )", "", duration(value))


def label(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    """A text element; the text is cleaned and escaped."""
    return f'<text x="{number(x)}" y="{number(y)}" class="{css}" text-anchor="{anchor}">{escape(plain(text))}</text>'


def figure(body: Iterator[str] | Sequence[str], *, width: float, height: float, title: str, desc: str, css: str = "chart") -> str:
    """The ``<svg>`` around ``body``, an image with a title and a description."""
    head = f'<svg class="{css}" viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{escape(plain(f"{title}. {desc}"))}">'
    return f"{head}<title>{escape(plain(title))}</title><desc>{escape(plain(desc))}</desc>{''.join(body)}</svg>"


def thin(values: Points, limit: int = MAX_POINTS) -> list[float | None]:
    """At most ``limit`` values: the largest of each group (percentiles are never averaged); None where a group has none."""
    group = math.ceil(len(values) / limit)
    if group <= 1:
        return list(values)
    return [max((v for v in values[i : i + group] if v is not None), default=None) for i in range(0, len(values), group)]


def long_gaps(values: Points, start: float, interval: float) -> tuple[tuple[float, float], ...]:
    """Stretches of the axis in which no interval has a value, each longer than :data:`LONG_GAP` of the axis."""
    empty = [not value for value in values]
    return tuple(
        (start + first * interval, start + last * interval) for first, last, gap in _runs(empty) if gap and last - first > LONG_GAP * len(values)
    )  # fmt: skip


def time_ticks(grid: Grid, about: int = 8) -> list[tuple[float, str]]:
    """Round instants inside the grid with their labels (UTC)."""
    wanted = (grid.end - grid.start - sum(b - a for a, b in grid.skipped)) / about
    step = next((s for s in _STEPS if s >= wanted), _STEPS[-1] * math.ceil(wanted / _STEPS[-1]))
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%b %d"
    first = math.ceil(grid.start / step) * step
    times = range(int(first), math.floor(grid.end) + 1, int(step))
    return [(t, datetime.fromtimestamp(t, UTC).strftime(form)) for t in times if not grid.hides(t)]


def _frame(grid: Grid, scale: Scale, top: float, bottom: float, form: Callable[[float], str], *, times: bool, about: int = 4) -> Iterator[str]:
    right = WIDTH - _RIGHT
    for tick in scale.ticks(about):
        y = scale.y(tick)
        yield f'<path class="grid" d="M{_LEFT} {number(y)}H{right}"/>' + label(_LEFT - 8, y + 4, form(tick), "tick", "end")
    yield f'<path class="axis" d="M{_LEFT} {number(bottom)}H{right}"/>'
    if times:
        previous = -math.inf
        for t, name in time_ticks(grid):
            x = grid.x(t)
            if x - previous < 48:
                continue
            previous = x
            yield f'<path class="axis" d="M{number(x)} {number(bottom)}v5"/>' + label(x, bottom + 18, name, "tick", "middle")
    for begin, end in grid.skipped:
        left, wide = grid.x(begin), grid.x(end) - grid.x(begin)
        yield f'<rect class="gap" x="{number(left)}" y="{number(top)}" width="{number(wide)}" height="{number(bottom - top + 1)}"><title>nothing for {stretch(end - begin)}</title></rect>'
        yield label(left + wide / 2, bottom + 4, "//", "tick", "middle")


def _bands(grid: Grid, bands: Sequence[Band], top: float, bottom: float) -> Iterator[str]:
    for band in bands:
        left, right = grid.x(band.start), grid.x(band.end)
        if right > left:
            yield f'<rect class="{band.css}" x="{number(left)}" y="{number(top)}" width="{number(right - left)}" height="{number(bottom - top)}"/>'


def _band_names(grid: Grid, bands: Sequence[Band], bottom: float) -> Iterator[str]:
    for band in bands:
        if grid.x(band.end) - grid.x(band.start) > 60:
            yield label(grid.x(band.start) + 6, bottom - 7, band.label, "band-name")


def _marks(grid: Grid, marks: Sequence[Mark], top: float, bottom: float, *, named: bool) -> Iterator[str]:
    free = [0.0, 0.0]  # right end of the last label of each of two rows
    for mark in sorted(marks, key=lambda m: m.time)[:MAX_MARKS]:
        if not grid.start <= mark.time <= grid.end:
            continue
        x = grid.x(mark.time)
        yield f'<path class="mark" d="M{number(x)} {number(top - 4)}V{number(bottom)}"/>'
        name = cut(mark.label, 34)
        wide = 6.2 * len(name)
        anchor = "end" if x + wide > WIDTH else "start"
        begin = x - wide if anchor == "end" else x
        row = next((i for i in (1, 0) if begin >= free[i]), None)
        if named and row is not None:
            free[row] = begin + wide + 12
            yield label(x, top - 8 - 13 * (1 - row), name, "mark-name", anchor)


def _path(grid: Grid, scale: Scale, values: Points, left: float = _LEFT, width: float = WIDTH - _LEFT - _RIGHT) -> str:
    """The ``d`` of a line with gaps at None; a lone point becomes a short dash."""
    step = (grid.end - grid.start) / (len(values) or 1)
    parts, pen = [], False
    for i, value in enumerate(values):
        time = grid.start + (i + 0.5) * step
        if value is None or not math.isfinite(value) or grid.hides(time):
            pen = False
            continue
        x = number(grid.x(time, left, width))
        alone = not pen and (i + 1 == len(values) or values[i + 1] is None)
        parts.append(f"{'L' if pen else 'M'}{x} {number(scale.y(value))}{'h1' if alone else ''}")
        pen = True
    return "".join(parts)


def line_chart(
    lines: Sequence[Line], grid: Grid, *, title: str, desc: str, bands: Sequence[Band] = (), marks: Sequence[Mark] = (), log: bool = True, height: float = 320,
    form: Callable[[float], str] = milliseconds, named: bool = True,
) -> str:  # fmt: skip
    """Lines over time with shaded windows and marked events. ``named`` also writes the names of bands and marks. "" without a value."""
    top, bottom = (_TOP + 14 if named and marks else 12), height - _BOTTOM
    scale = scale_for([line.values for line in lines], top, bottom, log=log)
    if scale is None:
        return ""
    body = [*_bands(grid, bands, top, bottom), *_frame(grid, scale, top, bottom, form, times=True, about=5 if height > 200 else 2)]
    body += _marks(grid, marks, top, bottom, named=named)
    ends = []
    for line in lines:
        values = thin(line.values)
        body.append(f'<path class="line {line.css}" d="{_path(grid, scale, values)}"/>')
        last = next((v for v in reversed(values) if v is not None), None)
        if last is not None:
            ends.append((scale.y(last), line))
    for y, line in _apart(ends, 14):
        body.append(label(WIDTH - _RIGHT + 6, y + 4, line.label, f"line-name {line.css}"))
    body += _band_names(grid, bands, bottom) if named else []
    return figure(body, width=WIDTH, height=height, title=title, desc=desc)


def _apart(ends: list[tuple[float, Line]], gap: float) -> list[tuple[float, Line]]:
    """Labels moved down until none covers another."""
    out: list[tuple[float, Line]] = []
    ranked = sorted(enumerate(ends), key=lambda end: (round(end[1][0] / gap), -end[0]))  # at one height the later line stands on top
    for _, (y, line) in ranked:
        out.append((max(y, out[-1][0] + gap) if out else y, line))
    return out


def heat_map(counts: Sequence[Sequence[int]], bounds: Sequence[float], grid: Grid, *, title: str, desc: str, bands: Sequence[Band] = (), height: float = 300) -> str:
    """Requests per interval (columns) and duration (rows, logarithmic); a stronger colour is more, on a logarithmic colour scale. "" without a count."""
    columns = _merged(counts, MAX_COLUMNS)
    rows = len(bounds) - 1
    used = [i for i in range(rows) if any(column[i] for column in columns)]
    if not used:
        return ""
    first, last = used[0], used[-1] + 1
    top, bottom = 12.0, height - _BOTTOM
    scale = Scale(max(bounds[first], 1e-3), bounds[last], top, bottom, log=True)
    most = max(max(column) for column in columns)
    body = list(_frame(grid, scale, top, bottom, milliseconds, times=True))
    step = (grid.end - grid.start) / len(columns)
    edges = [number(grid.x(grid.start + i * step)) for i in range(len(columns) + 1)]
    heights = [number(scale.y(max(b, 1e-3))) for b in bounds]
    cells: dict[int, list[str]] = {}
    for row in range(first, last):
        for begin, end, level in _runs([_level(column[row], most) for column in columns]):
            if level:
                cells.setdefault(level, []).append(f"M{edges[begin]} {heights[row]}H{edges[end]}V{heights[row + 1]}H{edges[begin]}z")
    body += [f'<path class="heat h{level}" d="{"".join(paths)}"/>' for level, paths in sorted(cells.items())]
    for band in bands:
        body.append(f'<path class="{band.css}-edge" d="M{number(grid.x(band.start))} {number(top)}V{number(bottom)}M{number(grid.x(band.end))} {number(top)}V{number(bottom)}"/>')
    return figure(body, width=WIDTH, height=height, title=title, desc=desc)


def _merged(counts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    group = max(1, math.ceil(len(counts) / limit))
    return [[sum(cell) for cell in zip(*counts[i : i + group], strict=True)] for i in range(0, len(counts), group)]


def _level(count: int, most: int) -> int:
    """0 for none, else 1 … :data:`HEAT_LEVELS` on a logarithmic scale."""
    return 0 if count <= 0 else 1 + min(HEAT_LEVELS - 1, int(HEAT_LEVELS * math.log(count) / math.log(most + 1)))


def _runs(levels: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """``(first, past the last, value)`` of each run of equal values."""
    cuts = [0, *(i for i in range(1, len(levels)) if levels[i] != levels[i - 1]), len(levels)]
    return ((begin, end, levels[begin]) for begin, end in pairwise(cuts))


def stacked_bar(parts: Sequence[tuple[str, float, str]], *, title: str, desc: str, height: float = 46) -> str:
    """One bar that sums to the whole: ``(name, share, css)`` from left to right; names stand inside where they fit. "" without a share.

    Positions are percentages of the container, so the bar narrows without shrinking its text.
    """
    total = sum(share for _, share, _ in parts)
    if total <= 0:
        return ""
    body, x = [], 0.0
    for name, share, css in parts:
        wide = share / total * 100
        said = percent(share)
        body.append(f'<rect class="part {css}" x="{x:.3f}%" y="0" width="{wide:.3f}%" height="{number(height)}"><title>{escape(plain(f"{name} {said}"))}</title></rect>')
        room = wide / 100 * WIDTH - 20
        if room >= 8.5 * len(said):
            body.append(f'<svg x="{x:.3f}%" width="{wide:.3f}%" height="{number(height)}">{label(10, height / 2 - 2, said, f"part-name {css}")}')
            body.append((label(10, height / 2 + 14, cut(name, int(room / 6.2)), f"part-sub {css}") if room > 40 else "") + "</svg>")
        x += wide
    head = f'<svg class="bar" width="100%" height="{number(height)}" role="img" aria-label="{escape(plain(f"{title}. {desc}"))}">'
    return f"{head}<title>{escape(plain(title))}</title><desc>{escape(plain(desc))}</desc>{''.join(body)}</svg>"


def dumbbell(before: Sequence[float], after: Sequence[float], scale: tuple[float, float], *, title: str, desc: str, width: float = 200) -> str:
    """Two values with their intervals ``(value, low, high)`` on a shared logarithmic axis: hollow before, filled after. An empty one is left out."""
    height, middle = 22, 11
    low, high = math.log(scale[0]), math.log(scale[1])

    def x(value: float) -> float:
        return 6 + (width - 12) * min(1.0, max(0.0, (math.log(max(value, scale[0])) - low) / (high - low or 1.0)))

    body = [f'<path class="grid" d="M6 {middle}H{number(width - 6)}"/>']
    if before and after:
        body.append(f'<path class="shift" d="M{number(x(before[0]))} {middle}H{number(x(after[0]))}"/>')
    for values, css in ((before, "dot-before"), (after, "dot-after")):
        if values:
            body.append(f'<path class="whisker {css}" d="M{number(x(values[1]))} {middle}H{number(x(values[2]))}"/><circle class="{css}" cx="{number(x(values[0]))}" cy="{middle}" r="4.5"/>')
    return figure(body, width=width, height=height, title=title, desc=desc, css="dumbbell")


def small_multiple(values: Points, grid: Grid, scale: Scale, *, title: str, desc: str, bands: Sequence[Band] = (), css: str = "p95") -> str:
    """One of several small charts that share ``scale`` (built with top 8 and bottom 88): a line, the windows, two ticks."""
    width, left = 320.0, 54.0
    body = []
    for band in bands:
        begin, end = grid.x(band.start, left, width - left - 6), grid.x(band.end, left, width - left - 6)
        body.append(f'<rect class="{band.css}" x="{number(begin)}" y="{number(scale.top)}" width="{number(end - begin)}" height="{number(scale.bottom - scale.top)}"/>')
    ticks = scale.ticks()
    for tick in (ticks[0], ticks[len(ticks) // 2], ticks[-1]) if len(ticks) > 2 else ticks:
        body.append(f'<path class="grid" d="M{number(left)} {number(scale.y(tick))}H{number(width - 6)}"/>' + label(left - 6, scale.y(tick) + 4, milliseconds(tick), "tick", "end"))
    body.append(f'<path class="line {css}" d="{_path(grid, scale, thin(values, 250), left, width - left - 6)}"/>')
    return figure(body, width=width, height=scale.bottom + 6, title=title, desc=desc)
