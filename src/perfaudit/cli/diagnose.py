"""``perfaudit diagnose``: findings, look-alikes, the constraint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from perfaudit.cli import _folder, _options
from perfaudit.cli._options import ASKING, SHOWING, Settings

if TYPE_CHECKING:
    from perfaudit.audit import Audit


@click.command("diagnose", short_help="Phase 4: findings, look-alikes ruled out, the constraint.")
@_folder.option
@_options.with_options(ASKING, SHOWING)
def command(settings: Settings, folder: str | None) -> int:
    """Audit the evidence of this folder and keep the result; perfaudit report renders it again in any format."""
    home = _folder.find(folder)
    _options.check_targets(settings)
    if not _folder.open_both(home)[0].sources:
        _options.note(f"nothing was added to {home} yet: perfaudit add PATH…")
    result = run(settings, str(home))
    _folder.store(home, result)
    _options.show(result, settings)
    return _options.gate(result, settings)


def run(settings: Settings, folder: str) -> dict[str, object]:
    """The result of the audit in ``folder``."""
    with audit_of(settings, folder) as audit:
        return audit.run()


@contextmanager
def audit_of(settings: Settings, folder: str) -> Iterator[Audit]:
    """The audit in ``folder``, with its own baseline or the one that was given."""
    import tempfile
    from pathlib import Path

    from perfaudit.audit import Audit, opened
    from perfaudit.config import load

    home = Path(folder)
    config = load(home)
    own, baseline = _folder.open_both(home)
    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        if settings.baseline:
            baseline = opened([settings.baseline], Path(temporary) / "baseline", _options.reading(settings, config, everything=False), zones=settings.zones)
        yield Audit(own, _options.asking(settings, config, home.resolve().name), baseline=baseline)
