"""Deploys with known effect: none, one, and many steps that are each too small to be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.comparison import deploys, run
from perfaudit.errors import InsufficientEvidence
from perfaudit.testing import evidence
from tests.traffic import START, requests

from .make import ar1

ROUTES = {"/": ("GET", 0.6, 40.0), "/b": ("POST", 0.4, 90.0)}


def ledger(steps: list[float], *, seed: int = 0, minutes: int = 8, rate: float = 12, surge: float = 1.0, events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A recording in which deploy i adds ``steps[i]`` to the log of every duration; stretches of ``minutes``, noise of 5 % with φ 0.6."""
    rng = np.random.default_rng(seed)
    length = minutes * 60
    rows = requests(length * (len(steps) + 1), rate, seed=seed, routes=ROUTES, since=length, surge=surge)
    t = (np.array(rows["time"]) - START) / 1e6
    level = np.concatenate([[0.0], np.cumsum(steps)])[(t // length).astype(int)] + ar1(rng, int(t[-1]) // 10 + 1, 0.6, 0.05)[(t // 10).astype(int)]
    rows["duration_us"] = (np.array(rows["duration_us"]) * np.exp(level)).astype(int).tolist()
    if events is None:
        events = [{"time": START + (i + 1) * length * 1_000_000, "kind": "deploy", "service": "shop", "version": f"1.{i}"} for i in range(len(steps))]
    asked = run.Asked(kind="deploys")
    return deploys.compare([run.arm("recording", evidence(requests=rows, **({"events": events} if events else {})), asked)], asked)


def test_small_steps_add_up() -> None:
    out = ledger([0.035] * 5)
    assert out["result"] == "worse"
    assert sum(d["result"] == "worse" for d in out["deploys"]) <= 1
    total = out["cumulative"]["typical"]
    assert total["result"] == "worse"
    assert total["total"]["ci"][0] < np.expm1(0.175) < total["total"]["ci"][1]
    steps = sum(np.log1p(d["typical"]["shift"]["value"]) for d in out["deploys"])
    assert steps == pytest.approx(np.log1p(total["total"]["value"]))
    assert steps == pytest.approx(np.log1p(total["points"][-1]["shift"]["value"]))
    assert "worse after 5 deploys" in out["summary"]


def test_the_one_deploy_to_blame_is_named() -> None:
    out = ledger([0.0, 0.25, 0.0])
    assert [d["result"] == "worse" for d in out["deploys"]] == [False, True, False]
    assert "deploy of shop 1.1: worse" in out["summary"]
    assert out["deploys"][1]["typical"]["shift"]["level"] == pytest.approx(1 - 0.05 / 3)


def test_deploys_that_changed_nothing() -> None:
    """Five recordings of four deploys: any of 10 questions each; two and more would come with a chance of 2 % at the nominal 5 %."""
    results = [ledger([0.0] * 4, seed=s, minutes=5, rate=8)["result"] for s in range(5)]
    assert sum(r in ("worse", "better") for r in results) <= 1, results


def test_other_load_after_a_deploy_is_told() -> None:
    (row,) = ledger([0.0], surge=2.0)["deploys"]
    assert not row["load"]["like_for_like"]
    assert row["load"]["ratio"]["value"] == pytest.approx(2, rel=0.05)
    assert row["at_equal_load"]["ci"][0] < 0 < row["at_equal_load"]["ci"][1]


def test_another_load_stands_in_the_summary() -> None:
    assert "not like for like: the last stretch carried 2 times the load of the first" in ledger([0.0], surge=2.0)["summary"]
    assert "like for like" not in ledger([0.0])["summary"]


def test_rollouts_commits_and_other_events() -> None:
    at = START + 480_000_000
    rollout = [{"time": at + i * 20_000_000, "kind": "deploy", "service": s, "version": "2"} for i, s in enumerate(("web", "worker"))]
    other = [{"time": at, "kind": "incident", "name": "x"}, {"time": at - 9_000_000, "kind": "commit", "commit": "abc"}]
    out = ledger([0.0], events=rollout + other)
    (row,) = out["deploys"]
    assert row["what"] == "deploy of worker 2 and 1 more"
    assert [d["what"] for d in ledger([0.0], events=other)["deploys"]] == ["commit abc"]


def test_without_a_deploy_there_is_nothing_to_judge() -> None:
    with pytest.raises(InsufficientEvidence, match="no deploy lies between"):
        ledger([0.0], events=[])
    with pytest.raises(InsufficientEvidence, match="no deploy lies between"):
        ledger([0.0], events=[{"time": START - 5_000_000, "kind": "deploy", "version": "0"}])


def test_deploys_too_close_to_tell_are_judged_together() -> None:
    events = [{"time": START + 480_000_000 + i * 61_000_000, "kind": "deploy", "version": str(i)} for i in range(3)]
    out = ledger([0.5], rate=2, events=events)
    (row,) = out["deploys"]
    assert row["what"] == "deploy of 0 and deploy of 1 and deploy of 2"
    assert row["result"] == out["result"] == "worse"
    assert "2 stretches between deploys are too short to be judged" in out["notes"][0]


def judged(rows: dict[str, Any], *at: int) -> dict[str, Any]:
    """``comparison`` of rows with a deploy at each of ``at`` (seconds)."""
    events = [{"time": START + t * 1_000_000, "kind": "deploy", "service": "shop", "version": f"1.{i}"} for i, t in enumerate(at)]
    asked = run.Asked(kind="deploys")
    return deploys.compare([run.arm("recording", evidence(requests=rows, events=events), asked)], asked)


def without(rows: dict[str, Any], route: str, first: int, last: int) -> dict[str, Any]:
    """Rows without those of a route in [first, last) seconds."""
    keep = [r != route or not first <= (t - START) / 1e6 < last for t, r in zip(rows["time"], rows["route"], strict=True)]
    return {k: [x for x, y in zip(v, keep, strict=True) if y] if isinstance(v, list) else v for k, v in rows.items()}


@pytest.mark.parametrize("quick", [True, False])
def test_a_deploy_that_fails_requests_is_worse(quick: bool) -> None:
    """What fails fast shortens every duration: faster, and worse."""
    rows = requests(1200, 8, seed=2, routes=ROUTES, errors=dict.fromkeys(ROUTES, 0.3), since=600)
    if quick:
        rows["duration_us"] = [1000 if s >= 500 else d for s, d in zip(rows["status"], rows["duration_us"], strict=True)]
    out = judged(rows, 600)
    assert out["result"] == out["deploys"][0]["result"] == out["cumulative"]["errors"]["result"] == "worse"
    assert "errors 0 % → " in out["summary"]
    assert out["deploys"][0]["errors"]["shift"]["value"] == pytest.approx(0.3, abs=0.03)


def test_a_slow_percent_after_a_deploy_is_worse() -> None:
    rows = requests(1200, 8, seed=3, routes=ROUTES)
    late = [(t - START) / 1e6 > 600 and i % 33 == 0 for i, t in enumerate(rows["time"])]
    rows["duration_us"] = [d * 50 if x else d for d, x in zip(rows["duration_us"], late, strict=True)]
    assert judged(rows, 600)["deploys"][0]["p99"]["result"] == "worse"


def test_a_route_that_one_stretch_does_not_hold_is_judged_where_it_is() -> None:
    rows = requests(2400, 6, seed=4, routes=ROUTES, slower={"/b": 300}, since=1600)
    out = judged(without(rows, "/b", 800, 1000), 800, 1000, 1600)
    assert [d["result"] for d in out["deploys"]] != ["worse"] * 3
    assert out["result"] == out["deploys"][2]["result"] == "worse"
    assert {r["route"] for r in out["routes_compared"]} == set(ROUTES)
    assert out["deploys"][0]["uncompared"]["requests"] == {"a": pytest.approx(0.4, abs=0.05), "b": 0.0}
    assert out["deploys"][0]["result"] != "no practical difference"
    assert "of the requests" in out["deploys"][0]["reason"]


def test_what_the_last_stretch_does_not_hold_is_named() -> None:
    out = judged(without(requests(1200, 20, seed=5, routes=ROUTES), "/b", 600, 1200), 600)
    assert out["result"] == "inconclusive"
    assert "not compared: 40 % of the requests" in out["summary"].replace("39 %", "40 %").replace("41 %", "40 %")
    assert [r["route"] for r in out["uncompared"]["routes"]] == ["/b"]
