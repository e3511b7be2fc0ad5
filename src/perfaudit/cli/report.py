"""``perfaudit report``: any format again from the stored result."""

from __future__ import annotations

from pathlib import Path

import click

from perfaudit.cli import _folder, _options
from perfaudit.cli._options import SHOWING, Settings


@click.command("report", short_help="Phase 7: any format again from the stored result.")
@click.argument("result_file", required=False, metavar="[RESULT.JSON]")
@_folder.option
@_options.with_options(SHOWING)
def command(settings: Settings, result_file: str | None, folder: str | None) -> int:
    """Render the result of this audit folder, or of a result.json, without reading evidence again.

    \b
    perfaudit report -o report.html -o report.md
    perfaudit report result.json -o junit:ci.xml
    """
    _options.check_targets(settings)
    result = _folder.load(Path(result_file)) if result_file else _folder.stored(_folder.find(folder))
    _options.show(result, settings)
    return 0
