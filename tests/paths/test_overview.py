"""``paths`` of the result: complete, bounded, the same every time."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from perfaudit import testing
from perfaudit.audit import Audit, Request
from perfaudit.paths import hot, overview
from perfaudit.report import schema
from tests.paths.made import HALF, START, Row, seconds, trace
from tests.spans import odd_trace

MANY = 60


def many(n: int = 120) -> list[Row]:
    """Sixty routes that call two hundred peers by names of a hundred characters, in both halves."""
    rows = []
    for zone in ("reference", "affected"):
        for i, at in enumerate(seconds(zone, n)):
            more = 500_000 if zone == "affected" and i % MANY == 3 else 0
            lines = [f"a shop/GET_/{'r' * 100}{i % MANY} server 0-{50_000 + more + i}"]
            lines += [f"c{k}<a shop/{'call' * 25}{k} client {1000 * k + (more if k else 0)}-{1000 * k + 900 + more} peer={'p' * 100}{(i * 7 + k) % 200}" for k in range(12)]
            rows += trace(i + (10_000 if zone == "affected" else 0), at, *lines)
    return rows


def part_of(rows: list[Row]) -> dict[str, Any]:
    request = Request(since=START + HALF * 1_000_000, until=START + 2 * HALF * 1_000_000)
    part = overview.overview(Audit(testing.evidence(spans=rows).bundle, request).prepare().account, completion=True)
    schema.validate({"schema_version": 1, "audit": {"question": "?"}, "paths": part})
    return part


def test_it_is_valid_bounded_and_the_same_every_time() -> None:
    part, again = part_of(many()), part_of(many())
    assert part == again
    assert len(json.dumps(part)) < 200_000
    assert len(part["flows"]) == overview.FLOWS and part["left_out"]["flows"] == MANY - overview.FLOWS
    assert len(part["hot"]) == overview.CHAINS and len(part["own"]) == overview.OPERATIONS
    assert len(part["graph"]["edges"]) == overview.EDGES and part["graph"]["left_out"] > 0
    assert part["flows"][0]["flow"].endswith("r3")
    assert {row["flow"] for row in part["examples"]} == {part["flows"][0]["flow"]}
    assert all(row["note"] for row in part["percentiles"])


def test_without_traces_an_analysis_has_no_such_part() -> None:
    rows = [{"time": START + i * 1_000_000, "duration_us": 1000 + i, "route": "/a", "method": "GET", "status": 200} for i in range(100)]
    assert "paths" not in testing.audit(requests=rows)


def test_tail_sampling_is_told() -> None:
    rows = many(60)
    for row in rows:
        row["sampler"] = "tail"
    part = part_of(rows)
    assert "tail sampler" in part["sampling"]


@pytest.mark.parametrize("spans", [["a shop/GET_/x server 0-0"], ["a shop/GET_/x server 5-2"], ["b<gone shop/GET_/x server 0-100"], ["a / internal 0-100"], ["a shop/GET_/x server 0-100", "a shop/GET_/x server 0-100"]])
def test_odd_traces_break_nothing(spans: list[str]) -> None:
    rows = [row for i, at in enumerate(seconds("affected", 3)) for row in trace(i, at, *spans)]
    for row in rows:
        row["service"] = row["service"] or None
        row["operation"] = row["operation"] or None
    bundle = testing.evidence(spans=rows).bundle
    found = overview.overview(Audit(bundle).prepare().account, completion=True)
    schema.validate({"schema_version": 1, "audit": {"question": "?"}, "paths": found})
    assert found.get("traces", {}).get("spans", 0) <= len(rows)
    assert all(0 <= chain["share"]["value"] <= 1 for chain in found.get("hot", []))


def test_random_odd_traces_break_nothing() -> None:
    rng = random.Random(9)
    rows = [row for i in range(300) for row in odd_trace(rng, f"{i:032x}")]
    for row in rows:
        row["time"] = START + rng.choice((500, 1500)) * 1_000_000 + int(row["time"]) % 1_000_000
        row |= {"status": rng.choice(("ok", "error")), "peer": rng.choice(("a", "db", None)), "system": rng.choice((None, "mysql", "redis", "kafka"))}
    part = part_of(rows)
    assert sum(node["own"] for node in part["graph"]["nodes"]) <= 1 + 1e-9
    assert all(edge["share"]["value"] <= 1 for edge in part["graph"]["edges"])
    assert sum(flow["share"]["value"] for flow in part["flows"]) == pytest.approx(1)


def test_deep_traces_and_long_names_stay_bounded() -> None:
    deep = ["s0 shop/w0 internal 0-9000"] + [f"s{i}<s{i - 1} shop/w{i} internal {i}-{9000 - i}" for i in range(1, 3000)]
    rows = trace(1, 1500, *deep)
    for i, row in enumerate(trace(2, 1600, "a shop/GET_/x server 0-900000", "b<a shop/SELECT client 10-800000 system=mysql")):
        rows.append(row | {"operation": f"{i}" + "o" * 5000, "statement": "s" * 5000})
    part = part_of(rows)
    assert max(len(chain["steps"]) for chain in part["hot"]) == hot.MOST_STEPS + 1
    assert {s["operation"] for s in part["hot"][-1]["steps"]} & {"… 2976 more …", "w0"}
    assert len(json.dumps(part)) < 100_000
    assert max(len(row["operation"]) for row in part["own"]) == overview.LONGEST
