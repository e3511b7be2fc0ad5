"""CONTRIBUTING.md is followed to the letter, in a copy: each new thing is found, passes the contract and gets its page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = dict(re.findall(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), flags=re.M | re.S))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the files of the guide in it."""
    home = tmp_path_factory.mktemp("copy")
    for part in ("src", "tools", "docs", "tests/problems", "tests/report", "tests/evidence/readers"):
        shutil.copytree(ROOT / part, home / part, ignore=shutil.ignore_patterns("__pycache__", "demo"))
    for file in ("pyproject.toml", "README.md", "constraints.txt"):
        shutil.copy(ROOT / file, home / file)
    for path, text in FILES.items():
        assert not (home / path).exists(), f"{path} exists by now: choose another example for the guide"
        (home / path).write_text(text, "utf-8")
    return home


def run(copy: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_guide_holds_three_modules_and_their_tests() -> None:
    assert len(FILES) == 6
    assert sum(path.startswith("tests/") for path in FILES) == 3


def test_style_and_types(copy: Path) -> None:
    run(copy, "-m", "ruff", "check", *FILES)
    run(copy, "-m", "mypy", *(path for path in FILES if path.startswith("src/")))


def test_its_tests_and_the_contract(copy: Path) -> None:
    tests = [path for path in FILES if path.startswith("tests/")]
    assert run(copy, "-m", "pytest", "-vv", "-p", "no:cacheprovider", *tests).count(" PASSED") == 4
    out = run(copy, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "tests/problems/test_contract.py", "-k", "oversized or squid or chat")
    assert all(f"[{name}" in out for name in ("oversized-responses", "squid", "chat"))


def test_it_is_found_and_gets_its_page(copy: Path) -> None:
    assert "large bodies own the time" in run(copy, "-m", "perfaudit", "explain", "oversized-responses")
    pages = run(copy, "-c", "import sys; sys.path.insert(0, 'tools'); import generate; p = generate.pages(); print(p['docs/problems/oversized-responses.md'], p['docs/reference/formats.md'])")
    assert "## What to try" in pages
    assert "Squid access log" in pages


def test_the_new_parts_work_together(copy: Path) -> None:
    log = copy / "squid.log"
    line = b"%d.%03d %6d 192.0.2.1 TCP_MISS/200 1512 GET http://shop.example/products/%d - HIER_DIRECT/198.51.100.7 text/html\n"
    log.write_bytes(b"".join(line % (1795420800 + i // 9, i % 1000, 20 + i % 7, i) for i in range(900)))
    said = run(copy, "-m", "perfaudit", "analyze", str(log), "-o", "chat:-", "-o", f"json:{copy / 'r.json'}")
    assert said.count("\n") == 2
    result = json.loads((copy / "r.json").read_text("utf-8"))
    assert [r["route"] for r in result["baseline"]["routes"]] == ["/products/{id}"]
    assert {"problem": "oversized-responses", "outcome": "no-evidence"}.items() <= {c["problem"]: c for c in result["checks"]}["oversized-responses"].items()
