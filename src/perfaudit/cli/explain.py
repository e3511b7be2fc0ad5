"""``perfaudit explain``: the page of a problem class."""

from __future__ import annotations

import click


@click.command("explain", short_help="The page of a problem class: what it sees, when it is wrong, what to try.")
@click.argument("name", required=False, metavar="[CLASS]")
def command(name: str | None) -> int:
    """What a problem class is, what it needs, when it is wrong, and what to try. Without a name: the list."""
    from perfaudit.problems import AREAS, discover, get

    if name:
        check = get(name)
        click.echo(check.page, nl=False)
        for wanted in check.wanted:
            click.echo(f"\nTo collect {wanted.evidence}:\n\n    {wanted.collect}")
        return 0
    for area in AREAS:
        rows = [c for c in discover().values() if c.area == area]
        if rows:
            click.echo(f"{area}")
        for check in rows:
            title = (check.module.__doc__ or "").strip().split("\n")[0]
            click.echo(f"  {check.name:<26} {title}")
    return 0
