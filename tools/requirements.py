"""Print everything that ``pyproject.toml`` asks for: runtime, development and build requirements (``make lock`` pins them)."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))
wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *project["build-system"]["requires"], "editables"]
print("\n".join(sorted(set(wanted))))
