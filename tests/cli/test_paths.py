"""``perfaudit paths`` as people see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from perfaudit.report import pages, renderers, schema
from tests.conftest import Ran, access_log

Run = Callable[..., Ran]
START = 1_795_420_800_000_000
N = 240


def span(trace: int, name: str, parent: str | None, service: str, operation: str, kind: int, begin: int, end: int, **attributes: str) -> dict[str, Any]:
    return {
        "service": service, "traceId": f"{trace:032x}", "spanId": f"{trace:012x}{int(name, 16):04x}", **({"parentSpanId": f"{trace:012x}{int(parent, 16):04x}"} if parent else {}), "name": operation, "kind": kind,
        "startTimeUnixNano": str(begin * 1000), "endTimeUnixNano": str(end * 1000), "attributes": [{"key": k.replace("_", "."), "value": {"stringValue": v}} for k, v in attributes.items()],
    }  # fmt: skip


def otlp(slower: int = 0, skew: int = 0, route: str = "/orders", late: int = 0, first: int = 1, start: int = START) -> bytes:
    """An order in each half second that charges a card through another service; ``slower``: µs that the charge takes more; ``skew``: of its clock; ``late``: work after the answer."""
    spans = []
    for n in range(N):
        i, at = first + n, start + n * 500_000
        charge = 20_000 + slower + n * 10
        spans += [
            span(i, "1", None, "shop", f"POST {route}", 2, at, at + charge + 12_000, http_request_method="POST", http_route=route),
            span(i, "2", "1", "shop", "INSERT", 3, at + 1000, at + 5000, db_system_name="postgresql", db_namespace="shop"),
            span(i, "3", "1", "shop", "POST", 3, at + 6000, at + 10_000 + charge, server_address="pay", server_port="80"),
            span(i, "4", "3", "payments", "POST /charge", 2, at + 7000 + skew, at + 7000 + charge + skew),
        ]
        if late:
            spans.append(span(i, "5", "1", "shop", "mail", 4, at + 8000, at + 8100))
            spans.append(span(i, "6", "5", "mailer", "mail", 5, at + charge + 20_000, at + charge + 20_000 + late))
    resources = []
    for service in sorted({s["service"] for s in spans}):
        own = [{k: v for k, v in s.items() if k != "service"} for s in spans if s["service"] == service]
        resources.append({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}, "scopeSpans": [{"spans": own}]})
    return json.dumps({"resourceSpans": resources}).encode() + b"\n"


@pytest.fixture
def traces(home: Path) -> Path:
    (home / "traces.jsonl").write_bytes(otlp())
    return home


def result(perfaudit: Run, *args: object, code: int = 0) -> dict[str, Any]:
    ran = perfaudit("paths", *args, "--json")
    assert ran.code == code, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    schema.validate(found)
    return found


def test_traces_alone_account_for_all_the_time(traces: Path, perfaudit: Run) -> None:
    found = result(perfaudit, "traces.jsonl")
    assert sum(row["share"]["value"] for row in found["time_account"]) == pytest.approx(1)
    shares = {row["component"]: row["share"]["value"] for row in found["time_account"]}
    assert {"downstream: payments", "database: executing and waiting", "self: shop"} <= shares.keys()
    part = found["paths"]
    assert [(e["caller"], e["callee"]) for e in part["graph"]["edges"]] == [("shop", "payments"), ("shop", "postgresql/shop")]
    assert [s["operation"] for s in part["hot"][0]["steps"]] == ["POST /orders", "POST", "POST /charge"]
    assert sum(h["share"]["value"] for h in part["hot"]) == pytest.approx(1)
    assert sum(o["share"]["value"] for o in part["own"]) == pytest.approx(1)


def test_a_baseline_shows_what_was_added(traces: Path, perfaudit: Run) -> None:
    (traces / "slow.jsonl").write_bytes(otlp(slower=80_000, first=1001, start=START + 86_400_000_000))
    found = result(perfaudit, "slow.jsonl", "--baseline", "traces.jsonl")
    (flow,) = found["paths"]["flows"]
    assert flow["affected"]["value"] - flow["reference"]["value"] == pytest.approx(80)
    assert flow["added"]["value"] == pytest.approx(0.08 * N)
    assert flow["pieces"][0]["component"] == "downstream: payments" and flow["pieces"][0]["difference"]["value"] == pytest.approx(80)
    said = perfaudit("paths", "slow.jsonl", "--baseline", "traces.jsonl").out
    assert "POST /orders takes 80 ms longer than in the reference, 80 ms of that in downstream: payments." in " ".join(said.split())
    for title in ("Account of time", "Flows by root operation", "What flows wait for", "Hot paths", "What slow requests wait for", "Calls", "Time that operations own"):
        assert title in said, title


def test_a_difference_that_nobody_feels_or_that_is_chance_is_not_told(traces: Path, perfaudit: Run) -> None:
    (traces / "next.jsonl").write_bytes(otlp(slower=900, first=1001, start=START + 86_400_000_000))
    said = perfaudit("paths", "next.jsonl", "--baseline", "traces.jsonl").out
    assert "longer than in the reference" not in said and "Of the request-seconds" in said


def test_every_report_format_shows_it_and_it_can_be_rendered_again(traces: Path, perfaudit: Run) -> None:
    ran = perfaudit("paths", "traces.jsonl", "-q", "-o", "p.html", "-o", "p.md", "-o", "junit:p.xml", "-o", "p.json")
    assert ran.code == 0 and ran.out.count("\n") == 1 and ran.out.startswith("Of the request-seconds, ")
    html = (traces / "p.html").read_text()
    assert "Who calls whom" in html and html.count("trace (") >= 2 and "<script" not in html
    assert "| shop → payments |" in (traces / "p.md").read_text()
    assert ElementTree.parse(traces / "p.xml").getroot().attrib["failures"] == "0"
    assert perfaudit("report", "p.json", "-q").out == ran.out


def test_an_analysis_holds_the_page_too(traces: Path, perfaudit: Run) -> None:
    ran = perfaudit("analyze", "traces.jsonl", "-o", "a.html", "-o", "a.json", "-q")
    assert ran.code in (0, 3)
    found = json.loads((traces / "a.json").read_text())
    assert found["paths"] == result(perfaudit, "traces.jsonl")["paths"]
    assert "Who calls whom" in (traces / "a.html").read_text()
    assert "Account of time" in [t.title for t in pages.discover()["paths"].page(found).tables]


def test_without_traces_the_account_goes_as_far_as_the_log_and_says_what_would_split_it(log: Path, perfaudit: Run) -> None:
    ran = perfaudit("paths", log)
    assert ran.code == 0
    said = " ".join(ran.out.split())
    assert "No traces of this window were read" in said and "What cannot be told apart" in said and "traces.jsonl" in said
    found = result(perfaudit, log)
    assert found["paths"].keys() == {"blind_spots"}
    assert sum(row["share"]["value"] for row in found["time_account"]) == pytest.approx(1)


def test_neither_requests_nor_spans_is_exit_code_three(home: Path, perfaudit: Run) -> None:
    (home / "events.jsonl").write_text('{"time": "2026-11-23T08:00:00Z", "kind": "deploy", "name": "shop"}\n')
    ran = perfaudit("paths", "events.jsonl")
    assert ran.code == 3 and "no requests and no spans" in ran.err and not ran.out


@pytest.mark.parametrize(("args", "word"), [(("nothing-here",), "nothing-here"), (("traces.jsonl", "-o", "missing/x.html"), "missing"), ((), "not inside an audit folder"), (("traces.jsonl", "--since", "yesterday"), "yesterday")])
def test_what_cannot_be_read_is_exit_code_two(traces: Path, perfaudit: Run, args: tuple[str, ...], word: str) -> None:
    ran = perfaudit("paths", *args)
    assert ran.code == 2 and word in ran.err and "Traceback" not in ran.err


def test_clocks_are_corrected_only_on_request(home: Path, perfaudit: Run) -> None:
    (home / "skewed.jsonl").write_bytes(otlp(skew=-90_000))
    plain = result(perfaudit, "skewed.jsonl")["paths"]
    assert "shifted" not in plain and plain["quality"]["skewed"] == N
    right = result(perfaudit, "skewed.jsonl", "--correct-skew")["paths"]
    assert right["shifted"]["spans"] == N and 85_000 <= right["shifted"]["largest_us"] <= 95_000
    own = {(o["service"], o["operation"]): o["seconds"] for o in right["own"]}
    assert own["payments", "POST /charge"] > {(o["service"], o["operation"]): o["seconds"] for o in plain["own"]}.get(("payments", "POST /charge"), 0.0)
    assert "240 spans moved, by" in perfaudit("paths", "skewed.jsonl", "--correct-skew").out


def test_completion_counts_what_comes_after_the_answer(home: Path, perfaudit: Run) -> None:
    (home / "mail.jsonl").write_bytes(otlp(late=300_000))
    assert "completion" not in result(perfaudit, "mail.jsonl")["paths"]
    rows = result(perfaudit, "mail.jsonl", "--completion")["paths"]["completion"]
    row = next(r for r in rows if r["operation"] == "POST /orders")
    assert row["response"] == pytest.approx(33.2, abs=0.1) and row["completion"] == pytest.approx(341.2, abs=0.3)
    assert sum(c["share"]["value"] for c in row["components"]) == pytest.approx(1)
    assert "Until nothing is left to do" in perfaudit("paths", "mail.jsonl", "--completion").out


def test_the_same_evidence_gives_the_same_bytes(traces: Path, perfaudit: Run) -> None:
    for name in ("a", "b"):
        assert perfaudit("paths", "traces.jsonl", "-q", "-o", f"{name}.json", "-o", f"{name}.html").code == 0
    assert (traces / "a.json").read_bytes() == (traces / "b.json").read_bytes()
    assert (traces / "a.html").read_bytes() == (traces / "b.html").read_bytes()


def test_hostile_names_act_nowhere(home: Path, perfaudit: Run) -> None:
    (home / "bad.jsonl").write_bytes(otlp(route="/<script>alert(1)</script>]]>&\"'").replace(b"payments", b"<img src=x onerror=alert(1)>\\u202e\\u0000"))
    assert perfaudit("paths", "bad.jsonl", "-q", "-o", "bad.html", "-o", "bad.md").code == 0
    html = (home / "bad.html").read_text()
    assert "<script" not in html and "<img" not in html and "\u202e" not in html
    for chart in pages.discover()["paths"].page(result(perfaudit, "bad.jsonl")).charts:
        ElementTree.fromstring(chart.svg)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_it_fits_a_narrow_terminal(traces: Path, perfaudit: Run, width: int) -> None:
    page = renderers.discover()["terminal"].render(result(perfaudit, "traces.jsonl"), width=width)
    assert max(map(len, page.splitlines())) <= width


def test_a_folder_of_an_audit_needs_no_path(traces: Path, perfaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert perfaudit("init", "audit").code == 0
    assert perfaudit("add", "traces.jsonl", "--audit", "audit").code == 0
    assert result(perfaudit, "--audit", "audit")["paths"]["traces"]["affected"] == N
    monkeypatch.chdir(traces / "audit")
    assert perfaudit("paths", "-q").code == 0


def test_the_baseline_of_an_audit_folder_is_used(traces: Path, perfaudit: Run) -> None:
    (traces / "slow.jsonl").write_bytes(otlp(slower=80_000, first=1001, start=START + 86_400_000_000))
    assert perfaudit("analyze", "slow.jsonl", "--baseline", "traces.jsonl", "--keep", "kept", "-q").code in (0, 3)
    for args in (("kept",), ("--audit", "kept")):
        assert result(perfaudit, *args)["paths"]["traces"] == {"affected": N, "reference": N, "spans": 8 * N}


def test_an_access_log_beside_the_traces_splits_the_edge(home: Path, perfaudit: Run) -> None:
    (home / "access.log").write_bytes(access_log(600))
    (home / "traces.jsonl").write_bytes(otlp())
    found = result(perfaudit, "access.log", "traces.jsonl")
    assert sum(row["share"]["value"] for row in found["time_account"]) == pytest.approx(1)


def test_help_teaches(perfaudit: Run) -> None:
    ran = perfaudit("paths", "--help")
    assert ran.code == 0
    for word in ("--correct-skew", "--completion", "--baseline", "--since", "perfaudit paths incident/ --baseline healthy/"):
        assert word in ran.out


def test_what_if_answers_each_question_and_refuses_what_is_none(traces: Path, log: Path, perfaudit: Run) -> None:
    half, gone = result(perfaudit, "traces.jsonl", "--what-if", "payments=0.5", "--what-if", "database=gone")["paths"]["what_if"]
    mean = half["flows"][0]["mean_ms"]
    assert mean["before"]["value"] - mean["after"]["value"] == pytest.approx((24 + 0.005 * (N - 1)) / 2, abs=0.1)
    assert gone["flows"][0]["mean_ms"]["before"]["value"] - gone["flows"][0]["mean_ms"]["after"]["value"] == pytest.approx(4)
    assert gone["capped_by"] == "downstream: payments"
    assert "What if" in perfaudit("paths", "traces.jsonl", "--what-if", "payments=parallel").out
    for wrong, word in (("payments", "no what-if"), ("bank=0.5", "downstream: payments"), ("payments=7", "slower")):
        ran = perfaudit("paths", "traces.jsonl", "--what-if", wrong)
        assert ran.code == 2 and word in ran.err, wrong
    assert perfaudit("paths", log.name, "--what-if", "database=0.5").code == 3


def test_objectives_are_judged_and_other_gates_refused(traces: Path, perfaudit: Run) -> None:
    assert perfaudit("paths", "traces.jsonl", "--objective", "p95<1ms").code == 1
    kept = perfaudit("paths", "traces.jsonl", "--objective", "p95<10s")
    assert kept.code == 0, kept.err
    refused = perfaudit("paths", "traces.jsonl", "--fail-on", "constraint")
    assert refused.code == 2 and "analyze" in refused.err
