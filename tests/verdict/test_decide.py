"""The verdict: one answer, its order of findings, its confidence, and what it admits."""

import pytest

from perfaudit import model
from perfaudit.audit import Audit, Request
from perfaudit.config import objective
from perfaudit.model import Finding, Measurement
from perfaudit.testing import audit, evidence
from perfaudit.verdict import confidence
from tests.traffic import START, requests, waits


def judged(traffic, *objectives, **tables):
    own = evidence(requests=traffic, **tables).bundle
    return Audit(own, Request(objectives=tuple(objective(o) for o in objectives))).run()


def test_steady_traffic_is_healthy_and_says_what_was_looked_for():
    verdict = audit(requests=requests())["verdict"]
    assert verdict["status"] == "healthy"
    assert "problem" not in verdict
    assert {t["problem"] for t in verdict["rejected"]} >= {"tail-under-concurrency"}
    assert any("pg_blocking_pids" in w["collect"] for w in verdict["would_change"])


def test_too_few_requests_are_never_healthy():
    few = {k: (v[:60] if isinstance(v, list) else v) for k, v in requests().items()}
    assert audit(requests=few)["verdict"]["status"] == "insufficient-evidence"


def test_a_departure_that_nothing_explains_is_not_explained_away():
    verdict = audit(requests=requests(slower={"/orders": 400}, since=60))["verdict"]
    assert verdict["status"] == "insufficient-evidence"
    assert "no examined class explains it" in verdict["chain"][0]
    assert verdict["would_change"]


@pytest.mark.parametrize(("text", "state"), [("p95<5s", "kept"), ("p95<1ms", "broken"), ("/orders p50<1s", "kept"), ("errors<1%", "kept"), ("/nowhere p95<1s", "unknown")])
def test_objectives_are_judged_on_the_affected_window(text, state):
    assert judged(requests(), text)["slo"]["objectives"][0]["state"] == state


def test_a_broken_objective_is_never_called_healthy():
    result = judged(requests(), "p50<1ms")
    assert result["verdict"]["status"] == "insufficient-evidence"
    assert result["verdict"]["impact"]["objective"] == "broken"


def test_a_mechanism_leads_and_the_deploy_is_its_trigger():
    traffic = requests(slower={"/orders": 500}, since=50)
    result = audit(requests=traffic, sessions=waits(traffic, "/orders", 200_000), events=[{"time": START + 50_000_000, "kind": "deploy", "service": "shop", "version": "2"}])
    assert result["verdict"]["problem"] == "row-lock-contention"
    assert result["verdict"]["trigger"]["version"] == "2"
    kinds = {f["problem"]: f for f in result["findings"]}
    assert kinds["deploy-regression"]["type"] == "symptom"
    assert kinds["deploy-regression"]["parents"] == ["row-lock-contention"]
    assert [f["type"] for f in result["findings"]] == ["problem", "symptom"]


def test_impact_and_prediction_are_of_the_route_that_pays():
    traffic = requests(slower={"/orders": 500}, since=50)
    verdict = audit(requests=traffic, sessions=waits(traffic, "/orders", 200_000))["verdict"]
    truth = sum(d for t, d, r in zip(traffic["time"], traffic["duration_us"], traffic["route"], strict=True) if r == "/orders" and t >= START + 50_000_000 and d > 130_000)
    assert verdict["impact"]["seconds_lost"]["value"] == pytest.approx(truth / 1e6, rel=0.25)
    assert 1 <= verdict["impact"]["clients"]["value"] <= 49
    now = sorted(d for t, d, r in zip(traffic["time"], traffic["duration_us"], traffic["route"], strict=True) if r == "/orders" and t >= START + 50_000_000)
    assert verdict["predicted"]["duration_ms"]["p95"]["value"] < now[int(0.5 * len(now))] / 1e3


def finding(*tests, rejected=()):
    return Finding("x", "x", {}, Measurement(0.5, "share"), tests=tests, rejected=tuple(rejected))


def test_confidence_falls_with_open_and_lost_rivals_and_with_failed_tests():
    passed, unknown, failed = (model.Test("t", 1, "", p) for p in (True, None, False))
    sure = confidence.of(finding(passed, passed, rejected=[passed, passed]), 0.9)
    assert sure > confidence.of(finding(passed, passed, rejected=[passed, unknown]), 0.9) > confidence.of(finding(passed, passed, rejected=[passed, failed]), 0.9)
    assert sure > confidence.of(finding(passed, failed, rejected=[passed, passed]), 0.9)
    assert sure > confidence.of(finding(passed, passed, rejected=[passed, passed]), 0.1)
    assert confidence.LEAST <= sure <= confidence.MOST


def test_health_is_surer_with_more_requests_and_fewer_unknowns():
    assert confidence.healthy(10_000, 4, 1) > confidence.healthy(100, 4, 1)
    assert confidence.healthy(10_000, 4, 0) > confidence.healthy(10_000, 1, 3)
