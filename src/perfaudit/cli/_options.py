"""Options that several commands share, and how they become a reading and an audit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perfaudit.cli import unheard
from perfaudit.errors import UsageError
from perfaudit.evidence.naming import shown

if TYPE_CHECKING:
    from perfaudit.audit import Request
    from perfaudit.config import Config
    from perfaudit.evidence.readers import ReadOptions

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Settings:
    """What the common options said."""

    output: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    only_window: bool = False
    where: str = ""
    label: tuple[str, ...] = ()
    timezone: tuple[str, ...] = ()
    baseline: str | None = None
    objective: tuple[str, ...] = ()
    fail_on: tuple[str, ...] = ()
    log_format: str | None = None
    route: tuple[str, ...] = ()
    keep_addresses: bool = False
    quiet: bool = False
    json: bool = False
    zones: dict[str, str] = field(default_factory=dict)


READING = (
    click.option("--log-format", metavar="TEXT", help="How access-log lines are built: an nginx log_format or Apache LogFormat, or combined, common, vhost_combined; for a PostgreSQL log its log_line_prefix."),
    click.option("--label", multiple=True, metavar="K=V", help="service=NAME or instance=NAME of what is read; wins over file names and fields."),
    click.option("--timezone", multiple=True, metavar="[SOURCE=]ZONE", help="Zone of logs that name none (default UTC), e.g. Europe/Berlin or mysql-slow.log=Asia/Tokyo."),
    click.option("--route", multiple=True, metavar="PATTERN", help="A route pattern such as /products/{slug} or /blog/*; may be given several times."),
    click.option("--keep-addresses", is_flag=True, help="Note in the bundle that addresses need not be protected (they are hashed with a key all the same)."),
)
ASKING = (
    click.option("--since", metavar="TIME", help="Start of the affected window (RFC 3339 or epoch; UTC without a zone)."),
    click.option("--until", metavar="TIME", help="End of the affected window."),
    click.option("--only-window", is_flag=True, help="Drop everything outside --since/--until instead of using it as reference."),
    click.option("--where", default="", metavar="SQL", help="Only requests that satisfy a condition, e.g. \"route like '/api/%'\"."),
    click.option("--baseline", metavar="PATH", help="How it is when all is well: a file, evidence folder, bundle or audit."),
    click.option("--objective", multiple=True, metavar="TEXT", help="'p95<800ms', '/checkout p99<1.5s', 'errors<0.1%', 'metric:NAME<V'. Broken: exit code 1."),
    click.option("--fail-on", multiple=True, metavar="WHAT", help="constraint, finding, or the name of a problem class: exit code 1 when it is there."),
)
SHOWING = (
    click.option("-o", "--output", multiple=True, metavar="TARGET", help="Also write report.html, report.md, result.json, junit:ci.xml, github:, openmetrics:m.prom, or - (Markdown on stdout). Several are allowed."),
    click.option("-q", "--quiet", is_flag=True, help="One line instead of the report; no progress, no notes."),
    click.option("--json", is_flag=True, help="The result as JSON on stdout instead of the report."),
)


def with_options(*groups: Sequence[Callable[[Any], Any]]) -> Callable[[F], F]:
    """Add groups of options; the command gets them as one ``settings``."""

    def add(function: F) -> F:
        import functools
        import inspect

        own = set(inspect.signature(function).parameters) - {"settings"}

        @functools.wraps(function)
        def wrapped(**kwargs: Any) -> Any:
            settings = Settings(**{k: kwargs.pop(k) for k in list(kwargs) if k not in own})
            return function(settings=settings, **kwargs)

        for option in reversed([o for group in groups for o in group]):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[return-value]

    return add


def reading(settings: Settings, config: Config, *, everything: bool) -> ReadOptions:
    """How to read, from flags and configuration. ``everything``: store all columns, not only those of an ad-hoc audit."""
    from perfaudit.audit import ad_hoc_columns
    from perfaudit.evidence.readers import ReadOptions

    labels: dict[str, str] = {}
    for label in settings.label:
        key, sep, value = label.partition("=")
        if not sep or key not in ("service", "instance") or not value:
            raise UsageError(f"cannot understand the label “{label}”", todo="labels are service=NAME and instance=NAME")
        labels[key] = value
    settings.zones = _zones(settings, config)
    service = labels.get("service") or str(config.get("reading.service", ""))
    return ReadOptions(
        log_format=settings.log_format or config.get("reading.log_format"),
        service=service,
        instance=labels.get("instance", ""),
        labelled=frozenset(labels) | ({"service"} if service else frozenset()),
        route_patterns=(*settings.route, *config.get("reading.route_patterns", [])),
        columns={} if everything else ad_hoc_columns(),
        keep_addresses=settings.keep_addresses or bool(config.get("reading.keep_addresses", False)),
    )


def _zones(settings: Settings, config: Config) -> dict[str, str]:
    import zoneinfo

    configured = config.get("reading.timezone", {})
    zones = dict(configured) if isinstance(configured, dict) else {"*": str(configured)}
    for text in settings.timezone:
        source, sep, zone = text.rpartition("=")
        zones[source if sep else "*"] = zone
    for zone in zones.values():
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(f"there is no time zone “{zone}”", todo="use an IANA name such as Europe/Berlin or UTC, or SOURCE=ZONE") from None
    return zones


def asking(settings: Settings, config: Config, name: str) -> Request:
    """What is asked, from flags and configuration. Raises :class:`UsageError` for times and objectives that cannot be read."""
    from perfaudit.audit import Request
    from perfaudit.config import instant, objective

    since, until = settings.since or config.get("problem.since"), settings.until or config.get("problem.until")
    if settings.only_window and not (since or until):
        raise UsageError("--only-window needs a window", todo="say --since and --until too")
    for what in settings.fail_on:
        _check_gate(what)
    return Request(
        since=instant(since) if since else None,
        until=instant(until) if until else None,
        only_window=settings.only_window,
        where=settings.where,
        objectives=tuple(objective(o) for o in (*settings.objective, *config.get("objectives.objectives", []))),
        name=name,
        config=config,
    )


def _check_gate(what: str) -> None:
    if what not in ("constraint", "finding"):
        from perfaudit.problems import get

        get(what)


def gate(result: dict[str, Any], settings: Settings) -> int:
    """The exit code of a result: 1 when a gate failed, 3 when the evidence was too little, else 0."""
    verdict = result.get("verdict", {"status": ""})
    problems = {f["problem"] for f in result.get("findings", []) if f["type"] == "problem"}
    for what in settings.fail_on:
        if (what == "constraint" and verdict["status"] == "constraint") or (what == "finding" and problems) or what in problems:
            return 1
    states = [o["state"] for o in result.get("slo", {}).get("objectives", [])]
    if "broken" in states:
        return 1
    return 3 if "unknown" in states or verdict["status"] == "insufficient-evidence" else 0


def show(result: dict[str, Any], settings: Settings) -> None:
    """Write every ``-o``, then the report (or one line, or JSON) on stdout."""
    from perfaudit.report import renderers

    picked = [renderers.pick(target) for target in settings.output]
    for target, (_, path) in zip(settings.output, picked, strict=True):
        renderers.write(result, target)
        if path != "-" and not settings.quiet:
            note(f"wrote {path}")
    on_stdout = any(path == "-" for _, path in picked)
    for row in result.get("slo", {}).get("objectives", []):
        if row["state"] == "broken":
            note(f"objective {shown(row['objective'])}: broken, measured {row['measured']['value']:.4g} {row['measured']['unit']}")
        elif row["state"] == "unknown":
            note(f"objective {shown(row['objective'])}: cannot be judged: {shown(row.get('reason') or 'no such route, metric or duration in the affected window')}")
    try:
        if settings.json:
            renderers.write(result, "json:-")
        elif settings.quiet and not on_stdout:
            click.echo(one_line(result))
        elif not on_stdout:
            renderers.write(result, "text:-")
        sys.stdout.flush()
    except BrokenPipeError:  # the exit code of the gate still counts
        unheard()


#: More rejected lines than this are told at once: they may hold another format.
MANY_REJECTED = 0.01


def warn(sources: Sequence[dict[str, Any]]) -> None:
    """On stderr: what was damaged, what was rejected in numbers, and which meaning was taken where there were two."""
    for source in sources:
        rejected = sum(source["rejected"].values())
        for text in source["notes"]:
            if text.startswith("damaged") or "likeliest" in text or "no unit" in text or "--timezone" in text:
                note(f"{source['name']}: {text}")
        if rejected > MANY_REJECTED * source["lines"]:
            reason, first = next(iter(source["rejected_examples"].items()))
            note(f"{source['name']}: {rejected:,} of {source['lines']:,} lines rejected; the first ({reason}): {first['text'][:120]}")


def check_targets(settings: Settings) -> None:
    """Refuse a target that cannot be written before the work begins."""
    from perfaudit.report import renderers

    if settings.json and any(renderers.pick(t)[1] == "-" for t in settings.output):
        raise UsageError("stdout was asked for twice", where="--json and -o …-", todo="keep one of them")
    for target in settings.output:
        _, path = renderers.pick(target)
        if path != "-" and Path(path).is_dir():
            raise UsageError(f"cannot write {path}: it is a folder", where=f"-o {target}", todo="name a file in it")
        if path != "-" and not Path(path).parent.is_dir():
            raise UsageError(f"cannot write {path}: its folder does not exist", where=f"-o {target}", todo="make the folder, or name another file")


def one_line(result: dict[str, Any]) -> str:
    """The verdict in a line: for scripts and chat."""
    return shown(_one_line(result))


def _one_line(result: dict[str, Any]) -> str:
    if "verdict" not in result:
        from perfaudit.report import view

        return view.headline(result)
    verdict = result["verdict"]
    if verdict["status"] != "constraint":
        return f"{verdict['status']} (confidence {verdict['confidence']:.0%}): {verdict['decision']}"
    scope = ", ".join(f"{k} {v if isinstance(v, str) else ' + '.join(v)}" for k, v in verdict["scope"].items() if k != "statement")
    return f"{verdict['problem']} ({scope}): {verdict['share']['value']:.0%} {verdict['share']['unit']}, confidence {verdict['confidence']:.0%}. {verdict['decision']}"


def note(text: str) -> None:
    """A note for people, on stderr."""
    click.echo(text, err=True)
