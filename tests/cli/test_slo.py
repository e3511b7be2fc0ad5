"""``perfaudit slo`` as a person uses it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from perfaudit.report import schema
from tests.conftest import START, access_line
from tests.slo.test_openslo import SLI, SLO


@pytest.fixture
def incident(home: Path) -> Path:
    """An hour of 5 requests a second; every request fails for five minutes from the 40th on."""
    rng = random.Random(3)
    lines = []
    for i in range(18_000):
        line = access_line(rng, i / 5)
        status = b"503" if 2400 <= i / 5 < 2700 else b"200"
        head, _, rest = line.partition(b'HTTP/1.1" ')
        lines.append(head + b'HTTP/1.1" ' + status + rest[3:])
    path = home / "access.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_an_outage_from_log_to_alert(perfaudit, incident: Path) -> None:  # type: ignore[no-untyped-def]
    ran = perfaudit("slo", incident, "--objective", "errors<0.1%", "--objective", "p95<5s", "--json")
    assert ran.code == 1
    result = json.loads(ran.out)
    schema.validate(result)
    errors, latency = result["slo"]["objectives"]
    assert (errors["state"], latency["state"]) == ("broken", "kept")
    assert errors["bad"] == 1500 and errors["total"] == 18_000
    (fired,) = errors["alerts"][0]["fired"]
    assert "2026-11-23T08:40:50Z" <= fired["at"] <= "2026-11-23T08:40:55Z"
    assert "objective errors<0.1%: broken" in ran.err
    assert perfaudit("slo", incident, "--objective", "errors<0.1%", "--json").out == perfaudit("slo", incident, "--objective", "errors<0.1%", "--json").out


def test_the_report_in_every_form(perfaudit, incident: Path) -> None:  # type: ignore[no-untyped-def]
    ran = perfaudit("slo", incident, "--objective", "errors<0.1%", "-o", "r.html", "-o", "r.md", "-o", "junit:ci.xml", "-o", "github:gh.md", "-o", "m.prom")
    assert ran.code == 1
    assert "broken" in ran.out and "08:40:5" in ran.out and "page 14.4×" in ran.out
    html = Path("r.html").read_text("utf-8")
    assert "Burn rate of errors&lt;0.1%" in html and "<svg" in html
    assert "Alerts on the burn rate" in Path("r.md").read_text("utf-8")
    quiet = perfaudit("slo", incident, "--objective", "errors<0.1%", "-q")
    assert quiet.out.count("\n") == 1 and "broken" in quiet.out and quiet.code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--objective", "errors<20%"], 0, "kept"),
        (["--objective", "/nowhere p95<1s"], 3, "no request of /nowhere"),
        (["--objective", "metric:nothing<1"], 3, "nothing is not in the evidence"),
        (["--objective", "errors<0.1%", "--until", "2026-11-23T08:30:00Z"], 0, "kept"),
        (["--objective", "errors<0.1%", "--where", "route = '/checkout'"], 1, "broken"),
        (["--objective", "fast"], 2, "cannot understand the objective"),
        (["--objective", "errors<0%"], 2, "no budget"),
        ([], 2, "no objective is given"),
        (["--objective", "errors<1%", "--period", "soon"], 2, "cannot understand the period"),
        (["--objective", "errors<1%", "--openslo", "none.yaml"], 2, "cannot read the definition"),
        (["--objective", "errors<1%", "--metric", "x"], 2, "cannot understand the metric"),
        (["--objective", "errors<1%", "--rules", "-", "--json"], 2, "stdout was asked for twice"),
        (["--objective", "errors<1%", "--rules", "no/where.yml"], 2, "cannot write"),
        (["--objective", "errors<1%", "--since", "2030-01-01T00:00:00Z"], 2, "holds no evidence"),
        (["--objective", "errors<50%", "--period", "30m", "--rules", "r.yml"], 2, "not one alert rule"),
    ],
)
def test_exit_codes(perfaudit, incident: Path, arguments: list[str], code: int, words: str) -> None:  # type: ignore[no-untyped-def]
    ran = perfaudit("slo", incident, *arguments)
    assert ran.code == code, ran.out + ran.err
    assert words in ran.out + ran.err


def test_definitions_alone_make_rules_and_a_document(perfaudit, home: Path) -> None:  # type: ignore[no-untyped-def]
    Path("slo.yaml").write_text(SLO + SLI)
    ran = perfaudit("slo", "--openslo", "slo.yaml", "--rules", "-", "--document", "slo.md")
    assert ran.code == 0
    assert ran.out.startswith("# Burn-rate alerts") and "Objectives and their budgets" not in ran.out
    assert "## shop" in Path("slo.md").read_text("utf-8")
    if promtool := shutil.which("promtool"):
        Path("rules.yml").write_text(ran.out)
        assert subprocess.run([promtool, "check", "rules", "rules.yml"], capture_output=True).returncode == 0
    alone = perfaudit("slo", "--openslo", "slo.yaml")
    assert alone.code == 3 and "no evidence was given" in alone.out and "page 13.4× 1h/5m" in alone.out
    assert perfaudit("slo", "--objective", "errors<1%").code == 2, "not inside an audit folder"


def test_an_alert_that_can_never_fire(perfaudit, home: Path) -> None:  # type: ignore[no-untyped-def]
    policy = "  alertPolicies:\n  - kind: AlertPolicy\n    metadata: {name: p}\n    spec:\n      conditions:\n      - metadata: {name: c}\n        spec: {severity: page, condition: {kind: burnrate, threshold: 14.4, lookbackWindow: 1h}}\n"
    Path("slo.yaml").write_text(SLO.replace("0.999", "0.9") + policy + SLI)
    ran = perfaudit("slo", "--openslo", "slo.yaml", "--rules", "r.yml")
    assert ran.code == 2 and "it can never fire" in ran.err and "144%" in ran.err and not Path("r.yml").exists()
    assert "never: it can never fire" in " ".join(perfaudit("slo", "--openslo", "slo.yaml", "-o", "r.md").out.split())


def test_wrong_yaml_is_told_with_its_line(perfaudit, home: Path) -> None:  # type: ignore[no-untyped-def]
    Path("slo.yaml").write_text(SLO.replace("0.999", "99.9") + SLI)
    ran = perfaudit("slo", "--openslo", "slo.yaml", "--rules", "-")
    assert ran.code == 2 and "slo.yaml:13" in ran.err and "targetPercent: 99.9" in ran.err and ran.out == ""


def test_openslo_on_an_access_log(perfaudit, incident: Path) -> None:  # type: ignore[no-untyped-def]
    Path("slo.yaml").write_text(SLO + SLI)
    ran = perfaudit("slo", incident, "--openslo", "slo.yaml")
    assert ran.code == 1 and "counted in the access log" in ran.out


def test_in_an_audit_folder(perfaudit, incident: Path) -> None:  # type: ignore[no-untyped-def]
    perfaudit("init", "audit")
    perfaudit("add", incident, "--audit", "audit")
    Path("audit/audit.toml").write_text('[objectives]\nobjectives = ["errors<0.1%"]\nperiod = "28d"\n')
    ran = perfaudit("slo", "--audit", "audit", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["slo"]["objectives"][0]["period"] == {"seconds": 28 * 86400}
    assert json.loads(perfaudit("slo", "--audit", "audit", "--period", "7d", "--json").out)["slo"]["objectives"][0]["period"] == {"seconds": 7 * 86400}


def test_hostile_names_reach_no_terminal(perfaudit, incident: Path) -> None:  # type: ignore[no-untyped-def]
    name = '"\\u202e::error::x {{ 7*7 }} <script>"'
    Path("slo.yaml").write_text(SLO.replace("name: shop", f"name: {name}").replace("service: web", f"service: {name}\n  description: {name}") + SLI)
    ran = perfaudit("slo", incident, "--openslo", "slo.yaml")
    assert ran.code == 2 and "control characters" in ran.err, "a mark that reorders a line is not printable"
    Path("slo.yaml").write_text(SLO.replace("name: shop", 'name: "::error::x {{ 7*7 }} <script>"') + SLI)
    ran = perfaudit("slo", incident, "--openslo", "slo.yaml", "-o", "r.html", "--document", "slo.md", "--rules", "r.yml")
    assert ran.code == 1
    assert "<script>" not in Path("r.html").read_text("utf-8") and "<script>" not in Path("slo.md").read_text("utf-8")
    assert "{{ 7" not in Path("r.yml").read_text("utf-8") and "49" not in Path("slo.md").read_text("utf-8").splitlines()[4]
    assert not [line for line in (ran.out + ran.err).splitlines() if line.startswith("::")]


def test_start_is_what_the_log_says() -> None:
    assert START == 1_795_420_800
