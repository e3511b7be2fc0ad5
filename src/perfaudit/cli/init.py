"""``perfaudit init``: an audit folder with a commented ``audit.toml``."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from perfaudit.errors import UsageError


@click.command("init", short_help="Phase 1: an audit folder with a commented audit.toml.")
@click.argument("folder", default=".", metavar="[DIR]")
def command(folder: str) -> int:
    """Make DIR (default: this folder) an audit folder: audit.toml for the problem definition, and an empty bundle.

    Run the next commands inside it: perfaudit define, add PATH…, baseline, diagnose, report -o report.html.
    """
    from perfaudit.evidence.bundle import Bundle

    path = Path(folder)
    if Bundle.is_bundle(path):
        raise UsageError("this is an audit folder already", where=folder, todo="run perfaudit add, diagnose or report inside it")
    if path.exists() and not path.is_dir():
        raise UsageError("this is a file", where=folder, todo="name a folder")
    Bundle.create(path)
    target = path / "audit.toml"
    if not target.exists():
        target.write_text(resources.files("perfaudit.cli").joinpath("audit.toml").read_text("utf-8"), "utf-8")
    click.echo(f"made {target}\nnext: cd {folder} && perfaudit define, then perfaudit add PATH…")
    return 0
