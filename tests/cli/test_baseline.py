"""``perfaudit baseline`` and ``perfaudit inventory`` as people see them, also on narrow terminals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from perfaudit.report import renderers, schema
from tests.conftest import Ran, access_log

Run = Callable[..., Ran]


@pytest.fixture
def audit(home: Path, perfaudit: Run) -> Path:
    """An audit folder with 3,000 requests of 150 s and files that nobody reads."""
    (home / "logs").mkdir()
    (home / "logs" / "a-rather-long-name-of-a-rotated-access.log").write_bytes(access_log(3_000) + b"broken\n")
    (home / "logs" / "notes-that-nobody-knows-how-to-read-in-this-folder.txt").write_text("nothing")
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", "logs", "--audit", "audit").code == 0
    return home / "audit"


def test_it_says_what_is_normal_whether_it_is_fit_and_what_it_can_tell(audit: Path, perfaudit: Run) -> None:
    ran = perfaudit("baseline", "--audit", audit)
    assert ran.code == 0
    for said in ("Percentiles", "What it can tell", "Tests of the window", "POST /checkout", "cannot be told from noise in a window of this length", "length: 149", "daily cycle", "coordinated omission"):
        assert said in " ".join(ran.out.split()), said


def test_json_holds_tests_with_numbers_and_limits_per_route(audit: Path, perfaudit: Run) -> None:
    result = json.loads(perfaudit("baseline", "--audit", audit, "--json").out)
    schema.validate(result)
    assert {"window", "windows", "baseline"} <= result.keys()
    length = next(note for note in result["baseline"]["validity"] if note["check"] == "length")
    assert (length["ok"], length["value"], length["least"], length["unit"]) == (True, 149, 60, "s")
    limits = {row["route"]: row for row in result["baseline"]["limits"]}
    assert limits["all"]["n"] == 3000
    checkout = limits["/checkout"]["rise"]
    assert 0 < checkout["p50"]["value"] < checkout["p95"]["value"] < 2
    assert limits["all"]["rise"]["p95"]["value"] < checkout["p95"]["value"]
    assert limits["/checkout"]["errors"]["value"] > 0


def test_every_report_format_shows_it(audit: Path, perfaudit: Run, home: Path) -> None:
    ran = perfaudit("baseline", "--audit", audit, "-q", "-o", "b.html", "-o", "b.md", "-o", "junit:b.xml", "-o", "b.json")
    assert ran.code == 0 and ran.out.count("\n") == 1
    assert "A rise of p95 on" in ran.out
    assert "What it can tell" in (home / "b.html").read_text()
    assert "What it can tell" in (home / "b.md").read_text()
    assert perfaudit("report", "b.json", "-q").out == ran.out


def test_an_analysis_has_no_limits_and_no_page_of_them(audit: Path, perfaudit: Run) -> None:
    result = json.loads(perfaudit("analyze", audit, "--json").out)
    assert "limits" not in result["baseline"]
    assert "What it can tell" not in perfaudit("analyze", audit).out


@pytest.mark.parametrize("width", [60, 80, 100])
def test_it_fits_a_narrow_terminal(audit: Path, perfaudit: Run, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    result = json.loads(perfaudit("baseline", "--audit", audit, "--json").out)
    page = renderers.discover()["terminal"].render(result, width=width)
    assert max(map(len, page.splitlines())) <= width
    assert "…" not in page
    monkeypatch.setenv("COLUMNS", str(width))
    text = perfaudit("inventory", "--audit", audit).out
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.startswith("    $ ")) <= width
    assert "a-rather-long-name-of-a-rotated-access.log" in "".join(line.rstrip().split("  ")[-1].strip() for line in lines)
    assert any(line.startswith("not read: logs/notes-that-nobody") for line in lines)
    assert any(line.startswith("    $ ") for line in lines)


def test_nothing_to_show_is_exit_code_three(home: Path, perfaudit: Run) -> None:
    assert perfaudit("init", "audit").code == 0
    ran = perfaudit("baseline", "--audit", "audit")
    assert ran.code == 3 and "no baseline" in ran.err
