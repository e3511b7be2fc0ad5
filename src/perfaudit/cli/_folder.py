"""The audit folder: ``audit.toml``, the bundle, and the stored result. Commands find it from inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfaudit.errors import BundleError, InsufficientEvidence, UsageError

if TYPE_CHECKING:
    from perfaudit.evidence.bundle import Bundle

option = click.option("--audit", "folder", metavar="DIR", envvar="PERFAUDIT_AUDIT", help="The audit folder or bundle (default: the one that this folder lies in).")


#: What a result without a verdict holds at least one of.
PARTS = ("comparison", "slo", "capacity", "load_test", "baseline", "paths")


def find(given: str | None) -> Path:
    """The folder that holds the bundle: ``given``, or the nearest one from here upwards. Raises :class:`BundleError`."""
    from perfaudit.evidence.bundle import Bundle

    if given is not None:
        if not Bundle.is_bundle(Path(given)):
            raise BundleError("this is not an audit folder", where=given, todo=f"make it one: perfaudit init {given}")
        return Path(given)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if Bundle.is_bundle(folder):
            return folder
    raise BundleError("not inside an audit folder", where=str(here), todo="make one with perfaudit init DIR and run this inside it, or say --audit DIR")


def open_both(folder: Path) -> tuple[Bundle, Bundle | None]:
    """The bundle of an audit folder and, where there is one, its separate baseline."""
    from perfaudit.evidence.bundle import Bundle

    baseline = folder / "baseline"
    return Bundle.open(folder), Bundle.open(baseline) if Bundle.is_bundle(baseline) else None


def stored(folder: Path) -> dict[str, Any]:
    """The last result of an audit folder. Raises :class:`InsufficientEvidence` when there is none yet."""
    path = folder / "result.json"
    if not path.exists():
        raise InsufficientEvidence("there is no result yet", where=str(folder), todo="perfaudit diagnose makes one")
    return load(path)


def load(path: Path) -> dict[str, Any]:
    """A ``result.json``. Raises :class:`UsageError` for anything else."""
    try:
        result: dict[str, Any] = json.loads(path.read_bytes())
        if result["schema_version"] and result["audit"] and (any(part in result for part in PARTS) if "verdict" not in result else result["verdict"]["status"]):
            return result
    except OSError as error:
        raise UsageError(f"cannot read the result: {error.strerror}", where=str(path), todo="give a result.json that perfaudit wrote") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UsageError("this is not a result of perfaudit", where=str(path), todo="give a result.json that perfaudit wrote with -o result.json")


def store(folder: Path, result: dict[str, Any]) -> None:
    """Keep the result in the audit folder."""
    from perfaudit.report import renderers

    renderers.write(result, str(folder / "result.json"))
