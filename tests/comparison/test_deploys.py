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


def test_deploys_too_close_to_tell() -> None:
    events = [{"time": START + 480_000_000 + i * 61_000_000, "kind": "deploy", "version": str(i)} for i in range(3)]
    out = ledger([0.0], rate=2, events=events)
    assert {d["result"] for d in out["deploys"]} == {"inconclusive"}
