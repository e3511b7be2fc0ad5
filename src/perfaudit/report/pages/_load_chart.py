"""Charts with a load on the horizontal axis: throughput with the fitted law and its interval, latency with its bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from perfaudit.report import charts, text

XY = tuple[float, float]
_LEFT, _RIGHT, _TOP, _BOTTOM = 72.0, 96.0, 18.0, 40.0
_HEIGHT = 320.0


@dataclass(frozen=True)
class Curve:
    """A line through points in order of load; ``name`` stands at its end."""

    points: Sequence[XY]
    css: str
    name: str = ""


def scatter(
    points: Sequence[XY], *, curves: Sequence[Curve] = (), measured: float, reach: float, marks: Sequence[tuple[float, str]] = (), bound: tuple[float, str] | None = None,
    x_name: str, form: Callable[[float], str], title: str, desc: str,
) -> str:  # fmt: skip
    """Points and curves over load. Beyond ``measured`` (the largest load seen) up to ``reach`` the ground is shaded; ``marks``: loads with a
    name; ``bound``: a level with a name. "" without a point."""
    if not points:
        return ""
    most = max([*(y for _, y in points), *(y for c in curves for _, y in c.points), bound[0] if bound else 0.0])
    high = max(most, 1e-12) * 1.08
    scale = charts.Scale(0.0, high, _TOP, _HEIGHT - _BOTTOM)
    wide = charts.WIDTH - _LEFT - _RIGHT

    def x(load: float) -> float:
        return _LEFT + wide * min(1.0, max(0.0, load / reach))

    body = [*_ground(x, scale, measured, reach), *_frame(x, scale, reach, form, x_name)]
    for curve in curves:
        path = "L".join(f"{charts.number(x(a))} {charts.number(scale.y(b))}" for a, b in curve.points)
        if path:
            body.append(f'<path class="line {curve.css}" d="M{path}"/>')
        if curve.name and curve.points:
            body.append(charts.label(x(curve.points[-1][0]) + 6, scale.y(curve.points[-1][1]) + 4, curve.name, f"line-name {curve.css}"))
    if bound:
        y = charts.number(scale.y(bound[0]))
        body.append(f'<path class="mark" d="M{_LEFT:g} {y}H{charts.WIDTH - _RIGHT:g}"/>' + charts.label(_LEFT + 6, scale.y(bound[0]) - 5, bound[1], "mark-name"))
    for i, (load, name) in enumerate(sorted(marks)):
        place = charts.number(x(load))
        body.append(f'<path class="mark" d="M{place} {_TOP:g}V{charts.number(scale.bottom)}"/>' + charts.label(x(load) + 5, scale.bottom - 8 - 14 * (i % 3), name, "mark-name"))
    for load, value in points:
        said = escape(text.plain(f"{text.trimmed(load)}: {form(value)}"))
        body.append(f'<circle class="dot-after" cx="{charts.number(x(load))}" cy="{charts.number(scale.y(value))}" r="3.2"><title>{said}</title></circle>')
    return charts.figure(body, width=charts.WIDTH, height=_HEIGHT, title=title, desc=desc)


def _ground(x: Callable[[float], float], scale: charts.Scale, measured: float, reach: float) -> Iterator[str]:
    if reach > measured:
        left, right = x(measured), x(reach)
        yield f'<rect class="reference" x="{charts.number(left)}" y="{_TOP:g}" width="{charts.number(right - left)}" height="{charts.number(scale.bottom - _TOP)}"/>'
        yield charts.label(left + 6, _TOP + 14, "not measured, up to twice the largest load", "band-name")


def _frame(x: Callable[[float], float], scale: charts.Scale, reach: float, form: Callable[[float], str], x_name: str) -> Iterator[str]:
    right = charts.number(charts.WIDTH - _RIGHT)
    for tick in scale.ticks(5):
        y = scale.y(tick)
        yield f'<path class="grid" d="M{_LEFT:g} {charts.number(y)}H{right}"/>' + charts.label(_LEFT - 8, y + 4, form(tick), "tick", "end")
    yield f'<path class="axis" d="M{_LEFT:g} {charts.number(scale.bottom)}H{right}"/>'
    for tick in charts.Scale(0.0, reach, 0.0, 1.0).ticks(8):
        place = x(tick)
        yield f'<path class="axis" d="M{charts.number(place)} {charts.number(scale.bottom)}v5"/>' + charts.label(place, scale.bottom + 18, text.trimmed(tick), "tick", "middle")
    yield charts.label(x(reach), scale.bottom + 34, x_name, "tick", "end")
