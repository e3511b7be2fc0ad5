"""Progress on stderr: bytes read, rate and remaining time; only on a terminal, never in a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

import perfaudit.kernels as kernels

if TYPE_CHECKING:
    from perfaudit.evidence.intake import Progress

#: Less than this is read before a bar could be seen (50 MB/s in the slowest reader).
WORTH_A_BAR = 8 << 20


@contextmanager
def reading(paths: Iterable[str | Path], *, quiet: bool) -> Iterator[Progress | None]:
    """A callback for :func:`perfaudit.evidence.intake.add`; None where nobody watches."""
    if not quiet:
        kernels.on_compile = _compiling
    if quiet or not sys.stderr.isatty():
        yield None
        return
    total = _size(paths)
    if total is not None and total < WORTH_A_BAR:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    done: dict[str, int] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=total)

        def callback(name: str, read: int, size: int | None) -> None:
            done[name] = read
            bar.update(task, completed=sum(done.values()), description=name[-40:].replace("[", "("))

        yield callback


def _compiling() -> None:
    click.echo("compiling the hot loops, once for this machine and version: about half a minute", err=True)


def _size(paths: Iterable[str | Path]) -> int | None:
    total = 0
    for given in paths:
        if str(given) == "-":
            return None
        try:
            files = [Path(folder) / name for folder, _, names in os.walk(given) for name in names] if Path(given).is_dir() else [Path(given)]
            total += sum(file.stat().st_size for file in files)
        except (OSError, ValueError):
            return None
    return total
