"""``perfaudit add``: evidence into the bundle."""

from __future__ import annotations

import click

from perfaudit.cli import _folder, _options, _progress
from perfaudit.cli._options import READING, Settings
from perfaudit.evidence.naming import shown


@click.command("add", short_help="Phase 2: evidence into the bundle; safe to repeat.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@_folder.option
@click.option("--as-baseline", is_flag=True, help="This is how it is when all is well: the reference to compare with.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no notes.")
@_options.with_options(READING)
def command(settings: Settings, paths: tuple[str, ...], folder: str | None, as_baseline: bool, quiet: bool) -> int:
    """Read files or folders into the audit's bundle. Adding twice changes nothing; a killed add is finished by the same command."""
    from perfaudit.config import load
    from perfaudit.evidence import intake
    from perfaudit.evidence.bundle import Bundle

    home = _folder.find(folder)
    config = load(home)
    options = _options.reading(settings, config, everything=True)
    bundle = Bundle.create(home / "baseline") if as_baseline else Bundle.open(home)
    with _progress.reading(paths, quiet=quiet) as progress:
        report = intake.add(bundle, paths, options, zones=settings.zones, progress=progress)
    for entry in report.added:
        rows = ", ".join(f"{part['rows']:,} {table}" for table, part in entry["tables"].items()) or "no rows"
        rejected = sum(entry["rejected"].values())
        click.echo(f"{entry['name']}: {entry['reader']}, {entry['lines']:,} lines, {rows}" + (f"; {rejected:,} lines rejected" if rejected else ""))
        if not quiet:
            for text in entry["notes"]:
                _options.note(f"  {shown(text)}")
    for name in report.known:
        click.echo(f"{name}: already in the bundle")
    for row in report.configuration:
        _options.note(f"{row['name']}: configuration used: {row['formats']} log format{'s' * (row['formats'] != 1)}")
    for row in report.not_read:
        _options.note(f"{row['name']}: not read: {shown(row['reason'])}")
    return 0
