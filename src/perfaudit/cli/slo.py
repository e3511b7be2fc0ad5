"""``perfaudit slo``: were the promises kept, what is left of the error budget, and which alert would have told?"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfaudit.cli import _folder, _options, _progress
from perfaudit.cli._options import READING, SHOWING, Settings
from perfaudit.errors import BundleError, UsageError
from perfaudit.evidence.naming import shown

if TYPE_CHECKING:
    from perfaudit.config import Config
    from perfaudit.evidence.bundle import Bundle
    from perfaudit.slo.model import Slo

WINDOW = (
    click.option("--objective", multiple=True, metavar="TEXT", help="'p95<800ms', '/checkout p99<1.5s', 'errors<0.1%', 'metric:NAME<V'; beside those of audit.toml."),
    click.option("--since", metavar="TIME", help="Judge from here on (RFC 3339 or epoch; UTC without a zone)."),
    click.option("--until", metavar="TIME", help="Judge what was before this."),
    click.option("--where", default="", metavar="SQL", help="Only requests that satisfy a condition, e.g. \"route like '/api/%'\"."),
)


@click.command("slo", short_help="Objectives: error budget, burn rate, and alert rules that can fire.")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@_folder.option
@click.option("--openslo", multiple=True, metavar="FILE", help="Objectives in OpenSLO v1 YAML; several files may refer to each other.")
@click.option("--period", metavar="DURATION", help="The period of --objective and audit.toml objectives: 30d (default), 28d, 4w, 1M, 1Q.")
@click.option("--rules", metavar="FILE", help="Write Prometheus recording and alerting rules (- is standard output). An alert that can never fire is refused.")
@click.option("--metric", multiple=True, metavar="KEY=NAME", help="Metric names for --rules: requests=NAME{…}, errors=NAME{…}, durations=NAME (without _bucket), route=LABEL.")
@click.option("--document", metavar="FILE", help="Write the definition of the objectives as Markdown (- is standard output), for people to complete and sign.")
@_options.with_options(WINDOW, SHOWING, READING)
def command(
    settings: Settings, paths: tuple[str, ...], folder: str | None, openslo: tuple[str, ...], period: str | None, rules: str | None, metric: tuple[str, ...], document: str | None
) -> int:  # fmt: skip
    """Judge objectives on the evidence of PATHs, or of this audit folder: attained, error budget spent, burn rate, alerts.

    p95<800ms reads: 95 % of the requests take less than 800 ms; the other 5 % are the error budget. Alerts are those of the
    SRE workbook (14.4× over 1 h, 6× over 6 h, 3× over 1 d, 1× over 3 d for 30 days, each with a short second window), or an
    OpenSLO file's own; each asks for a minimum of bad events, so that chance at low traffic fires none.

    \b
    perfaudit slo access.log --objective 'p95<800ms' --objective 'errors<0.1%'
    perfaudit slo evidence/ --openslo slo.yaml --rules rules.yml && promtool check rules rules.yml
    perfaudit slo --openslo slo.yaml --rules - --document slo.md   # no evidence: definitions and feasibility
    perfaudit slo incident/ --objective 'errors<0.1%' -q || echo broken

    Exit codes: 0 kept · 1 an objective is broken · 2 usage, or YAML that cannot be used · 3 none can be judged.
    """
    from perfaudit.config import instant, load
    from perfaudit.slo import expressions, run
    from perfaudit.slo import openslo as reader

    _check(settings, rules, document)
    home = None if paths else _home(folder, needed=not (rules or document or openslo))
    config = load(home or (Path(paths[0]) if len(paths) == 1 and Path(paths[0]).is_dir() else Path.cwd()))
    defined = reader.load(openslo) if openslo else reader.Definitions()
    slos = run.gather(_objectives(settings, config), defined.slos, _period(period, config))
    names = expressions.metrics(metric)
    since, until = (instant(text) if text else None for text in (settings.since, settings.until))
    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        bundle = _bundle(settings, paths, home, config, Path(temporary))
        result = _result(settings, bundle, slos, defined.notes, since, until)
    if rules:
        _rules(slos, result, names, rules, settings)
    if document:
        from perfaudit.report import slo_document

        _write(slo_document.render(result), document, settings)
    for text in defined.notes if not settings.quiet else ():
        _options.note(shown(text))
    if "-" in (rules, document):
        _files(result, settings)
    else:
        _options.show(result, settings)
    return 0 if bundle is None and (rules or document) else _code(result)


def _check(settings: Settings, rules: str | None, document: str | None) -> None:
    _options.check_targets(settings)
    taken = [name for name, target in (("--rules", rules), ("--document", document)) if target == "-"]
    taken += ["--json"] if settings.json else []
    if len(taken) > 1:
        raise UsageError("stdout was asked for twice", where=" and ".join(taken), todo="keep one of them")
    for target in (rules, document):
        if target and target != "-" and (Path(target).is_dir() or not Path(target).parent.is_dir()):
            raise UsageError(f"cannot write {target}", where=target, todo="name a file in a folder that exists")


def _home(folder: str | None, *, needed: bool) -> Path | None:
    try:
        return _folder.find(folder)
    except BundleError:
        if needed or folder is not None:
            raise
        return None


def _objectives(settings: Settings, config: Config) -> list[Any]:
    from perfaudit.config import objective

    return [objective(text) for text in (*settings.objective, *config.get("objectives.objectives", []))]


def _period(given: str | None, config: Config) -> float:
    from perfaudit.slo.model import PERIOD, period

    text = given or str(config.get("objectives.period", ""))
    return period(text) if text else PERIOD


def _bundle(settings: Settings, paths: tuple[str, ...], home: Path | None, config: Config, temporary: Path) -> Bundle | None:
    from perfaudit.audit import opened

    if home is not None:
        return _folder.open_both(home)[0]
    if not paths:
        return None
    options = _options.reading(settings, config, everything=False)
    with _progress.reading(list(paths), quiet=settings.quiet) as progress:
        bundle = opened(paths, temporary / "evidence", options, zones=settings.zones, progress=progress)
    if not settings.quiet:
        _options.warn(bundle.sources)
    return bundle


def _result(settings: Settings, bundle: Bundle | None, slos: list[Slo], notes: list[str], since: int | None, until: int | None) -> dict[str, Any]:
    from perfaudit.baseline import load_test
    from perfaudit.report import result as report
    from perfaudit.slo import run

    evidence, left_out = load_test.trusted(bundle, settings.where) if bundle is not None else (None, [])
    counting = run.counter(evidence, since, until) if evidence is not None else None
    part = run.part(slos, counting, [*left_out, *notes])
    assumed = ["before the recording, the same load without errors is assumed: an alert may have fired earlier than told"] if counting else []
    out: dict[str, Any] = {"schema_version": report.SCHEMA_VERSION, "audit": report.audit_part("objectives", "Were the promises kept, and who would have been told when?", assumed, {})}
    if bundle is not None:
        out |= {"window": part.pop("window"), "inventory": report.inventory(bundle)}
    return out | {"slo": part}


def _rules(slos: list[Slo], result: dict[str, Any], names: dict[str, str], target: str, settings: Settings) -> None:
    from perfaudit.slo import rules

    made = rules.build(list(zip(slos, result["slo"]["objectives"], strict=True)), names)
    for text in [f"refused: {r}" for r in made.refused] + made.notes if not settings.quiet else []:
        _options.note(shown(text))
    _write(made.text(), target, settings)


def _write(text: str, target: str, settings: Settings) -> None:
    from perfaudit.report import renderers

    renderers.put(text, target, sys.stdout)
    if target != "-" and not settings.quiet:
        _options.note(f"wrote {target}")


def _files(result: dict[str, Any], settings: Settings) -> None:
    """Only the files that were asked for: standard output belongs to the rules or the document."""
    from perfaudit.report import renderers

    for target in settings.output:
        renderers.write(result, target)


def _code(result: dict[str, Any]) -> int:
    from perfaudit.slo.run import state

    return {"broken": 1, "kept": 0, "unknown": 3}[state(result["slo"]["objectives"])]
