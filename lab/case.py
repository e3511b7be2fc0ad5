"""A finished case on disk: ``evidence/``, ``baseline/``, ``fixed/``, and ``truth.json`` beside them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lab import thin
from lab.errors import LabError, Refused

#: The repository's own recordings.
CASES = Path(__file__).parent.parent / "tests" / "cases"
#: Bytes of one case in the repository.
LARGEST = 400_000
#: First number of each set.
FIRST = {"dev": 201, "validation": 401}


def truths(root: Path = CASES) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every case of the sets with its truth, in order of number."""
    for path in sorted(root.glob("*/*/truth.json")):
        yield path.parent, json.loads(path.read_text())


def existing(key: Mapping[str, Any], root: Path = CASES) -> Path | None:
    """The folder in which this recording is kept already."""
    for folder, truth in truths(root):
        if all(truth.get(k) == v for k, v in key.items()):
            return folder
    return None


def number(of: str, root: Path = CASES) -> Path:
    """A new numbered folder in a set, taken at once so that two recorders never get the same."""
    home = root / of
    home.mkdir(parents=True, exist_ok=True)
    taken = [int(p.name) for p in home.iterdir() if p.name.isdigit()]
    n = max([FIRST[of] - 1, *taken]) + 1
    while True:
        try:
            (home / str(n)).mkdir()
        except FileExistsError:
            n += 1
        else:
            return home / str(n)


def compress(files: Sequence[Path]) -> None:
    """Compresses files beside themselves (zstd -19), the largest first, as many at once as there are cores."""

    def one(file: Path) -> None:
        subprocess.run(["zstd", "-19", "-q", "-f", str(file)], check=True, capture_output=True)

    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(one, sorted(files, key=lambda p: -p.stat().st_size)))
    except FileNotFoundError:
        raise LabError("zstd is not installed\nmake lab installs it when it runs as root") from None


def fit(parts: Sequence[Path], largest: int) -> list[str]:
    """Compresses cut folders and thins them out (thin.py) until they have at most `largest` bytes together; what was thinned. Empty files go."""
    done: list[str] = []
    raw = [p for part in parts for p in sorted(part.rglob("*")) if p.is_file()]
    compress([p for p in raw if p.stat().st_size])
    for name, thinner in thin.STEPS:
        if sum(p.stat().st_size for part in parts for p in part.rglob("*.zst")) <= largest:
            break
        for file in [p for p in raw if p.name == name and p.stat().st_size]:
            thinner(file)
            compress([file])
            done.append(f"{file.parent.name}/{name}")
    for file in raw:
        file.unlink()
    for part in parts:
        for file in part.rglob("*"):
            file.chmod(0o755 if file.is_dir() else 0o644)
    return done


def size(folder: Path) -> int:
    """Bytes of a case."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def write(target: Callable[[], Path], parts: Mapping[str, Path], truth: Mapping[str, Any], *, largest: int = LARGEST) -> Path:
    """Compresses the cut folders `parts` (by their name in the case), and only then takes the folder and fills it.

    Raises Refused where the case is too large even with fewer traces and metrics; nothing was written then.
    """
    thinned = fit(list(parts.values()), largest or 1 << 60)
    total = sum(map(size, parts.values()))
    if largest and total > largest:
        files = sorted((p for part in parts.values() for p in part.rglob("*.zst")), key=lambda p: -p.stat().st_size)
        told = ", ".join(f"{p.parent.name}/{p.name} {p.stat().st_size // 1000} kB" for p in files[:6])
        raise Refused(f"the case has {total // 1000} kB, more than {largest // 1000}: {told}\nrecord less, or fewer requests")
    folder = target()
    for name in ("evidence", "baseline", "fixed"):
        shutil.rmtree(folder / name, ignore_errors=True)
        if name in parts:
            shutil.copytree(parts[name], folder / name)
    (folder / "truth.json").write_text(json.dumps({**truth, "thinned": thinned}, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return folder
