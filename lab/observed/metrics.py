"""Metrics, the same whether they came from Prometheus or as OTLP JSON: series of (epoch seconds, value) by name and labels."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.observed.spans import attributes

Labels = tuple[tuple[str, str], ...]
Points = list[tuple[float, float]]
_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+) (\S+)")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')


def read(folder: Path) -> dict[str, dict[Labels, Points]]:
    """All series of a part. Histograms become ``NAME_sum``, ``NAME_count`` and ``NAME_bucket`` with the label ``le``, as in Prometheus."""
    found: dict[str, dict[Labels, Points]] = {}
    for path in sorted(folder.glob("*")):
        points = _prometheus(path) if path.suffix == ".prom" else _otlp_file(path) if path.name.startswith("otlp-metrics") else ()
        for name, labels, at, value in points:
            found.setdefault(name, {}).setdefault(tuple(sorted(labels.items())), []).append((at, value))
    return found


def instance(labels: Labels) -> str:
    """Which process told a series."""
    known = dict(labels)
    return known.get("service.instance.id") or known.get("instance") or known.get("service.name", "")


def grown(points: Points, seen: float) -> float:
    """How much a counter grew. A fall is a reset; a series that came later than the first one of its process (`seen`) began at 0."""
    total = points[0][1] if points[0][0] > seen + 0.5 else 0.0
    return total + sum(b - a if b >= a else b for (_, a), (_, b) in itertools.pairwise(points))


def _prometheus(path: Path) -> Iterator[tuple[str, dict[str, str], float, float]]:
    for line in path.read_text().splitlines():
        if not line.startswith("#") and (m := _SAMPLE.fullmatch(line)):
            yield m[1], dict(_LABEL.findall(m[2] or "")), float(m[4]), float(m[3])


def _otlp_file(path: Path) -> Iterator[tuple[str, dict[str, str], float, float]]:
    for line in path.read_text().splitlines():
        for resource in json.loads(line).get("resourceMetrics", ()):
            about = attributes(resource.get("resource", {}).get("attributes", ()))
            base = {k: str(v) for k, v in about.items() if k.startswith("service.")}
            for scope in resource.get("scopeMetrics", ()):
                for metric in scope.get("metrics", ()):
                    yield from _otlp(metric, base)


def _otlp(metric: dict[str, Any], base: dict[str, str]) -> Iterator[tuple[str, dict[str, str], float, float]]:
    name = metric["name"]
    for kind in ("gauge", "sum", "histogram"):
        for point in metric.get(kind, {}).get("dataPoints", ()):
            at = int(point["timeUnixNano"]) / 1e9
            labels = {**base, **{k: str(v) for k, v in attributes(point.get("attributes", ())).items()}}
            if kind != "histogram":
                yield name, labels, at, float(point.get("asDouble", point.get("asInt", 0)))
                continue
            yield f"{name}_count", labels, at, float(point.get("count", 0))
            yield f"{name}_sum", labels, at, float(point.get("sum", 0))
            total = 0.0
            for bound, count in zip([*point.get("explicitBounds", ()), "+Inf"], point.get("bucketCounts", ()), strict=False):
                total += float(count)
                yield f"{name}_bucket", {**labels, "le": str(bound)}, at, total
