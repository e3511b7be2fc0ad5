"""``perfaudit baseline``: what is normal here, and is this window fit to conclude from?"""

from __future__ import annotations

from typing import Any

import click

from perfaudit.cli import _folder, _options
from perfaudit.cli._options import ASKING, Settings
from perfaudit.errors import InsufficientEvidence


@click.command("baseline", short_help="Phase 2: core metrics with intervals, and a verdict on the window.")
@_folder.option
@click.option("--json", "as_json", is_flag=True, help="The baseline part of the result as JSON.")
@_options.with_options(ASKING)
def command(settings: Settings, folder: str | None, as_json: bool) -> int:
    """Percentiles per route with intervals and sample sizes, and what this recording can and cannot support."""
    from perfaudit.cli.diagnose import run

    result: dict[str, Any] = run(settings, str(_folder.find(folder)))
    if "baseline" not in result:
        raise InsufficientEvidence("no requests were read, so there is no baseline", todo="perfaudit add ACCESS.LOG")
    baseline = result["baseline"]
    if as_json:
        import json

        click.echo(json.dumps({"window": result["window"], "windows": result["windows"], "baseline": baseline}, ensure_ascii=False, indent=1, sort_keys=True))
        return 0
    _print(result["window"], baseline)
    return 0


def _print(window: dict[str, str], baseline: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    total = baseline["requests"]
    console.print(f"{window['start']} to {window['end']}: {total['count']:,} requests, {total['rate_per_s']:,.1f}/s, error ratio {total['error_ratio']:.3%}")
    names = ("p50", "p90", "p95", "p99", "p999", "max")
    table = Table("route", "requests", *(f"{n} ms" for n in names), "time", box=None, header_style="bold", pad_edge=False)
    for row in [{"method": "", "route": "all", "count": total["count"], "duration_ms": total["duration_ms"], "share_of_time": 1.0}, *baseline["routes"][:25]]:
        cells = [_cell(row["duration_ms"].get(n)) for n in names]
        name = "".join(c if c.isprintable() else "�" for c in f"{row['method']} {row['route']}".strip())
        table.add_row(Text(name), f"{row['count']:,}", *cells, f"{row['share_of_time']:.1%}")
    console.print(table)
    if len(baseline["routes"]) > 25:
        console.print(f"25 of {len(baseline['routes'])} routes are shown; --json gives all")
    console.print("intervals: 95 %, from order statistics; – where the sample is too small for a bound")
    for note in baseline["validity"]:
        console.print(Text(("ok    " if note["ok"] else "weak  ") + note["check"] + ": " + note["detail"]))


def _cell(measured: dict[str, Any] | None) -> str:
    if measured is None:
        return ""
    low, high = measured.get("ci", (None, None))
    spread = f" [{'–' if low is None else f'{low:,.4g}'}, {'–' if high is None else f'{high:,.4g}'}]" if "ci" in measured else ""
    return f"{measured['value']:,.4g}{spread}"
