"""``perfaudit paths``: where does the time go?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfaudit.cli import _folder, _options, _progress
from perfaudit.cli._options import ASKING, READING, SHOWING, Settings
from perfaudit.errors import InsufficientEvidence, UsageError
from perfaudit.evidence.naming import shown

if TYPE_CHECKING:
    from perfaudit.audit import Audit

QUESTION = "Where does the time of requests go?"


@click.command("paths", short_help="Phase 3: where the time goes: account of time, flows, hot paths, who calls whom, slow against fast.")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@_folder.option
@click.option("--correct-skew", is_flag=True, help="Move spans of services whose clock differs into their parents; how many and how far is said.")
@click.option("--completion", is_flag=True, help="Also until nothing of a request is left to do: consumers, work after the answer.")
@click.option("--what-if", "asked", multiple=True, metavar="COMPONENT=FACTOR", help="Replay the traces with a row of the account of time shortened: 'database=0.5', 'downstream: payments=gone', '…=parallel'; 'payments=0.5' is all that is that service's. Several are answered one by one.")
@_options.with_options(ASKING, SHOWING, READING)
def command(settings: Settings, paths: tuple[str, ...], folder: str | None, correct_skew: bool, completion: bool, asked: tuple[str, ...]) -> int:
    """Critical paths of the requests in PATHs, or in the audit folder that you are in.

    Traces (OTLP, Jaeger, Zipkin) split the time: what each operation waits for, which chains of calls own it, who calls whom and how often,
    what the slowest 5 % and 1 % wait for that the others do not, and which instance, peer or version slow requests have in common. An access
    log, session dumps and database logs beside them split what spans do not tell. Without traces the account of time is shown as far as it goes,
    with the evidence that would split it further.

    \b
    perfaudit paths traces.jsonl access.log -o paths.html
    perfaudit paths incident/ --baseline healthy/
    perfaudit paths evidence/ --since 2026-11-23T08:02:00Z --until 2026-11-23T08:10:00Z
    perfaudit paths traces.json --json | jq '.paths.hot[0]'
    perfaudit paths incident/ --what-if payments=0.5 --what-if 'cache=gone'
    perfaudit paths traces.json --correct-skew --completion
    """
    from perfaudit.paths import scenario
    from perfaudit.paths.overview import overview
    from perfaudit.report import result as results
    from perfaudit.slo.objectives import judge_all

    _options.check_targets(settings)
    if settings.fail_on:
        raise UsageError("paths names no problem that --fail-on could be about", where=f"--fail-on {settings.fail_on[0]}", todo="perfaudit analyze … --fail-on …; --objective works here too")
    scenarios = [scenario.parse(text) for text in asked]
    with _audit_of(settings, paths, folder) as audit:
        audit.request = replace(audit.request, correct_skew=correct_skew)
        ready = audit.prepare()
        if not ready.account.components and ready.account.tracing is None:
            raise InsufficientEvidence("no requests and no spans were read, so there is no time to account for", todo="perfaudit paths traces.jsonl access.log")
        result: dict[str, Any] = audit.opening(ready, QUESTION) | {"paths": overview(ready.account, completion=completion)}
        if scenarios:
            if ready.account.tracing is None:
                raise InsufficientEvidence("a what-if replays traces, and none were read", todo="perfaudit paths traces.jsonl access.log --what-if …")
            result["paths"]["what_if"] = [scenario.answer(ready.account.tracing, one) for one in scenarios]
        if ready.account.components:
            result["time_account"] = results.account_part(ready.account)
        _, objectives = judge_all(audit.request.objectives, ready.requests, audit.evidence)
        if objectives:
            result["slo"] = {"objectives": objectives}
    _options.show(result, settings)
    return _options.gate(result, settings)


@contextmanager
def _audit_of(settings: Settings, paths: tuple[str, ...], folder: str | None) -> Iterator[Audit]:
    """The audit of the paths (their bundle is temporary), else of the folder."""
    from perfaudit.audit import Audit, opened
    from perfaudit.cli.diagnose import audit_of
    from perfaudit.config import load

    if not paths:
        with audit_of(settings, str(_folder.find(folder))) as audit:
            yield audit
        return
    first = Path(paths[0])
    config = load(first if first.is_dir() and len(paths) == 1 else Path.cwd())
    options = _options.reading(settings, config, everything=False)
    asked = _options.asking(settings, config, ", ".join(sorted(shown(Path(p).name) for p in paths)[:3]))
    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        home = Path(temporary)
        with _progress.reading([*paths, *([settings.baseline] if settings.baseline else [])], quiet=settings.quiet) as progress:
            own = opened(paths, home / "evidence", options, zones=settings.zones, progress=progress)
            baseline = opened([settings.baseline], home / "baseline", options, zones=settings.zones, progress=progress) if settings.baseline else _folder.open_both(own.path)[1]
        if not settings.quiet:
            _options.warn(own.sources)
        yield Audit(own, asked, baseline=baseline)
