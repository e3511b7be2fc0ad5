"""Dashboards green, users slow: what a usual panel shows beside what users felt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfaudit.report import text
from perfaudit.report.pages import Page, Table

QUESTION = "What do the usual dashboards hide?"
NOTE = "Each row is one way to look past it; they overlap and do not add up."
ADVICE = {
    "average": "show p95 and p99 beside the mean",
    "health checks": "leave routes that a timer asks out of the panel",
    "probe": "measure what users ask, with fixed arrivals",
    "one route": "show percentiles per route",
    "errors of one route": "show errors per route",
    "one instance": "show percentiles per instance",
    "one group of clients": "show percentiles per group of clients",
    "another tier": "measure at the edge",
    "a short spell": "show the worst ten seconds of a minute, or a heat map",
}


def page(result: Mapping[str, Any]) -> Page | None:
    """The page, where something is hidden."""
    rows = result.get("baseline", {}).get("hidden") or []
    if not rows:
        return None
    first = rows[0]
    shown, felt = first["shown"], first["felt"]
    answer = f"They show {text.measured(shown['measurement'])} ({shown['what']}) while users feel {text.measured(felt['measurement'])} ({felt['what']})."
    table = Table(
        "Shown and felt", ("Hidden by", "A panel shows", "", "Users feel", "", "What it is", "Look at it by"),
        [(r["how"], r["shown"]["what"], r["shown"]["measurement"], r["felt"]["what"], r["felt"]["measurement"], r["detail"], ADVICE.get(r["how"], "")) for r in rows], NOTE,
    )  # fmt: skip
    return Page("dashboards", "What dashboards hide", QUESTION, answer, "bad", (("Hidden by", first["how"]), ("What it is", first["detail"])), (), (table,))
