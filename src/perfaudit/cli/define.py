"""``perfaudit define``: the problem definition, with criteria that can be measured."""

from __future__ import annotations

from collections.abc import Callable

import click

from perfaudit.cli import _folder
from perfaudit.errors import UsageError

QUESTIONS = (
    ("name", "Name of the audit"),
    ("symptom", "What do users notice? In their words, with a number"),
    ("flow", "Which flow or route is affected"),
    ("scope", "Which systems does it pass (comma separated)"),
    ("since", "Since when was it bad (empty: look for it)"),
    ("until", "Until when (empty: to the end)"),
    ("success", "Success criteria, comma separated, e.g. /checkout p95<400ms, errors<0.1%"),
)
LISTS = ("scope", "success")


def _options(function: Callable[..., int]) -> Callable[..., int]:
    for key, text in reversed(QUESTIONS):
        function = click.option(f"--{key}", metavar="TEXT", help=f"{text}.")(function)
    return function


@click.command("define", short_help="Phase 1: symptom, flow, scope and measurable success criteria.")
@_folder.option
@_options
def command(folder: str | None, **given: str | None) -> int:
    """Write the problem definition into audit.toml; asks for what no option gives (on a terminal).

    Success criteria must be measurable: 'ROUTE pNN<DURATION', 'errors<P%' or 'metric:NAME<V'. Others are refused.
    """
    import tomllib

    from perfaudit.config import instant, load, objective

    path = _folder.find(folder) / "audit.toml"
    known = load(path.parent).values
    answers: dict[str, str | list[str]] = {}
    for key, text in QUESTIONS:
        current = known.get(f"problem.{key}", "")
        shown = ", ".join(current) if isinstance(current, list) else str(current)
        value = given[key]
        if value is None:
            value = click.prompt(text, default=shown, show_default=bool(shown), err=True) if click.get_text_stream("stdin").isatty() and not any(given.values()) else shown
        if value:
            answers[key] = [v.strip() for v in value.split(",") if v.strip()] if key in LISTS else value.strip()
    for criterion in answers.get("success", []):
        try:
            objective(criterion)
        except UsageError as error:
            raise UsageError(f"the success criterion “{criterion}” cannot be measured", where=str(path), todo=error.todo) from None
    for key in ("since", "until"):
        if key in answers:
            instant(str(answers[key]))
    text = _replaced(path.read_text("utf-8") if path.exists() else "", answers)
    tomllib.loads(text)
    path.write_text(text, "utf-8")
    click.echo(f"wrote {path}")
    missing = [k for k in ("symptom", "flow", "success") if k not in answers]
    if missing:
        click.echo(f"still open: {', '.join(missing)}", err=True)
    return 0


def _replaced(text: str, answers: dict[str, str | list[str]]) -> str:
    """The file with a new [problem] section; everything else stays as it was."""
    import json
    import re

    lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in answers.items()]
    section = "[problem]\n" + "\n".join(lines) + "\n\n"
    match = re.search(r"^\[problem\]\n(?:(?!^\[).*\n?)*", text, re.M)
    return text[: match.start()] + section + text[match.end() :] if match else text + ("\n" if text and not text.endswith("\n") else "") + section


