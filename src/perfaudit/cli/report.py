"""``perfaudit report``: any format again from the stored result."""

from __future__ import annotations

import json
from pathlib import Path

import click

from perfaudit.cli import _folder, _options
from perfaudit.cli._options import SHOWING, Settings
from perfaudit.errors import UsageError


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
    if result_file:
        try:
            result = json.loads(Path(result_file).read_bytes())
            result["verdict"]["status"]
        except OSError as error:
            raise UsageError(f"cannot read {result_file}: {error.strerror}", where=result_file, todo="give a result.json that perfaudit wrote") from None
        except (ValueError, KeyError, TypeError):
            raise UsageError("this is not a result of perfaudit", where=result_file, todo="give a result.json that perfaudit wrote with -o result.json") from None
    else:
        result = _folder.stored(_folder.find(folder))
    _options.show(result, settings)
    return 0
