"""From evidence to arms: which kind it is, what is left out, and what stands in the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.comparison import arms, run
from perfaudit.errors import InsufficientEvidence, UsageError
from perfaudit.evidence.store import Evidence
from perfaudit.testing import evidence
from tests.traffic import START, requests

HOUR = 3_600_000_000


def source(rows: dict[str, Any], name: str = "a", **asked: Any) -> arms.Source:
    return run.arm(name, evidence(requests=rows), run.Asked(**asked))


def compared(a: dict[str, Any], b: dict[str, Any], **asked: Any) -> dict[str, Any]:
    return run.compared(source(a, "a"), source(b, "b"), run.Asked(**asked))[0]


def test_arms_at_the_same_time_are_a_canary() -> None:
    out = compared(requests(200, 20, seed=1), requests(150, 20, seed=2, start=START + 20_000_000))
    assert out["as"] == "canary"
    assert out["arms"][0]["window"] == out["arms"][1]["window"]
    assert out["result"] in ("inconclusive", "no practical difference")


def test_arms_one_after_the_other_are_before_and_after() -> None:
    out = compared(requests(100, 20, seed=1), requests(100, 20, seed=2, start=START + HOUR, slower={"/orders": 80}))
    assert out["as"] == "before-after"
    assert out["result"] == "worse"
    rows = {r["route"]: r["result"] for r in out["routes"]}
    assert rows["/orders"] == "worse"
    assert rows["/"] != "worse"


def test_a_canary_must_overlap() -> None:
    with pytest.raises(UsageError, match="do not run at the same time"):
        compared(requests(60, 20, seed=1), requests(60, 20, seed=2, start=START + HOUR), kind="canary")


def test_the_figures_are_those_of_sql() -> None:
    one, other = evidence(requests=requests(100, 20, seed=1)), evidence(requests=requests(100, 20, seed=2, start=START + HOUR))
    out, _ = run.compared(run.arm("a", one, run.Asked()), run.arm("b", other, run.Asked()), run.Asked())
    checked = 0
    for row in out["routes"]:
        for metric in ("typical", "p50", "p95", "p99", "errors"):
            for arm, known in (("a", one), ("b", other)):
                if arm in row.get(metric, {}) and row[metric][arm].get("query"):
                    assert float(known.one(row[metric][arm]["query"])[0]) == pytest.approx(row[metric][arm]["value"])
                    checked += 1
    assert checked >= 10
    for arm, known in zip(out["arms"], (one, other), strict=True):
        assert float(known.one(arm["rate"]["query"])[0]) == pytest.approx(arm["rate"]["value"], rel=1e-5)


def test_routes_of_one_arm_are_listed() -> None:
    a = requests(60, 20, seed=1, routes={"/": ("GET", 0.5, 20), "/old": ("GET", 0.5, 20)})
    b = requests(60, 20, seed=2, routes={"/": ("GET", 0.5, 20), "/new": ("GET", 0.5, 20)}, start=START + HOUR)
    out = compared(a, b)
    assert out["only_in"] == {"a": [{"method": "GET", "route": "/old"}], "b": [{"method": "GET", "route": "/new"}]}
    assert [r["route"] for r in out["routes"]] == ["/"]


def test_without_a_common_route_or_a_request_there_is_nothing_to_compare() -> None:
    a, b = (requests(60, 5, seed=1, routes={r: ("GET", 1.0, 20)}, start=START + i * HOUR) for i, r in enumerate(("/x", "/y")))
    with pytest.raises(InsufficientEvidence, match="no route in common"):
        compared(a, b)
    with pytest.raises(InsufficientEvidence, match="holds no request"):
        run.arm("empty", evidence(events=[{"time": START, "kind": "deploy"}]), run.Asked())
    with pytest.raises(InsufficientEvidence, match="holds no request in the window"):
        source(a, since=START + 2 * HOUR)


def test_the_same_recording_twice_says_nothing() -> None:
    rows = requests(60, 20, seed=1)
    out = compared(rows, rows)
    assert (out["result"], out["error_rate"]["questions"]) == ("inconclusive", 0)
    assert "same recording" in out["summary"]
    assert all("result" not in r[m] for r in out["routes"] for m in ("typical", "p95") if m in r)


def test_other_units_are_told_and_not_called_slower() -> None:
    a = requests(100, 20, seed=1)
    b = requests(100, 20, seed=2, start=START + HOUR)
    b["duration_us"] = [d * 1000 for d in b["duration_us"]]
    out = compared(a, b)
    assert out["result"] == "inconclusive"
    assert "different units" in out["summary"]


def test_a_log_without_durations_still_tells_errors() -> None:
    a, b = requests(100, 30, seed=1), requests(100, 30, seed=2, start=START + HOUR, errors={"/": 0.2})
    for rows in (a, b):
        rows["duration_us"] = [None] * len(rows["time"])
    out = compared(a, b)
    assert out["result"] == "worse"
    assert "no durations were logged: only errors and load are compared" in out["notes"]
    assert {m["metric"] for m in out["metrics"]} == {"errors"}


def test_halves_of_one_recording() -> None:
    one = evidence(requests=requests(200, 20, seed=3, slower={"/orders": 120}, since=100))
    before, after = run.halves("x", one, START + 100_000_000, run.Asked())
    out, _ = run.compared(before, after, run.Asked())
    assert out["result"] == "worse"
    assert [a["name"] for a in out["arms"]] == ["before", "after"]
    with pytest.raises(UsageError, match="one side of --split holds no request"):
        run.halves("x", one, START - 5, run.Asked())


def test_duplicated_and_unordered_times_change_nothing() -> None:
    rows = requests(100, 20, seed=4)
    order = np.random.default_rng(1).permutation(len(rows["time"]))
    mixed = {k: [v[i] for i in order] if isinstance(v, list) else v for k, v in rows.items()}
    other = requests(100, 20, seed=5, start=START + HOUR)
    assert compared(rows, other)["metrics"] == compared(mixed, other)["metrics"]
    same = rows | {"time": [START + (t - START) // 50_000_000 * 50_000_000 for t in rows["time"]]}
    assert compared(same, other)["result"] in ("inconclusive", "no practical difference")


def test_a_year_has_few_bins() -> None:
    rng = np.random.default_rng(6)
    n, year = 4_000, 365 * 24 * HOUR
    rows = [{"time": np.sort(rng.integers(0, year, n) + START + i * year).tolist(), "duration_us": rng.lognormal(10, 0.3, n).astype(int).tolist(), "status": 200, "method": "GET", "route": "/", "service": "web"} for i in (0, 1)]
    out, done = run.compared(source(rows[0]), source(rows[1], "b"), run.Asked())
    assert done is not None and max(done.a.bins, done.b.bins) <= 366
    assert out["result"] in ("inconclusive", "no practical difference")


def test_many_requests_are_rounded_to_a_fortieth_of_a_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = requests(60, 30, seed=7)
    known = Evidence(evidence(requests=rows).bundle)
    one = arms.source("a", known)
    assert one is not None
    keys = arms.common(one, one)
    exact = arms.read(one, keys, 1)
    monkeypatch.setattr(arms, "EXACT", 0)
    rounded = arms.read(one, keys, 1)
    for key in keys:
        assert np.array_equal(exact.parts[key].count, rounded.parts[key].count)
        assert rounded.parts[key].durations == exact.parts[key].durations
        assert rounded.parts[key].seconds == pytest.approx(exact.parts[key].seconds, rel=2.5e-4)


def test_since_and_until_narrow_both_arms() -> None:
    a, b = requests(100, 20, seed=1), requests(100, 20, seed=2)
    asked = run.Asked(since=START + 20_000_000, until=START + 70_000_000)
    both = [run.arm(n, evidence(requests=r), asked) for n, r in (("a", a), ("b", b))]
    assert all(s.window.start >= START + 20_000_000 and s.window.end <= START + 70_000_000 for s in both)
    assert both[0].requests == sum(START + 20_000_000 <= t < START + 70_000_000 for t in a["time"])


def test_what_was_not_compared_is_counted_and_nothing_the_same_is_said() -> None:
    """Half of the traffic moved to a renamed route, ten times slower: what both arms hold did not change, and that is no answer."""
    a = requests(1200, 40, seed=1, routes={"/fast": ("GET", 0.5, 20), "/search": ("GET", 0.5, 100)})
    b = requests(1200, 40, seed=2, routes={"/fast": ("GET", 0.5, 20), "/v2/search": ("GET", 0.5, 1000)}, start=START + HOUR)
    out = compared(a, b)
    assert out["metrics"][0]["result"] == "no practical difference"
    assert out["result"] == "inconclusive"
    assert out["uncompared"]["requests"] == {"a": pytest.approx(0.5, abs=0.02), "b": pytest.approx(0.5, abs=0.02)}
    assert out["uncompared"]["seconds"]["b"] > 0.95
    assert "not compared: 50 % of the requests" in out["summary"]
    assert out["mix"]["distance"]["value"] == pytest.approx(0.5, abs=0.02)
    assert out["load"]["like_for_like"]


def test_a_new_route_is_no_other_load_of_the_old_ones() -> None:
    a = requests(200, 40, seed=1, routes={"/": ("GET", 1.0, 20)})
    b = requests(200, 40, seed=2, routes={"/": ("GET", 0.4, 20), "/new": ("GET", 0.6, 20)}, start=START + HOUR)
    out = compared(a, b)
    assert out["load"]["like_for_like"]
    assert "times the load" not in out["summary"]


def test_a_canary_takes_a_small_part_of_the_traffic() -> None:
    out = compared(requests(300, 50, seed=1), requests(300, 5, seed=2, start=START + 1_000_000))
    assert out["as"] == "canary"
    assert "load" not in out["summary"]
    assert out["load"]["note"] .startswith("B took 9")


def whole(rows: dict[str, Any], step: int) -> dict[str, Any]:
    """Rows whose durations were logged in steps of ``step`` µs."""
    return rows | {"duration_us": [d // step * step for d in rows["duration_us"]]}


@pytest.mark.parametrize(("median", "times"), [(300.0, 1.5), (300.0, 1.0), (600.0, 2.0), (600.0, 0.5)])
def test_whole_seconds_hide_no_difference_and_make_none(median: float, times: float) -> None:
    """Half a second is a 0 in whole seconds: neither “no practical difference” nor a thousand times."""
    a = whole(requests(900, 20, seed=1, routes={"/": ("GET", 1.0, median)}), 1_000_000)
    b = whole(requests(900, 20, seed=2, routes={"/": ("GET", 1.0, median * times)}, start=START + HOUR), 1_000_000)
    out = compared(a, b)
    assert out["result"] in (("inconclusive",) if times in (1.0, 1.5) else ("inconclusive", "worse" if times > 1 else "better"))
    typical = next(m for m in out["metrics"] if m["metric"] == "typical")["at_mix_of_a"]
    assert 0.4 < typical["shift"]["value"] + 1 < 2.5
    assert typical["a"]["value"] >= 500
    assert any("steps of 1 s" in n for n in out["notes"])


def test_seconds_that_whole_seconds_show_are_found() -> None:
    a = whole(requests(900, 20, seed=1, routes={"/": ("GET", 1.0, 3000)}), 1_000_000)
    b = whole(requests(900, 20, seed=2, routes={"/": ("GET", 1.0, 9000)}, start=START + HOUR), 1_000_000)
    assert compared(a, b)["result"] == "worse"


def test_milliseconds_are_no_steps_to_speak_of() -> None:
    rows = [whole(requests(900, 60, seed=s, routes={"/": ("GET", 1.0, 80)}, start=START + s * HOUR), 1000) for s in (1, 2)]
    out = compared(*rows)
    assert out["result"] == "no practical difference"
    assert not any("steps" in n for n in out["notes"])
