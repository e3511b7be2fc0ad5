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
    """Tables in columns that fold, everything else with a hanging indent; commands stay in one piece, to be copied."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from perfaudit.report.text import span

    console = Console(highlight=False)

    def safe(text: Any) -> Text:
        return Text(shown(str(text)))

    def told(label: str, text: str) -> None:
        grid = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 1))
        grid.add_row(f"{label}:", safe(text))
        console.print(grid)

    grid = Table("table", Column("rows", justify="right", no_wrap=True), Column("from – to", overflow="fold"), Column("sources", overflow="fold"), box=None, header_style="bold", pad_edge=False)
    for row in tables:
        grid.add_row(row["table"], f"{row['rows']:,}", span({"start": row.get("from", ""), "end": row.get("to", "")}), safe(", ".join(s["name"] for s in row["sources"])))
    console.print(grid)
    for row in tables:
        for source in row["sources"]:
            for reason, n in source["rejected"].items():
                example = source["rejected_examples"].get(reason, {})
                told("rejected", f"{source['name']}: {n:,} × {reason}; first at byte {example.get('offset', 0):,}: {example.get('text', '')}")
    for entry in used:
        told("configuration used", f"{entry['name']}: {entry['formats']} log format{'s' * (entry['formats'] != 1)}")
    for entry in not_read:
        told("not read", f"{entry['name']}: {entry['reason']}")
    if absent:
        told("empty", ", ".join(absent))
    for entry in wanted:
        told("worth collecting", f"{entry['evidence']}, for {', '.join(entry['for'])}")
        for line in entry["collect"].splitlines():
            console.print(safe(f"    $ {line}"), soft_wrap=True)
