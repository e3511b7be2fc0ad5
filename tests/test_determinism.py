"""Same input, same bytes: run again, from elsewhere, in another order, in another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran, access_log

TARGETS = ("result.json", "report.html", "report.md", "ci.xml")


@pytest.fixture
def evidence(home: Path) -> Path:
    """A folder with two tiers, sessions, events and an unreadable file."""
    folder = home / "evidence"
    folder.mkdir()
    (folder / "access.log").write_bytes(access_log(3_000))
    (folder / "downstream.access.log").write_bytes(access_log(1_000, seed=2))
    (folder / "events.jsonl").write_bytes(b'{"time": "2026-11-23T08:01:00Z", "kind": "deploy", "service": "shop", "version": "2"}\n')
    (folder / "notes.txt").write_bytes(b"nothing to read here\n")
    return folder


def outputs(run: Callable[[list[str]], object], folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    run([word for name in TARGETS for word in ("-o", f"junit:{folder / name}" if name == "ci.xml" else str(folder / name))])
    return {name: (folder / name).read_bytes() for name in TARGETS}


def test_again_from_elsewhere_and_in_another_order(evidence: Path, perfaudit: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    home = evidence.parent
    first = outputs(lambda o: perfaudit("analyze", "evidence", *o), home / "one")
    assert all(first.values())
    assert outputs(lambda o: perfaudit("analyze", "evidence", *o), home / "two") == first
    monkeypatch.chdir("/")
    assert outputs(lambda o: perfaudit("analyze", evidence, *o), home / "three") == first
    files = sorted(evidence.iterdir())
    one, two = (outputs(lambda o, f=order: perfaudit("analyze", *f, *o), home / name) for name, order in (("four", files), ("five", files[::-1])))  # type: ignore[misc]
    assert one == two


def test_in_another_process(evidence: Path, perfaudit: Callable[..., Ran]) -> None:
    """Hash seeds, thread timing and temporary folders differ there."""
    first = outputs(lambda o: perfaudit("analyze", "evidence", *o), evidence.parent / "one")
    command = [sys.executable, "-m", "perfaudit", "analyze", "evidence", "-q"]
    assert outputs(lambda o: subprocess.run([*command, *o], check=True, cwd=evidence.parent), evidence.parent / "two") == first


def test_a_bundle_gives_what_the_files_give(evidence: Path, perfaudit: Callable[..., Ran]) -> None:
    """Through init, add and diagnose the same verdict and baseline come out as in one step."""
    import json

    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", "evidence", "--audit", "audit").code == 0
    kept = json.loads(perfaudit("diagnose", "--audit", "audit", "--json").out)
    once = json.loads(perfaudit("analyze", "evidence", "--json").out)
    for key in ("baseline", "verdict", "findings", "checks", "windows", "inventory"):
        assert kept[key] == once[key], key
