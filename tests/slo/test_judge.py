"""Objectives over evidence with known truth: what is counted, attained, spent, told and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit import testing
from perfaudit.config import objective
from perfaudit.errors import InsufficientEvidence, UsageError
from perfaudit.slo import run
from perfaudit.slo.model import Alert, Indicator, Query, Slo, of_objective
from tests.traffic import START, requests

HOUR = 3600


def judged(slo: Slo | str, since: int | None = None, until: int | None = None, **tables: Any) -> dict[str, Any]:
    slo = of_objective(objective(slo)) if isinstance(slo, str) else slo
    counter = run.counter(testing.evidence(**tables), since, until)
    return run.part([slo], counter)["objectives"][0]


def outage(seconds: int = 3 * HOUR, rate: float = 10, begin: int = 5400, end: int = 6000, share: float = 1.0) -> dict[str, Any]:
    n = int(seconds * rate)
    t = (np.arange(n) + 0.5) / rate
    bad = (t >= begin) & (t < end) & (np.random.default_rng(1).random(n) < share)
    return {"time": (START + t * 1e6).astype(np.int64).tolist(), "duration_us": 20_000, "status": np.where(bad, 503, 200).tolist(), "method": "GET", "route": "/", "service": "web"}


def at(seconds: float) -> str:
    from perfaudit.model import iso

    return iso(START + int(seconds * 1e6))


def test_an_outage_is_told_when_the_formula_says() -> None:
    row = judged("errors<0.1%", requests=outage())
    assert row["state"] == "broken" and row["sure"]
    assert (row["bad"], row["total"]) == (6000, 108_000)
    assert row["attained"]["value"] == pytest.approx(1 - 6000 / 108_000)
    assert row["budget"]["burn"]["value"] == pytest.approx(6000 / 108_000 / 0.001)
    assert row["budget"]["spent"]["value"] == pytest.approx(6000 / 108_000 / 0.001 * 3 / 720)
    assert "extrapolated" in row["budget"]["spent"]["method"]
    page = row["alerts"][0]
    assert page["feasible"] and page["outage_detected_s"] == pytest.approx(51.84)
    (fired,) = page["fired"]
    told = np.datetime64(fired["at"][:19]) - np.datetime64(at(5400)[:19])
    assert 51 <= told / np.timedelta64(1, "s") <= 54
    assert fired["until"] > at(6000) and fired["peak"] > 100


def test_the_query_gives_the_number_again() -> None:
    evidence = testing.evidence(requests=requests(errors={"/orders": 0.05}))
    row = run.part([of_objective(objective("errors<2%"))], run.counter(evidence))["objectives"][0]
    _, rows = evidence.ask(row["attained"]["query"])
    share, bad, total = next(rows)
    assert (share, bad, total) == (pytest.approx(row["attained"]["value"]), row["bad"], row["total"])


def test_latency_is_a_share_of_requests() -> None:
    traffic = requests(seconds=300, slower={"/orders": 2000})
    durations = np.array(traffic["duration_us"])
    row = judged("p95<800ms", requests=traffic)
    assert row["attained"]["value"] == pytest.approx((durations < 800_000).mean())
    assert row["target"] == 0.95 and row["state"] == "broken"
    only = judged("POST:/orders p50<10s", requests=traffic)
    assert only["total"] == traffic["route"].count("/orders") and only["state"] == "kept"


def test_clustered_errors_make_the_interval_wide() -> None:
    alone = judged("errors<5%", requests=outage(share=0.1, begin=0, end=3 * HOUR))
    burst = judged("errors<5%", requests=outage(begin=3000, end=4080))
    assert alone["bad"] == pytest.approx(burst["bad"], rel=0.05)
    assert alone["attained"]["ci"][0] < 0.9 < alone["attained"]["ci"][1]
    assert "ci" not in burst["attained"] and "one burst" in burst["attained"]["method"]
    low, high = burst["budget"]["spent"]["ci"]
    assert low <= burst["budget"]["spent"]["value"] <= high < 1.1 * low, "what was spent is counted; only the period's load is extrapolated"
    assert burst["state"] == "broken" and burst["sure"], "that it was broken here is a fact"


def test_too_few_requests_are_not_called_kept() -> None:
    row = judged("errors<0.1%", requests=outage(seconds=20, begin=0, end=0))
    assert row["state"] == "unknown" and "too few" in row["reason"]
    broken = judged("errors<0.1%", requests=outage(seconds=20, begin=3, end=4))
    assert broken["state"] == "broken"


def test_low_traffic_is_said() -> None:
    row = judged("errors<0.1%", requests=outage(seconds=20 * HOUR, rate=0.0002, begin=0, end=0))
    assert not next(f for f in row["feasibility"] if f["check"] == "traffic")["ok"]
    assert all(not a["feasible"] and "too little traffic" in a["reason"] for a in row["alerts"][:2])


def test_an_alert_that_can_never_fire_is_refused() -> None:
    row = judged("errors<10%", requests=outage())
    page = row["alerts"][0]
    assert not page["feasible"] and "144%" in page["reason"] and page["fired"] == []
    assert row["alerts"][1]["feasible"]


def test_a_policy_of_the_file_replaces_the_standard_alerts() -> None:
    slo = Slo("a", "a", Indicator("errors"), 0.999, alerts=(Alert("fast", "sev1", 10, 1800, 120), Alert("never", "page", 2000, 3600, 0)))
    row = judged(slo, requests=outage())
    assert [(a["severity"], a["factor"], a["feasible"]) for a in row["alerts"]] == [("sev1", 10, True), ("page", 2000, False)]
    assert row["alerts"][0]["outage_detected_s"] == pytest.approx(1800 * 0.01 + 120)
    assert len(row["alerts"][0]["fired"]) == 1


def test_time_slices() -> None:
    slo = Slo("a", "a", Indicator("errors"), 0.9, method="timeslices", slice_s=60, slice_target=0.99)
    row = judged(slo, requests=outage(seconds=7200, begin=3600, end=4200))
    assert (row["bad"], row["total"], row["unit"]) == (10, 120, "time slices")
    assert row["attained"]["value"] == pytest.approx(110 / 120) and row["state"] == "kept"
    mean = judged(Slo("a", "a", Indicator("errors"), 0.9, method="ratio-timeslices", slice_s=60), requests=outage(seconds=7200, begin=3600, end=3630))
    assert mean["attained"]["value"] == pytest.approx(1 - 0.5 / 120)


def counters(code: str, values: list[float], **more: Any) -> list[dict[str, Any]]:
    return [{"time": START + i * 15_000_000, "name": "http_requests_total", "kind": "counter", "labels": {"code": code, **more}, "value": v} for i, v in enumerate(values)]


RATIO = Indicator("ratio", bad=Query('sum(rate(http_requests_total{code=~"5.."}[5m]))'), total=Query("sum(rate(http_requests_total[5m]))"))


def test_recorded_counters_with_a_reset() -> None:
    rows = counters("200", [1000, 1100, 1200, 50, 150]) + counters("500", [7, 7, 9, 1, 2])
    row = judged(Slo("a", "a", RATIO, 0.9), metrics=rows)
    assert row["bad"] == 4  # 0, 2, after the reset 1, 1
    assert row["total"] == 4 + 350
    assert row["unit"] == "events"


RATIO = Indicator("ratio", bad=Query('http_requests_total{code=~"5.."}'), total=Query("http_requests_total"))


def test_errors_before_the_first_sample_of_their_series_count() -> None:
    good, late = counters("200", [1000.0 + 150 * i for i in range(240)]), counters("500", [300.0] * 120)
    for i, row in enumerate(late):
        row["time"] = good[120 + i]["time"]
    rows = [*good, *late]
    row = judged(Slo("a", "a", RATIO, 0.999), metrics=rows)
    assert (row["state"], row["bad"], row["total"], row["sure"]) == ("broken", 300, 239 * 150 + 300, False)
    assert any("300 events are first values" in n for n in row["notes"])
    easy = judged(Slo("a", "a", RATIO, 0.9), metrics=rows)
    assert easy["state"] == "kept" and easy["sure"]
    evidence = testing.evidence(metrics=rows)
    again = run.part([Slo("a", "a", RATIO, 0.999)], run.counter(evidence))["objectives"][0]
    assert next(evidence.ask(again["attained"]["query"])[1])[0] == pytest.approx(row["attained"]["value"])


def test_targets_that_are_scraped_in_turn_are_no_new_series() -> None:
    rows = counters("200", [1000.0 + 150 * i for i in range(240)])
    other = [r | {"time": r["time"] + 7_000_000, "labels": {**r["labels"], "instance": "b"}} for r in rows]
    row = judged(Slo("a", "a", RATIO, 0.999), metrics=[*rows, *other])
    assert row["total"] == 2 * 239 * 150 and row["notes"] == []


def test_queries_without_their_metric_are_counted_in_the_access_log() -> None:
    row = judged(Slo("a", "a", RATIO, 0.99), requests=outage())
    assert (row["bad"], row["total"]) == (6000, 108_000)
    assert any("counted in the access log" in n for n in row["notes"])
    fast = Indicator("ratio", good=Query('http_request_duration_seconds_bucket{le="0.01"}'), total=Query("http_request_duration_seconds_count"))
    assert judged(Slo("a", "a", fast, 0.99), requests=outage())["attained"]["value"] == 0


@pytest.mark.parametrize(
    ("indicator", "words"),
    [
        (Indicator("ratio", bad=Query("sum:trace.hits{*}.as_count()", "datadog"), total=Query("x", "datadog")), "a query of datadog"),
        (Indicator("ratio", bad=Query("1 - a / b"), total=Query("c")), "cannot be evaluated"),
        (Indicator("ratio", bad=Query("queue_failures_total"), total=Query("queue_total")), "is not in the evidence"),
        (Indicator("ratio", bad=Query('http_requests_total{code=~"(["}'), total=Query("http_requests_total")), "does not run"),
        (Indicator("raw", good=Query("x")), "tells no events"),
        (Indicator("threshold", value=Query("nothing_here"), op="lt", bound=3), "is not in the evidence"),
        (Indicator("threshold", value=Query("rate(a[5m])"), op="lt", bound=3), "threshold on a rate"),
        (Indicator("errors", route="/nowhere"), "no request of /nowhere"),
    ],
)
def test_what_cannot_be_evaluated_is_named(indicator: Indicator, words: str) -> None:
    row = judged(Slo("a", "a", indicator, 0.99), requests=outage(60))
    assert row["state"] == "unknown" and words in row["reason"]
    assert row["alerts"] and all(a.get("fired") is None for a in row["alerts"])


def test_a_gauge_against_a_threshold() -> None:
    rows = [{"time": START + i * 1_000_000, "name": "queue_length", "kind": "gauge", "labels": {"q": "mail"}, "value": 5.0 if i % 10 else 50.0} for i in range(600)]
    row = judged(Slo("a", "a", Indicator("threshold", 20, "lt", value=Query('queue_length{q="mail"}')), 0.95), metrics=rows)
    assert row["attained"]["value"] == pytest.approx(0.9) and row["unit"] == "samples"
    bound = judged("metric:queue_length{q=\"mail\"}<20", metrics=rows)
    assert bound["state"] == "broken" and bound["measured"]["value"] == 50 and "budget" not in bound


def test_inner_tiers_are_not_counted_twice() -> None:
    outer = requests(seconds=120)
    n = len(outer["time"])
    inner = outer | {"service": ["backend"] * n, "time": [t + 1_000 for t in outer["time"]], "duration_us": [max(1, d - 2_000) for d in outer["duration_us"]]}
    both = {k: [*(v if isinstance(v, list) else [v] * n), *inner[k]] for k, v in outer.items()}
    assert judged("errors<1%", requests=both)["total"] == n


def test_a_hole_in_the_recording_is_no_load() -> None:
    first, second = outage(seconds=600, begin=0, end=60), outage(seconds=600, begin=0, end=0)
    both = first | {"time": [*first["time"], *(t + 5 * HOUR * 1_000_000 for t in second["time"])], "status": [*first["status"], *second["status"]]}
    row = judged("errors<0.1%", requests=both)
    assert row["recorded"]["seconds"] == pytest.approx(1200, abs=3) and row["recorded"]["rate_per_s"] == pytest.approx(10, rel=0.01)
    assert row["budget"]["spent"]["value"] == pytest.approx(600 / (10 * 30 * 86_400) / 0.001, rel=0.01)
    assert any("hole in the recording" in n for n in row["notes"])
    assert judged("errors<0.1%", requests=first)["notes"] == []


def test_a_part_of_the_recording() -> None:
    row = judged("errors<0.1%", START, START + HOUR * 1_000_000, requests=outage())
    assert row["bad"] == 0 and row["state"] == "kept"
    with pytest.raises(UsageError, match="holds no evidence"):
        judged("errors<0.1%", START + 10 * HOUR * 1_000_000, requests=outage())


def test_no_evidence_of_any_kind() -> None:
    with pytest.raises(InsufficientEvidence, match="neither requests nor metrics"):
        run.counter(testing.evidence(logs=[{"time": START, "level": "error", "template": "x", "count": 1}]))


def test_names_are_unique() -> None:
    slo = of_objective(objective("errors<1%"))
    assert run.gather([objective("errors<1%"), objective("errors<1%")], [], slo.period_s) == [slo]
    with pytest.raises(UsageError, match="two objectives are called a"):
        run.gather([], [Slo("a", "a", Indicator("errors"), 0.9), Slo("a", "a", Indicator("errors"), 0.99)], 1)
    with pytest.raises(UsageError, match="no objective"):
        run.gather([], [], 1)


def test_a_stray_date_loses_nothing() -> None:
    row = judged("errors<1%", requests={"time": [0, START, START + 1_000_000], "status": [500, 200, 503], "service": "web", "route": "/", "method": "GET"})
    assert (row["bad"], row["total"]) == (1, 2)


def test_a_year_stays_small() -> None:
    n = 100_000
    t = np.sort(np.random.default_rng(0).integers(0, 365 * 86_400, n))
    row = judged("errors<1%", requests={"time": (START + t * 1_000_000).tolist(), "status": 200, "service": "web", "route": "/", "method": "GET"})
    assert row["total"] == (t > t[-1] - 30 * 86_400).sum() and len(row["series"]["lines"][0]["burn"]) <= 241


@pytest.mark.parametrize(("first_day", "last_day", "state", "bad"), [(30, 60, "broken", 60), (0, 25, "kept", 0)])
def test_a_recording_longer_than_the_period_is_judged_by_its_last_period(first_day: int, last_day: int, state: str, bad: int) -> None:
    i = np.arange(60_000)
    failing = (i // 1000 >= first_day) & (i // 1000 < last_day) & (i % 500 == 0)
    traffic = {"time": (START + i * 86_400_000).tolist(), "status": np.where(failing, 500, 200).tolist(), "service": "web", "route": "/", "method": "GET"}
    row = judged("errors<0.15%", requests=traffic)
    assert (row["state"], row["bad"], row["total"]) == (state, bad, 30_000)
    assert row["budget"]["spent"]["value"] == pytest.approx(bad / 30_000 / 0.0015) and "counted over one period" in row["budget"]["spent"]["method"]
    (note,) = row["notes"]
    assert "judged is its last 30d" in note and ("the worst 30d before burned 1.11 times" in note) == (state == "kept")
    evidence = testing.evidence(requests=traffic)
    row = run.part([of_objective(objective("errors<0.15%"))], run.counter(evidence))["objectives"][0]
    share, counted, total = next(evidence.ask(row["attained"]["query"])[1])
    assert (share, counted, total) == (pytest.approx(row["attained"]["value"]), bad, 30_000)
    assert judged(of_objective(objective("errors<0.15%"), 90 * 86_400), requests=traffic)["total"] == 60_000


def test_a_request_without_an_answer_is_bad() -> None:
    row = judged("errors<1%", requests={"time": [START + i * 10_000 for i in range(3300)], "status": [0 if i % 33 == 0 else 200 for i in range(3300)], "service": "web", "route": "/", "method": "GET"})
    assert (row["state"], row["bad"]) == ("broken", 100)
