"""The pages of a comparison: what a person reads first, and that the chart and the words agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.comparison import deploys, run
from perfaudit.comparison.compare import compare, part
from perfaudit.comparison.shift import Least
from perfaudit.report import pages
from perfaudit.report.pages import _shift_chart, comparison
from perfaudit.testing import evidence
from tests.traffic import START

from .make import arm, requests
from .make import part as route
from .queues import served


def result(**change: float) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    arms = [arm(n, {"/": route(*requests(rng, np.full(60, shift)), 60), "/b": route(*requests(rng, np.zeros(60)), 60)}) for n, shift in (("before", 0.0), ("after", change.get("shift", 0.0)))]
    return {"comparison": part(compare(*arms, list(arms[0].parts), Least(0.01, 0.0)), "before-after", {"a": [("GET", "/gone")], "b": []})}


def test_the_answer_is_the_summary_and_the_tone_the_result() -> None:
    (page,) = pages.of(result(shift=0.5))
    assert (page.key, page.tone) == ("comparison", "bad")
    assert page.answer.startswith("After is worse than before: GET /: typical duration")
    routes, why, figures, total, alone = page.tables
    assert routes.rows[0][1] == "worse" and why.rows[0][-1].startswith("typical duration")
    assert [row[1] for row in routes.rows if row[0] == "GET /"] == ["worse"]
    assert len(figures.rows) == 2
    assert {row[0] for row in total.rows} >= {"p95", "typical duration (geometric mean)"}
    assert alone.rows == [("GET /gone", "only in A")]
    assert "Holm" in routes.note


def test_without_a_part_there_is_no_page() -> None:
    assert pages.of({}) == []
    assert [p.key for p in pages.of({"comparison": run.nothing(run.Asked(), _refusal())})] == ["comparison"]


def _refusal() -> Any:
    from perfaudit.errors import InsufficientEvidence

    return InsufficientEvidence("nothing there", todo="record more")


def test_environments_have_a_page_of_their_own() -> None:
    rng = np.random.default_rng(2)
    asked = run.Asked(kind="environments")
    both = [run.arm(n, evidence(requests=served(rng, 100, 10, 50, {"/": (1.0, ms)})), asked) for n, ms in (("here", 20.0), ("there", 60.0))]
    found = {p.key: p for p in pages.of({"comparison": run.compared(*both, asked)[0]})}
    page = found["environments"]
    assert "what could not be attributed" in page.answer
    assert page.tables[0].rows[-1][0] == "together"
    assert page.charts
    assert {row[0] for row in page.tables[2].rows} == {"cache warmth", "data volume", "configuration"}


def test_deploys_have_a_ledger() -> None:
    rng = np.random.default_rng(3)
    rows = served(rng, 400, 10, 50, {"/": (1.0, 20.0)})
    events = [{"time": START + i * 100_000_000, "kind": "deploy", "version": f"<{i}>"} for i in (1, 2, 3)]
    asked = run.Asked(kind="deploys")
    (page,) = pages.of({"comparison": deploys.compare([run.arm("x", evidence(requests=rows, events=events), asked)], asked)})
    steps, ledger = page.tables
    assert [len(t.rows) for t in (steps, ledger)] == [3, 3]
    assert len(page.charts) == 2
    assert all("<1>" not in c.svg for c in page.charts)


@pytest.mark.parametrize(("share", "said"), [(0.45, "+45 %"), (-0.2, "−20 %"), (11.0, "12 times"), (0.0, "±0 %")])
def test_signs(share: float, said: str) -> None:
    assert comparison.signed(share) == said


def test_open_ends_reach_the_edge() -> None:
    svg = _shift_chart.forest([_shift_chart.Row("a", 2.0, 1.5, None), _shift_chart.Row("b", 0.5, None, 0.9), _shift_chart.Row("c", 1e9, 1.0, 1e10)], 0.05, title="t", desc="d")
    assert svg.count("<circle") == 3
    assert "nan" not in svg
    assert _shift_chart.forest([], 0.05, title="t", desc="d").startswith("<svg")
