"""``make evaluate``: a fake product that answers what its evidence tells it to, real processes, real files."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.evaluate.__main__ import CASES, main
from lab.evaluate.cases import Case, find
from lab.evaluate.judge import judge, prediction, route, thing
from lab.evaluate.product import Product
from lab.evaluate.rates import calibration, rate, spread

ROOT = Path(__file__).parents[3]
#: Answers with the verdict that lies in the evidence, or does what it says there; tells what it could see.
FAKE = """#!/bin/sh
[ "$1" = --version ] && exit 0
[ -f evidence/crash ] && { echo "boom" >&2; exit 2; }
[ -f evidence/kill ] && kill -9 $$
[ -f evidence/hang ] && sleep 60
[ -e truth.json ] || [ -e ../truth.json ] && exit 9
[ -d baseline ] && [ "$3" != --baseline ] && exit 8
cp evidence/answer.json result.json
[ -f evidence/weak ] && exit 3
exit 0
"""


def answer(problem: str, confidence: float = 0.9, **verdict: Any) -> dict[str, Any]:
    named = problem not in ("healthy", "insufficient-evidence")
    told = {
        "status": "constraint" if named else problem,
        "confidence": confidence,
        "decision": "",
        **({"problem": problem, "scope": {}} if named else {}),
        **verdict,
    }
    return {
        "schema_version": 1,
        "audit": {"tool": {"name": "perfaudit", "version": "0"}},
        "verdict": told,
        "findings": [{"problem": problem}] if named else [],
    }


def record(root: Path, number: str, truth: dict[str, Any], result: dict[str, Any] | None, *marks: str, baseline: bool = False) -> Path:
    folder = root / number
    (folder / "evidence").mkdir(parents=True)
    (folder / "truth.json").write_text(json.dumps(truth))
    if result:
        (folder / "evidence" / "answer.json").write_text(json.dumps(result))
    for mark in marks:
        (folder / "evidence" / mark).touch()
    if baseline:
        (folder / "baseline").mkdir()
    return folder


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    file = tmp_path / "fake"
    file.write_text(FAKE)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    root = tmp_path / "cases"
    lock = {
        "stack": "shop",
        "kind": "class",
        "name": "row-lock-contention",
        "problem": "row-lock-contention",
        "accept": [],
        "route": "/orders/:id",
        "object": "stock",
        "statement_contains": "update stock",
        "trigger": "deploy",
        "onset": "2026-11-23T15:00:10Z",
        "after": {"route": "/orders/{id}", "p95_ms": 100.0},
        "rivals": ["pool-exhaustion"],
    }
    good = answer(
        "row-lock-contention",
        scope={"route": "/orders/{id}", "object": "stock", "statement": "UPDATE stock SET n = $1"},
        trigger={"kind": "release"},
        since={"time": "2026-11-23T15:00:12Z", "interval": ["2026-11-23T15:00:11Z", "2026-11-23T15:00:13Z"]},
        predicted={"duration_ms": {"p95": {"value": 120.0, "ci": [90.0, 130.0]}}},
    )
    record(root / "dev", "201", lock, good, baseline=True)
    record(root / "dev", "202", lock | {"stack": "market", "rivals": ["pool-exhaustion"]}, answer("pool-exhaustion"))
    record(root / "dev", "203", lock, None, "crash")
    record(root / "validation", "301", lock | {"name": "cpu-busy-with-lock", "kind": "pair"}, answer("insufficient-evidence", 0.5), "weak")
    record(
        root / "validation",
        "302",
        {"problem": "healthy", "kind": "trap", "name": "warm-up", "stack": "market", "accept": []},
        answer("memory-leak", chain=["told in confidence"]),
    )
    record(
        root / "validation",
        "303",
        {"problem": "disk-saturation", "kind": "class", "stack": "simulated", "accept": []},
        answer("disk-saturation"),
    )
    record(
        root,
        "001",
        {"problem": "healthy", "accept": [], "route": None, "object": None, "statement_contains": None, "trigger": None},
        answer("healthy"),
    )
    return root


def evaluated(cases: Path, fake: Path, out: Path, *more: str) -> dict[str, Any]:
    assert main(["--root", str(cases), "--perfaudit", str(fake), "-o", str(out), *more]) == 0
    return dict(json.loads((out / "evaluation.json").read_text()))


def test_everything_is_counted_where_it_belongs(cases: Path, fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = evaluated(cases, fake, tmp_path / "out")
    outcomes = {f"{c['set']}/{c['case']}": c["outcome"] for c in made["cases"]}
    assert outcomes == {
        "dev/201": "right",
        "dev/202": "wrong",
        "dev/203": "failed",
        "earlier/001": "right",
        "validation/301": "abstained",
        "validation/302": "wrong",
        "validation/303": "right",
    }
    recorded = made["recorded"]
    assert made["simulated"]["sets"]["all"]["n"] == 1 and recorded["sets"]["all"]["n"] == 6
    dev, validation = recorded["sets"]["dev"], recorded["sets"]["validation"]
    assert (dev["right"]["k"], dev["right"]["n"], dev["failed"]["k"], dev["rival_named"]["k"]) == (1, 3, 1, 1)
    assert (
        dev["scope"]["k"]
        == dev["route"]["k"]
        == dev["trigger"]["k"]
        == dev["predicted_near"]["k"]
        == dev["predicted_in_interval"]["k"]
        == 1
    )
    assert dev["onset_in_interval"]["k"] == 0 and recorded["numbers"]["onset_error_s"]["median"] == 2.0
    assert validation["false_alarm"]["k"] == 1 and validation["abstained"]["k"] == 1
    assert recorded["calibration"]["accepted"]["n"] == 4
    assert {"truth": "healthy", "answer": "memory-leak", "n": 1} in recorded["confusion"]
    said = capsys.readouterr().out
    assert "exit 2: boom" in said and "Simulated recordings" in said
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert page.count("<svg") == 5 and "<script" not in page and "http" not in page.replace("http://www.w3.org", "")


def test_of_validation_cases_little_is_told(cases: Path, fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(cases, fake, tmp_path / "out")
    told = capsys.readouterr().out + (tmp_path / "out" / "evaluation.json").read_text() + (tmp_path / "out" / "evaluation.html").read_text()
    assert "told in confidence" not in told
    made = evaluated(cases, fake, tmp_path / "out", "--details", "--set", "validation")
    assert [c["said"]["chain"] for c in made["cases"] if c["case"] == "302"] == [["told in confidence"]]


def test_same_input_same_bytes_but_for_the_cost(cases: Path, fake: Path, tmp_path: Path) -> None:
    one, two = (evaluated(cases, fake, tmp_path / name, "--jobs", jobs) for name, jobs in (("a", "1"), ("b", "3")))
    assert one.pop("cost")["cases"].keys() == two.pop("cost")["cases"].keys()
    assert json.dumps(one) == json.dumps(two)


def test_what_changed_since_an_earlier_evaluation(cases: Path, fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(cases, fake, tmp_path / "old")
    for number, problem in (("201", "healthy"), ("202", "row-lock-contention")):
        (cases / "dev" / number / "evidence" / "answer.json").write_text(json.dumps(answer(problem)))
    capsys.readouterr()
    evaluated(cases, fake, tmp_path / "new", "--compare", str(tmp_path / "old" / "evaluation.json"))
    assert "1 newly right, 1 newly wrong, 0 another answer" in capsys.readouterr().out


def test_interrupted_before_the_first(tmp_path: Path) -> None:
    from lab.evaluate import page, summary, terminal

    made = summary.document([], {}, [Case("201", "dev", tmp_path, {"problem": "healthy"})], {"set": "dev", "user": "nobody"}, False)
    terminal.show(made)
    assert "Partial." in page.render(made) and made["not_run"] == ["dev/201"]


def test_only_some_numbers(cases: Path, fake: Path, tmp_path: Path) -> None:
    assert [c["case"] for c in evaluated(cases, fake, tmp_path / "out", "--cases", "201, 301")["cases"]] == ["201", "301"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "dev"], "no case of the set “dev”"),
        (["--cases", "999"], "no case 999"),
        (["--perfaudit", "nowhere"], "not installed"),
        (["--compare", "nowhere.json"], "cannot compare"),
    ],
)
def test_what_cannot_be_done_is_said_in_two_lines(
    arguments: list[str], words: str, fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "few", "001", {"problem": "healthy"}, answer("healthy"))
    assert main(["--root", str(tmp_path / "few"), "-o", str(tmp_path / "out"), "--perfaudit", str(fake), *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 2


def test_a_truth_that_cannot_be_read(tmp_path: Path) -> None:
    folder = record(tmp_path, "001", {"route": "/"}, None)
    with pytest.raises(LabError, match="lacks problem"):
        find(tmp_path)
    (folder / "truth.json").write_text("{")
    with pytest.raises(LabError, match="cannot read"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("hang", "timeout: no answer within 0.5 s"),
        ("kill", "killed by SIGKILL"),
        ("crash", "exit 2: boom"),
        ("nothing", "without a readable result"),
    ],
)
def test_a_run_without_an_answer(mark: str, words: str, fake: Path, tmp_path: Path) -> None:
    folder = record(tmp_path, "001", {"problem": "healthy"}, None, mark)
    run = Product(tmp_path, fake, timeout=0.5).audit(folder)
    assert run.result is None and run.failure and words in run.failure
    assert judge(Case("001", "dev", folder, {"problem": "healthy"}), None, run.failure).outcome == "failed"
    assert not list(tmp_path.glob("audit-*"))


def test_interrupted_what_was_done_is_written(cases: Path, fake: Path, tmp_path: Path) -> None:
    for number in range(210, 216):
        record(cases / "dev", str(number), {"problem": "healthy"}, answer("healthy"), "hang")
    argv = [
        sys.executable,
        "-m",
        "lab.evaluate",
        "--root",
        str(cases),
        "--perfaudit",
        str(fake),
        "--set",
        "dev",
        "-o",
        str(tmp_path / "out"),
    ]
    process = subprocess.Popen(
        argv, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    until = time.monotonic() + 30
    while len(list(tmp_path.glob("audits-*/audit-*/evidence/hang"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    _, said = process.communicate(timeout=150)  # the first page builds a font cache
    made = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert process.returncode == 130 and "interrupted" in said
    assert not made["complete"] and len(made["cases"]) >= 3 and len(made["cases"]) + len(made["not_run"]) == 9
    assert {"dev/214", "dev/215"} <= set(made["not_run"])
    assert not list(tmp_path.glob("audits-*"))


@pytest.mark.parametrize(
    ("told", "normal"),
    [
        ("GET /a/:id/b/", "/a/{id}/b"),
        ("/a/<int:id>?x=1", "/a/{id}"),
        ("/a/{order}/17", "/a/{id}/{id}"),
        ("/", "/"),
        ("/v2/x", "/v2/x"),
        ("/u/0f8fad5b-d9cb-469f-a165-70867728950e", "/u/{id}"),
    ],
)
def test_routes_are_compared_in_one_form(told: str, normal: str) -> None:
    assert route(told) == normal


def test_objects_are_compared_in_one_form() -> None:
    assert thing('public."Stock"') == "stock" and thing("product:{sku}:price") == "product:{id}:price"


def test_events_that_were_withheld_cannot_be_named() -> None:
    truth = {"problem": "missing-index", "trigger": "migration", "withheld": ["events"]}
    flags = judge(Case("1", "dev", Path(), truth), answer("missing-index")).flags
    assert "trigger" not in flags and "innocent_blamed" not in flags
    blamed = judge(
        Case("1", "dev", Path(), {"problem": "missing-index", "trigger": None}), answer("missing-index", trigger={"kind": "deploy"})
    ).flags
    assert blamed["innocent_blamed"] is True


def test_a_prediction_of_another_route_is_none() -> None:
    truth = {"problem": "missing-index", "after": {"route": "/a", "p95_ms": 10.0}}
    flags = judge(
        Case("1", "dev", Path(), truth), answer("missing-index", scope={"route": "/b"}, predicted={"duration_ms": {"p95": 10.0}})
    ).flags
    assert flags["predicted"] is False and "predicted_near" not in flags


def test_a_prediction_that_names_its_route_is_held_against_that_route() -> None:
    truth = {"class": "missing-index", "after": {"route": "/a", "p95_ms": 10.0}, "measured": {"fixed": {"routes": {"GET /b": {"p95": 50.0}}}}}
    predicted = {"route": "GET /b", "duration_ms": {"p95": {"value": 48.0}}}
    numbers: dict[str, float] = {}
    flags = prediction(truth, {"scope": {"route": ["/a", "/b"]}, "predicted": predicted}, numbers)
    assert flags == {"predicted": True, "predicted_near": True}
    assert numbers["measured_p95_ms"] == 50.0
    assert prediction(truth, {"scope": {"route": ["/a", "/b"]}, "predicted": predicted | {"route": "GET /c"}}, {})["predicted_near"] is False



def test_rates_have_wilson_intervals() -> None:
    found = rate([True] * 9 + [False, None])
    assert found and (found["k"], found["n"]) == (9, 10)
    assert found["low"] == pytest.approx(0.5958, abs=1e-4) and found["high"] == pytest.approx(0.9821, abs=1e-4)
    assert rate([None]) is None


def test_calibration_by_hand() -> None:
    found = calibration([(0.9, True), (0.9, False), (1.0, True), (0.1, False)])
    assert found and found["brier"] == pytest.approx((0.01 + 0.81 + 0 + 0.01) / 4)
    assert found["ece"] == pytest.approx((3 * abs(2.8 / 3 - 2 / 3) + 0.1) / 4)
    assert [b["n"] for b in found["bins"]] == [1, 0, 0, 0, 3]
    assert calibration([]) is None and spread([]) is None


def test_the_cases_of_the_repository_can_be_read() -> None:
    assert len(find(CASES, "earlier")) >= 70
