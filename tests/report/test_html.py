"""The page: self-contained, navigable, and nothing in it acts, in the parser and in a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from perfaudit.report.renderers import html

from .sample import HOSTILE, SAMPLES, STATEMENT, healthy, hostile, incident

VOID = {"meta", "link", "br", "img", "input", "hr"}
PAGE = {"html", "head", "body", "title", "style", "meta", "link", "header", "nav", "main", "section", "article", "footer", "figure", "figcaption"}
TEXT = {"h1", "h2", "h3", "h4", "p", "a", "b", "i", "span", "strong", "code", "pre", "div", "ul", "ol", "li", "dl", "dt", "dd"}
TABLE = {"table", "caption", "thead", "tbody", "tr", "th", "td"}
SVG = {"svg", "title", "desc", "rect", "path", "text", "circle"}


class Page(HTMLParser):
    """Elements with their attributes and text; fails on a tag that is closed out of order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[int] = []
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}, []))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag, f"{tag} closed out of order"

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        for i in self.open:
            self.elements[i][2].append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"comment {data!r}")

    def all(self, tag: str) -> list[tuple[dict[str, str], str]]:
        return [(attributes, "".join(text)) for name, attributes, text in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.words)


every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))


@every_sample
def test_only_elements_and_attributes_that_cannot_act(sample) -> None:  # type: ignore[no-untyped-def]
    page = Page(html.render(sample()))
    assert {tag for tag, _, _ in page.elements} <= PAGE | TEXT | TABLE | SVG
    for tag, attributes, _ in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset", "action")], (tag, attributes)
        for name in ("href", "xlink:href"):
            assert re.match(r"#[a-z][a-z0-9]*$|data:,$", attributes.get(name, "#x")), attributes


@every_sample
def test_the_page_forbids_scripts_and_network(sample) -> None:  # type: ignore[no-untyped-def]
    text = html.render(sample())
    policy = next(a["content"] for a, _ in Page(text).all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    css = re.search(r"(?s)<style>(.*?)</style>", text)
    assert css
    assert not re.search(r"url\(|@import|expression", css.group(1))
    assert len(text.encode()) < 2_000_000


@every_sample
def test_it_can_be_navigated_and_read_aloud(sample) -> None:  # type: ignore[no-untyped-def]
    page = Page(html.render(sample()))
    assert page.all("html")[0][0]["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("main", "header", "footer", "nav", "h1")] == [1] * 5
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    assert {a["href"][1:] for a, _ in page.all("a")} <= set(ids)
    assert {a["aria-labelledby"] for a, _ in page.all("section") if "aria-labelledby" in a} <= set(ids)
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-4]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in a for a, _ in page.all("th"))
    for attributes, _ in page.all("svg"):
        if "class" in attributes:
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    for attributes, _ in page.all("div"):
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]


def test_every_query_is_cited_and_every_citation_opens_one() -> None:
    page = Page(html.render(incident()))
    cited = {a["href"] for a, _ in page.all("a") if a.get("class") == "n"}
    items = {"#" + a["id"] for a, _ in page.all("li") if a.get("id", "").startswith("q")}
    assert cited == items
    assert len(items) > 30
    assert "select sum(duration_us) / 1e6 from lock_events" in page.text


def test_the_first_screen_answers() -> None:
    page = Page(html.render(incident()))
    (verdict,) = [text for a, text in page.all("section") if a.get("id") == "verdict"]
    for said in (
        "What constraint limits this system now", "Constraint", "POST /checkout queues behind one row", "Move the stock update", "93 %", "63 % of added request-seconds", STATEMENT,
        "table lock, missing index", "Where the time went", "database lock wait", "unexplained", "163 ms", "313 ms", "×8.1", "Objective broken", "Fix", "Scale", "Leave alone",
    ):  # fmt: skip
        assert said in verdict, said


def test_it_holds_the_rest_of_the_report() -> None:
    page = Page(html.render(incident()))
    titles = {text.split("\n")[0] for _, text in page.all("title")}
    assert {"Constraint: checkout-incident", "Account of time", "Latency over time", "Every request"} <= titles
    for said in ("Rollback".lower(), "set lock_timeout", "not measured", "Not examined", "cgroup counters", "19 × not JSON", "48,213", "sha256", "no reader knows this format", "Assumptions", "deploy shop 2.14.0"):
        assert said in page.text, said


