"""GitHub Actions: a job summary in Markdown, and annotations as workflow commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from perfaudit.errors import UsageError
from perfaudit.report import pages, text, view
from perfaudit.report.renderers.markdown import block, body, code, inline

NAME = "GitHub job summary"
SUFFIXES = ()
PREFIX = "github"

TOP_ROUTES, TOP_WANTED, TOP_ROWS = 10, 3, 10


def render(result: Mapping[str, Any]) -> str:
    """The job summary: verdict, account of time, routes, pages, what would change it; without a verdict the pages in full."""
    if "verdict" not in result:
        shown = [f"### {inline(view.status(result)[0])}: {inline(view.headline(result))}", ""]
        for i, page in enumerate(pages.of(result)):
            shown += [*([f"#### {inline(page.title)}: {inline(page.answer)}", ""] if i else []), body(page, lambda cell: inline(view.said(cell)), TOP_ROWS, 5)]
        return "\n".join([*shown, *([inline(view.quality(result)) + "."] if "inventory" in result else []), ""])
    answers = [f"**{inline(page.title)}.** {inline(page.answer)}\n" for page in pages.of(result)]
    return "\n".join([*_verdict(result), *_account(result), *_routes(result), *answers, *_wanted(result), inline(view.quality(result)) + ".", ""])


def _verdict(result: Mapping[str, Any]) -> list[str]:
    verdict = result["verdict"]
    facts = [f"| {fact.label} | {inline(fact.text)} |" for fact in view.facts(result)]
    head = f"### {view.STATUS[verdict['status']]}: {inline(view.headline(result))}"
    return [head, "", "| | |", "|---|---|", f"| Confidence | {text.percent(verdict['confidence'])} |", *facts, ""]


def _account(result: Mapping[str, Any]) -> list[str]:
    rows = [f"{inline(row['component'])} {text.percent(text.value_of(row['share']) or 0.0)}" for row in view.account(result)]
    return [f"**Where the time went:** {' · '.join(rows)}", ""] if rows else []


def _routes(result: Mapping[str, Any]) -> list[str]:
    rows = view.routes(result)
    if not rows:
        return []
    lines = ["| Route | Requests | p50 | p95 | p99 |", "|---|---:|---:|---:|---:|"]
    for row in rows[:TOP_ROUTES]:
        cells = [change(row, p) for p in ("p50", "p95", "p99")]
        lines.append(f"| {code(row['name'], 100)} | {text.number(text.value_of(row['count']))} | {' | '.join(cells)} |")
    return [*lines, "", *([f"Top {TOP_ROUTES} of {len(rows)} routes.", ""] if len(rows) > TOP_ROUTES else [])]


def change(row: Mapping[str, Any], p: str) -> str:
    """``233 ms → 1.88 s`` where a route has both windows, else its value in the whole window."""
    before, after = (text.value_of(row.get(window, {}).get("duration_ms", {}).get(p)) for window in ("reference", "affected"))
    if before is None or after is None:
        return text.number(after if after is not None else text.value_of(row.get("duration_ms", {}).get(p)), "ms")
    return f"{text.duration(before)} → {text.duration(after)}"


def _wanted(result: Mapping[str, Any]) -> list[str]:
    wanted = result["verdict"].get("would_change", [])
    lines = ["**What would change this**", ""] if wanted else []
    for want in wanted[:TOP_WANTED]:
        lines += [f"{inline(want['evidence'])}: {inline(want['effect'])}", "", block(want["collect"], "sh"), ""]
    return lines + ([f"{TOP_WANTED} of {len(wanted)}.", ""] if len(wanted) > TOP_WANTED else [])


def commands(result: Mapping[str, Any]) -> str:
    """Workflow commands: the verdict (or the first page's answer) as error or warning, checks that broke as warnings."""
    badge, status = view.status(result)
    level = {"constraint": "error", "insufficient-evidence": "warning"}.get(status)
    lines = [_command(level, badge, f"{view.headline(result)} {result.get('verdict', {}).get('decision', '')}".strip())] if level else []
    lines += [_command("warning", "Check failed", f"{c['problem']}: {c['reason']}") for c in result.get("checks", []) if c["outcome"] == "error"]
    return "".join(line + "\n" for line in lines)


def _command(level: str, title: str, message: str) -> str:
    """One command, data and property escaped as the runner's toolkit does it."""

    def data(value: str) -> str:
        return text.plain(value).replace("%", "%25")

    return f"::{level} title={data(title).replace(':', '%3A').replace(',', '%2C')}::{data(message)}"


def deliver(result: Mapping[str, Any], path: str, stdout: TextIO) -> None:
    """Annotations to stdout; the summary to ``path``, or appended to ``$GITHUB_STEP_SUMMARY``, or to stdout where that is not set."""
    from perfaudit.report.renderers import put

    put(commands(result), "-", stdout)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if path != "-" or not summary:
        put(render(result), path, stdout)
        return
    try:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(render(result))
    except OSError as error:
        raise UsageError(f"The job summary cannot be written: {error.strerror}.", where=summary, todo="unset GITHUB_STEP_SUMMARY or use github:FILE") from None
