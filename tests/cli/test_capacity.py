"""``perfaudit capacity`` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfaudit.report import schema
from tests.conftest import access_log

SDM91 = "N,X\n1,64.9\n18,995.9\n36,1652.4\n72,1853.2\n108,1828.9\n144,1775.0\n216,1702.2\n"
COSTS = "date,service,cost,currency,requests\n" + "".join(f"2026-09-{d:02d},{s},{c * (1.8 if d > 15 else 1):.2f},USD,{1_000_000 + d * 1000}\n" for d in range(1, 31) for s, c in (("web", 90), ("db", 10)))


@pytest.fixture
def loads(home: Path) -> Path:
    path = home / "loads.csv"
    path.write_text(SDM91)
    return path


def test_the_published_table(perfaudit, loads: Path) -> None:  # type: ignore[no-untyped-def]
    shown = perfaudit("capacity", loads)
    assert shown.code == 0 and shown.err == ""
    for said in ("Do not scale", "96.5", "1,884/s", "0.0277", "0.000104", "nothing is said beyond 432"):
        assert said in shown.out
    quiet = perfaudit("capacity", loads, "--quiet")
    assert quiet.out.startswith("do not scale: throughput peaks") and quiet.out.count("\n") == 1


def test_json_is_the_same_bytes_and_fits_the_schema(perfaudit, loads: Path) -> None:  # type: ignore[no-untyped-def]
    first, second = perfaudit("capacity", loads, "--json"), perfaudit("capacity", loads, "--json")
    assert first.out == second.out
    result = json.loads(first.out)
    schema.validate(result)
    law = result["capacity"]["usl"]
    assert (round(law["sigma"]["value"], 5), round(law["kappa"]["value"], 7), round(law["peak_load"]["value"], 2)) == (0.02773, 0.0001044, 96.52)


def test_documents(perfaudit, loads: Path, home: Path) -> None:  # type: ignore[no-untyped-def]
    shown = perfaudit("capacity", loads, "-o", "report.html", "-o", "report.md", "-o", "result.json", "--quiet")
    assert shown.code == 0
    html = (home / "report.html").read_text()
    assert "<svg" in html and "not measured, up to twice the largest load" in html and "peak 96.5" in html
    assert "Do not scale" in (home / "report.md").read_text()
    schema.validate(json.loads((home / "result.json").read_text()))
    assert perfaudit("capacity", loads, "-o", "-").out.count("Do not scale") >= 1


@pytest.mark.parametrize(("text", "code"), [("N,X\n1,10\n2,19\n", 3), ("N,X\n" + "".join(f"{n},{n * 9}\n" for n in range(100, 110)), 3), ("N,X\n1,10\n2,many\n", 2), ("N,X\n", 3)])
def test_tables_that_do_not_answer(perfaudit, home: Path, text: str, code: int) -> None:  # type: ignore[no-untyped-def]
    (home / "loads.csv").write_text(text)
    shown = perfaudit("capacity", "loads.csv", "-o", "report.html")
    assert shown.code == code
    if code == 3:
        assert "6" in shown.out and "measure at 6 loads" in shown.out.lower().replace("\n", " ") and (home / "report.html").exists()
    else:
        assert "line 3" in shown.err


def test_pools_alone(perfaudit) -> None:  # type: ignore[no-untyped-def]
    shown = perfaudit("capacity", "--pool", "size=4,hold=1s,rate=3.2/s,name=db", "--json")
    assert shown.code == 0
    result = json.loads(shown.out)
    schema.validate(result)
    assert result["capacity"]["answer"] == "scale" and round(result["capacity"]["pools"][0]["wait_probability"]["value"], 6) == 0.596432
    assert perfaudit("capacity", "--pool", "size=none").code == 2


def test_costs_beside_a_log_and_alone(perfaudit, home: Path) -> None:  # type: ignore[no-untyped-def]
    (home / "costs.csv").write_text(COSTS)
    (home / "access.log").write_bytes(access_log(3_000))
    alone = perfaudit("capacity", "costs.csv", "--quiet")
    assert alone.code == 0 and alone.out.startswith("cost grows without traffic: since 2026-09-1")
    both = perfaudit("capacity", "access.log", "--costs", "costs.csv", "--json", "--pool", "size=8")
    result = json.loads(both.out)
    schema.validate(result)
    assert both.code == 0 and result["capacity"]["unit_cost"]["answer"] == "cost grows without traffic"
    assert result["capacity"]["pools"][0]["rate"]["value"] >= 20
    assert {t["table"] for t in result["inventory"]} == {"requests", "costs"}
    page = perfaudit("capacity", "access.log", "--costs", "costs.csv")
    assert "Cost grows without traffic" in page.out and "Capacity" in page.out.title()


def test_a_log_with_steady_traffic_is_not_enough(perfaudit, log: Path) -> None:  # type: ignore[no-untyped-def]
    shown = perfaudit("capacity", log, "--objective", "p95<2s")
    assert shown.code == 3 and "hardly varied" in shown.out.replace("\n", " ")


def test_an_audit_folder(perfaudit, home: Path, log: Path) -> None:  # type: ignore[no-untyped-def]
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", log, "--audit", "audit").code == 0
    (home / "costs.csv").write_text(COSTS)
    shown = perfaudit("capacity", "--audit", "audit", "--costs", "costs.csv", "--json")
    assert json.loads(shown.out)["capacity"]["unit_cost"]["currency"] == "USD"
    assert shown.code == 0


def test_usage(perfaudit, loads: Path) -> None:  # type: ignore[no-untyped-def]
    assert perfaudit("capacity").code == 2
    assert perfaudit("capacity", "none.csv").code == 2
    assert perfaudit("capacity", loads, "--objective", "quick").code == 2
    assert perfaudit("capacity", loads, "--objective", "metric:queue<3").code == 2
    shown = perfaudit("capacity", "--help")
    assert shown.code == 0 and "perfaudit capacity loads.csv" in shown.out


def test_hostile_names_do_nothing(perfaudit, home: Path) -> None:  # type: ignore[no-untyped-def]
    evil = "<script>alert(1)</script>\x1b[31m"
    (home / "costs.csv").write_text(COSTS.replace("web", evil))
    shown = perfaudit("capacity", "costs.csv", "-o", "report.html")
    assert "\x1b" not in shown.out
    assert "<script>alert" not in (home / "report.html").read_text()
