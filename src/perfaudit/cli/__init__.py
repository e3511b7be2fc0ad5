"""The command line: one command per module, found by folder. ``--help`` imports no engine."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Any

import click

from perfaudit import __version__
from perfaudit.errors import AuditError

#: The commands in the order of the methodology; a module that is not named here still shows, at the end.
ORDER = ("analyze", "demo", "init", "define", "add", "inventory", "baseline", "paths", "diagnose", "compare", "slo", "capacity", "report", "query", "explain", "completion")


class Commands(click.Group):
    """Commands are modules of this package; each holds ``command``, a click command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the methodology."""
        import pkgutil

        names = [i.name for i in pkgutil.iter_modules(__path__) if not i.name.startswith("_")]
        return sorted(names, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a module, None when there is none."""
        import importlib

        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands with the ``short_help`` that each module's text holds: importing all of them would cost a third of ``--help``."""
        rows = []
        for name in self.list_commands(ctx):
            with open(os.path.join(__path__[0], f"{name}.py"), encoding="utf-8") as module:  # noqa: PTH118  (pathlib costs 9 ms here)
                found = re.search(r'short_help="([^"]*)"', module.read())
            rows.append((name, found[1] if found else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Adds “did you mean” to an unknown command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            raise click.UsageError(f"there is no command “{args[0]}”" + (f"; did you mean {near[0]}?" if near else ""), ctx) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="perfaudit")
def cli() -> None:
    """What constraint limits this system now, and what decision should be made next?

    perfaudit reads the evidence you already have (access logs, database logs, session dumps, metrics, deploys) and
    answers with a verdict: one constraint, its share of the time, the look-alikes it ruled out, how sure it is, and
    what would change its mind.

    \b
    In an incident:   perfaudit analyze access.log
                      perfaudit analyze evidence/ --baseline last-week/ -o report.html
    See it work:      perfaudit demo
    A formal audit:   perfaudit init audit-2026-11, then define, add, baseline, diagnose, report

    Exit codes: 0 done, gates kept · 1 a gate failed · 2 usage, configuration or unreadable input · 3 not enough evidence.
    """


def main(argv: list[str] | None = None) -> None:
    """Entry point. Errors are what, where and what to do; a traceback only with ``PERFAUDIT_DEBUG=1``."""
    sys.exit(run(argv))


def run(argv: list[str] | None = None) -> int:
    """Run the command line and give its exit code; a reader of stdout that went away (``| head``) is no failure."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115
    code = _run(argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        unheard()
    except OSError as error:
        unheard()
        click.echo(f"perfaudit: the output cannot be written: {error.strerror}\n  do: check the space left", err=True)
        return 2
    return code


def _run(argv: list[str] | None) -> int:
    try:
        result = cli.main(args=argv, prog_name="perfaudit", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (BrokenPipeError, SystemExit):  # click and rich turn a broken pipe into SystemExit
        unheard()
        return 0
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.ClickException as error:
        click.echo(_plain(f"perfaudit: {error.format_message()}\n  do: {_help(error)}"), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except AuditError as error:
        if os.environ.get("PERFAUDIT_DEBUG"):
            raise
        click.echo(_plain(f"perfaudit: {error}"), err=True)
        return error.exit_code
    except MemoryError:
        click.echo("perfaudit: not enough memory\n  do: audit a shorter window (--since, --until), or fewer files at once", err=True)
        return 2
    except OSError as error:
        if os.environ.get("PERFAUDIT_DEBUG"):
            raise
        where = f"\n  at: {error.filename}" if error.filename else ""
        click.echo(_plain(f"perfaudit: {error.strerror or error}{where}\n  do: check the path, its permissions and the space left"), err=True)
        return 2
    except Exception as error:
        if os.environ.get("PERFAUDIT_DEBUG"):
            raise
        click.echo(_plain(f"perfaudit: unexpected {type(error).__name__}: {error}\n  do: run it again with PERFAUDIT_DEBUG=1 and report what it prints"), err=True)
        return 2


def unheard() -> None:
    """From now on stdout goes nowhere: its reader went away."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _help(error: click.ClickException) -> str:
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "perfaudit"
    return f"{path} --help"


def _plain(text: str) -> str:
    """Without control characters: what a file holds must not act on the terminal."""
    return "".join(c if c == "\n" or (c.isprintable()) else "�" for c in text)
