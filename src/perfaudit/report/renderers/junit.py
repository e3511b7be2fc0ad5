"""One test case per check, for CI: the verdict's problem fails, a check without evidence is skipped with its reason.

A result without a verdict has one case per page: a bad answer fails, an open one is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from perfaudit.report import pages, text, view

NAME = "JUnit"
SUFFIXES = (".junit.xml",)
PREFIX = "junit"


def render(result: Mapping[str, Any]) -> str:
    """JUnit XML (the form that the Ant task writes and every CI reads)."""
    verdict = result.get("verdict", {})
    cases = [_case(check, verdict.get("problem"), result) for check in result.get("checks", [])] if verdict else [_answer(page) for page in pages.of(result)]
    said = {"verdict": verdict["status"], "confidence": verdict["confidence"]} if verdict else {"answer": view.headline(result)}
    properties = "".join(f"<property name={_attribute(name)} value={_attribute(value)}/>" for name, value in said.items())
    count = {kind: sum(f"<{kind}" in case for case in cases) for kind in ("failure", "error", "skipped")}
    totals = f'tests="{len(cases)}" failures="{count["failure"]}" errors="{count["error"]}" skipped="{count["skipped"]}"'
    return "\n".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="perfaudit" {totals}>',
            f'<testsuite name={_attribute(result["audit"].get("name") or "perfaudit")} {totals}>',
            f"<properties>{properties}</properties>",
            *cases,
            "</testsuite>",
            "</testsuites>",
            "",
        )
    )


def _attribute(value: object) -> str:
    return quoteattr(text.plain(value))


def _case(check: Mapping[str, Any], constraint: str | None, result: Mapping[str, Any]) -> str:
    outcome, reason = check["outcome"], check["reason"]
    head = f"<testcase classname={_attribute('perfaudit.' + check.get('area', 'problems'))} name={_attribute(check['problem'])}>"
    if outcome == "problem" and check["problem"] == constraint:
        body = "\n".join(map(text.plain, [view.headline(result), *(f"{fact.label}: {fact.text}" for fact in view.facts(result))]))
        inside = f'<failure type={_attribute(outcome)} message={_attribute(reason)}>{escape(body)}</failure>'
    elif outcome == "error":
        inside = f"<error type={_attribute(outcome)} message={_attribute(reason)}/>"
    elif outcome in ("no-evidence", "not-applicable"):
        inside = f"<skipped message={_attribute(f'{outcome}: {reason}')}/>"
    else:
        inside = f"<system-out>{escape(text.plain(f'{outcome}: {reason}'))}</system-out>"
    return f"{head}{inside}</testcase>"


def _answer(page: pages.Page) -> str:
    head = f"<testcase classname={_attribute('perfaudit.pages')} name={_attribute(page.key)}>"
    body = "\n".join(map(text.plain, [page.answer, *(f"{label}: {view.said(cell)}" for label, cell in page.facts)]))
    if page.tone == "bad":
        inside = f"<failure type={_attribute(page.key)} message={_attribute(page.answer)}>{escape(body)}</failure>"
    elif page.tone == "good":
        inside = f"<system-out>{escape(body)}</system-out>"
    else:
        inside = f"<skipped message={_attribute(page.answer)}/>"
    return f"{head}{inside}</testcase>"
