"""Stored results as arms: what their series tell, and what summaries cannot."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from perfaudit.comparison import results, run
from perfaudit.errors import UsageError
from perfaudit.testing import audit
from tests.traffic import START, requests

NAMES = ("before", "after")


@pytest.fixture(scope="module")
def stored() -> dict[str, dict[str, Any]]:
    """Results of a recording, another one like it, and one in which a route is slower."""
    later = START + 3_600_000_000
    return {
        "before": audit(requests=requests(400, 25, seed=1)),
        "alike": audit(requests=requests(400, 25, seed=2, start=later)),
        "slower": audit(requests=requests(400, 25, seed=3, start=later, slower={"/orders": 150})),
    }


def test_a_slower_route_is_told_from_its_series(stored: dict[str, dict[str, Any]]) -> None:
    out = results.part([stored["before"], stored["slower"]], NAMES, run.Asked())
    assert out["result"] == "worse"
    rows = {r["route"]: r for r in out["routes"]}
    assert rows["/orders"]["result"] == "worse"
    assert rows["/"]["result"] != "worse"
    assert rows["/orders"]["p95"]["a"] == next(r for r in stored["before"]["baseline"]["routes"] if r["route"] == "/orders")["duration_ms"]["p95"]
    assert "(from stored results)" in out["summary"]


def test_alike_is_not_called_other(stored: dict[str, dict[str, Any]]) -> None:
    out = results.part([stored["before"], stored["alike"]], NAMES, run.Asked())
    assert out["result"] in ("inconclusive", "no practical difference")


def test_a_route_without_a_series_is_shown_not_tested(stored: dict[str, dict[str, Any]]) -> None:
    short = copy.deepcopy([stored["before"], stored["slower"]])
    for result in short:
        result["baseline"].pop("route_series")
        result["baseline"]["series"] = {}
    out = results.part(short, NAMES, run.Asked())
    assert (out["result"], out["error_rate"]["questions"]) == ("inconclusive", 0)
    assert all("shown, not tested" in r["reason"] for r in out["routes"])


def test_another_mix_leaves_the_total_open(stored: dict[str, dict[str, Any]]) -> None:
    moved = copy.deepcopy(stored["alike"])
    for row, count in zip(moved["baseline"]["routes"], (9000, 500, 500), strict=False):
        row["count"] = count
    out = results.part([stored["before"], moved], NAMES, run.Asked())
    assert "the total is not judged" in " ".join(out["notes"])
    assert all("result" not in m for m in out["metrics"])


def test_the_same_result_twice_says_nothing(stored: dict[str, dict[str, Any]]) -> None:
    out = results.part([stored["before"], stored["before"]], NAMES, run.Asked())
    assert "same recording" in out["summary"]


@pytest.mark.parametrize("kind", ["canary", "environments", "deploys"])
def test_what_summaries_cannot_answer(stored: dict[str, dict[str, Any]], kind: str) -> None:
    with pytest.raises(UsageError, match="hold too little"):
        results.part([stored["before"], stored["alike"]], NAMES, run.Asked(kind=kind))


def test_what_is_a_result_and_what_is_not(stored: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(stored["before"], sort_keys=True))
    assert results.load(str(file)) == stored["before"]
    for text in ('{"audit": 1', '[{"audit": 1}]', '{"time": 1, "audit": "x"}\n{"time": 2}', '{"msg": "x"}', ""):
        file.write_text(text)
        assert results.load(str(file)) is None
    file.write_text(json.dumps({"schema_version": 1, "audit": {}, "comparison": {}}))
    with pytest.raises(UsageError, match="holds no figures"):
        results.load(str(file))
    assert results.load("-") is None
    assert results.load(str(tmp_path)) is None
