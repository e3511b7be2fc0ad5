"""The project around the package: pins, wheel, size of modules, nothing of the machine that made it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import perfaudit

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
#: Hosts that text of ours may name.
KNOWN_HOSTS = re.compile(r"(.*\.)?example(\.com|\.org)?|[a-z]{1,4}|evil|db|localhost|127\.0\.0\.1|10\.0\.0\.1|json-schema\.org|www\.apache\.org|www\.w3\.org|github\.com|sre\.google")


def tracked() -> list[Path]:
    """Text files of the repository; recordings and the licence are others' words."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.splitlines() if not name.startswith("tests/cases/") and not name.endswith((".zst", ".png", "LICENSE"))]
    return [f for f in files if f.is_file()]


def pins() -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.M))


def test_everything_is_pinned_by_version_and_hash() -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    entries = re.split(r"(?<!\\)\n", text.strip())
    assert len(entries) == len(pins())
    assert all(re.fullmatch(r"[a-z0-9-]+==[^\s;]+( \\\n +--hash=sha256:[0-9a-f]{64})+", entry) for entry in entries)
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]]
    assert {re.split(r"[<>=\[ ]", w)[0] for w in wanted} <= set(pins())


def test_pins_name_no_place_to_fetch_from() -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    assert "://" not in text and "#" not in text
    assert not re.search(r"^-", text, flags=re.M)


def test_pins_are_what_runs_here() -> None:
    from importlib.metadata import version

    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("not the environment that make test sets up")
    assert {name: version(name) for name in ("click", "duckdb", "numpy", "numba", "pyarrow")}.items() <= pins().items()


def test_versions_agree() -> None:
    assert PROJECT["project"]["version"] == perfaudit.__version__
    assert f"## {perfaudit.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_wheel_holds_what_is_needed(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in ("demo/incident/access.log.zst", "demo/healthy/access.log.zst", "report/assets/performance-report-template.md", "report/assets/slo-template.md", "report/assets/result-schema.json", "cli/audit.toml", "evidence/views/lock_waits.sql", "py.typed"):
        assert f"perfaudit/{needed}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".nbc", ".nbi", ".pyc"))]
    assert wheel.stat().st_size < 4_000_000


def test_nothing_of_the_machine_that_made_it() -> None:
    places = {str(ROOT), sys.prefix, str(Path(os.path.realpath(sys.executable)).parent), *(p for p in [str(Path.home())] if len(p) > 1)}
    own = re.compile("|".join(rf"(?<![\w.]){re.escape(p)}(?=[/\s\"'`]|$)" for p in sorted(places)))
    found = [f"{f.relative_to(ROOT)}: {m[0]}" for f in tracked() if (m := own.search(f.read_text("utf-8", "replace")))]
    assert not found


def test_only_known_hosts_are_named() -> None:
    stranger = []
    for file in tracked():
        for host in re.findall(r"[a-z]://(?:[^/\s@\"'`]*@)?\[?([A-Za-z0-9.-]+)", file.read_text("utf-8", "replace")):
            if not KNOWN_HOSTS.fullmatch(host.rstrip(".-")):
                stranger.append(f"{file.relative_to(ROOT)}: {host}")
    assert not stranger


def test_modules_stay_short() -> None:
    sizes = {str(f.relative_to(ROOT)): f.read_text("utf-8").count("\n") for f in (ROOT / "src").rglob("*.py")}
    assert not {name: n for name, n in sizes.items() if n > 400}


@pytest.mark.parametrize("name", ["README.md", "AGENTS.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt", ".ci/run", "templates/performance-report-template.md", "templates/slo-template.md", "docs/objectives-and-alerts.md",
                                  "docs/audit-playbook.md", "docs/metrics-baseline.md", "examples/sample-report.md"])  # fmt: skip
def test_the_house_has_its_doors(name: str) -> None:
    assert (ROOT / name).stat().st_size > 100
    if name == ".ci/run":
        assert os.access(ROOT / name, os.X_OK)
