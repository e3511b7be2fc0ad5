"""A log that says of some requests that they came, and of none how long they took, beside one that says it of all."""

from __future__ import annotations

from perfaudit.baseline import tiers
from perfaudit.testing import evidence
from tests.traffic import requests


def test_an_applications_lines_about_slow_requests_are_told_again_by_the_edge() -> None:
    edge = requests(slower={"/orders": 300}, since=60)
    whole = [{"time": t, "duration_us": d, "route": r, "method": "POST", "status": 200, "service": "web"} for t, d, r in zip(edge["time"], edge["duration_us"], edge["route"], strict=True)]
    slow = [{**row, "time": row["time"] + row["duration_us"], "duration_us": None, "service": "app"} for row in whole if row["duration_us"] > 200_000]
    rows = whole + slow
    found = tiers.find(evidence(requests=rows))
    assert {t.service: t.inside for t in found.all} == {"app": "web", "web": ""} and len(slow) > 50


def test_a_log_of_all_requests_without_durations_stays() -> None:
    edge = requests()
    bare = [{"time": t, "route": r, "method": "GET", "status": 200, "service": "edge"} for t, r in zip(edge["time"], edge["route"], strict=True)] * 2
    timed = [{"time": t + 30_000_000_000, "route": r, "method": "GET", "status": 200, "service": "app", "duration_us": 5000} for t, r in zip(edge["time"], edge["route"], strict=True)]
    assert "edge" in tiers.find(evidence(requests=bare + timed)).outermost
