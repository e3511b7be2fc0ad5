"""Pages in every renderer: beside a verdict, and alone, where the result has none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from perfaudit.cli import _options
from perfaudit.report import charts, pages, renderers, view
from perfaudit.report.pages import Chart, Page, Table

from .sample import HOSTILE, SAMPLES, at, hostile, incident, m
from .test_html import PAGE, SVG, TABLE, TEXT
from .test_html import Page as Parsed

MODULES = renderers.discover()
QUERY = "select quantile_disc(duration_us, 0.95) / 1e3 from requests"


def made_up(word: str = "POST /checkout", tone: str = "bad") -> Page:
    """A page with everything that a page can hold; ``word`` stands for what came from a log."""
    svg = charts.line_chart([charts.Line(word, [1.0, 2.0, None, 3.0], "p95")], charts.Grid(0.0, 10.0, 4), title=word, desc=word)
    shift = m(22.5, "ms", 20.1, 25.0, 900, QUERY, "moving blocks")
    table = Table(f"Routes of {word}", ("Route", "Result", "p95 A", "p95 B", "Requests"), [(word, "worse", m(163.0, "ms"), shift, 1200), ("/quiet", "", None, 1.5, 0), ("/plain", True, 2, 3, 4)], note=f"two rows, {word}")
    facts = (("Result", "worse"), ("Shift of p95", shift), (f"Largest for {word}", 12_345), ("Seen", word))
    return Page("made-up", f"Comparison of {word}", f"Is B worse than A for {word}?", f"B is worse on {word}.", tone, facts, (Chart(word, svg, f"rises, {word}"),), (table, Table("Empty", ("a",), [])), (f"Mix held constant; {word}.",))


def alone() -> dict[str, Any]:
    """What ``perfaudit compare`` hands to a renderer."""
    whole = incident()
    return {"schema_version": 1, "audit": whole["audit"], "window": {"start": at(0), "end": at(60)}, "inventory": whole["inventory"], "comparison": {"result": "worse"}}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Page]]:
    """The pages that every result has from now on."""
    found: list[Page] = [made_up()]
    modules = {str(i): SimpleNamespace(page=lambda result, i=i: found[i] if i < len(found) else None) for i in range(3)}
    monkeypatch.setattr(pages, "discover", lambda: modules)
    yield found


every_renderer = pytest.mark.parametrize("name", list(MODULES))


@every_renderer
@pytest.mark.parametrize("whole", [True, False])
def test_the_same_bytes_again(name: str, whole: bool, shown: list[Page]) -> None:
    result = incident() if whole else alone()
    said = MODULES[name].render(result)
    assert said == MODULES[name].render(json.loads(json.dumps(result)))
    assert said.endswith("\n")


@pytest.mark.parametrize("name", ["html", "markdown", "terminal", "github", "junit"])
def test_a_result_without_a_verdict_is_its_pages(name: str, shown: list[Page]) -> None:
    shown.append(Page("second", "Second", "And?", "Nothing else.", "good", (("A", "b"),)))
    said = MODULES[name].render(alone())
    for word in ("B is worse on POST /checkout.", "Nothing else."):
        assert word in said, word
    assert "erdict" not in re.sub("(?s)<style>.*?</style>|id=\"verdict\"|\"#verdict\"", "", said)
    if name != "junit":
        assert "22" in said and "163 ms" in said and "/plain" in said


@pytest.mark.parametrize("name", ["html", "markdown", "terminal", "github"])
def test_pages_stand_beside_a_verdict(name: str, shown: list[Page]) -> None:
    said = MODULES[name].render(incident())
    assert "queues behind one row of inventory" in said
    assert "B is worse on POST /checkout." in said
    assert ("two rows, " in said) == (name in ("html", "markdown"))


@every_renderer
def test_without_any_page_nothing_breaks(name: str, shown: list[Page]) -> None:
    shown.clear()
    said = MODULES[name].render(alone())
    assert said
    if name in ("html", "markdown", "terminal", "github"):
        assert "holds nothing that a report could show" in said


def test_html_has_a_section_a_link_and_a_query_for_each(shown: list[Page]) -> None:
    shown.append(Page("second-one", "Second", "And?", "Nothing else.", "good"))
    for result, anchors in ((incident(), ["pagemadeup", "pagesecondone"]), (alone(), ["pagesecondone"])):
        page = Parsed(MODULES["html"].render(result))
        sections = [a["id"] for a, _ in page.all("section") if a.get("id", "").startswith("page")]
        assert sections == anchors
        links = {a["href"] for a, _ in page.all("a")}
        assert {f"#{anchor}" for anchor in anchors} <= links
        assert QUERY in page.text
        ids = [a["id"] for _, a, _ in page.elements if "id" in a]
        assert len(set(ids)) == len(ids) and {link[1:] for link in links} <= set(ids)
        assert len(page.all("caption")) == len(page.all("table"))
        assert len(page.all("h1")) == 1
        assert any("rises, POST /checkout" in text for _, text in page.all("figcaption"))
    assert page.all("h1")[0][1] == "B is worse on POST /checkout."
    assert page.all("body")[0][0]["class"] == "constraint"


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_pages_act_nowhere(payload: str, shown: list[Page]) -> None:
    shown[:] = [made_up(payload), Page(payload, payload, payload, payload, payload, ((payload, payload),))]
    for result in (hostile(), alone()):
        html = Parsed(MODULES["html"].render(result))
        assert {tag for tag, _, _ in html.elements} <= PAGE | TEXT | TABLE | SVG
        for tag, attributes, _ in html.elements:
            assert not [a for a in attributes if a.startswith("on") or a in ("style", "src", "srcset", "action")], (tag, attributes)
        assert {a["href"] for a, _ in html.all("a") if not re.fullmatch("#[a-z0-9]+", a["href"])} == set()
        for name in ("terminal", "markdown", "github", "junit", "openmetrics"):
            said = MODULES[name].render(result)
            assert re.fullmatch(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f‪-‮⁦-⁩]*", said), name
            assert not re.search(r"(?m)^\s*::", said)
        ElementTree.fromstring(MODULES["junit"].render(result))
        assert all(line.startswith("::") and line.count("\n") == 0 for line in MODULES["github"].commands(result).splitlines())


@pytest.mark.parametrize("name", ["markdown", "github"])
@pytest.mark.parametrize("payload", HOSTILE)
def test_markdown_of_a_hostile_page_stays_text(name: str, payload: str, shown: list[Page]) -> None:
    from markdown_it import MarkdownIt

    shown[:] = [made_up(payload)]
    page = MODULES[name].render(alone())
    kinds = [t for token in MarkdownIt("commonmark").enable(["table"]).parse(page) for t in (token, *(token.children or []))]
    assert not [t.type for t in kinds if t.type in ("html_inline", "html_block", "image", "em_open")]
    assert {str(t.attrGet("href")) for t in kinds if t.type == "link_open"} <= {"#queries"}
    lines = page.splitlines()
    for start in (i for i, line in enumerate(lines) if re.fullmatch(r"\|(-+:?\|)+", line)):
        row = start - 1
        while row < len(lines) and lines[row].startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", lines[row])) == lines[start].count("|"), lines[row]
            row += 1


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_terminal_keeps_every_cell(width: int, shown: list[Page]) -> None:
    heads = tuple(f"column {i}" for i in range(9))
    shown.append(Page("wide", "Wide", "", "Many columns.", tables=(Table("Wide", heads, [(f"/a/long/route/number/{r}", *(m(1.5 * 10**c, "ms", 1.0, 2.0) for c in range(8))) for r in range(40)]),)))
    page = MODULES["terminal"].render(alone(), width=width)
    assert max(map(len, page.splitlines())) <= width
    assert "…" not in page
    assert "25 of 40" in page
    assert page.count("/a/long/route/number/") == 25
    short = MODULES["terminal"].render(incident(), width=width)
    assert "Also answered" in short and "Many columns." in short and "/a/long" not in short


def test_commands_stand_in_one_piece() -> None:
    result = incident()
    command = "psql -XAtc \"select now(), * from pg_stat_activity\" " + " ".join(f"--set=option{i}=value" for i in range(20))
    result["verdict"]["would_change"][0]["collect"] = command
    assert f"$ {command}\n" in MODULES["terminal"].render(result, width=80)


@pytest.mark.parametrize(("tone", "inside"), [("bad", "failure"), ("good", "system-out"), ("open", "skipped")])
def test_junit_has_a_case_for_each_page(tone: str, inside: str, shown: list[Page]) -> None:
    shown[:] = [made_up(tone=tone)]
    root = ElementTree.fromstring(MODULES["junit"].render(alone()))
    (case,) = root.iter("testcase")
    assert case.attrib["name"] == "made-up"
    assert case[0].tag == inside
    assert root.attrib["failures"] == str(int(tone == "bad"))
    level = {"bad": "::error ", "open": "::warning ", "good": ""}[tone]
    assert MODULES["github"].commands(alone()).startswith(level)
    assert bool(MODULES["github"].commands(alone())) == bool(level)


def test_openmetrics_has_the_facts(shown: list[Page]) -> None:
    said = MODULES["openmetrics"].render(alone())
    assert 'perfaudit_page{page="made-up",tone="bad"} 1\n' in said
    assert 'perfaudit_fact{fact="Shift of p95",page="made-up",unit="ms"} 22.5\n' in said
    assert "verdict" not in said


def test_the_command_line_copes_without_a_verdict(shown: list[Page], capsys: pytest.CaptureFixture[str]) -> None:
    result = alone()
    assert _options.one_line(result) == "B is worse on POST /checkout."
    assert _options.gate(result, _options.Settings(fail_on=("constraint",))) == 0
    _options.show(result, _options.Settings(quiet=True))
    assert capsys.readouterr().out == "B is worse on POST /checkout.\n"
    _options.show(result, _options.Settings(json=True))
    assert json.loads(capsys.readouterr().out) == result


def test_a_stored_result_without_a_verdict_renders_again(tmp_path, shown: list[Page]) -> None:  # type: ignore[no-untyped-def]
    from perfaudit.cli import run

    path = tmp_path / "result.json"
    path.write_text(json.dumps(alone()))
    assert run(["report", str(path), "-o", str(tmp_path / "report.html"), "-q"]) == 0
    assert "B is worse" in (tmp_path / "report.html").read_text()
    path.write_text(json.dumps({k: v for k, v in alone().items() if k != "comparison"}))
    assert run(["report", str(path)]) == 2


@pytest.mark.parametrize(("cell", "said"), [("a", "a"), (None, "–"), (True, "yes"), (3, "3"), (1234.5, "1,234"), (float("nan"), "–"), (m(2.0, "ms", 1.0, None), "2.0 ms (1.0 ms–?)"), ({"value": None, "unit": "ms"}, "–")])
def test_cells(cell: Any, said: str) -> None:
    assert view.said(cell) == said


def test_numbers_stand_to_the_right() -> None:
    assert view.numeric(Table("", ("a", "b", "c", "d"), [("x", 1, None, None), ("y", m(1, "ms"), 2.0, "")])) == [False, True, True, False]


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))
def test_every_page_of_ours_reads_any_result(sample) -> None:  # type: ignore[no-untyped-def]
    for page in pages.of(sample()):
        assert page.key and page.title and page.question and page.answer
        assert page.tone in ("good", "bad", "open")
        for table in page.tables:
            assert all(len(row) == len(table.heads) for row in table.rows)
        for chart in page.charts:
            root = ElementTree.fromstring(chart.svg)
            assert {element.tag for element in root.iter()} <= SVG
            assert isinstance(chart.said, str) and chart.said


def test_pages_are_found_by_folder() -> None:
    for name, module in pages.discover().items():
        assert callable(module.page), name
        assert module.page({"schema_version": 1, "audit": {"question": "?"}}) is None
        assert isinstance(module.__doc__, str)
    assert isinstance(pages.of({}), list)
    assert isinstance(made_up().facts[1][1], Mapping)
