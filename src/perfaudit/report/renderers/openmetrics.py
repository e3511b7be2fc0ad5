"""The verdict and the percentiles as gauges, for a Prometheus textfile collector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from perfaudit.report import pages, text, view

NAME = "OpenMetrics"
SUFFIXES = (".prom", ".om")
PREFIX = "openmetrics"

#: Routes that are exposed: each costs eight series.
TOP_ROUTES = 20
_QUANTILES = (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99"))


def render(result: Mapping[str, Any]) -> str:
    """OpenMetrics 1.0 text: gauges only, base units, ``# EOF`` at the end."""
    verdict, baseline, found = result.get("verdict", {}), result.get("baseline", {}), pages.of(result)
    rows = [{**baseline.get("requests", {}), "route": ""}, *view.routes(result)[:TOP_ROUTES]]
    named = {"problem": verdict.get("problem", ""), "status": verdict.get("status", "")}
    families = (
        ("perfaudit_verdict_confidence_ratio", "ratio", "Confidence in the verdict (an ordering, not yet calibrated).", [(named, verdict.get("confidence"))]),
        ("perfaudit_verdict_share_ratio", "ratio", "What the constraint owns.", [(named, text.value_of(verdict.get("share")))]),
        ("perfaudit_checks", "", "Checks by outcome.", [({"outcome": name}, n) for name, n in view.outcomes(result).items()]),
        ("perfaudit_request_duration_seconds", "seconds", "Duration of requests; no route is all requests.", list(_durations(rows))),
        ("perfaudit_request_errors_ratio", "ratio", "Responses with status 500 or above.", list(_errors(rows))),
        ("perfaudit_page", "", "Pages of the report by how they answered: good, bad or open.", [({"page": page.key, "tone": page.tone}, 1) for page in found]),
        ("perfaudit_fact", "", "Measured facts of the pages, each in the unit that its label names.", list(_facts(found))),
    )
    lines = []
    for name, unit, meaning, samples in families:
        known = [(labels, value) for labels, value in samples if value is not None]
        if known:
            lines += [f"# TYPE {name} gauge", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {meaning}"]
            lines += [f"{name}{_labels(labels)} {value:.12g}" for labels, value in known]
    return "\n".join([*lines, "# EOF", ""])


def _stretches(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, str], Mapping[str, Any]]]:
    """Each route and window once: rare routes that differ only in what is shown must not repeat a series."""
    seen = set()
    for row in rows:
        for window in ("all", "affected", "reference"):
            labels = {"method": row.get("method") or "", "route": row.get("route") or "", "service": row.get("service") or "", "window": window}
            key = tuple(map(text.plain, labels.values()))
            if key not in seen:
                seen.add(key)
                yield labels, row if window == "all" else row.get(window, {})


def _durations(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, str], float | None]]:
    for labels, stretch in _stretches(rows):
        for name, quantile in _QUANTILES:
            value = text.value_of(stretch.get("duration_ms", {}).get(name))
            yield {**labels, "quantile": quantile}, None if value is None else value / 1000


def _errors(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, str], float | None]]:
    for labels, stretch in _stretches(rows):
        yield labels, text.value_of(stretch.get("error_ratio"))


def _facts(found: list[pages.Page]) -> Iterator[tuple[dict[str, str], float | None]]:
    seen = set()
    for page in found:
        for label, cell in page.facts:
            key = (text.plain(page.key), text.plain(label))
            if isinstance(cell, Mapping) and key not in seen:
                seen.add(key)
                yield {"page": page.key, "fact": label, "unit": str(cell.get("unit", ""))}, text.value_of(cell)


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return text.plain(value).replace("\\", "\\\\").replace('"', '\\"')

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in sorted(labels.items()) if value) + "}"
