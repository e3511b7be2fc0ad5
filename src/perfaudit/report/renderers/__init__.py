"""Renderers: one format per module, discovered by folder; each reads the result object and nothing else.

A renderer is a module in this package (not starting with ``_``) with:

``NAME``      the format as people know it
``SUFFIXES``  file names that mean it, e.g. ``(".html",)``; may be empty
``PREFIX``    the word before a colon that means it, e.g. ``junit`` in ``junit:ci.xml``
``render(result) -> str | bytes``  the whole document; the same result gives the same bytes

Optionally ``deliver(result, path, stdout) -> None`` where writing one file is not the whole of it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from perfaudit.errors import UsageError


@cache
def discover() -> dict[str, ModuleType]:
    """Every renderer module by its module name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def pick(target: str) -> tuple[ModuleType, str]:
    """The renderer and path that ``target`` names: ``report.html``, ``junit:ci.xml``, ``json:-``, ``-`` (Markdown on stdout).

    Raises :class:`~perfaudit.errors.UsageError` for a format that does not exist; it lists those that do.
    """
    modules = discover()
    if target == "-":
        return modules["markdown"], "-"
    prefix, colon, path = target.partition(":")
    if colon and (named := next((m for m in modules.values() if prefix == m.PREFIX), None)):
        return named, path or "-"
    by_suffix = {suffix: m for m in modules.values() for suffix in m.SUFFIXES}
    match = max((s for s in by_suffix if target.lower().endswith(s)), key=len, default=None)
    if match is None:
        known = ", ".join([*sorted(by_suffix), *sorted(f"{m.PREFIX}:FILE" for m in modules.values()), "-"])
        raise UsageError(f"No report format is known for {target!r}.", where=f"-o {target}", todo=f"use one of {known}")
    return by_suffix[match], target


def write(result: Mapping[str, Any], target: str, stdout: TextIO | None = None) -> None:
    """Render ``result`` to ``target`` (see :func:`pick`); a file is replaced in one step, ``-`` is ``stdout``.

    Raises :class:`~perfaudit.errors.UsageError` where the format is unknown or the file cannot be written.
    """
    module, path = pick(target)
    out = stdout or sys.stdout
    if hasattr(module, "deliver"):
        module.deliver(result, path, out)
    else:
        put(module.render(result), path, out)


def put(document: str | bytes, path: str, stdout: TextIO) -> None:
    """Write a document to ``path``, or to ``stdout`` for ``-``."""
    data = document.encode() if isinstance(document, str) else document
    if path == "-":
        _print(data, stdout)
        return
    try:
        _replace(Path(path), data)
    except OSError as error:
        raise UsageError(f"The report cannot be written: {error.strerror}.", where=path, todo="name a file in a folder that exists and can be written") from None


def _print(data: bytes, stdout: TextIO) -> None:
    if (raw := getattr(stdout, "buffer", None)) is not None:
        stdout.flush()
        raw.write(data)
        raw.flush()
    else:
        stdout.write(data.decode())


def _replace(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
        path.write_bytes(data)
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # noqa: PTH101
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
