"""Recorded systems: halves of a healthy recording are never called better or worse, and a recorded fault is called worse on its route."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfaudit.audit import ad_hoc_columns, opened
from perfaudit.comparison import run
from perfaudit.config import instant
from perfaudit.evidence.readers import ReadOptions
from perfaudit.evidence.store import Evidence

CASES = Path(__file__).parent.parent / "cases"
TRUTH = {p.parent.name: json.loads(p.read_text()) for p in sorted(CASES.glob("*/truth.json"))}
HEALTHY = [name for name, truth in TRUTH.items() if truth["problem"] == "healthy"]
#: One of each mechanism that makes a route slower.
FAULTS = ("005", "010", "016", "019", "103")


def evidence(name: str, part: str, home: Path) -> Evidence:
    return Evidence(opened([CASES / name / part], home / part, ReadOptions(columns=ad_hoc_columns())))


@pytest.mark.parametrize("name", HEALTHY)
def test_halves_of_a_healthy_recording(name: str, tmp_path: Path) -> None:
    whole = evidence(name, "evidence", tmp_path)
    window = run.arm(name, whole, run.Asked()).window
    arms = run.halves(name, whole, (window.start + window.end) // 2, run.Asked())
    assert run.compared(*arms, run.Asked())[0]["result"] in ("inconclusive", "no practical difference")


@pytest.mark.parametrize("name", FAULTS)
def test_a_recorded_fault_is_worse_on_its_route(name: str, tmp_path: Path) -> None:
    truth, whole = TRUTH[name], evidence(name, "evidence", tmp_path)
    if (CASES / name / "baseline").is_dir():
        arms = run.arm("baseline", evidence(name, "baseline", tmp_path), run.Asked()), run.arm("fault", whole, run.Asked())
    else:
        arms = run.halves(name, whole, instant(truth["fault_start"]), run.Asked(until=instant(truth["fault_end"]) if truth["fault_end"] else None))
    out = run.compared(*arms, run.Asked())[0]
    assert out["result"] == "worse"
    assert truth["route"] in [r["route"] for r in out["routes"] if r["result"] == "worse"]
