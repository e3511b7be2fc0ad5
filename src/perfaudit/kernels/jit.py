"""How kernels are compiled: cached on disk, without the GIL, and without reference counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import event

import perfaudit.kernels as kernels

_OPTIONS = {"cache": True, "nogil": True, "_nrt": False, "no_cfunc_wrapper": True}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function``. Without reference counts it runs five times faster (they are atomic, for every array of every call);

    so a kernel allocates nothing: arrays are handed in.
    """
    return _bound(njit(**_OPTIONS)(function))


def inlined(function: Callable[..., Any]) -> Any:
    """A :func:`kernel` that becomes part of its callers: for what runs for every field and takes many arrays."""
    return _bound(njit(forceinline=True, **_OPTIONS)(function))


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
