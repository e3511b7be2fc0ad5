"""``perfaudit completion``: completion for a shell."""

from __future__ import annotations

import click


@click.command("completion", short_help="Completion for bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script of a shell.

    \b
    eval "$(perfaudit completion bash)"                                       # in ~/.bashrc
    eval "$(perfaudit completion zsh)"                                        # in ~/.zshrc
    perfaudit completion fish > ~/.config/fish/completions/perfaudit.fish
    """
    from click.shell_completion import get_completion_class

    from perfaudit.cli import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "perfaudit", "_PERFAUDIT_COMPLETE").source())
    return 0
