"""``perfaudit compare``: is B worse than A?"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perfaudit.cli import _options, _progress
from perfaudit.cli._options import READING, SHOWING, Settings
from perfaudit.errors import InsufficientEvidence, UsageError
from perfaudit.evidence.naming import shown

if TYPE_CHECKING:
    from perfaudit.comparison.run import Asked
    from perfaudit.comparison.shift import Least
    from perfaudit.evidence.bundle import Bundle

_KINDS = ("before-after", "canary", "environments", "deploys")
_FAILING = ("worse", "inconclusive", "better")


@click.command("compare", short_help="Phase 7: is B worse than A? Before/after, canary, environments, deploys.")
@click.argument("paths", nargs=-1, required=True, metavar="A [B]")
@click.option("--as", "kind", type=click.Choice(_KINDS), help="What the arms are (default: canary when they run at the same time, else before-after).")
@click.option("--split", metavar="TIME", help="Before and after an instant of the one recording A.")
@click.option("--least", metavar="SIZE", default="", help="The least difference that matters: 5%, or 5%,2ms,0.1pp (the default): share of the duration and milliseconds both; points of the error ratio.")
@click.option("--since", metavar="TIME", help="Only requests from here on, in every arm (RFC 3339 or epoch; UTC without a zone).")
@click.option("--until", metavar="TIME", help="Only requests before this, in every arm.")
@click.option("--where", default="", metavar="SQL", help="Only requests that satisfy a condition, e.g. \"route like '/api/%'\".")
@click.option("--fail-on", multiple=True, type=click.Choice(_FAILING), help="Exit code 1 on this result; may be given several times.")
@_options.with_options(SHOWING, READING)
def command(settings: Settings, paths: tuple[str, ...], kind: str | None, split: str | None, least: str) -> int:
    """Compare two recordings, route by route and at an equal mix: better, worse, no practical difference, or inconclusive.

    A and B are files, evidence folders, bundles, audit folders, or stored results (result.json). A difference is called only when
    it is real at 95 % over all routes together (autocorrelation counted) and at least --least large; what cannot be told comes
    with what would decide. A change of mix alone is no difference. Other load is told.

    \b
    perfaudit compare last-week/ today/
    perfaudit compare stable.log canary.log --fail-on worse -q
    perfaudit compare access.log --split 2026-11-23T08:02:00Z --least 10%
    perfaudit compare staging/ production/ --as environments -o report.html
    perfaudit compare recording/ --as deploys

    Exit codes: 0 compared · 1 --fail-on · 2 usage or unreadable · 3 nothing to compare (an empty arm, no common route).
    """
    from perfaudit.comparison import run
    from perfaudit.comparison.run import Asked
    from perfaudit.config import instant

    _options.check_targets(settings)
    _check(paths, kind, split)
    asked = Asked(kind or "", _least(least), instant(settings.since) if settings.since else None, instant(settings.until) if settings.until else None)
    if asked.since is not None and asked.until is not None and asked.until <= asked.since:
        raise UsageError("--until is not after --since", where=f"{settings.since}, {settings.until}", todo="swap them; times without a zone are UTC")
    with tempfile.TemporaryDirectory(prefix="perfaudit-") as temporary:
        try:
            result = _run(settings, paths, asked, instant(split) if split else None, Path(temporary))
        except InsufficientEvidence as why:
            _options.note(_lines(f"perfaudit: {why}"))
            result = _result([], _names(paths), run.nothing(asked, why), None)
    _options.show(result, settings)
    part = result["comparison"]
    if part["result"] in settings.fail_on:
        return 1
    return 0 if part.get("error_rate", {}).get("questions") else 3


def _check(paths: tuple[str, ...], kind: str | None, split: str | None) -> None:
    if len(paths) > 2 and kind != "deploys":
        raise UsageError(f"{len(paths)} paths were given, two are compared", todo="put the files of one arm into a folder: perfaudit compare before/ after/")
    if len(paths) == 1 and kind != "deploys" and not split:
        raise UsageError("there is nothing to compare it with", where=paths[0], todo="give a second path, or --split TIME for before and after, or --as deploys")
    if split and (len(paths) > 1 or kind in ("deploys", "canary")):
        raise UsageError("--split divides one recording into before and after", where=f"--split {split}", todo="give one path, and no --as canary or deploys")
    if len([p for p in paths if p == "-"]) > 1:
        raise UsageError("standard input can be one arm only", todo="give a file for the other")


_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%|ms|us|µs|s|pp)")


def _least(text: str) -> Least:
    """``5%``, ``5%,2ms``, ``0.1pp``. Raises :class:`UsageError`."""
    from perfaudit.comparison.shift import Least

    found: dict[str, float] = {}
    for size in filter(None, (t.strip() for t in text.split(","))):
        match = _SIZE.fullmatch(size)
        if match is None:
            raise UsageError(f"cannot understand --least “{size}”", todo="examples: 5%   10ms   5%,2ms   0.1pp (points of the error ratio)")
        number, unit = float(match[1]), match[2]
        if unit == "%":
            found["share"] = number / 100
        elif unit == "pp":
            found["errors"] = number / 100
        else:
            found["micros"] = number * {"ms": 1e3, "s": 1e6}.get(unit, 1.0)
    if "share" in found and "micros" not in found:
        found["micros"] = 0.0  # a share was asked for and nothing else
    return Least(**found)


def _run(settings: Settings, paths: tuple[str, ...], asked: Asked, split: int | None, temporary: Path) -> dict[str, Any]:
    from perfaudit.audit import opened
    from perfaudit.baseline import load_test
    from perfaudit.comparison import deploys, results, run
    from perfaudit.config import load

    stored = [results.load(p) if p.endswith(".json") else None for p in paths]
    options = _options.reading(settings, load(Path.cwd()), everything=True)
    bundles: list[Bundle | None] = []
    with _progress.reading([p for p, s in zip(paths, stored, strict=True) if s is None], quiet=settings.quiet) as progress:
        for i, path in enumerate(paths):
            bundles.append(None if stored[i] is not None else opened([path], temporary / str(i), options, zones=settings.zones, progress=progress))
    if not settings.quiet:
        for bundle in bundles:
            _options.warn(bundle.sources if bundle else [])
    names = _names(paths)
    known = [b for b in bundles if b is not None]
    if any(s is not None for s in stored):
        from perfaudit.audit import Audit, Request

        both = [s or (Audit(b, Request(name=n, where=settings.where)).run() if b else {}) for s, b, n in zip(stored, bundles, names, strict=True)]
        return _result(known, names, results.part(both, names, asked), results.window(both))
    evidence = []
    for bundle in known:
        trusted, left_out = load_test.trusted(bundle, settings.where)
        evidence.append(trusted)
        for text in left_out:
            _options.note(shown(text))
    if asked.kind == "deploys":
        sources = [run.arm(n, e, asked) for n, e in zip(names, evidence, strict=True)]
        return _result(known, names, deploys.compare(sources, asked), run.window(sources))
    if split is not None:
        a, b = run.halves(names[0], evidence[0], split, asked)
    else:
        a, b = (run.arm(n, e, asked) for n, e in zip(names, evidence, strict=True))
    part, _ = run.compared(a, b, asked)
    return _result(known, names, part, run.window([a, b]))


def _lines(text: str) -> str:
    """An error of several lines without anything that acts on a terminal."""
    return "\n".join(shown(line) for line in text.split("\n"))


def _result(bundles: list[Bundle], names: list[str], part: dict[str, Any], window: dict[str, str] | None) -> dict[str, Any]:
    from perfaudit.report import result as report

    inventory: dict[str, dict[str, Any]] = {}
    for bundle in bundles:
        for row in report.inventory(bundle):
            old = inventory.get(row["table"])
            if old is None:
                inventory[row["table"]] = row
            else:
                old["rows"] += row["rows"]
                old["sources"] += row["sources"]
                if "from" in row:
                    old |= {"from": min(row["from"], old.get("from", row["from"])), "to": max(row["to"], old.get("to", row["to"]))}
    name = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    question = "Which deploy made it worse, and what did all of them add up to?" if part["as"] == "deploys" else "Is B worse than A?"
    out = {"schema_version": report.SCHEMA_VERSION, "audit": report.audit_part(name, question, part["notes"], {}), "inventory": [inventory[t] for t in inventory], "comparison": part}
    return out | ({"window": window} if window else {})


def _names(paths: tuple[str, ...]) -> list[str]:
    """What people call the arms: file names, with their folder where those are the same."""
    real = [p if p == "-" else os.path.realpath(p) for p in paths]
    names = ["standard input" if p == "-" else os.path.basename(p) for p in real]  # noqa: PTH119
    if len(set(names)) < len(names):
        names = [os.path.join(os.path.basename(os.path.dirname(p)), n) for p, n in zip(real, names, strict=True)]  # noqa: PTH118, PTH119, PTH120
    if len(set(names)) < len(names):
        names = [f"{n} ({label})" for n, label in zip(names, "ABCDEFGHIJ", strict=False)]
    return [shown(n) for n in names]
