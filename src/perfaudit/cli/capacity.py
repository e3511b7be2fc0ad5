"""``perfaudit capacity``: scale, or fix something first?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfaudit.cli import _folder, _options, _progress
from perfaudit.cli._options import READING, SHOWING, Settings
from perfaudit.errors import EvidenceError, UsageError
from perfaudit.evidence.naming import shown

if TYPE_CHECKING:
    from perfaudit.audit import Request
    from perfaudit.config import Config, Objective
    from perfaudit.evidence.bundle import Bundle

QUESTION = "Should we scale, or fix something first?"


@click.command("capacity", short_help="Scale or fix? Capacity at the objective, what doubling brings, what a request costs.")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@_folder.option
@click.option("--objective", metavar="TEXT", help="What must hold, e.g. 'p95<800ms' or '/checkout p99<1.5s': capacity is the largest load that keeps it.")
@click.option("--costs", metavar="FILE", help="Charges as FOCUS CSV (FinOps) or plain CSV with date, service, cost, currency: gives the cost of a request.")
@click.option("--pool", "pools", multiple=True, metavar="size=N[,…]", help="A pool of workers or connections: size=20,hold=45ms,rate=300/s,wait=5ms,name=db. What is left out comes from the evidence.")
@click.option("--since", metavar="TIME", help="Only from here on (RFC 3339 or epoch; UTC without a zone).")
@click.option("--until", metavar="TIME", help="Only up to here.")
@click.option("--where", default="", metavar="SQL", help="Only requests that satisfy a condition, e.g. \"route like '/api/%'\".")
@_options.with_options(SHOWING, READING)
def command(settings: Settings, paths: tuple[str, ...], folder: str | None, objective: str | None, costs: str | None, pools: tuple[str, ...], since: str | None, until: str | None, where: str) -> int:
    """Would more of it help, and what would fixing bring? From the evidence of this audit folder, of PATHs, or a table of loads.

    A table has a column for the load (load, N, users, …), one for the throughput (throughput, X, rps, …) and may have p95_ms. It needs six
    loads or more, the largest three times the smallest; nothing is said of loads beyond twice the largest.

    \b
    perfaudit capacity loads.csv
    perfaudit capacity evidence/ --objective 'p95<800ms' -o capacity.html
    perfaudit capacity access.log node.prom --costs focus.csv
    perfaudit capacity --pool size=20,hold=45ms,rate=300/s
    """
    from perfaudit.capacity import pools as pooling
    from perfaudit.capacity import table
    from perfaudit.config import load
    from perfaudit.config import objective as parsed
    from perfaudit.report import renderers

    _options.check_targets(settings)
    asked = [pooling.parse(text) for text in pools]
    alone = not paths and folder is None and bool(asked) and all(p.rate > 0 and p.hold > 0 for p in asked)
    home = None if paths or alone else _folder.find(folder)
    config = load(home or (Path(paths[0]) if len(paths) == 1 and Path(paths[0]).is_dir() else Path.cwd()))
    texts = [objective] if objective else [t for t in config.get("objectives.objectives", []) if parsed(t).kind != "metric"]
    wanted = parsed(texts[0]) if texts else None
    if wanted is not None and wanted.kind == "metric":
        raise UsageError("capacity is told for latency and errors, not for a metric", where=f"--objective {wanted.text}", todo="examples: 'p95<800ms', '/checkout p99<1.5s', 'errors<0.1%'")
    settings.since, settings.until, settings.where = since, until, where
    if len(paths) == 1 and table.looks_like(Path(paths[0])):
        result = _of_table(Path(paths[0]), wanted, asked)
    elif alone and costs is None:
        result = _of_pools(asked)
    else:
        result = _of_evidence(settings, config, paths, home, wanted, asked, costs)
    if settings.quiet and not settings.json and not any(renderers.pick(o)[1] == "-" for o in settings.output):
        for target in settings.output:
            renderers.write(result, target)
        click.echo(shown(_one_line(result["capacity"])))
    else:
        _options.show(result, settings)
    return 3 if _unanswered(result["capacity"], costs is not None) else 0


def _one_line(part: dict[str, Any]) -> str:
    cost = part.get("unit_cost", {})
    if part["answer"] == "cannot tell" and cost.get("answer", "cannot tell") != "cannot tell":
        return f"{cost['answer']}: {cost['reason']}"
    return f"{part['answer']}: {part['reason']}" + (f"; {cost['answer']}: {cost['reason']}" if cost else "")


def _unanswered(part: dict[str, Any], costs: bool) -> bool:
    """Neither the question itself nor what was asked beside it has an answer."""
    beside = [row["answer"] for row in part.get("pools", [])] + ([part["unit_cost"]["answer"]] if part.get("unit_cost") and (costs or "points" not in part) else [])
    return part["answer"] == "cannot tell" and all(answer == "cannot tell" for answer in beside)


def _result(name: str, part: dict[str, Any], assumptions: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    from perfaudit.report import result as results

    return {"schema_version": results.SCHEMA_VERSION, "audit": results.audit_part(name, QUESTION, assumptions, {}), **more, "capacity": part}


def _of_table(path: Path, wanted: Objective | None, asked: list[Any]) -> dict[str, Any]:
    from perfaudit.capacity import study, table

    points = table.read(path)
    try:
        facts = study.of_points(points, wanted)
    except ValueError as error:
        raise EvidenceError(str(error), where=str(path), todo="correct that column") from None
    return _result(shown(path.name), study.part(study.study(facts, asked)))


def _of_pools(asked: list[Any]) -> dict[str, Any]:
    from perfaudit.capacity import study
    from perfaudit.capacity.answer import Answer, Facts

    found = study.study(Facts(), asked)
    worst = next((row for row in found.pools if row["answer"] == "grow"), found.pools[0])
    answer = Answer("scale" if worst["answer"] == "grow" else "leave alone", f"{worst['name']}: {worst['reason']}")
    return _result("pool", study.part(study.Study(found.facts, answer, found.pools)))


def _of_evidence(settings: Settings, config: Config, paths: tuple[str, ...], home: Path | None, wanted: Objective | None, asked: list[Any], costs: str | None) -> dict[str, Any]:
    from perfaudit.audit import opened

    options = _options.reading(settings, config, everything=False)
    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        beside = Path(temporary)
        with _progress.reading([*paths, *([costs] if costs else [])], quiet=settings.quiet) as progress:
            if home is None:
                own = opened([*paths, *([costs] if costs else [])], beside / "evidence", options, zones=settings.zones, progress=progress)
                charged = own
            else:
                own = _folder.open_both(home)[0]
                charged = opened([costs], beside / "costs", options, zones=settings.zones) if costs else own
        if not settings.quiet:
            _options.warn(own.sources)
        name = home.resolve().name if home else ", ".join(sorted(shown(Path(p).name) for p in paths)[:3])
        return _studied(_options.asking(settings, config, name), own, charged, wanted, asked)


def _studied(request: Request, own: Bundle, charged: Bundle, wanted: Objective | None, asked: list[Any]) -> dict[str, Any]:
    from dataclasses import replace

    from perfaudit.audit import Audit
    from perfaudit.baseline import load_test
    from perfaudit.capacity import study, unit_cost
    from perfaudit.config import instant
    from perfaudit.evidence.store import Evidence
    from perfaudit.model import Window

    evidence, _ = load_test.trusted(own, request.where)  # what was left out is among the assumptions of the audit
    audited = Audit(own, replace(request, objectives=())).run()
    spans = {k: audited["window"][k] for k in ("start", "end")}
    window = Window(request.since or instant(spans["start"]), request.until or instant(spans["end"]))
    facts = study.of_evidence(evidence, window, wanted, audited)
    price = request.config.get("costs.per_hour", 0)
    cost = unit_cost.judge(evidence, Evidence(charged), per_hour=float(sum(price.values()) if isinstance(price, dict) else price), currency=str(request.config.get("costs.currency", "")))
    found = study.study(facts, [study.filled(pool, evidence, window) for pool in asked], cost)
    part = study.part(found)
    keys = ("window", "inventory", "not_read", "events")
    return _result(request.name, part, tuple(audited["audit"]["assumptions"]), **{k: audited[k] for k in keys if k in audited})