def test_only_what_the_verdict_claims_is_red() -> None:
    claimed = re.findall(r'<rect class="part k-claimed"[^>]*><title>(.*?)</title>', html.render(incident()))
    assert claimed == ["database lock wait 43 %"]
    assert 'class="part k-claimed"' not in html.render(healthy())


@every_sample
def test_no_row_is_empty(sample) -> None:  # type: ignore[no-untyped-def]
    page = Page(html.render(sample()))
    assert all(text.strip() for tag in ("dd", "li", "h2", "h3", "h4", "p", "dt") for _, text in page.all(tag))


def test_nothing_is_shaded_without_a_reference() -> None:
    assert '<rect class="affected"' in html.render(incident())
    assert '<rect class="affected"' not in html.render(healthy())


def test_every_cut_says_its_number() -> None:
    result = incident()
    result["baseline"]["routes"] = [row | {"route": f"/r{i}"} for i in range(5) for row in result["baseline"]["routes"]]
    result["findings"][0]["cause"] = "x" * 5000
    result["events"] *= 30
    text = html.render(result)
    assert "Top 25 of 40 routes." in text
    assert "(3,000 more characters)" in text
    assert "40 of 60 events." in text


def test_a_large_result_stays_below_two_megabytes() -> None:
    result = incident()
    result["baseline"]["series"] = {k: v * 100 if isinstance(v, list) else v for k, v in result["baseline"]["series"].items()}
    result["baseline"]["heatmap"]["counts"] *= 100
    result["baseline"]["routes"] *= 100
    result["inventory"][0]["sources"] = [s | {"name": f"{i}.log", "notes": ["n" * 3000]} for i in range(500) for s in result["inventory"][0]["sources"]]
    result["findings"][0]["scope"]["statement"] = "select " + "a, " * 500_000
    assert len(html.render(result).encode()) < 2_000_000


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_text_is_shown(payload: str) -> None:
    from perfaudit.report.text import plain

    result = incident()
    result["findings"][0]["title"] = payload
    result["baseline"]["routes"][0]["route"] = payload
    page = Page(html.render(result))
    assert page.all("h1")[0][1] == plain(payload).rstrip(". ") + "."
    assert any(plain(payload) in text for _, text in page.all("code"))


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: the page was not opened in a browser")
def test_nothing_acts_in_a_browser(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(html.render(hostile()), "utf-8")
    quiet = [f"--disable-{name}" for name in ("gpu", "quic", "background-networking", "component-update", "sync")]
    run = subprocess.run([str(CHROMIUM), "--headless", "--no-sandbox", "--no-first-run", *quiet, "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()], capture_output=True, text=True, timeout=60, check=False)
    dom = Page(run.stdout)
    assert dom.all("title")[0][1].startswith("Constraint: audit")
    assert {tag for tag, _, _ in dom.elements} <= PAGE | TEXT | TABLE | SVG
    assert not [name for _, attributes, _ in dom.elements for name in attributes if name.startswith("on")]
    assert "<script>document.title='owned'</script>" in dom.text


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    digits = "".join(c * 2 for c in colour[1:]) if len(colour) == 4 else colour[1:]
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


READ = [("ink", "paper"), ("dim", "paper"), ("dim", "panel"), ("dim", "soft"), ("link", "paper"), ("bad", "panel"), ("bad", "bad-soft"), ("ok", "ok-soft"), ("open", "open-soft"), ("panel", "bad"), ("panel", "ok"), ("panel", "open")]
READ += [("on-dark", k) for k in ("k0", "k2", "k3", "k4", "claimed")] + [("on-light", k) for k in ("k1", "k5", "k6", "k7")] + [("ink", "none")]
SEEN = [(line, "paper") for line in ("p50", "p95", "p99", "affected", "reference", "heat")]


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_and_lines_have_the_contrast_of_wcag_aa(theme: int) -> None:
    css = html._asset("report.css")
    blocks = re.findall(r"(?s):root \{(.*?)\}", css)
    colours: dict[str, str] = {}
    for block in (blocks[0],) if theme == 0 else (blocks[0], blocks[theme]):
        colours |= dict(re.findall(r"--([\w-]+): (#\w+)", block))
    for pairs, least in ((READ, 4.5), (SEEN, 3.0)):
        for front, back in pairs:
            dark, light = sorted((luminance(colours[front]), luminance(colours[back])))
            assert (light + 0.05) / (dark + 0.05) >= least, (front, back)
