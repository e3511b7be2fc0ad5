"""The verdict for a terminal: read in ten seconds at night. Colour only where it is wanted, every cut told."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from perfaudit.report import pages, text, view

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

NAME = "text"
SUFFIXES = (".txt",)
PREFIX = "text"

#: Rows that are shown of a list; what is left out is told with its number.
TOP_ROUTES, TOP_COMPONENTS, TOP_WANTED, TOP_REJECTED, TOP_ROWS = 5, 5, 2, 5, 25
_WIDTHS = (60, 140)
#: Below this many columns the table of routes leaves out requests and time, so that a route keeps its name.
WIDE = 92
#: A column of text is folded down to this many columns before a table becomes paragraphs.
LEAST_TEXT = 18
#: Stands for a space at which no line may break, until the page is written.
_TIED = "\ue000"
_STATUS = {"constraint": "bold white on red", "healthy": "bold white on green", "insufficient-evidence": "bold black on yellow"}
PERCENTILES = ("p50", "p95", "p99")
_PARTS = ("red", "blue", "yellow", "cyan", "magenta")


def render(result: Mapping[str, Any], *, width: int = 100, colour: bool = False) -> str:
    """The page as text, ``width`` columns wide, without control sequences unless ``colour``."""
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(
        file=buffer, width=max(_WIDTHS[0], min(width, _WIDTHS[1])), force_terminal=colour, no_color=not colour,
        color_system="standard" if colour else None, highlight=False, emoji=False, markup=False, legacy_windows=False,
    )  # fmt: skip
    for part in _page(result, console):
        console.print(part, soft_wrap=getattr(part, "no_wrap", None) is True)
    return text.no_commands("".join(line.replace(_TIED, " ").rstrip() + "\n" for line in buffer.getvalue().split("\n")[:-1]))


def deliver(result: Mapping[str, Any], path: str, stdout: TextIO) -> None:
    """Write the page; to a terminal in its width and with colour (``NO_COLOR`` obeyed), anything else plain."""
    from perfaudit.report.renderers import put

    if path != "-":
        put(render(result), path, stdout)
        return
    terminal = stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    page = render(result, width=shutil.get_terminal_size((100, 40)).columns if terminal else 100, colour=colour)
    stdout.write(page.encode(stdout.encoding or "utf-8", "replace").decode(stdout.encoding or "utf-8"))
    stdout.flush()


def _page(result: Mapping[str, Any], console: Console) -> Iterator[RenderableType]:
    if "verdict" not in result:
        yield from _pages(result, console.width)
        return
    yield from _verdict(result, console.width)
    yield from _account(result, console.width)
    yield from _routes(result, wide=console.width >= WIDE)
    yield from _answers(result, console.width)
    yield from _wanted(result)
    yield from _evidence(result)


def _text(*parts: str | tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*(part if isinstance(part, str) else (part[0], part[1]) for part in parts))


def _rows(pairs: list[tuple[str, Text]]) -> RenderableType:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in pairs:
        grid.add_row(f"  {label}", value)
    return grid


def _head(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    name, window = text.plain(result["audit"].get("name", "")), text.span(view.window(result))
    if name or window:
        yield _text((" · ".join(part for part in (name, window) if part), "dim"))
    badge, status = view.status(result)
    yield _text((f" {text.plain(badge).upper()} ", _STATUS[status]), " ", (text.plain(view.headline(result)), "bold"))


def _verdict(result: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    verdict = result["verdict"]
    yield from _head(result)
    rows = [("confidence", _text(text.percent(verdict["confidence"])))]
    rows += [(fact.label.lower(), _text((text.cut(fact.text, 3 * width), "bold" if fact.label == "Decision" else ""))) for fact in view.facts(result)]
    ruled, unsettled = view.rivals(verdict)
    for label, names in (("not", ruled), ("still open", unsettled)):
        if names:
            more = f" and {len(names) - TOP_REJECTED} more" if len(names) > TOP_REJECTED else ""
            rows.append((label, _text(text.cut(", ".join(names[:TOP_REJECTED]), 2 * width) + more)))
    yield _rows(rows)


def _account(result: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    from rich.text import Text

    rows = view.account(result)
    if not rows:
        return
    total = sum(text.value_of(row.get("seconds")) or 0.0 for row in rows)
    yield _text("\n", ("Where the time went", "bold"), f"  {total:,.0f} request-seconds" if total else "")
    named = [row for row in rows if row["component"] != "unexplained"]
    parts = [(text.cut(row["component"], 40), text.value_of(row["share"]) or 0.0, _PARTS[i]) for i, row in enumerate(named[:TOP_COMPONENTS])]
    if rest := named[TOP_COMPONENTS:]:
        parts.append((f"{len(rest)} smaller", sum(text.value_of(row["share"]) or 0.0 for row in rest), "white"))
    parts += [("unexplained", text.value_of(row["share"]) or 0.0, "bright_black") for row in rows if row["component"] == "unexplained"]
    bar, legend = Text("  "), Text()
    glyphs = "█▓▒▚▞░"
    for i, (cells, (label, share, style)) in enumerate(zip(_cells([p[1] for p in parts], width - 4), parts, strict=True)):
        glyph = "·" if label == "unexplained" else glyphs[min(i, 5)]
        bar.append(glyph * cells, style)
        legend.append("  " if i else "").append(glyph, style).append(f" {label} {text.percent(share)}".replace(" ", _TIED))
    yield bar
    yield _rows([("", legend)])


def _cells(shares: list[float], width: int) -> list[int]:
    """Whole cells that sum to ``width``: largest remainders."""
    total = sum(shares) or 1.0
    exact = [share / total * width for share in shares]
    cells = [int(x) for x in exact]
    for i in sorted(range(len(exact)), key=lambda i: cells[i] - exact[i])[: width - sum(cells)]:
        cells[i] += 1
    return cells


def _routes(result: Mapping[str, Any], *, wide: bool) -> Iterator[RenderableType]:
    from rich.table import Table

    rows = view.routes(result)
    if not rows:
        return
    shown = rows[:TOP_ROUTES]
    compared = any(row.get("affected") and row.get("reference") for row in shown)
    title = "Routes by time" + (", reference → affected" if compared else "")
    more = f"  top {len(shown)} of {len(rows)}" if len(rows) > len(shown) else ""
    yield _text("\n", (title, "bold"), (more, "dim"))
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(overflow="ellipsis", no_wrap=True)
    heads = ("requests", "time") if wide else ()
    for _ in (*heads, *PERCENTILES):
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", *(_text((head, "dim")) for head in (*heads, *PERCENTILES)))
    for row in shown:
        owned = (text.number(text.value_of(row["count"])), text.number(text.value_of(row.get("share_of_time")), "share")) if wide else ()
        table.add_row(_text("  " + text.cut(row["name"], 44)), *owned, *(_change(row, p) for p in PERCENTILES))
    yield table


def _change(row: Mapping[str, Any], p: str) -> Text:
    before, after = (text.value_of(row.get(w, {}).get("duration_ms", {}).get(p)) for w in ("reference", "affected"))
    if before is None or after is None:
        whole = text.value_of(row.get("duration_ms", {}).get(p))
        return _text(text.duration(after if after is not None else whole)) if (after, whole) != (None, None) else _text("–")  # type: ignore[arg-type]
    return _text((text.duration(before), "dim"), (" → ", "dim"), (text.duration(after), "bold red" if after >= 1.5 * before and after - before > 10 else ""))


def _wanted(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    wanted = result["verdict"].get("would_change", [])
    if not wanted:
        return
    shown = wanted[:TOP_WANTED]
    more = f"  {len(shown)} of {len(wanted)}" if len(wanted) > len(shown) else ""
    yield _text("\n", ("What would change this", "bold"), (more, "dim"))
    for want in shown:
        yield _rows([("•", _text(text.cut(f"{want['evidence']}: {want['effect']}", 300)))])
        yield _command(want["collect"])


def _command(collect: str) -> Text:
    """A command in one piece, however long: it is there to be copied."""
    from rich.text import Text

    return Text("\n".join(f"     $ {text.cut(line, 1000)}" for line in collect.splitlines()), "cyan", no_wrap=True)


def _answers(result: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """Every page in a line or two, below a verdict."""
    if found := pages.of(result):
        yield _text("\n", ("Also answered", "bold"), ("  in full with -o report.html", "dim"))
        yield _rows([(text.cut(page.title, 24).lower(), _text((text.cut(page.question, width) + " ", "dim"), text.cut(page.answer, 3 * width))) for page in found])


def _pages(result: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """A result that consists of its pages."""
    yield from _head(result)
    for i, page in enumerate(pages.of(result)):
        if i:
            yield _text("\n", (text.plain(page.title), "bold"), "  ", text.plain(page.answer))
        if page.facts:
            yield _rows([(text.cut(label, 28), _text(text.cut(view.said(cell), 3 * width))) for label, cell in page.facts])
        for table in page.tables:
            yield from _table(table, width)
        for note in page.notes:
            yield _text("\n", (text.cut(note, 6 * width), "dim"))
    if "inventory" in result:
        yield _text("\n", (f"Evidence: {view.quality(result)}.", "dim"))


def _table(table: pages.Table, width: int) -> Iterator[RenderableType]:
    """A table where its columns fit, else one paragraph for each row: nothing is squeezed away."""
    from rich.padding import Padding
    from rich.table import Table

    if not table.rows:
        return
    shown = [[text.cut(view.said(cell), 6 * width) for cell in row] for row in table.rows[:TOP_ROWS]]
    more = f"  {len(shown)} of {len(table.rows)}" if len(table.rows) > len(shown) else ""
    yield _text("\n", (text.plain(table.title), "bold"), (more, "dim"), (f"  {text.plain(table.note)}" if table.note else "", "dim"))
    numeric, heads = view.numeric(table), [text.plain(head) for head in table.heads]
    widest = [max(map(len, column)) for column in zip(heads, *shown, strict=True)]
    least = [w if right else min(w, LEAST_TEXT) for w, right in zip(widest, numeric, strict=True)]
    if 2 + sum(least) + 2 * (len(heads) - 1) > width:
        for first, *rest in shown:
            pairs = [f"{head} {cell}".strip() for head, cell in zip(heads[1:], rest, strict=True) if cell]
            said = " · ".join(pair.replace(" ", _TIED) if len(pair) <= width / 2 else pair for pair in pairs)
            yield Padding(_text((first, "bold")), (0, 0, 0, 2))
            yield Padding(_text(said), (0, 0, 0, 4))
        return
    grid = Table.grid(padding=(0, 2), expand=False)
    least[0] += 2
    for w, right in zip(least, numeric, strict=True):
        grid.add_column(justify="right" if right else "left", no_wrap=right, overflow="fold", min_width=w)
    for i, row in enumerate([heads, *shown]):
        grid.add_row(*(_text(("  " if j == 0 else "") + cell if i else (("  " if j == 0 else "") + cell, "dim")) for j, cell in enumerate(row)))
    yield grid


def _evidence(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.padding import Padding

    counted = ", ".join(f"{n} {name}" for name, n in view.outcomes(result).items())
    yield Padding(_text((f"Evidence: {view.quality(result)}. {text.plural(len(result['checks']), 'check')}: {counted}.", "dim")), (1, 0, 0, 0))
