"""``perfaudit analyze``: one step from evidence to verdict."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from perfaudit.cli import _options, _progress
from perfaudit.cli._options import ASKING, READING, SHOWING, Settings
from perfaudit.errors import UsageError
from perfaudit.evidence.naming import shown


@click.command("analyze", short_help="From evidence to verdict in one step; nothing to set up.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--keep", metavar="DIR", help="Keep the evidence as a bundle in DIR, for perfaudit query and report.")
@_options.with_options(ASKING, SHOWING, READING)
def command(settings: Settings, paths: tuple[str, ...], keep: str | None) -> int:
    """Read files or folders of any kind (- is standard input) and answer: what limits this system now, and what next?

    A folder may hold anything: what is recognised is used, the rest is listed by name. Known today: access logs of nginx,
    Apache, HAProxy, AWS ALB and IIS, JSON access logs, PostgreSQL logs, dumps of pg_stat_activity, Prometheus text with
    timestamps, events (JSON lines, CSV, git log), error and application logs, results of load tests (k6, Locust, JMeter,
    Gatling, Vegeta, wrk, HdrHistogram); plain, .gz or .zst.

    \b
    perfaudit analyze access.log
    zcat access.log.*.gz | perfaudit analyze -
    perfaudit analyze incident/ --baseline healthy/ -o report.html -o result.json
    perfaudit analyze evidence/ --since 2026-11-23T08:02:00Z --objective 'p95<800ms'
    """
    from perfaudit.audit import Audit, opened
    from perfaudit.config import load
    from perfaudit.evidence.bundle import Bundle

    for path in paths:
        if "://" in path:
            raise UsageError(f"cannot collect from {path} yet: this version reads files", todo="record first; perfaudit explain CLASS lists the read-only commands that collect what a class needs")
    _options.check_targets(settings)
    first = Path(paths[0])
    config = load(first if first.is_dir() and len(paths) == 1 else Path.cwd())
    asked = _options.asking(settings, config, _name(paths))
    options = _options.reading(settings, config, everything=keep is not None)
    if keep and Path(keep).is_dir() and any(Path(keep).iterdir()) and not Bundle.is_bundle(Path(keep)):
        raise UsageError(f"{keep} is not empty", where="--keep", todo="name a new folder: a bundle has its own")
    if keep and Bundle.is_bundle(Path(keep)):
        raise UsageError(f"{keep} holds a bundle already", where="--keep", todo="name a new folder, or add to that one: perfaudit add PATH… --audit DIR")
    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        home = Path(keep) if keep else Path(temporary) / "evidence"
        with _progress.reading([*paths, *([settings.baseline] if settings.baseline else [])], quiet=settings.quiet) as progress:
            own = opened(paths, home, options, zones=settings.zones, progress=progress, durable=keep is not None)
            beside = own.path / "baseline" if keep or own.path == first else None
            if settings.baseline:
                baseline: Bundle | None = opened([settings.baseline], home / "baseline", options, zones=settings.zones, progress=progress, durable=keep is not None)
            else:
                baseline = Bundle.open(beside) if beside and Bundle.is_bundle(beside) else None
        result = Audit(own, asked, baseline=baseline).run()
    if not settings.quiet:
        _options.warn(own.sources)
    if keep:
        from perfaudit.cli._folder import store

        store(Path(keep), result)
    _options.show(result, settings)
    return _options.gate(result, settings)


def _name(paths: tuple[str, ...]) -> str:
    names = sorted("standard input" if p == "-" else shown(os.path.basename(os.path.realpath(p))) for p in paths)  # noqa: PTH119  (a loop of links is no error yet)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
