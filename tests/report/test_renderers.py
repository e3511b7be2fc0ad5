"""Every renderer on every sample: contract, repeatability, hostile text, targets."""

import io
import json
import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from perfaudit.errors import UsageError
from perfaudit.report import renderers, view

from .sample import HOSTILE, SAMPLES, STATEMENT, healthy, hostile, incident, insufficient

MODULES = renderers.discover()
every_renderer = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))


def test_all_formats_are_there() -> None:
    assert list(MODULES) == ["github", "html", "json", "junit", "markdown", "openmetrics", "terminal"]


@every_renderer
def test_a_renderer_declares_itself(module) -> None:  # type: ignore[no-untyped-def]
    assert module.NAME
    assert re.fullmatch("[a-z]+", module.PREFIX)
    assert all(s.startswith(".") for s in module.SUFFIXES)
    assert len(module.__doc__) > 30


@every_renderer
@every_sample
def test_the_same_result_gives_the_same_bytes(module, sample) -> None:  # type: ignore[no-untyped-def]
    result = sample()
    before = json.dumps(result)
    first, second = module.render(result), module.render(sample())
    assert first == second
    assert json.dumps(result) == before, "a renderer changed the result"
    assert first.endswith("\n")
    assert first.encode("utf-8")


@every_renderer
@every_sample
def test_a_stored_result_gives_the_same_bytes(module, sample) -> None:  # type: ignore[no-untyped-def]
    stored = json.loads(MODULES["json"].render(sample()))
    assert list(stored) != list(sample())
    assert module.render(stored) == module.render(sample())


@every_renderer
def test_no_format_needs_more_than_what_must_be_there(module) -> None:  # type: ignore[no-untyped-def]
    least = {"schema_version": 1, "audit": {"question": "Why?"}, "verdict": {"status": "healthy", "confidence": 0.5, "decision": "Leave it."}, "inventory": [], "checks": []}
    assert module.render(least)
    least["verdict"] = {"status": "constraint", "problem": "bloat", "scope": {}, "share": {"value": None, "unit": "share"}, "confidence": 0.5, "decision": "Do."}
    assert module.render(least)


@every_renderer
@pytest.mark.parametrize("drop", ["baseline", "time_account", "findings", "windows", "window", "events", "services", "not_read"])
def test_a_phase_that_did_not_run(module, drop: str) -> None:  # type: ignore[no-untyped-def]
    result = incident()
    del result[drop]
    assert module.render(result)


@every_renderer
@pytest.mark.parametrize("drop", ["validity", "requests", "routes", "series", "route_series", "heatmap"])
def test_a_part_of_the_baseline_that_is_missing(module, drop: str) -> None:  # type: ignore[no-untyped-def]
    result = incident()
    del result["baseline"][drop]
    assert module.render(result)


@pytest.mark.parametrize("name", ["text", "markdown", "html", "github"])
def test_people_read_the_verdict(name: str) -> None:
    module = next(m for m in MODULES.values() if name == m.PREFIX)
    page = module.render(incident())
    for said in ("POST /checkout queues behind one row of inventory", "93 %", "63 % of added request-seconds", "518 s", "database lock wait", "1.88 s"):
        assert said in page, said
    assert "No constraint" in module.render(healthy())
    assert "Not enough evidence" in module.render(insufficient())


# -------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("target", "name", "path"),
    [
        ("report.html", "html", "report.html"), ("a/b/Result.JSON", "json", "a/b/Result.JSON"), ("junit:ci.xml", "junit", "ci.xml"), ("github:", "github", "-"), ("github:s.md", "github", "s.md"),
        ("-", "markdown", "-"), ("json:-", "json", "-"), ("openmetrics:m.prom", "openmetrics", "m.prom"), ("ci.junit.xml", "junit", "ci.junit.xml"), ("at-12:30.html", "html", "at-12:30.html"), ("text:-", "terminal", "-"),
    ],
)  # fmt: skip
def test_a_target_names_format_and_path(target: str, name: str, path: str) -> None:
    assert renderers.pick(target) == (MODULES[name], path)


