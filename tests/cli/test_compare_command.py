"""``perfaudit compare`` as a person and as CI use it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from perfaudit.report import schema
from tests.conftest import START, Ran, access_log

Run = Callable[..., Ran]


def slow_log(n: int, seed: int, after: float, factor: float, failing: float = 0.0) -> bytes:
    """:func:`access_log` whose durations are ``factor`` times as long; a share ``failing`` answers 503 instead."""
    out = []
    for i, line in enumerate(access_log(n, seed=seed, after=after).splitlines()):
        head, duration, upstream = line.rsplit(b" ", 2)
        if failing and (i * 7919) % 1000 < failing * 1000:
            head = head.replace(b'HTTP/1.1" 200 ', b'HTTP/1.1" 503 ')
        out.append(b"%s %.3f %.3f" % (head, float(duration) * factor, float(upstream) * factor))
    return b"\n".join(out) + b"\n"


@pytest.fixture
def logs(home: Path) -> Path:
    """A folder each: before, alike (an hour later) and slower (an hour later), 150 s each."""
    for name, seed, after, factor in (("before", 1, 0.0, 1.0), ("alike", 2, 3600.0, 1.0), ("slower", 3, 3600.0, 1.8)):
        (home / name).mkdir()
        (home / name / "access.log").write_bytes(slow_log(3_000, seed, after, factor))
    return home


def test_worse_fails_the_build_and_says_why_in_a_line(logs: Path, perfaudit: Run) -> None:
    ran = perfaudit("compare", "before", "slower", "--fail-on", "worse", "-q")
    assert ran.code == 1
    assert ran.out.count("\n") == 1
    assert ran.out.startswith("Slower is worse than before: ")
    assert "typical duration" in ran.out
    assert ran.err == ""
    assert perfaudit("compare", "before", "slower", "-q").code == 0
    assert perfaudit("compare", "slower", "before", "--fail-on", "worse", "-q").code == 0
    assert perfaudit("compare", "slower", "before", "--fail-on", "better", "-q").code == 1


def test_alike_is_neither(logs: Path, perfaudit: Run) -> None:
    ran = perfaudit("compare", "before", "alike", "--json", "--fail-on", "worse", "--fail-on", "better")
    assert ran.code == 0
    result = json.loads(ran.out)
    assert result["comparison"]["result"] in ("inconclusive", "no practical difference")
    if result["comparison"]["result"] == "inconclusive":
        assert "would decide" in result["comparison"]["summary"]
        assert perfaudit("compare", "before", "alike", "-q", "--fail-on", "inconclusive").code == 1


def test_every_report_and_the_same_bytes_again(logs: Path, perfaudit: Run) -> None:
    names = ("r.json", "r.html", "r.md", "junit:ci.xml", "github:g.md", "openmetrics:m.prom", "r.txt")
    ran = perfaudit("compare", "before", "slower", *(a for n in names for a in ("-o", n)))
    assert ran.code == 0
    result = json.loads(Path("r.json").read_text())
    schema.validate(result)
    assert {row["table"]: row["rows"] for row in result["inventory"]}["requests"] == 6_000
    assert "Is it worse than before?" in Path("r.html").read_text()
    assert "<svg" in Path("r.html").read_text()
    assert "/checkout" in Path("r.md").read_text()
    first = Path("r.json").read_bytes()
    assert perfaudit("compare", "before", "slower", "-q", "-o", "r.json").code == 0
    assert Path("r.json").read_bytes() == first


def test_one_recording_split_at_a_deploy(logs: Path, perfaudit: Run) -> None:
    both = Path("both.log")
    both.write_bytes(slow_log(3_000, 1, 0.0, 1.0) + slow_log(3_000, 4, 150.0, 1.8))
    at = START + 150
    ran = perfaudit("compare", both, "--split", at, "-q")
    assert ran.code == 0
    assert ran.out.startswith("After is worse than before: ")
    (logs / "recording").mkdir()
    both.rename(logs / "recording" / "access.log")
    (logs / "recording" / "deploys.jsonl").write_text(json.dumps({"time": at, "kind": "deploy", "service": "shop", "version": "2.0"}) + "\n")
    ran = perfaudit("compare", "recording", "--as", "deploys", "-o", "d.json", "-o", "d.html")
    assert ran.code == 0
    result = json.loads(Path("d.json").read_text())
    schema.validate(result)
    (deploy,) = result["comparison"]["deploys"]
    assert (deploy["version"], deploy["result"]) == ("2.0", "worse")
    assert "deploy of shop 2.0" in ran.out


def test_concurrent_arms_and_environments(home: Path, perfaudit: Run) -> None:
    Path("stable.log").write_bytes(slow_log(3_000, 1, 0.0, 1.0))
    Path("canary.log.gz").write_bytes(gzip.compress(slow_log(3_000, 2, 5.0, 1.0, failing=0.2)))
    result = json.loads(perfaudit("compare", "stable.log", "canary.log.gz", "--json").out)
    assert (result["comparison"]["as"], result["comparison"]["result"]) == ("canary", "worse")
    ran = perfaudit("compare", "stable.log", "canary.log.gz", "--as", "environments", "-o", "e.json")
    result = json.loads(Path("e.json").read_text())
    schema.validate(result)
    assert len(result["comparison"]["components"]) == 6
    assert "What would tell the rest" in ran.out


def test_audits_bundles_and_results_are_arms_too(logs: Path, perfaudit: Run) -> None:
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", "before", "--audit", "audit", "-q").code == 0
    assert perfaudit("compare", "audit", "slower", "-q").out.startswith("Slower is worse than audit")
    for name in ("before", "slower"):
        perfaudit("analyze", name, "-q", "-o", f"{name}.json")
    ran = perfaudit("compare", "before.json", "slower.json", "-o", "c.json", "-q")
    assert ran.code == 0
    result = json.loads(Path("c.json").read_text())
    schema.validate(result)
    assert result["comparison"]["result"] in ("worse", "inconclusive")
    assert perfaudit("compare", "before.json", "slower", "-q").code == 0


def test_least_is_what_matters(logs: Path, perfaudit: Run) -> None:
    assert "is worse than" in perfaudit("compare", "before", "slower", "-q", "--least", "20%").out
    assert "is worse than" not in perfaudit("compare", "before", "slower", "-q", "--least", "500%").out
    assert "is worse than" not in perfaudit("compare", "before", "slower", "-q", "--least", "5%,10s").out
    least = json.loads(perfaudit("compare", "before", "alike", "--json", "--least", "3%,1ms,0.5pp").out)["comparison"]["least"]
    assert least == {"share": 0.03, "duration_ms": 1.0, "errors": 0.005}


def test_too_little_is_said_and_every_report_is_written(logs: Path, perfaudit: Run) -> None:
    Path("other").mkdir()
    Path("other/access.log").write_bytes(slow_log(500, 1, 0.0, 1.0).replace(b"/products/", b"/p/").replace(b"/checkout", b"/c").replace(b"/orders/", b"/o/").replace(b"/search", b"/s"))
    ran = perfaudit("compare", "before", "other", "-o", "r.json", "-o", "r.html", "-q")
    assert ran.code == 3
    assert ran.out == "Inconclusive: the arms have no route in common.\n"
    assert "do: " in ran.err
    schema.validate(json.loads(Path("r.json").read_text()))
    assert Path("r.html").stat().st_size > 1_000
    assert perfaudit("compare", "before", "before", "-q").code == 3
    assert perfaudit("compare", "before", "--as", "deploys", "-q").code == 3
    ran = perfaudit("compare", "before", "slower", "--since", "2026-11-23T08:30:00Z", "-q")
    assert (ran.code, "holds no request in the window" in ran.out) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["before"], "nothing to compare it with"),
        (["before", "alike", "slower"], "3 paths were given"),
        (["before", "alike", "--split", "2026-11-23T08:01:00Z"], "--split divides one recording"),
        (["before", "--split", "noon"], "cannot understand the time"),
        (["before", "--split", "2030-01-01"], "one side of --split holds no request"),
        (["before", "alike", "--least", "much"], "cannot understand --least"),
        (["before", "alike", "--as", "canary"], "do not run at the same time"),
        (["before", "alike", "--since", "2026-11-24", "--until", "2026-11-23"], "--until is not after --since"),
        (["before", "nowhere"], "nowhere"),
        (["before", "alike", "--where", "nope = 1"], "--where is no condition"),
        (["-", "-"], "standard input can be one arm only"),
        (["before", "alike", "--fail-on", "slow"], "slow"),
    ],
)
def test_what_cannot_be_understood(logs: Path, perfaudit: Run, arguments: list[str], says: str) -> None:
    ran = perfaudit("compare", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.strip().splitlines()[-1].startswith("  do: ")


def test_the_help_teaches(perfaudit: Run) -> None:
    said = perfaudit("compare", "--help").out
    for word in ("--as deploys", "--fail-on worse", "--split", "--least", "Exit codes"):
        assert word in said


def test_hostile_names_act_nowhere(home: Path, perfaudit: Run) -> None:
    for name, factor in (("a", 1.0), ("b", 2.0)):
        (home / f"{name}<script>\x1b[31m.log").write_bytes(slow_log(2_000, 1, 0.0 if name == "a" else 3600.0, factor).replace(b"/search", b"/search<img/onerror=x>"))
    ran = perfaudit("compare", "a<script>\x1b[31m.log", "b<script>\x1b[31m.log", "-o", "r.html", "-o", "r.md")
    assert "\x1b" not in ran.out
    page = Path("r.html").read_text()
    assert "<img" not in page
    assert "<script" not in page


def test_a_log_and_a_part_of_it_are_counted_twice_and_told(logs: Path, perfaudit: Run) -> None:
    lines = (logs / "alike" / "access.log").read_bytes().splitlines(keepends=True)
    (logs / "alike" / "access.log.1").write_bytes(b"".join(lines[:1_500]))
    part = json.loads(perfaudit("compare", "before", "alike", "--json").out)["comparison"]
    assert part["notes"] == ["alike: 33 % of the requests stand in more than one file and are counted twice"]
    assert part["notes"][0] in part["summary"]


def test_a_rotated_log_is_counted_once(logs: Path, perfaudit: Run) -> None:
    lines = (logs / "alike" / "access.log").read_bytes().splitlines(keepends=True)
    for name, cut in (("access.log", lines[1_500:]), ("access.log.1", lines[:1_500])):
        (logs / "alike" / name).write_bytes(b"".join(cut))
    assert "twice" not in perfaudit("compare", "before", "alike", "--json").out


def test_a_deploy_that_fails_fast_is_worse(logs: Path, perfaudit: Run) -> None:
    lines = slow_log(6_000, 5, 0.0, 1.0).splitlines()
    broken = slow_log(6_000, 5, 0.0, 0.2, failing=0.3).splitlines()
    (logs / "deployed").mkdir()
    (logs / "deployed" / "access.log").write_bytes(b"\n".join(lines[:3_000] + broken[3_000:]) + b"\n")
    (logs / "deployed" / "events.jsonl").write_text(json.dumps({"time": START + 150, "kind": "deploy", "service": "shop", "version": "2"}) + "\n")
    result = json.loads(perfaudit("compare", "deployed", "--as", "deploys", "--json").out)
    schema.validate(result)
    part = result["comparison"]
    assert part["result"] == part["deploys"][0]["result"] == part["deploys"][0]["errors"]["result"] == "worse"
    assert "errors 3 % → 29 %" in part["summary"]
