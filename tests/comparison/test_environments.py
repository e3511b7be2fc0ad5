"""Two environments that differ in one thing: the component that it makes up is found, and all components sum to the difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.comparison import run
from perfaudit.testing import evidence

from .make import START
from .queues import served

EVEN = {"/a": (0.5, 20.0), "/b": (0.5, 60.0)}


def split(staging: dict[str, Any], production: dict[str, Any], **tables: Any) -> dict[str, Any]:
    asked = run.Asked(kind="environments")
    arms = [run.arm(n, evidence(requests=r, **{k: v[i] for k, v in tables.items()}), asked) for i, (n, r) in enumerate((("staging", staging), ("production", production)))]
    out, _ = run.compared(*arms, asked)
    for figure, key in (("mean", "components"), ("p95", "components_p95")):
        whole = out["difference"][figure]["difference"]["value"]
        assert sum(c["difference"]["value"] for c in out[key] if "difference" in c) == pytest.approx(whole, abs=1e-6)
        assert [c["component"] for c in out[key]] == ["traffic mix", "concurrency", "cache warmth", "data volume", "configuration", "not attributed"]
    return out


def owned(out: dict[str, Any]) -> dict[str, float]:
    """The share of the difference of the mean that each component with a value owns."""
    return {c["component"]: c["share"]["value"] for c in out["components"] if "share" in c}


@pytest.mark.parametrize(
    ("component", "first", "second"),
    [
        ("concurrency", {"rate": 6, "servers": 3}, {"rate": 55, "servers": 3}),
        ("traffic mix", {}, {"routes": {"/a": (0.2, 20.0), "/b": (0.8, 60.0)}}),
        ("cache warmth", {"hit": 0.9}, {"hit": 0.4}),
        ("not attributed", {}, {"routes": {"/a": (0.5, 40.0), "/b": (0.5, 120.0)}}),
    ],
)
def test_the_one_thing_that_differs_owns_the_difference(component: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    common = {"seconds": 300, "rate": 10, "servers": 50, "routes": EVEN}
    out = split(served(rng, **common | first), served(rng, **common | second))
    shares = owned(out)
    assert shares.pop(component) == pytest.approx(1.0, abs=0.15)
    assert all(abs(s) < 0.2 for s in shares.values()), shares
    value = next(c["difference"] for c in out["components"] if c["component"] == component)
    assert value["ci"][0] < value["value"] < value["ci"][1]
    assert component in out["summary"]


def test_a_slow_environment_does_not_bring_its_queue_upon_itself() -> None:
    """The same arrivals, stalls in one: requests pile up because they are slow, which is no concurrency of the traffic."""
    rng = np.random.default_rng(2)
    calm = served(rng, 300, 20, 50, EVEN)
    stalled = served(rng, 300, 20, 50, EVEN)
    at = (np.array(stalled["time"]) - START) / 1e6 % 10
    stalled["duration_us"] = (np.array(stalled["duration_us"]) + np.where(at < 2, (2 - at) * 1e6, 0).astype(int)).tolist()
    assert abs(owned(split(calm, stalled))["concurrency"]) < 0.1


def test_larger_data_owns_what_its_statements_cost_more() -> None:
    rng = np.random.default_rng(3)
    small, large = served(rng, 300, 10, 50, EVEN), served(rng, 300, 10, 50, {"/a": (0.5, 20.0), "/b": (0.5, 100.0)})
    n = len(large["time"])

    def snapshots(milliseconds: float, rows: int) -> list[dict[str, Any]]:
        return [{"time": START + i * 300_000_000, "fingerprint": "f1", "calls": i * n // 2, "duration_us": int(i * n // 2 * milliseconds * 1e3), "rows": i * n // 2 * rows} for i in (0, 1)]

    tables = [[{"time": START, "kind": "table", "name": "public.orders", "rows": rows}] for rows in (1_000, 500_000)]
    out = split(small, large, statements=[snapshots(5, 10), snapshots(35, 10)], db_objects=tables)
    data = next(c for c in out["components"] if c["component"] == "data volume")
    assert data["difference"]["value"] == pytest.approx(15, rel=0.05)  # half of the requests run a statement that takes 30 ms more
    assert "500 times the rows" in data["basis"].replace("5e+02", "500")
    same = split(small, large, statements=[snapshots(5, 10), snapshots(35, 10)])
    assert owned(same)["data volume"] == 0.0


def test_what_no_evidence_tells_names_what_to_collect() -> None:
    rng = np.random.default_rng(4)
    events = [[{"time": START, "kind": "config", "service": "web", "name": "workers", "version": v}] for v in ("4", "16")]
    out = split(served(rng, 60, 20, 50, EVEN), served(rng, 60, 20, 50, EVEN), events=events)
    missing = {c["component"]: c for c in out["components"] if "cannot_be_told" in c}
    assert set(missing) == {"cache warmth", "data volume", "configuration"}
    assert missing["configuration"]["cannot_be_told"] == "differs: config web workers: 4 / 16"
    assert "pg_stat_statements" in missing["data volume"]["collect"]


def test_concurrency_that_was_never_shared_cannot_be_told() -> None:
    rng = np.random.default_rng(5)
    out = split(served(rng, 60, 2, 50, EVEN), served(rng, 60, 300, 50, EVEN))
    (concurrency,) = (c for c in out["components"] if c["component"] == "concurrency")
    assert "never ran at A's concurrency" in concurrency["cannot_be_told"]


def test_what_is_left_is_worded_from_what_was_held_equal() -> None:
    rng = np.random.default_rng(6)
    busy, calm = served(rng, 300, 50, 2, {"/a": (0.6, 20.0), "/b": (0.4, 50.0)}), served(rng, 300, 20, 2, {"/a": (0.6, 20.0), "/b": (0.4, 50.0)})
    out = split(busy, calm)
    (concurrency, rest) = (next(c for c in out["components"] if c["component"] == name) for name in ("concurrency", "not attributed"))
    assert "cannot_be_told" in concurrency
    assert rest["basis"].startswith("at the same route, and still different: load and cache hits, which could not be held equal")


def test_components_that_act_on_each_other_leave_an_interaction() -> None:
    """A slower mix makes queues that the same requests did not meet before: no other cause than the mix."""
    rng = np.random.default_rng(7)
    out = split(*(served(rng, 600, 24, 2, {"/a": (share, 20.0), "/b": (1 - share, 80.0)}) for share in (0.7, 0.3)))
    rest = next(c for c in out["components"] if c["component"] == "not attributed")
    assert "brought along (interaction" in rest["basis"]
    assert "interaction or other" in out["summary"]
    assert "not attributed" not in out["summary"]
