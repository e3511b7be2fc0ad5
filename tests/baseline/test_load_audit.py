"""What an audit makes of load results: nothing is diagnosed from one that cannot be trusted, and servers' logs beside it stay evidence."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from perfaudit.audit import audit
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.report import renderers, schema
from perfaudit.report.pages import load_test as page

DATA = Path(__file__).parent / "load"
SAMPLES = Path(__file__).parents[1] / "evidence" / "readers" / "load"


def folder(home: Path, name: str, *, log: bool = True, hours: int = 0) -> Path:
    """A recorded test and, with ``log``, an access log as the server behind would have written it; ``hours``: how much longer it goes on."""
    shutil.copy(DATA / f"{name}.json.zst", home / "result.json.zst")
    if log:
        text = zstandard.ZstdDecompressor().decompress((DATA / f"{name}.json.zst").read_bytes(), max_output_size=1 << 26)
        points = [msgspec.json.decode(line)["data"] for line in text.splitlines() if line.startswith(b'{"metric":"http_req_duration","type":"Point"')]
        rows = sorted((datetime.fromisoformat(p["time"][:26].rstrip("Z") + "+00:00"), p["value"]) for p in points)
        rows += [(datetime.fromtimestamp(rows[-1][0].timestamp() + s, UTC), 20.0) for s in range(hours * 3600)]
        lines = [f'{at.timestamp():.3f} "GET /items/17 HTTP/1.1" 200 512 {max(0.001, ms / 1e3 - 0.001):.3f}' for at, ms in rows]
        (home / "web.access.log").write_text("\n".join(lines) + "\n")
        (home / "nginx.conf").write_text("log_format timed '$msec \"$request\" $status $bytes_sent $request_time';\n")
    return home


def test_nothing_is_diagnosed_from_a_test_that_cannot_be_trusted(tmp_path: Path) -> None:
    for name, fault in (("closed", "oordinated omission"), ("dropped", "ropped iterations")):
        (tmp_path / name).mkdir()
        result = audit(folder(tmp_path / name, name, log=False))
        verdict = result["verdict"]
        assert verdict["status"] == "insufficient-evidence" and "Repeat the load test" in verdict["decision"] and fault in verdict["decision"]
        assert "constant-arrival-rate" in verdict["would_change"][0]["collect"]
        assert "baseline" not in result and result["findings"] == [] and not result["load_test"]["trusted"]
        schema.validate(result)


def test_a_trusted_test_is_the_view_of_users(tmp_path: Path) -> None:
    result = audit(folder(tmp_path, "open"))
    assert result["load_test"]["trusted"]
    assert result["baseline"]["requests"]["duration_ms"]["p95"]["value"] == pytest.approx(1656.4, abs=0.1)
    assert {s["service"]: s["role"] for s in result["services"]} == {LOAD_GENERATOR: "outermost", "web": "inner"}
    schema.validate(result)


def test_logs_beside_a_doubted_test_stay_evidence(tmp_path: Path) -> None:
    result = audit(folder(tmp_path, "closed"))
    assert [s["service"] for s in result["services"]] == ["web"]
    assert result["baseline"]["requests"]["count"] == 3615
    assert "Repeat the load test" not in result["verdict"]["decision"]
    assert any("not trusted" in a and "coordinated omission" in a for a in result["audit"]["assumptions"])


def test_a_log_that_goes_on_beyond_the_test_speaks_of_all(tmp_path: Path) -> None:
    result = audit(folder(tmp_path, "open", hours=1))
    assert {s["service"]: s["role"] for s in result["services"]} == {LOAD_GENERATOR: "inner", "web": "outermost"}


def test_totals_hold_nothing_to_diagnose_from(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "k6_dropped_summary.json", tmp_path / "summary.json")
    result = audit(tmp_path)
    assert result["verdict"]["status"] == "insufficient-evidence" and result["load_test"]["dropped"] == 391
    schema.validate(result)


def test_a_doubted_baseline_is_no_reference(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    result = audit(folder(tmp_path / "after", "open", log=False), baseline=folder(tmp_path / "before", "closed", log=False))
    assert result["baseline"]["requests"]["count"] == 4001
    assert result["windows"].get("reference", {}).get("source") != "baseline"
    assert any("not trusted" in a for a in result["audit"]["assumptions"])


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    home = folder(tmp_path, "dropped")
    one, two = (msgspec.json.encode(audit(home), order="sorted") for _ in range(2))
    assert one == two


# ------------------------------------------------------------------ the page


def hostile(result: dict[str, Any]) -> dict[str, Any]:
    evil = "<script>alert(1)</script>\x1b[2J|=cmd()"
    part = result["load_test"]
    part |= {"sources": [evil], "why": evil, "thresholds": [{"metric": evil, "threshold": evil, "ok": False}], "others": [{"sources": [evil], "tool": evil, "model": "open", "trusted": False, "why": evil}]}
    part["validity"][0]["detail"] = evil
    return result


def test_the_page_in_every_renderer(tmp_path: Path) -> None:
    result = audit(folder(tmp_path, "dropped", log=False))
    made = page.page(result)
    assert made is not None and made.tone == "bad" and made.answer.startswith("No: dropped iterations: 391 of 4,001")
    assert [t.title for t in made.tables] == ["Is the result valid?", "Stages"] and len(made.charts) == 2
    assert all("<svg" in c.svg and "<title>" in c.svg for c in made.charts) and "planned" in made.charts[1].svg
    assert page.page({"verdict": {}}) is None
    for reader in (result, hostile(result)):
        for name, renderer in renderers.discover().items():
            said = renderer.render(reader)
            assert "<script>alert" not in said or name not in ("html", "markdown")
            assert "\x1b[2J" not in said
    totals = {k: v for k, v in result["load_test"].items() if k in ("tool", "sources", "model", "trusted", "why", "validity", "not_tested", "requests", "duration_ms")}
    assert page.page({"load_test": totals}) is not None
