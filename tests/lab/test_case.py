"""Cases on disk: numbers that two recorders never share, size, and what a refused case leaves behind (nothing)."""

import json
import shutil
from pathlib import Path

import pytest

from lab import case
from lab.errors import Refused

pytestmark = pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")


def part(folder: Path, size: int) -> Path:
    folder.mkdir()
    (folder / "access.log").write_text("".join(f"{(i * 7919 * 7919) % 1000003} line\n" for i in range(size)))
    (folder / "empty.log").touch()
    return folder


def test_a_case_is_written_and_found_again(tmp_path: Path) -> None:
    key = {"name": "n-plus-one", "stack": "shop", "seed": 3, "set": "dev"}
    written = case.write(lambda: case.number("dev", tmp_path), {"evidence": part(tmp_path / "e", 50)}, {**key, "problem": "n-plus-one"})
    assert written.name == "201"
    assert [p.name for p in (written / "evidence").iterdir()] == ["access.log.zst"]
    assert json.loads((written / "truth.json").read_text())["problem"] == "n-plus-one"
    assert case.existing(key, tmp_path) == written
    assert case.existing({**key, "seed": 4}, tmp_path) is None
    assert case.number("dev", tmp_path).name == "202"
    assert case.number("validation", tmp_path).name == "401"


def test_a_case_that_is_too_large_takes_no_number(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"more than 1: e/access.log.zst"):
        case.write(lambda: case.number("dev", tmp_path), {"evidence": part(tmp_path / "e", 5000)}, {}, largest=1000)
    assert not (tmp_path / "dev").exists()


def test_recording_again_leaves_nothing_of_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    case.write(lambda: folder, {"evidence": part(tmp_path / "e", 5), "baseline": part(tmp_path / "b", 5)}, {})
    case.write(lambda: folder, {"evidence": part(tmp_path / "e2", 5)}, {})
    assert sorted(p.name for p in folder.iterdir()) == ["evidence", "truth.json"]
