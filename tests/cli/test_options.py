"""The common options, each as a person gives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfaudit.report import schema
from tests.conftest import Ran, access_log

Run = Callable[..., Ran]
MINUTE = "2026-11-23T08:00:40Z", "2026-11-23T08:01:10Z"


@pytest.fixture
def result(log: Path, perfaudit: Run) -> Callable[..., dict[str, Any]]:
    def run(*options: object) -> dict[str, Any]:
        ran = perfaudit("analyze", log, *options, "--json")
        assert ran.code in (0, 3), ran.err
        out: dict[str, Any] = json.loads(ran.out)
        schema.validate(out)
        return out

    return run


def test_a_window_names_what_is_affected(result: Callable[..., dict[str, Any]]) -> None:
    found = result("--since", MINUTE[0], "--until", MINUTE[1])
    assert found["windows"]["affected"] == {"start": MINUTE[0], "end": MINUTE[1]}
    assert found["windows"]["reference"]["source"] == "given"
    assert found["baseline"]["requests"]["count"] == 2_000
    alone = result("--since", MINUTE[0], "--until", MINUTE[1], "--only-window")
    assert alone["baseline"]["requests"]["count"] == pytest.approx(600, abs=40)
    assert "reference" not in alone["windows"]
    epoch = result("--since", "1795420840", "--until", "1795420870")
    assert epoch["windows"] == found["windows"]
    assert result("--since", "2026-11-23 08:00:40", "--until", "2026-11-23T09:01:10+01:00")["windows"] == found["windows"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--since", "yesterday"], "cannot understand the time"),
        (["--since", "2020-01-01", "--until", "2020-01-02"], "the window holds no evidence"),
        (["--since", MINUTE[1], "--until", MINUTE[0]], "--until is not after --since"),
        (["--only-window"], "--only-window needs a window"),
        (["--where", "status >"], "--where is no condition"),
        (["--where", "nope = 1"], "--where is no condition on requests"),
        (["--label", "color=red"], "cannot understand the label"),
        (["--label", "instance="], "cannot understand the label"),
        (["--timezone", "Mars/Base"], "there is no time zone"),
        (["--timezone", "../../etc/passwd"], "there is no time zone"),
        (["--objective", "fast"], "cannot understand the objective"),
        (["--fail-on", "nope"], "nope"),
        (["-o", "report.docx"], "No report format"),
        (["-o", "gone/report.html"], "its folder does not exist"),
        (["-o", "folder.html"], "it is a folder"),
        (["--baseline", "gone.log"], "cannot read gone.log"),
        (["--baseline", "access.log"], "the baseline lies in the same time"),
    ],
)
def test_what_is_refused(log: Path, perfaudit: Run, options: list[str], says: str) -> None:
    (log.parent / "folder.html").mkdir()
    ran = perfaudit("analyze", log, *options)
    assert (ran.code, ran.out) == (2, "")
    what, *rest = ran.err.strip().splitlines()
    assert says in what
    assert rest[-1].startswith("  do: ")


def test_where_narrows_the_audit(result: Callable[..., dict[str, Any]], log: Path) -> None:
    found = result("--where", "route = '/checkout'")
    assert [r["route"] for r in found["baseline"]["routes"]] == ["/checkout"]
    assert found["baseline"]["requests"]["count"] == log.read_bytes().count(b"POST /checkout")


def test_labels_and_routes(log: Path, perfaudit: Run) -> None:
    ran = perfaudit("query", "--json", "select distinct service, instance from requests", log, "--label", "service=shop", "--label", "instance=blue")
    assert json.loads(ran.out) == [{"service": "shop", "instance": "blue"}]
    ran = perfaudit("query", "--json", "select count(*) as n from requests where route = '/orders/*'", log, "--route", "/orders/*")
    assert json.loads(ran.out)[0]["n"] == log.read_bytes().count(b"/orders/")


def test_time_zones_of_logs_that_name_none(home: Path, perfaudit: Run) -> None:
    (home / "app.log").write_bytes(b"".join(b"2026-11-23 09:00:%02d,000 ERROR [main] boom happened\n" % i for i in range(30)))
    (home / "b.log").write_bytes(b"".join(b"2026-11-23 09:00:%02d,000 WARN [main] other thing\n" % i for i in range(30)))
    sql = "select hour(time) as h, count(distinct level) as n from logs group by 1 order by 1"

    def hours(*options: str) -> list[int]:
        ran = perfaudit("query", "--json", sql, "app.log", "b.log", *options)
        return [row["h"] for row in json.loads(ran.out)]

    assert hours() == [9]
    assert hours("--timezone", "Europe/Berlin") == [8]
    assert hours("--timezone", "app.log=Asia/Tokyo") == [0, 9]
    assert hours("--timezone", "app.log=Asia/Tokyo", "--timezone", "Europe/Berlin") == [0, 8]


def test_a_baseline_is_a_file_a_folder_a_bundle_or_an_audit(log: Path, result: Callable[..., dict[str, Any]], perfaudit: Run) -> None:
    home = log.parent
    (home / "healthy").mkdir()
    (home / "healthy" / "access.log").write_bytes(access_log(1_500, seed=3, after=-7200))
    assert perfaudit("analyze", "healthy", "--keep", "bundle", "-q").code in (0, 3)
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", "healthy", "--audit", "audit").code == 0
    found = [result("--baseline", path) for path in ("healthy/access.log", "healthy", "bundle", "audit")]
    for one in found:
        assert one["windows"]["reference"]["source"] == "baseline"
        assert one["windows"] == found[0]["windows"]
        assert one["verdict"] == found[0]["verdict"]


def test_gates(log: Path, perfaudit: Run) -> None:
    kept = perfaudit("analyze", log, "-q", "--objective", "p95<60s", "--objective", "errors<99%")
    assert kept.code == 0
    broken = perfaudit("analyze", log, "-q", "--objective", "p95<1ms", "-o", "r.json")
    assert broken.code == 1
    assert json.loads((log.parent / "r.json").read_text())["slo"]["objectives"][0]["state"] == "broken"
    assert perfaudit("analyze", log, "-q", "--fail-on", "constraint", "--fail-on", "row-lock-contention").code == 0
    assert perfaudit("analyze", log, "-q", "--objective", "/checkout p50<60s", "--objective", "/checkout errors<0.0001%").code == 1


def test_too_little_evidence_still_writes_everything(home: Path, perfaudit: Run) -> None:
    (home / "access.log").write_bytes(access_log(3))
    names = ("r.html", "r.md", "r.json", "ci.xml", "m.prom")
    ran = perfaudit("analyze", "access.log", "-o", "r.html", "-o", "r.md", "-o", "r.json", "-o", "junit:ci.xml", "-o", "openmetrics:m.prom")
    assert ran.code == 3
    assert all((home / name).stat().st_size for name in names)
    assert ran.err.splitlines() == [f"wrote {name}" for name in names]


def test_stdout_carries_data_only(log: Path, perfaudit: Run) -> None:
    ran = perfaudit("analyze", log, "-o", "r.html", "--json")
    assert json.loads(ran.out)["schema_version"] == 1
    assert ran.err == "wrote r.html\n"
    quiet = perfaudit("analyze", log, "-o", "r.html", "-q")
    assert (quiet.err, quiet.out.count("\n")) == ("", 1)
    markdown = perfaudit("analyze", log, "-o", "-")
    assert markdown.out.startswith("# ")
    assert perfaudit("analyze", log, "-o", "json:-").out == json_bytes(log.parent / "r.json", perfaudit, log)


def json_bytes(path: Path, perfaudit: Run, log: Path) -> str:
    perfaudit("analyze", log, "-o", path, "-q")
    return path.read_text("utf-8")


def test_flag_over_variable_over_file(log: Path, perfaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def service(*options: str) -> str:
        (row,) = json.loads(perfaudit("query", "--json", "select distinct service from requests", log, *options).out)
        return str(row["service"])

    assert service() == "web"
    (log.parent / "perfaudit.toml").write_text('[reading]\nservice = "file"\n')
    assert service() == "file"
    monkeypatch.setenv("PERFAUDIT_SERVICE", "variable")
    assert service() == "variable"
    assert service("--label", "service=flag") == "flag"


def test_log_format_by_flag_by_file_and_in_audit_toml(home: Path, perfaudit: Run) -> None:
    (home / "odd.log").write_bytes(b"".join(b"179542%04d.5;0.250;200;GET /a/%d HTTP/1.1\n" % (800 + i, i) for i in range(200)))
    told = "$msec;$request_time;$status;$request"
    sql = "select count(*) as n, max(duration_us) as d from requests"
    wanted = '[{"n": 200, "d": 250000}]\n'
    assert perfaudit("query", "--json", sql, "odd.log", "--log-format", told).out == wanted
    (home / "nginx.conf").write_text(f"log_format odd '{told}';\n")
    assert perfaudit("query", "--json", sql, "odd.log").out == wanted
    (home / "nginx.conf").unlink()
    (home / "perfaudit.toml").write_text(f"[reading]\nlog_format = '{told}'\n")
    assert perfaudit("query", "--json", sql, "odd.log").out == wanted
