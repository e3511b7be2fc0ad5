"""One server that stood still once for two seconds, under three arrival models, recorded with k6 1.1 at 200 requests a second for 20 s.

The truth: the same stall, p95 63 ms with ten users who wait (closed), 63 ms with 20 virtual users and 391 dropped iterations, 1,656 ms with
arrivals that wait for nothing (open). Only the last one tells what users would have felt. The recordings are cut to five metrics.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfaudit.baseline import load_test
from perfaudit.evidence import intake
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.readers import ReadOptions
from perfaudit.evidence.store import Evidence

DATA = Path(__file__).parent / "load"
SAMPLES = Path(__file__).parents[1] / "evidence" / "readers" / "load"
START = 1_795_420_800_000


def bundle(folder: Path, *paths: Path) -> Bundle:
    made = Bundle.create(folder / "evidence", durable=False)
    intake.add(made, paths, ReadOptions())
    return made


def judged(folder: Path, *paths: Path) -> dict[str, Any]:
    found = load_test.find(bundle(folder, *paths))
    assert found is not None
    return found.to_json()


def failed(part: dict[str, Any]) -> list[str]:
    return [c["check"] for c in part["validity"] if not c["ok"]]


@pytest.mark.parametrize(
    ("name", "p95", "model", "faults"),
    [
        ("closed", 62.9, "closed", ["coordinated omission"]),
        ("dropped", 63.1, "open", ["dropped iterations", "achieved load", "coordinated omission"]),
        ("open", 1656.4, "open", []),
    ],
)
def test_the_stall(tmp_path: Path, name: str, p95: float, model: str, faults: list[str]) -> None:
    part = judged(tmp_path, DATA / f"{name}.json.zst")
    assert part["duration_ms"]["p95"]["value"] == pytest.approx(p95, abs=0.1)
    assert (part["tool"], part["model"], part["trusted"], failed(part)) == ("k6", model, not faults, faults)
    assert part.get("dropped") == (391 if name == "dropped" else None)


@pytest.mark.parametrize(
    ("name", "model", "faults"), [("closed", "closed", ["coordinated omission"]), ("dropped", "open", ["dropped iterations", "achieved load"]), ("open", "open", [])]
)
def test_the_stall_in_summaries_alone(tmp_path: Path, name: str, model: str, faults: list[str]) -> None:
    part = judged(tmp_path, SAMPLES / f"k6_{name}_summary.json")
    assert (part["model"], part["trusted"], failed(part)) == (model, not faults, faults)


def test_what_was_omitted_is_told(tmp_path: Path) -> None:
    part = judged(tmp_path, DATA / "closed.json.zst")
    (stall,) = part["stalls"]
    assert stall["due"] - stall["sent"] == pytest.approx(400, rel=0.1) and stall["in_flight"] == 10
    # the open run says 1,656: the queue behind the stall is not in the lower bound
    assert 900 < part["with_omitted_ms"]["p95"]["value"] < 1656
    assert "63 ms as measured" in part["why"]


def csv(folder: Path, starts: np.ndarray, durations: np.ndarray, status: np.ndarray | None = None, name: str = "run.jtl") -> Path:
    """A JMeter file of these requests, seconds."""
    status = np.full(len(starts), 200) if status is None else status
    rows = [f"{START + round(s * 1e3)},{round(d * 1e3)},/items,{c},{'true' if c == 200 else 'false'}" for s, d, c in zip(starts, durations, status, strict=True)]
    path = folder / name
    path.write_text("timeStamp,elapsed,label,responseCode,success\n" + "\n".join(rows) + "\n")
    return path


def steady(seconds: float = 60, rate: float = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(0, seconds, int(seconds * rate)))
    return starts, 0.05 * rng.lognormal(0, 0.3, len(starts)), rng


def test_a_good_test(tmp_path: Path) -> None:
    starts, durations, _ = steady()
    part = judged(tmp_path, csv(tmp_path, starts, durations))
    assert part["trusted"] and part["model"] == "unknown" and failed(part) == []
    assert {c["check"] for c in part["not_tested"]} == {"dropped iterations", "generator CPU", "achieved load"}
    assert part["seconds"] == pytest.approx(60, abs=1) and len(part["stages"]) == 10
    assert part["achieved_per_s"] == pytest.approx(50, rel=0.02)


@pytest.mark.parametrize(
    ("what", "fault"), [("short", "length"), ("few", "sample size"), ("cold", "warm-up"), ("refused", "errors"), ("not found", "errors"), ("broken", ""), ("two halves", "coverage")]
)
def test_faults(tmp_path: Path, what: str, fault: str) -> None:
    starts, durations, rng = steady(8 if what == "short" else 60, 1 if what == "few" else 50)
    status = np.full(len(starts), 200)
    if what == "cold":
        durations = durations * (1 + 8 * np.exp(-starts / 6))
    elif what in ("refused", "not found", "broken"):
        status[rng.random(len(starts)) < 0.1] = {"refused": 0, "not found": 404, "broken": 500}[what]
    elif what == "two halves":
        starts = np.where(starts > 30, starts + 40, starts)
    part = judged(tmp_path, csv(tmp_path, starts, durations, status))
    assert failed(part) == ([fault] if fault else [])
    assert part["trusted"] is not bool(fault)


def test_a_busy_generator(tmp_path: Path) -> None:
    starts, durations, _ = steady()
    lines = []
    for second in range(0, 61, 15):
        for mode, share in (("idle", 0.1), ("user", 0.9)):
            lines.append(f'node_cpu_seconds_total{{cpu="0",mode="{mode}",job="load-generator"}} {second * share:.1f} {START + second * 1000}')
            lines.append(f'node_cpu_seconds_total{{cpu="0",mode="{mode}",job="shop"}} {second * 0.5:.1f} {START + second * 1000}')
    (tmp_path / "node.prom").write_text("# TYPE node_cpu_seconds_total counter\n" + "\n".join(lines) + "\n")
    part = judged(tmp_path, csv(tmp_path, starts, durations), tmp_path / "node.prom")
    assert failed(part) == ["generator CPU"] and "90%" in part["why"]


def test_totals_tell_less_and_say_so(tmp_path: Path) -> None:
    part = judged(tmp_path, SAMPLES / "k6_dropped_summary.json")
    assert not part["trusted"] and failed(part) == ["dropped iterations", "achieved load"]
    assert part["duration_ms"]["p95"]["value"] == pytest.approx(63.087, abs=0.01) and part["duration_ms"]["p95"]["method"] == "as k6 tells"
    assert {"coverage", "warm-up", "generator CPU"} <= {c["check"] for c in part["not_tested"]}


def test_locust_files_are_one_test_and_its_stall_is_seen(tmp_path: Path) -> None:
    part = judged(tmp_path, *(SAMPLES / f"locust_{form}.csv" for form in ("stats", "stats_history", "failures")))
    assert part["sources"] == ["locust"] and part["requests"] == 430 and part["model"] == "closed"
    assert "coordinated omission" in failed(part) and part["stalls"][0]["sent"] < part["stalls"][0]["due"]


def test_histograms(tmp_path: Path) -> None:
    part = judged(tmp_path, SAMPLES / "sample.hlog")
    assert part["duration_ms"]["p99"]["value"] == pytest.approx(77.5, rel=0.001) and part["requests"] == 1000
    assert judged(tmp_path / "b", SAMPLES / "wrk.txt")["model"] == "closed"


def test_several_tests(tmp_path: Path) -> None:
    """A summary belongs to the only test of its tool; a test of another time is another test; what is doubted is shown first."""
    starts, durations, _ = steady()
    good, cut = csv(tmp_path, starts, durations), csv(tmp_path, starts[:300] + 3600, durations[:300], name="cut.jtl")
    found = load_test.find(bundle(tmp_path, good, cut, DATA / "open.json.zst", SAMPLES / "k6_open_summary.json"))
    assert found is not None and len(found.all) == 3
    assert found.main.run.tests == ("cut.jtl",) and found.doubted == ["cut.jtl"]
    assert [(o["sources"], o["trusted"]) for o in found.to_json()["others"]] == [(["open.json.zst", "k6_open_summary.json"], True), (["run.jtl"], True)]
    assert load_test.narrowed("status < 500", [found]).startswith("(status < 500\n) AND NOT") and "cut.jtl" in load_test.narrowed("", [found])
    assert load_test.narrowed("true", []) == "true"
    assert len(found.notes()) == 1


def test_a_summary_of_another_run_is_another_test(tmp_path: Path) -> None:
    found = load_test.find(bundle(tmp_path, DATA / "open.json.zst", SAMPLES / "k6_summary.json"))
    assert found is not None and sorted(j.run.tests for j in found.all) == [("k6_summary.json",), ("open.json.zst",)]


def test_totals_of_two_runs_are_not_one_test(tmp_path: Path) -> None:
    """Even with the same number of requests: the second run has totals of its own."""
    for form in ("stats", "stats_history"):
        (tmp_path / f"run2_{form}.csv").write_bytes((SAMPLES / f"locust_{form}.csv").read_bytes())
    (tmp_path / "run1_stats.csv").write_bytes((SAMPLES / "locust_stats.csv").read_bytes() + b"\n")
    found = load_test.find(bundle(tmp_path, *sorted(tmp_path.glob("*.csv"))))
    assert found is not None and sorted((j.run.tests, j.run.requests) for j in found.all) == [(("run1",), 430), (("run2",), 430)]


def vegeta(folder: Path, name: str, p95: float, most: float) -> Path:
    report = {
        "latencies": {"mean": 50e6, "50th": 45e6, "95th": p95, "max": most}, "bytes_in": {"total": 1}, "bytes_out": {"total": 0}, "earliest": "2026-11-23T10:00:00Z",
        "latest": "2026-11-23T10:01:00Z", "duration": 60_000_000_000, "wait": 1, "requests": 6000, "rate": 100.0, "throughput": 99.9, "success": 1.0, "status_codes": {"200": 6000}, "errors": [],
    }  # fmt: skip
    (folder / name).write_text(json.dumps(report))
    return folder / name


def test_percentiles_of_several_files_are_not_added_up(tmp_path: Path) -> None:
    part = judged(tmp_path, vegeta(tmp_path, "a.json", 100e6, 300e6), vegeta(tmp_path, "b.json", 120e6, 250e6))
    assert part["sources"] == ["a.json", "b.json"] and part["requests"] == 12_000
    assert {q: m["value"] for q, m in part["duration_ms"].items()} == {"max": 300}
    (tmp_path / "c").mkdir()
    alone = judged(tmp_path / "c", vegeta(tmp_path / "c", "a.json", 100e6, 300e6))
    assert alone["duration_ms"]["p95"]["value"] == 100


def k6_summary(folder: Path, **metrics: dict[str, float]) -> Path:
    told = {"http_req_duration": {"p(95)": 120, "max": 2000}, "http_reqs": {"count": 30_000}, "http_req_failed": {"passes": 0, "fails": 30_000}, "iterations": {"count": 30_000, "rate": 500}, **metrics}
    (folder / "summary.json").write_text(json.dumps({"metrics": {k: {"type": "x", "values": v} for k, v in told.items()}, "state": {"testRunDurationMs": 60_000}}))
    return folder / "summary.json"


@pytest.mark.parametrize(("least", "dropped", "model"), [(50, 0, "unknown"), (3, 0, "open"), (50, 7, "open")])
def test_spare_virtual_users_alone_do_not_make_an_open_test(tmp_path: Path, least: int, dropped: int, model: str) -> None:
    """Closed scenarios one after the other make twice the virtual users ready that they use at once."""
    more = {"dropped_iterations": {"count": dropped}} if dropped else {}
    assert judged(tmp_path, k6_summary(tmp_path, vus={"min": least, "max": 50}, vus_max={"max": 100}, **more))["model"] == model


def test_failed_checks_are_told(tmp_path: Path) -> None:
    part = judged(tmp_path, k6_summary(tmp_path, vus={"min": 50, "max": 50}, vus_max={"max": 50}, checks={"passes": 600, "fails": 29_400}))
    assert "29,400 of 30,000 checks of the script failed (98.0%)" in next(c["detail"] for c in part["validity"] if c["check"] == "errors")


def test_the_rate_does_not_count_the_wait_at_the_end(tmp_path: Path) -> None:
    starts = np.arange(0, 60, 0.02)
    durations = np.full(len(starts), 0.05)
    durations[-1] = 30
    part = judged(tmp_path, csv(tmp_path, starts, durations))
    assert part["achieved_per_s"] == pytest.approx(50, rel=1e-3) and part["seconds"] == pytest.approx(90, abs=0.1)


def test_tags_of_a_histogram_log_are_tests_of_their_own(tmp_path: Path) -> None:
    lines = (SAMPLES / "sample.hlog").read_text().splitlines()
    intervals = [line for line in lines if line[:1].isdigit()]
    tagged = [f"Tag={tag},{line}" for line in intervals for tag in ("read-rt", "read-st")]
    (tmp_path / "cs.hlog").write_text("\n".join([line for line in lines if not line[:1].isdigit()] + tagged) + "\n")
    part = judged(tmp_path, tmp_path / "cs.hlog")
    assert part["sources"] == ["cs.hlog [read-rt]"] and part["requests"] == 1000
    (other,) = part["others"]
    assert other["sources"] == ["cs.hlog [read-st]"] and other["requests"] == 1000 and other["duration_ms"]["p99"]["value"] == part["duration_ms"]["p99"]["value"]


def test_nothing_without_load_results(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text('203.0.113.7 - - [23/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5\n' * 3)
    assert load_test.find(bundle(tmp_path, tmp_path / "access.log")) is None


def test_the_query_gives_the_number_again(tmp_path: Path) -> None:
    made = bundle(tmp_path, DATA / "open.json.zst")
    found = load_test.find(made)
    assert found is not None
    p95 = found.to_json()["duration_ms"]["p95"]
    assert Evidence(made).one(p95["query"])[0] == pytest.approx(p95["value"])
