"""``perfaudit inventory``: what is there, what is missing, what would be worth collecting."""

from __future__ import annotations

from typing import Any

import click

from perfaudit.cli import _folder
from perfaudit.evidence.naming import shown


@click.command("inventory", short_help="Phase 2: what is there, what is missing, what to collect.")
@_folder.option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(folder: str | None, as_json: bool) -> int:
    """Per table: rows, time range and sources; lines that were rejected and why; files that nobody could read; what would help."""
    from perfaudit.evidence.tables import TABLES
    from perfaudit.problems import discover
    from perfaudit.report.result import inventory

    own, baseline = _folder.open_both(_folder.find(folder))
    bundle = own.beside(baseline, "baseline") if baseline else own
    tables = inventory(bundle)
    absent = [t for t in TABLES if not bundle.rows(t)]
    wanted: dict[str, dict[str, Any]] = {}
    for check in discover().values():
        if not all(any(bundle.rows(t) for t in need.split("|")) for need in check.needs):
            for w in check.wanted:
                wanted.setdefault(w.evidence, {**w.to_json(), "for": []})["for"].append(check.name)
    used = own.manifest.get("configuration", [])
    if as_json:
        import json

        click.echo(json.dumps({"inventory": tables, "not_read": own.manifest["not_read"], "configuration": used, "absent": absent, "wanted": list(wanted.values())}, ensure_ascii=False, indent=1))
        return 0
    _print(tables, own.manifest["not_read"], used, absent, list(wanted.values()))
    return 0


def _print(tables: list[dict[str, Any]], not_read: list[dict[str, str]], used: list[dict[str, Any]], absent: list[str], wanted: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    def safe(text: Any) -> Text:
        return Text(shown(str(text)))

    console = Console()
    grid = Table("table", "rows", "from", "to", Column("sources", overflow="fold"), box=None, header_style="bold", pad_edge=False)
    for row in tables:
        grid.add_row(row["table"], f"{row['rows']:,}", row.get("from", ""), row.get("to", ""), safe(", ".join(s["name"] for s in row["sources"])))
    console.print(grid)
    for row in tables:
        for source in row["sources"]:
            for reason, n in source["rejected"].items():
                example = source["rejected_examples"].get(reason, {})
                console.print(safe(f"rejected: {source['name']}: {n:,} × {reason}; first at byte {example.get('offset', 0):,}: {example.get('text', '')}"))
    for entry in used:
        console.print(safe(f"configuration used: {entry['name']}: {entry['formats']} log format{'s' * (entry['formats'] != 1)}"))
    for entry in not_read:
        console.print(safe(f"not read: {entry['name']}: {entry['reason']}"))
    console.print(safe(f"empty: {', '.join(absent)}"))
    for entry in wanted:
        console.print(safe(f"worth collecting for {', '.join(entry['for'])}: {entry['evidence']}"), safe(f"    {entry['collect']}"), sep="\n")
