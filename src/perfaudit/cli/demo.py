"""``perfaudit demo``: the main job on a recorded incident that ships with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from perfaudit.cli import _options
from perfaudit.cli._options import Settings


@click.command("demo", short_help="The main job on a recorded incident that ships with the package.")
@click.option("--folder", default="perfaudit-demo", show_default=True, metavar="DIR", help="Where the report and the evidence go.")
@click.option("-q", "--quiet", is_flag=True, help="One line instead of the report.")
def command(folder: str, quiet: bool) -> int:
    """Audit a real recording: a shop whose checkout became slow. Writes DIR/report.html; needs no network.

    The evidence is copied to DIR/evidence, so that you can run the same yourself:
    perfaudit analyze DIR/evidence/incident --baseline DIR/evidence/healthy
    """
    import shutil

    from perfaudit.audit import Audit, Request, ad_hoc_columns, opened
    from perfaudit.evidence.readers import ReadOptions

    home = Path(folder)
    (home / "evidence").mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("perfaudit").joinpath("demo")) as recorded:
        shutil.copytree(recorded, home / "evidence", dirs_exist_ok=True)
    import tempfile

    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        options = ReadOptions(columns=ad_hoc_columns())
        own = opened([home / "evidence" / "incident"], Path(temporary) / "incident", options)
        healthy = opened([home / "evidence" / "healthy"], Path(temporary) / "healthy", options)
        result = Audit(own, Request(name="a shop whose checkout became slow"), baseline=healthy).run()
    page = home / "report.html"
    settings = Settings(output=(str(page), str(home / "result.json")), quiet=quiet)
    _options.show(result, settings)
    click.echo(f"\nThe page: {page.resolve()}", err=True)
    return 0
