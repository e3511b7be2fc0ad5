"""The report as Markdown: ``templates/performance-report-template.md`` filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from perfaudit.report import pages, text, view

if TYPE_CHECKING:
    from jinja2 import Template

NAME = "Markdown"
SUFFIXES = (".md", ".markdown")
PREFIX = "markdown"

TOP_ROUTES, TOP_ROWS = 15, 50


class Raw(str):
    """Markdown of our own making, which is not escaped again."""

    __slots__ = ()


_SPECIAL = re.compile(r"[\\`*\[\]|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LIST_MARKER = re.compile(r"^(\s*\d*)([-+=.)])(?=[-=\s]|$)")


def inline(value: object) -> Raw:
    """Text in which no Markdown, HTML, link, mention or formula acts; one line."""
    said = text.plain(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    said = _LIST_MARKER.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", said))
    return Raw(said.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;"))


def code(value: object, limit: int = 400) -> Raw:
    """A code span, one line, that also stands in a table cell; "" for nothing."""
    said = text.cut(value, limit)
    if not said:
        return Raw("")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", said)), default=0))
    pad = " " if said[0] in "` " or said[-1] in "` " else ""
    return Raw(f"{fence}{pad}{said}{pad}{fence}".replace("|", "\\|"))


def block(value: object, language: str = "") -> Raw:
    """A fenced block; its lines stay lines."""
    said = text.plain(value, lines=True).strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", said)), default=0))
    return Raw(f"{fence}{language}\n{said}\n{fence}")


def _reference(query: int) -> str:
    return f" [q{query}](#queries)" if query else ""


def body(page: pages.Page, cell: Callable[[pages.Cell], str], top: int, level: int) -> Raw:
    """Facts, charts (in words), tables and notes of a page; titles of tables at heading ``level``."""
    out = ["| | |", "|---|---|", *(f"| {inline(label)} | {cell(value)} |" for label, value in page.facts), ""] if page.facts else []
    out += [f"- {inline(chart.title)}: {inline(chart.said)}" for chart in page.charts if chart.said] + [""]
    for table in page.tables:
        if table.rows:
            rule = "|".join("---:" if right else "---" for right in view.numeric(table))
            rows = [f"| {' | '.join(map(cell, row))} |" for row in table.rows[:top]]
            out += [f"{'#' * level} {inline(table.title)}", "", f"| {' | '.join(map(inline, table.heads))} |", f"|{rule}|", *rows, ""]
            out += [f"{top} of {len(table.rows)} rows.", ""] * (len(table.rows) > top) + [inline(table.note), ""] * bool(table.note)
    return Raw("\n".join([*out, *(f"{inline(note)}\n" for note in page.notes)]))


def render(result: Mapping[str, Any]) -> str:
    """The Markdown report of a result."""
    queries = view.Queries()

    def cited(quantity: Any, unit: str = "") -> Raw:
        said, between = inline(text.measured(quantity, unit)), inline(text.interval(quantity))
        number = queries.cite(quantity.get("query")) if isinstance(quantity, Mapping) else 0
        return Raw(f"{said}{f' ({between})' if between else ''}{_reference(number)}")

    def stated(fact: view.Fact) -> Raw:
        return Raw("".join(inline(said) + _reference(queries.cite(m.get("query")) if m else 0) for said, m in fact.parts))

    def number(quantity: Any, unit: str = "") -> Raw:
        return inline(text.number(text.value_of(quantity), quantity.get("unit", unit) if isinstance(quantity, Mapping) else unit))

    def cell(value: pages.Cell) -> Raw:
        return cited(value) if isinstance(value, Mapping) else inline(view.said(value))

    page = template("performance-report-template.md" if "verdict" in result else "pages.md.jinja").render(
        r=result, verdict=result.get("verdict", {}), pages=pages.of(result), body=lambda page: body(page, cell, TOP_ROWS, 3), audit=result["audit"], baseline=result.get("baseline", {}), windows=result.get("windows", {}),
        lead=view.lead(result), view=view, text=text, cited=cited, stated=stated, number=number, queries=queries, top=TOP_ROUTES,
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", page)).strip() + "\n"


@cache
def template(name: str) -> Template:
    """A template of the assets, in whose output no text acts that is not :class:`Raw`."""
    from jinja2 import ChainableUndefined, Environment

    def finalize(value: Any) -> Any:
        return value if isinstance(value, Raw) else inline("" if value is None else value)

    environment = Environment(finalize=finalize, undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters |= {"code": code, "block": block, "words": text.words, "listed": text.listed, "joined": lambda v: text.joined(text.listed(v))}
    return environment.from_string((files("perfaudit.report") / "assets" / name).read_text("utf-8"))
