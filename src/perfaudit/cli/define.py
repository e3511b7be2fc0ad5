"""``perfaudit define``: the problem definition, with criteria that can be measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from perfaudit.cli import _folder
from perfaudit.errors import ConfigError, UsageError

F = TypeVar("F", bound=Callable[..., Any])
Answer = str | list[str]

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


def _options(function: F) -> F:
    for key, text in reversed(QUESTIONS):
        function = click.option(f"--{key}", metavar="TEXT", help=f"{text}.")(function)
    return function


@click.command("define", short_help="Phase 1: symptom, flow, scope and measurable success criteria.")
@_folder.option
@_options
def command(folder: str | None, **given: str | None) -> int:
    """Write the problem definition into audit.toml: what options say, or, without any and on a terminal, what you answer.

    Success criteria must be measurable: 'ROUTE pNN<DURATION', 'errors<P%' or 'metric:NAME<V'. Others are refused.
    """
    from perfaudit.config import load

    path = _folder.find(folder) / "audit.toml"
    config = load(path.parent)
    mine = {key: config.get(f"problem.{key}") for key, origin in _own_keys(config.origin) if origin == path.name}
    asks = sys.stdin is not None and sys.stdin.isatty() and not any(given.values())
    answers: dict[str, Answer] = {}
    for key, text in QUESTIONS:
        current = mine.pop(key, "")
        value = given[key]
        if value is not None:
            answers[key] = _answer(key, value)
        elif asks:
            before = ", ".join(current) if isinstance(current, list) else str(current)
            answers[key] = click.prompt(text, default=before, show_default=bool(before), err=True, value_proc=lambda said, key=key: _again(key, said))  # type: ignore[misc]
        else:
            answers[key] = current
    _save({k: v for k, v in (answers | mine).items() if v}, path)
    missing = [k for k in ("symptom", "flow", "success") if not answers[k]]
    if missing:
        click.echo(f"still open: {', '.join(missing)}", err=True)
    return 0


def _own_keys(origin: Any) -> list[tuple[str, str]]:
    return [(key.removeprefix("problem."), where) for key, where in origin.items() if key.startswith("problem.")]


def _answer(key: str, text: str) -> Answer:
    """An answer in its type. Raises :class:`UsageError` for a time or criterion that cannot be understood."""
    from perfaudit.config import instant, objective

    if key not in LISTS:
        if key in ("since", "until") and text.strip():
            instant(text)
        return text.strip()
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for criterion in parts if key == "success" else []:
        try:
            objective(criterion)
        except UsageError as error:
            raise UsageError(f"the success criterion “{criterion}” cannot be measured", where=f"--{key}", todo=error.todo) from None
    return parts


def _again(key: str, text: str) -> Answer:
    """As :func:`_answer`, but a person on a terminal is asked again."""
    try:
        return _answer(key, text)
    except UsageError as error:
        raise click.UsageError(f"{error.what} ({error.todo})") from None


def _save(answers: dict[str, Answer], path: Any) -> None:
    import tomllib

    text = _replaced(path.read_text("utf-8") if path.exists() else "", answers)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the definition does not fit into the file: {error}", where=str(path), todo="keep one [problem] section with plain keys") from None
    path.write_text(text, "utf-8")
    click.echo(f"wrote {path}")


def _replaced(text: str, answers: dict[str, Answer]) -> str:
    """The file with a new [problem] section; everything else stays as it was."""
    import json
    import re

    lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}".replace("\x7f", "\\u007f") for k, v in answers.items()]
    section = "[problem]\n" + "\n".join(lines) + "\n\n"
    match = re.search(r"^[ \t]*\[problem\][ \t]*(?:#.*)?\n(?:(?![ \t]*\[\w+\]).*\n?)*", text, re.M)
    return text[: match.start()] + section + text[match.end() :] if match else text + ("\n" if text and not text.endswith("\n") else "") + section
