"""How kernels are compiled: cached on disk, without the GIL, and without reference counts."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config, event

import perfaudit.kernels as kernels

_OPTIONS = {"cache": True, "nogil": True, "_nrt": False, "no_cfunc_wrapper": True}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function``. Without reference counts it runs five times faster (they are atomic, for every array of every call);

    so a kernel allocates nothing: arrays are handed in.
    """
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A :func:`kernel` that becomes part of its callers: for what runs for every field and takes many arrays."""
    return _compiled(function, forceinline=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Numba caches beside the package or in the home folder; where neither can be written, in a private temporary one, else not at all."""
    try:
        return _bound(njit(**_OPTIONS, **options)(function))
    except RuntimeError:  # no locator for the cache
        folder = _private_folder()
        if folder and not config.CACHE_DIR:
            config.CACHE_DIR = folder
            return _bound(njit(**_OPTIONS, **options)(function))
        return njit(**(_OPTIONS | {"cache": False}), **options)(function)


def _private_folder() -> str | None:
    """A folder of this user alone: cached code is run, so nobody else may have put it there."""
    path = Path(tempfile.gettempdir()) / f"perfaudit-kernels-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        info = path.lstat()
    except OSError:
        return None
    return str(path) if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077 else None


class _Announce(event.Listener):  # type: ignore[misc]
    """Tells :data:`perfaudit.kernels.on_compile` that a kernel is compiled; one that the cache holds raises no such event."""

    def on_start(self, event: Any) -> None:
        if kernels.on_compile:
            announce, kernels.on_compile = kernels.on_compile, None
            announce()

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Announce())


@cache
def _sources() -> tuple[tuple[str, int, int], ...]:
    here = Path(__file__).parent
    files = [*here.glob("*.py"), here.parent / "evidence" / "routes.py"]
    return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(files))


def _bound(dispatcher: Any) -> Any:
    """Bind the disk cache to all kernels' sources: Numba looks only at a function's own file, though others are compiled into it."""
    file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if file is not None and hasattr(file, "_source_stamp"):
        file._source_stamp = _sources()
    return dispatcher
