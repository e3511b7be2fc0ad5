"""Recorded cases and their truth, of the lab's recorder and of the earlier one."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError

#: Name of a set → folder below the cases.
SETS = {"dev": "dev", "validation": "validation", "earlier": "."}
NEEDED = ("problem",)


@dataclass(frozen=True)
class Case:
    """One recording: where it lies and what is true about it."""

    number: str
    set: str
    folder: Path
    truth: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """``set/number``."""
        return f"{self.set}/{self.number}"

    @property
    def problem(self) -> str:
        """The true class, or ``healthy``."""
        return str(self.truth["problem"])

    @property
    def accept(self) -> list[str]:
        """Other defensible answers."""
        return list(self.truth.get("accept") or ())

    @property
    def stack(self) -> str:
        """The recorded system; recordings of the earlier recorder count as one."""
        return str(self.truth.get("stack") or "earlier")

    @property
    def name(self) -> str:
        """How the case was made: the class itself, or the name of a trap or pair."""
        return str(self.truth.get("name") or self.problem)

    @property
    def kind(self) -> str:
        """``class``, ``pair`` (a loud symptom, another cause), ``healthy`` or ``trap`` (healthy, but looks otherwise)."""
        return str(self.truth.get("kind") or ("healthy" if self.problem == "healthy" else "class"))

    @property
    def simulated(self) -> bool:
        """No recording of real components: reported apart."""
        return self.stack == "simulated"


def find(root: Path, wanted: str = "all", numbers: Collection[str] = ()) -> list[Case]:
    """The cases of a set (``all``: of every set), or those of them with the given numbers, in order.

    Raises :class:`LabError` where there is none, where a number is unknown, and where a truth cannot be read.
    """
    names = list(SETS) if wanted == "all" else [wanted]
    found = [_read(name, folder) for name in names for folder in _folders(root / SETS[name])]
    if not found:
        todo = f"record some (make lab ALL=1), or name a set that is there: {_there(root)}"
        raise LabError(f"no case of the set “{wanted}” in {root}: nothing to evaluate\n{todo}")
    if not numbers:
        return found
    unknown = sorted(set(numbers) - {c.number for c in found})
    if unknown:
        todo = f"numbers are the folders' names: {found[0].number} to {found[-1].number}"
        raise LabError(f"no case {', '.join(unknown)} in the set “{wanted}”\n{todo}")
    return [c for c in found if c.number in set(numbers)]


def _folders(place: Path) -> list[Path]:
    return sorted(p.parent for p in place.glob("*/truth.json") if (p.parent / "evidence").is_dir())


def _there(root: Path) -> str:
    counts = {name: len(_folders(root / place)) for name, place in SETS.items()}
    return ", ".join(f"{name} ({n})" for name, n in counts.items() if n) or "none yet"


def _read(name: str, folder: Path) -> Case:
    try:
        truth = json.loads((folder / "truth.json").read_text("utf-8"))
        missing = [key for key in NEEDED if key not in truth]
    except (OSError, ValueError, TypeError) as error:
        raise LabError(f"cannot read {folder / 'truth.json'}: {error}\nrecord the case again, or remove its folder") from error
    if missing:
        raise LabError(f"{folder / 'truth.json'} lacks {', '.join(missing)}\nrecord the case again, or remove its folder")
    return Case(folder.name, name, folder, truth)
