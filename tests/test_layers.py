"""Imports point one way, and what is light stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "perfaudit"
#: From the foundation to the surface; a package may import its own row and those above it in this list.
ORDER = (
    ("errors", "model", "__init__"),
    ("config", "redact"),
    ("stats", "kernels"),
    ("evidence",),
    ("baseline", "paths", "slo"),
    ("problems",),
    ("verdict",),
    ("experiments", "decisions", "comparison", "capacity"),
    ("report",),
    ("audit",),
    ("testing",),
    ("demo",),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
#: Each of these costs tens to hundreds of milliseconds.
HEAVY = {"numpy", "scipy", "numba", "duckdb", "pyarrow", "rich", "jinja2", "postgast", "zstandard", "yaml"}


def imported(path: Path) -> list[tuple[int, str]]:
    """``(line, room)`` of every import of this package, wherever in the file; annotations count as well."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"perfaudit.{a.name}" for a in node.names] if node.module == "perfaudit" else [node.module or ""]
        for name in names:
            top, _, rest = name.partition(".")
            if top == "perfaudit":
                room = rest.partition(".")[0]
                found.append((node.lineno, room if room in RANK else "__init__"))
    return found


def rooms() -> set[str]:
    return {p.stem if p.is_file() else p.name for p in SRC.iterdir() if p.suffix == ".py" or (p.is_dir() and p.name != "__pycache__")}


def test_every_room_has_its_place() -> None:
    assert rooms() <= set(RANK)


@pytest.mark.parametrize("room", sorted(rooms() - {"__init__"}))
def test_imports_point_one_way(room: str) -> None:
    files = [SRC / f"{room}.py"] if (SRC / f"{room}.py").is_file() else sorted((SRC / room).rglob("*.py"))
    back = [f"{p.relative_to(SRC)}:{line} imports {other}" for p in files for line, other in imported(p) if RANK[other] > RANK[room]]
    assert not back


def test_an_arrow_that_runs_back_is_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from perfaudit.report import result\n    import perfaudit.cli.analyze\n    from perfaudit import audit, __version__\n")
    assert imported(bad) == [(2, "report"), (3, "cli"), (4, "audit"), (4, "__init__")]


def loaded_after(code: str) -> set[str]:
    out = subprocess.run([sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"], capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in out.splitlines()}


@pytest.mark.parametrize(
    "code",
    [
        "import perfaudit.cli",
        "from perfaudit.cli import run; run(['--help'])",
        "from perfaudit.cli import run; run(['analyze', '--help'])",
        "from perfaudit.cli import run; run(['--version'])",
        "from perfaudit.evidence.readers import discover; discover()",
        "from perfaudit.report.renderers import discover; discover()",
    ],
)
def test_light_things_load_no_engine(code: str) -> None:
    assert not loaded_after(code) & HEAVY
