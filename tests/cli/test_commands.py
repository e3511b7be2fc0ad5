"""Each command as a person uses it, and what each says when it cannot."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perfaudit.errors import QueryError
from tests.conftest import Ran, access_log

Run = Callable[..., Ran]


@pytest.fixture
def audit(log: Path, perfaudit: Run) -> Path:
    """An audit folder with one log in it."""
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", log, "--audit", "audit").code == 0
    return log.parent / "audit"


def refused(ran: Ran, code: int = 2) -> list[str]:
    """The lines of an error: what, where or what to do; nothing on stdout."""
    assert (ran.code, ran.out) == (code, ""), ran
    lines = ran.err.strip().splitlines()
    assert lines[0].startswith("perfaudit: ")
    assert 2 <= len(lines) <= 3
    assert lines[-1].startswith("  do: ")
    return lines


# -------------------------------------------------------------------- the formal audit


def test_the_whole_walk(log: Path, perfaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (log.parent / "healthy.log").write_bytes(access_log(1_000, seed=5, after=-3600))
    assert perfaudit("init", "audit").out.startswith("made audit/audit.toml")
    monkeypatch.chdir("audit")
    assert perfaudit("define", "--symptom", "slow since Monday", "--flow", "POST /checkout", "--success", "/checkout p95<400ms, errors<1%").code == 0
    ran = perfaudit("add", "../access.log")
    assert ran.out == "access.log: nginx or Apache access log, 2,000 lines, 2,000 requests\n"
    assert perfaudit("add", "../access.log").out == "access.log: already in the bundle\n"
    assert perfaudit("add", "../healthy.log", "--as-baseline", "-q").code == 0
    assert "/orders/{id}/items" in perfaudit("baseline").out
    assert perfaudit("diagnose", "-o", "page.html").code in (0, 3)
    result = json.loads(perfaudit("report", "--json").out)
    assert result["windows"]["reference"]["source"] == "baseline"
    assert result["audit"]["definition"]["success"] == ["/checkout p95<400ms", "errors<1%"]
    assert perfaudit("report", "-o", "again.html").code == 0
    assert Path("again.html").read_bytes() == Path("page.html").read_bytes()
    assert "access.log" in perfaudit("inventory").out
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    assert "3000" in perfaudit("query", "select count(*) from requests").out  # evidence and baseline


def test_init_refuses_what_is_no_place(home: Path, perfaudit: Run) -> None:
    assert perfaudit("init", "audit").code == 0
    assert "audit folder already" in refused(perfaudit("init", "audit"))[0]
    (home / "file").write_text("")
    assert "this is a file" in refused(perfaudit("init", "file"))[0]
    assert "cannot create a bundle" in refused(perfaudit("init", "file/below"))[0]
    (home / "mine").mkdir()
    (home / "mine" / "audit.toml").write_text('[problem]\nname = "kept"\n')
    assert perfaudit("init", "mine").code == 0
    assert "kept" in (home / "mine" / "audit.toml").read_text()


@pytest.mark.parametrize("command", [["inventory"], ["baseline"], ["diagnose"], ["report"], ["query", "select 1"], ["define", "--name", "x"], ["add", "access.log"]])
def test_outside_of_an_audit_folder(log: Path, perfaudit: Run, command: list[str]) -> None:
    assert "not inside an audit folder" in refused(perfaudit(*command))[0]
    assert "this is not an audit folder" in refused(perfaudit(*command, "--audit", "gone"))[0]


def test_an_empty_audit_has_not_enough_evidence(home: Path, perfaudit: Run) -> None:
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("inventory", "--audit", "audit").code == 0
    assert "no result yet" in refused(perfaudit("report", "--audit", "audit"), 3)[0]
    assert "no baseline" in refused(perfaudit("baseline", "--audit", "audit"), 3)[0]
    ran = perfaudit("diagnose", "--audit", "audit", "-o", "r.html", "-o", "r.json", "-q")
    assert ran.code == 3
    assert (home / "r.html").stat().st_size > 1000
    assert json.loads((home / "r.json").read_text())["verdict"]["status"] == "insufficient-evidence"
    assert perfaudit("query", "--json", "select count(*) as n from spans", "--audit", "audit").out == '[{"n": 0}]\n'


def test_damaged_audits_are_told(audit: Path, perfaudit: Run) -> None:
    (audit / "result.json").write_text("{")
    assert "not a result of perfaudit" in refused(perfaudit("report", "--audit", audit))[0]
    (audit / "audit.toml").write_text("[problem\n")
    assert "cannot read the configuration" in refused(perfaudit("diagnose", "--audit", audit))[0]
    (audit / "audit.toml").unlink()
    part = next((audit / "tables" / "requests").iterdir())
    part.write_bytes(part.read_bytes()[:100])
    refused(perfaudit("query", "select count(*) from requests", "--audit", audit))
    part.unlink()
    assert "part of the bundle is missing" in refused(perfaudit("diagnose", "--audit", audit))[0]
    (audit / "manifest.json").write_text("[]")
    assert "format None" in refused(perfaudit("inventory", "--audit", audit))[0]


# -------------------------------------------------------------------- define


def test_define_keeps_what_it_does_not_change(audit: Path, perfaudit: Run) -> None:
    file = audit / "audit.toml"
    file.write_text('# mine\n[costs]\ncurrency = "EUR"\n[problem] # here\nquestion = "why?"\nname = "old"\nscope = ["a",\n  "b"]\n\n[reading]\nservice = "shop"\n')
    assert perfaudit("define", "--name", 'a "new"\nname', "--audit", audit).code == 0
    text = file.read_text()
    assert text.startswith('# mine\n[costs]\ncurrency = "EUR"\n[problem]\n')
    for kept in ('question = "why?"', 'scope = ["a", "b"]', '[reading]\nservice = "shop"', '"a \\"new\\"\\nname"'):
        assert kept in text
    assert perfaudit("define", "--audit", audit).code == 0
    assert file.read_text() == text


@pytest.mark.parametrize(("option", "value", "says"), [("--success", "it feels fast", "cannot be measured"), ("--since", "yesterday", "cannot understand the time"), ("--success", "p95<1s,p99", "“p99” cannot be measured")])
def test_define_refuses_what_cannot_be_measured(audit: Path, perfaudit: Run, option: str, value: str, says: str) -> None:
    before = (audit / "audit.toml").read_bytes()
    assert says in refused(perfaudit("define", option, value, "--audit", audit))[0]
    assert (audit / "audit.toml").read_bytes() == before


# -------------------------------------------------------------------- inventory


def test_the_inventory_adds_up_and_points_at_the_lines(home: Path, perfaudit: Run) -> None:
    good = access_log(50)
    data = good + b"broken ?sid=CANARY\n" + good + b'{"x": 1}\n' + b"\0\0\n\n"
    (home / "logs").mkdir()
    (home / "logs" / "access.log").write_bytes(data)
    (home / "logs" / "access.log.1.gz").write_bytes(gzip.compress(access_log(30, seed=3) + b"torn"))
    (home / "logs" / "notes.txt").write_text("nothing")
    (home / "logs" / "nginx.conf").write_text("log_format other '$status';\n")
    assert perfaudit("init", "audit").code == 0
    ran = perfaudit("add", "logs", "--audit", "audit")
    assert "logs/nginx.conf: configuration used: 1 log format\n" in ran.err
    assert "logs/notes.txt: not read: no reader knows this format\n" in ran.err
    found = json.loads(perfaudit("inventory", "--json", "--audit", "audit").out)
    (table,) = found["inventory"]
    assert table["rows"] == 130
    for source in table["sources"]:
        assert source["parsed"] + sum(source["rejected"].values()) == source["lines"]
        text = data if source["name"].endswith(".log") else access_log(30, seed=3) + b"torn"
        assert source["rejected"].keys() == source["rejected_examples"].keys()
        for example in source["rejected_examples"].values():
            line = text[example["offset"] :].split(b"\n")[0]
            assert example["offset"] == 0 or text[example["offset"] - 1 : example["offset"]] == b"\n"
            assert line in (b"broken ?sid=CANARY", b"", b"torn")
    assert found["not_read"] == [{"name": "logs/notes.txt", "reason": "no reader knows this format"}]
    assert found["configuration"] == [{"name": "logs/nginx.conf", "formats": 1}]
    assert "sessions" in found["absent"]
    assert any("pg_stat_activity" in w["collect"] for w in found["wanted"])
    text_out = perfaudit("inventory", "--audit", "audit").out
    assert "does not match the format" in text_out
    assert "CANARY" not in text_out
    assert "configuration used: logs/nginx.conf" in text_out


# -------------------------------------------------------------------- query and explain


def test_query_formats(log: Path, perfaudit: Run) -> None:
    sql = "select 1 as i, 2.5 as f, 3::decimal(9,2) as d, sum(status) as s, null as n, true as b, time::date as day, [1, 2] as l, 'nan'::double as x from requests group by all limit 1"
    (row,) = json.loads(perfaudit("query", "--json", sql, log).out)
    assert row["i"] == 1
    assert row["f"] == 2.5
    assert row["d"] == 3
    assert isinstance(row["s"], int)
    assert (row["n"], row["b"], row["day"], row["l"], row["x"]) == (None, True, "2026-11-23", [1, 2], None)
    assert perfaudit("query", "--json", "select 1 where false", log).out == "[]\n"
    rows = json.loads(perfaudit("query", "--json", "select time, duration_us from requests order by time", log).out)
    assert len(rows) == 2_000
    assert rows[0]["time"].endswith("Z")
    lines = perfaudit("query", "--csv", "select route, duration_us from requests", log).out.splitlines()
    assert (len(lines), lines[0]) == (2_001, "route,duration_us")
    ran = perfaudit("query", "select duration_us from requests", log)
    assert "showing 1,000 of 2,000 rows" in ran.err


def test_a_wide_cell_is_folded_not_cut(log: Path, perfaudit: Run) -> None:
    out = perfaudit("query", "select repeat('abc', 400) as x", log).out
    assert out.count("abc") + out.count("ab\n") + out.count("a\n") >= 395
    assert "…" not in out


@pytest.mark.parametrize("sql", ["selec 1", "select nope from requests", "copy requests to 'x.csv'", "select 1; select 2", "select * from read_text('/etc/passwd')"])
def test_query_refuses_in_three_lines(log: Path, perfaudit: Run, sql: str) -> None:
    lines = refused(perfaudit("query", sql, log))
    assert lines[1] == "  at: SQL"
    assert QueryError.exit_code == 2
    assert not (log.parent / "x.csv").exists()


def test_tables_and_classes_are_listed(home: Path, perfaudit: Run) -> None:
    out = perfaudit("query", "--tables").out
    assert "requests: one row is" in out
    assert "duration_us" in out
    listed = perfaudit("explain").out
    assert "row-lock-contention" in listed
    assert "What it sees" in perfaudit("explain", "row-lock-contention").out
    refused(perfaudit("explain", "row-lock-contenton"))


# -------------------------------------------------------------------- reports and help


def test_report_of_a_file(log: Path, perfaudit: Run) -> None:
    assert perfaudit("analyze", log, "-o", "r.json", "-q").code in (0, 3)
    assert perfaudit("report", "r.json", "-o", "-").out.startswith("# ")
    assert "not a result" in refused(perfaudit("report", log))[0]
    assert "No such file" in refused(perfaudit("report", "gone.json"))[0]
    (log.parent / "deep.json").write_text("[" * 100_000)
    assert "not a result" in refused(perfaudit("report", "deep.json"))[0]


def test_help_names_every_command_and_unknown_ones_get_a_hint(perfaudit: Run) -> None:
    out = perfaudit("--help").out
    for name in ("analyze", "demo", "init", "define", "add", "inventory", "baseline", "diagnose", "report", "query", "explain", "completion"):
        assert f"\n  {name} " in out
        assert perfaudit(name, "--help").code == 0
    assert "did you mean inventory?" in refused(perfaudit("inventry"))[0]
    assert "No such option" in refused(perfaudit("analyze", "--nope", "x"))[0]
    assert refused(perfaudit("analyze"))[-1] == "  do: perfaudit analyze --help"
    assert perfaudit("--version").out.startswith("perfaudit, version ")


def test_what_analyze_is_given(log: Path, perfaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot read gone.log: No such file" in refused(perfaudit("analyze", "gone.log"))[0]
    assert "nothing could be read: no files were found" in refused(perfaudit("analyze", _folder(log.parent / "void")))[0]
    assert "cannot collect" in refused(perfaudit("analyze", "postgresql://localhost/x"))[0]
    (log.parent / "empty.log").write_bytes(b"")
    assert "empty.log: empty" in refused(perfaudit("analyze", "empty.log"))[1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "standard input: empty" in refused(perfaudit("analyze", "-"))[1]
    (log.parent / "loop").symlink_to("loop")
    assert "Too many levels" in refused(perfaudit("analyze", "loop"))[0]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_analyze_of_folders_bundles_and_audits(log: Path, perfaudit: Run) -> None:
    """A folder with subfolders, the bundle that --keep leaves, an audit folder: the same numbers."""
    deep = log.parent / "evidence" / "host a" / "nginx"
    deep.mkdir(parents=True)
    log.rename(deep / "access.log")
    wanted = json.loads(perfaudit("analyze", "evidence", "--json").out)
    assert wanted["baseline"]["requests"]["count"] == 2_000
    ran = perfaudit("analyze", "evidence", "--keep", "kept", "--json")
    assert json.loads(ran.out)["baseline"] == wanted["baseline"]
    assert json.loads(perfaudit("analyze", "kept", "--json").out)["baseline"] == wanted["baseline"]
    assert "holds a bundle already" in refused(perfaudit("analyze", "evidence", "--keep", "kept"))[0]
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", "evidence", "--audit", "audit").code == 0
    assert json.loads(perfaudit("analyze", "audit", "--json").out)["baseline"] == wanted["baseline"]
    assert perfaudit("report", "--audit", "kept", "-q").code == 0
