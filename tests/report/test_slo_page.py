"""The page of objectives and the definition document: from rows of known content."""

from __future__ import annotations

import re
from typing import Any

import pytest

from perfaudit import testing
from perfaudit.config import objective
from perfaudit.report import slo_document
from perfaudit.report.pages import _budget_chart, slo
from perfaudit.slo import run
from perfaudit.slo.judge import judge
from perfaudit.slo.model import Indicator, Slo, of_objective
from tests.report.sample import HOSTILE
from tests.slo.test_judge import outage


def result(*texts: str, evidence: bool = True) -> dict[str, Any]:
    slos = [of_objective(objective(t)) for t in texts]
    part = run.part(slos, run.counter(testing.evidence(requests=outage()))) if evidence else run.part(slos, None)
    return {"schema_version": 1, "audit": {"question": "?", "tool": {"name": "perfaudit", "version": "1"}}, "window": part.pop("window", None), "slo": part}


def test_a_result_without_budgets_has_no_page() -> None:
    assert slo.page({}) is None
    assert slo.page({"slo": {"objectives": [{"objective": "errors<1%", "state": "kept"}]}}) is None


def test_the_answer_names_the_worst_and_the_first_alert() -> None:
    page = slo.page(result("errors<0.1%", "p95<800ms", "errors<10%"))
    assert page is not None and page.tone == "bad"
    assert page.answer.startswith("1 of 3 objectives is broken: errors<0.1% (94.44 % good, promised 99.9 %); the first alert fires at 09:30:5")
    budgets, alerts, hindrances = page.tables
    assert [row[1] for row in budgets.rows] == ["broken", "kept", "kept, not certain"]
    assert len(alerts.rows) == 12 and any("never: it can never fire" in str(row[-1]) for row in alerts.rows)
    assert [row[0] for row in hindrances.rows] == ["p95<800ms", "errors<10%"]
    assert [c.title for c in page.charts] == ["Errors over allowed errors, this recording", "Burn rate of errors<0.1%", "Burn rate of errors<10%"]
    assert all(chart.svg.startswith("<svg") and "<desc>" in chart.svg for chart in page.charts)


def test_kept_and_unknown() -> None:
    kept = slo.page(result("errors<10%"))
    assert kept is not None and kept.tone == "good" and kept.answer.startswith("1 objective kept")
    unknown = slo.page(result("/none p95<1s"))
    assert unknown is not None and unknown.tone == "open" and unknown.answer == "The objective cannot be judged."
    assert any("no request of /none" in note for note in unknown.notes)


@pytest.mark.parametrize("payload", HOSTILE)
def test_charts_escape(payload: str) -> None:
    svg = _budget_chart.bars([(payload, 2.0, 1.0, 30.0)], title=payload, desc=payload)
    assert "<script" not in svg and "<img" not in svg and "\x1b" not in svg
    assert _budget_chart.bars([], title="", desc="") == ""


def test_the_document_says_what_a_reader_must_know() -> None:
    text = slo_document.render(result("errors<0.1%", "p95<800ms", "errors<10%"))
    for words in ("## errors&lt;0.1%", "99.9 % of the requests are good, over 30 days", "as a total outage 43.2 min", "| page | 14.4 | 1 hour and 5 minutes | 1.44 % |", "Refused: page 14.4 over 1 hour: it can never fire", "## Budget policy", "Next review:"):
        assert words in text, words
    assert "{#" not in text and "{{" not in text and "daies" not in text
    assert text == slo_document.render(result("errors<0.1%", "p95<800ms", "errors<10%"))


def test_the_document_without_evidence() -> None:
    text = slo_document.render(result("errors<0.1%", "metric:queue<5", evidence=False))
    assert "not judged: no evidence was given" in text and "a bound on every sample has no budget" in text


@pytest.mark.parametrize("payload", HOSTILE)
def test_a_hostile_name_stays_text_in_the_document(payload: str) -> None:
    hostile = Slo(payload, payload, Indicator("errors"), 0.99, service=payload, description=payload, notes=(payload,))
    text = slo_document.render({"audit": {}, "slo": {"objectives": [judge(hostile, None)]}})
    assert "<script" not in text and "<img" not in text and "\x1b" not in text and "\u202e" not in text
    assert "49" not in text and not re.search(r"(?<!\\)\]\(javascript", text)
