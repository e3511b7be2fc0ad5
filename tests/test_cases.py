"""Every recorded case gets a defensible answer: the class that its truth names, or one that its truth accepts.

See ``tests/cases/README.md``. A case that is known to fall short is listed with its reason, and must fall short: when it no longer
does, the list is out of date.
"""

import json
from pathlib import Path

import pytest

from perfaudit.audit import audit

CASES = sorted(p for p in (Path(__file__).parent / "cases").iterdir() if (p / "truth.json").is_file())
SHORT = {"018": "waits below deadlock_timeout leave no trace, and p95 × 2.6 in bursts is not told from noise: called healthy"}


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_recorded_case(case):
    truth = json.loads((case / "truth.json").read_text())
    baseline = case / "baseline"
    verdict = audit(case / "evidence", baseline=baseline if baseline.is_dir() else None)["verdict"]
    answer = verdict.get("problem", verdict["status"])
    if case.name in SHORT:
        assert answer not in (truth["problem"], *truth["accept"]), "no longer short: take it off the list"
        return
    assert answer in (truth["problem"], *truth["accept"])
    if answer != truth["problem"] or verdict["status"] != "constraint":
        return
    scope, wanted = verdict["scope"], truth.get("route")
    if wanted and "route" in scope:
        told, known = ({v} if isinstance(v, str) else set(v) for v in (scope["route"], wanted))
        assert told & known
    if truth.get("object"):
        assert scope["object"] == truth["object"]
    if truth.get("trigger") == "deploy":
        assert verdict["trigger"]["kind"] in ("deploy", "release", "commit")