@pytest.mark.parametrize("target", ["report.docx", "report", "pdf:x", "", "html"])
def test_an_unknown_format_lists_those_that_exist(target: str) -> None:
    with pytest.raises(UsageError) as caught:
        renderers.pick(target)
    assert all(word in caught.value.todo for word in (".html", ".json", ".md", "junit:FILE", "github:FILE"))


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    renderers.write(incident(), str(path))
    assert json.loads(path.read_text())["schema_version"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    assert path.stat().st_mode & 0o444


@pytest.mark.parametrize("where", ["missing/report.html", "."])
def test_a_file_that_cannot_be_written_says_why(tmp_path: Path, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        renderers.write(incident(), f"html:{tmp_path / where}")
    assert str(tmp_path) in caught.value.where
    assert caught.value.todo


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    renderers.write(incident(), f"json:{os.devnull}")
    assert Path(os.devnull).is_char_device()


def test_stdout_gets_the_document_and_nothing_else() -> None:
    out = io.StringIO()
    renderers.write(incident(), "json:-", out)
    assert json.loads(out.getvalue()) == incident()
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    renderers.write(hostile(), "-", raw)
    assert raw.buffer.getvalue().decode().startswith("# Performance report")  # type: ignore[attr-defined]


# -------------------------------------------------------------------- JSON


@every_sample
def test_json_holds_the_whole_result(sample) -> None:  # type: ignore[no-untyped-def]
    text = MODULES["json"].render(sample())
    assert json.loads(text) == sample()
    assert text.startswith('{\n "audit"')


def test_json_knows_no_nan() -> None:
    result = incident()
    result["baseline"]["series"]["p50_ms"][0] = float("nan")
    result["time_account"][0]["share"]["value"] = float("inf")
    again = json.loads(MODULES["json"].render(result), parse_constant=lambda name: pytest.fail(name))
    assert again["baseline"]["series"]["p50_ms"][0] is None
    assert again["time_account"][0]["share"]["value"] is None


# -------------------------------------------------------------------- terminal


@pytest.mark.parametrize("width", [20, 60, 80, 100, 140, 400])
def test_the_terminal_page_fits_and_is_short(width: int) -> None:
    page = MODULES["terminal"].render(incident(), width=width)
    assert max(len(line) for line in page.splitlines() if not line.startswith("     $ ")) <= max(60, min(width, 140))  # commands stay in one piece
    if width >= 80:
        assert len(page.splitlines()) <= 45
        assert "top 5 of 8" in page


def test_the_bar_sums_to_its_width() -> None:
    from perfaudit.report.renderers.terminal import _cells

    assert sum(_cells([0.43, 0.31, 0.11, 0.05, 0.02, 0.02, 0.06], 96)) == 96
    assert _cells([1.0], 7) == [7]
    assert sum(_cells([1 / 3] * 3, 100)) == 100


@every_sample
def test_the_terminal_gets_no_control_character(sample) -> None:  # type: ignore[no-untyped-def]
    page = MODULES["terminal"].render(sample())
    assert re.fullmatch(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*", page)
    assert not re.search(r"(?m)^\s*::", page)


def test_colour_codes_are_ours_alone() -> None:
    page = MODULES["terminal"].render(hostile(), colour=True)
    assert re.findall(r"\x1b(?!\[[\d;]*m)", page) == []
    assert "\x1b[31mred" not in page


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_no_color_is_obeyed(monkeypatch, environment: dict[str, str], coloured: bool) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    out = Terminal()
    renderers.write(incident(), "text:-", out)
    assert ("\x1b[" in out.getvalue()) is coloured


def test_a_terminal_that_knows_only_ascii() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    renderers.write(incident(), "text:-", raw)
    assert b"CONSTRAINT" in raw.buffer.getvalue()  # type: ignore[attr-defined]


# -------------------------------------------------------------------- Markdown


def tokens(page: str) -> list[tuple[str, str]]:
    from markdown_it import MarkdownIt

    found = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page):
        found.append((token.type, token.content))
        for child in token.children or []:
            found.append((child.type, child.attrGet("href") or child.content))
    return found


@pytest.mark.parametrize("name", ["markdown", "github"])
def test_markdown_shows_hostile_text_as_text(name: str) -> None:
    page = MODULES[name].render(hostile())
    kinds = tokens(page)
    assert not [t for t in kinds if t[0] in ("html_inline", "html_block", "image", "s_open", "em_open")]
    assert {str(href) for kind, href in kinds if kind == "link_open"} <= {"#queries"}
    prose = "".join(content for kind, content in kinds if kind == "text")
    assert "<script>document.title='owned'</script>" in prose
    raw = re.sub(r"(?s)(`+)(?!`).*?(?<!`)\1(?!`)", "", page)  # what a linkifier would see
    assert "https://evil" not in raw
    assert "www.evil" not in raw
    assert "@team" not in raw


@pytest.mark.parametrize("name", ["markdown", "github"])
def test_markdown_tables_keep_their_columns(name: str) -> None:
    for sample in SAMPLES.values():
        lines = MODULES[name].render(sample()).splitlines()
        tables = [i for i, line in enumerate(lines) if re.fullmatch(r"\|(-+:?\|)+", line)]
        assert tables
        for start in tables:
            columns = lines[start].count("|")
            row = start - 1
            while row < len(lines) and lines[row].startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", lines[row])) == columns, lines[row]
                row += 1


def test_the_markdown_report_covers_the_seven_phases() -> None:
    page = MODULES["markdown"].render(incident())
    headings = re.findall(r"(?m)^## (.+)$", page)
    assert headings == ["Executive summary", "1. Problem definition", "2. Baseline", "3. Critical path", "4. Constraint", "5. Measurement plan", "6. Solution options", "7. Evidence", "Queries"]
    for said in ("Hypotheses and rejected rivals", "Rollback", "Verify", f"`{STATEMENT}`", "Not examined", "cpu throttling", "`perfaudit collect host --for 10m`", "incident/k6-stdout.txt"):
        assert said in page, said
    assert "{{" not in page
    assert "{#" not in page


# -------------------------------------------------------------------- CI and monitoring


@every_sample
def test_junit_has_one_case_per_check(sample) -> None:  # type: ignore[no-untyped-def]
    result = sample()
    root = ElementTree.fromstring(MODULES["junit"].render(result))
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    assert list(cases) == [check["problem"] for check in result["checks"]]
    kinds = {"no-evidence": "skipped", "not-applicable": "skipped", "error": "error", "clear": "system-out", "symptom": "system-out", "problem": "failure"}
    for check in result["checks"]:
        (inside,) = cases[check["problem"]]
        assert inside.tag == kinds[check["outcome"]]
        assert (inside.attrib.get("message") or inside.text or "").strip()
    assert root.attrib["failures"] == str(sum(c["outcome"] == "problem" for c in result["checks"]))
    assert root.attrib["skipped"] == str(sum(c["outcome"] in ("no-evidence", "not-applicable") for c in result["checks"]))


def test_junit_only_the_constraint_fails() -> None:
    result = incident()
    result["checks"][0]["outcome"] = "problem"
    assert 'failures="1"' in MODULES["junit"].render(result)


def test_annotations_hold_no_second_command() -> None:
    commands = MODULES["github"].commands(hostile())
    lines = commands.splitlines()
    assert [line.split("::")[1].split(" ")[0] for line in lines] == ["error", "warning"]
    result = incident()
    result["findings"][0]["title"] = "100%\r\n::error::x"
    assert MODULES["github"].commands(result).splitlines()[0].startswith("::error title=Constraint::100%25 ::error::x.")


def test_the_job_summary_is_appended(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    out = io.StringIO()
    renderers.write(incident(), "github:", out)
    assert summary.read_text().startswith("before\n### Constraint")
    assert out.getvalue().startswith("::error title=Constraint::")
    assert "###" not in out.getvalue()


SAMPLE_LINE = re.compile(r'[a-z_]+\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\} -?[\d.e+-]+')


@every_sample
def test_openmetrics_is_well_formed(sample) -> None:  # type: ignore[no-untyped-def]
    lines = MODULES["openmetrics"].render(sample()).splitlines()
    assert lines[-1] == "# EOF"
    values = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE_LINE.fullmatch(line) for line in values)
    assert len({line.rpartition(" ")[0] for line in values}) == len(values), "a series occurs twice"
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(families)) == len(families)
    units = [line.split()[2:] for line in lines if line.startswith("# UNIT")]
    assert all(name.endswith(unit) for name, unit in units)


def test_openmetrics_says_seconds() -> None:
    page = MODULES["openmetrics"].render(incident())
    assert 'perfaudit_request_duration_seconds{method="POST",quantile="0.95",route="/checkout",service="edge",window="affected"} 1.882\n' in page
    assert 'perfaudit_verdict_confidence_ratio{problem="row-lock-contention",status="constraint"} 0.93\n' in page


# -------------------------------------------------------------------- what all say


def test_three_decisions_come_from_the_result() -> None:
    fix, scale, leave = view.options(incident())
    assert fix.favoured
    assert "246 ms" in fix.brings
    assert "9.0 %" in scale.brings  # 2.1 % pool wait + 1.4 % worker queue + 5.5 % unexplained
    assert scale.notes == ("The 43 % of database lock wait would stay",)
    assert "4,054 s of waiting per hour" in leave.brings  # 518 s lost in 460 s
    assert [o.favoured for o in view.options(healthy())] == [False, False, True]
    assert [o.name for o in view.options(insufficient()) if o.favoured] == ["Collect"]


def test_scaling_names_what_the_verdict_claims() -> None:
    result = incident()
    result["time_account"][0]["problems"], result["time_account"][2]["problems"] = [], ["row-lock-contention"]
    assert view.options(result)[1].notes == ("The 11 % of CPU running would stay",)


def test_scaling_is_not_judged_where_most_is_unexplained() -> None:
    result = incident()
    result["time_account"] = [{"component": "unexplained", "share": {"value": 0.9, "unit": "share"}}, {"component": "edge", "share": {"value": 0.1, "unit": "share"}}]
    scale = view.options(result)[1]
    assert scale.action == "Cannot be judged yet."
    assert "90 %" in scale.brings


def test_a_verdict_without_a_constraint_says_what_was_seen() -> None:
    result = insufficient()
    result["verdict"]["chain"] = ["GET /fares: p95 313 ms, 104 ms in the reference"]
    assert [fact.label for fact in view.facts(result)] == ["Seen", "Decision"]
    assert "GET /fares: p95 313 ms" in MODULES["terminal"].render(result)
    assert "Seen" not in [fact.label for fact in view.facts(incident())]


def test_before_and_after_are_of_the_verdicts_route() -> None:
    assert view.focus(incident())["name"] == "POST /checkout"
    result = incident()
    result["verdict"]["scope"] = {"object": "inventory"}
    assert view.focus(result)["name"] == "all requests"
    del result["baseline"]["requests"]
    assert view.focus(result)["name"] == "POST /checkout"
    assert view.focus(healthy()) == {}


def test_the_account_ends_with_what_is_not_explained() -> None:
    rows = view.account(incident())
    assert rows[0]["component"] == "database lock wait"
    assert rows[-1]["component"] == "unexplained"
    assert sum(row["share"]["value"] for row in rows) == pytest.approx(1)


def test_other_is_the_last_route() -> None:
    assert [row["name"] for row in view.routes(incident())][-1] == "other"
    assert view.route_name({"method": "-", "route": None}) == "(unreadable)"


def test_discovery_imports_nothing_heavy() -> None:
    import subprocess

    code = "import sys; from perfaudit.report import renderers; renderers.discover(); print([m for m in ('rich', 'jinja2', 'numpy', 'duckdb', 'pyarrow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_samples_hold_every_payload() -> None:
    text = json.dumps(hostile())
    assert all(json.dumps(payload)[1:-1] in text for payload in HOSTILE)
