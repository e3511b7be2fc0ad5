"""The recorded incident that ships with the package."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from perfaudit.cli import run
from perfaudit.report import schema

DEMO = resources.files("perfaudit").joinpath("demo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo")
    assert run(["demo", "--quiet", "--folder", str(home)]) == 0
    return home


def test_the_verdict_is_the_truth(folder: Path) -> None:
    assert "row lock" in (folder / "report.html").read_text("utf-8")
    result: dict[str, object] = json.loads((folder / "result.json").read_text("utf-8"))
    schema.validate(result)
    verdict = result["verdict"]
    assert isinstance(verdict, dict)
    assert (verdict["status"], verdict["problem"]) == ("constraint", "row-lock-contention")
    assert verdict["scope"]["route"] == "/checkout"
    assert verdict["scope"]["object"] == "inventory"
    assert verdict["scope"]["statement"].lower().startswith("update inventory")
    assert verdict["decision"]
    assert {"table-lock", "traffic-surge"} <= {r["problem"] for r in verdict["rejected"]}


def test_the_recording_is_small_and_complete() -> None:
    files = [f for part in ("incident", "healthy") for f in DEMO.joinpath(part).iterdir()]
    sizes = [len(f.read_bytes()) for f in files]
    assert sum(sizes) < 3_000_000
    assert all(f.name.endswith(".zst") for f in files)
    assert {f.name for f in DEMO.joinpath("incident").iterdir()} == {f.name for f in DEMO.joinpath("healthy").iterdir()}


def test_healthy_alone_is_no_constraint(capsys: pytest.CaptureFixture[str]) -> None:
    with resources.as_file(DEMO) as folder:
        assert run(["analyze", "--json", str(folder / "healthy")]) in (0, 3)
    assert json.loads(capsys.readouterr().out)["verdict"]["status"] != "constraint"


def test_both_folders_as_one_recording(capsys: pytest.CaptureFixture[str]) -> None:
    with resources.as_file(DEMO) as folder:
        assert run(["analyze", "--json", str(folder / "healthy"), str(folder / "incident")]) == 0
    verdict = json.loads(capsys.readouterr().out)["verdict"]
    assert (verdict["problem"], verdict["scope"]["route"]) == ("row-lock-contention", "/checkout")


def test_the_same_evidence_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert run(["demo", "--quiet", "--folder", str(tmp_path)]) == 0
    for file in ("report.html", "result.json"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()
