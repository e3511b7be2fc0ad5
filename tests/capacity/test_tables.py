"""Tables of load and throughput, pools, and their answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perfaudit.capacity import objective, pools, study, table
from perfaudit.capacity.answer import decide
from perfaudit.config import objective as parsed
from perfaudit.errors import EvidenceError, UsageError
from perfaudit.stats import usl

SDM91 = [(1, 64.9), (18, 995.9), (36, 1652.4), (72, 1853.2), (108, 1828.9), (144, 1775.0), (216, 1702.2)]


def written(folder: Path, text: str) -> Path:
    path = folder / "loads.csv"
    path.write_bytes(text.encode())
    return path


def lines(rows: object, header: str = "load,throughput", between: str = ",") -> str:
    return "\n".join([header, *(between.join(map(str, row)) for row in rows)]) + "\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("header", "first"),
    [("load,throughput", (1, 64.9)), ("N,X", (1, 64.9)), ("users,rps", (1, 64.9)), ("Concurrent users,Requests/s", (1, 64.9)), ("N;X(N)", (1, 64.9)), ("threads\ttps", (1, 64.9)), ("n,throughput_per_min", (1, 64.9 / 60)), ("vus,req per hour", (1, 64.9 / 3600)), ("nodes  throughput", (1, 64.9))],
)  # fmt: skip
def test_headers_are_read_loosely(tmp_path: Path, header: str, first: tuple[float, float]) -> None:
    between = ";" if ";" in header else "\t" if "\t" in header else "," if "," in header else " "
    path = written(tmp_path, "\ufeff# a comment\n" + lines(SDM91, header, between))
    assert table.looks_like(path)
    found = table.read(path)
    assert (found.load[0], found.throughput[0]) == pytest.approx(first) and len(found.load) == 7


def test_latency_and_its_unit(tmp_path: Path) -> None:
    assert table.read(written(tmp_path, "users,rps,p95_s\n1,10,0.5\n2,20,\n")).measured[0] == 500
    found = table.read(written(tmp_path, "users,rps,p95\n1,10,70\n"))
    assert found.measured[0] == 70 and "milliseconds" in found.notes[0]
    assert table.read(written(tmp_path, "load;throughput\n1;64,9\n")).throughput[0] == 64.9


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "time,value\n", "load\n1\n", "date,cost\n2026-11-01,3\n"])
def test_other_tables_are_not_taken(tmp_path: Path, text: str) -> None:
    assert not table.looks_like(written(tmp_path, text))
    assert not table.looks_like(tmp_path) and not table.looks_like(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "what"),
    [("load,throughput\n1,2\n2,fast\n", "line 3, column throughput"), ("load,throughput\n1,nan\n", "line 2"), ("load,throughput\n0,3\n", "column load"), ("load,throughput\n1\n", "line 2"), ("load,throughput,rps\n1,2,3\n", "throughput and rps"), ("load,throughput,p95_ms\n1,2,quick\n", "column p95_ms")],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(EvidenceError) as error:
        table.read(written(tmp_path, text))
    assert what in str(error.value)


def answered(tmp_path: Path, rows: object, wanted: str = "", header: str = "load,throughput") -> tuple[str, str]:
    found = decide(study.of_points(table.read(written(tmp_path, lines(rows, header))), parsed(wanted) if wanted else None))
    return found.answer, found.reason


def law(loads: list[int], gamma: float, sigma: float, kappa: float) -> list[tuple[float, float]]:
    return [(n, float(usl.law(float(n), np.array([[gamma, sigma, kappa]]))[0]) * (1 + 0.01 * (-1) ** i)) for i, n in enumerate(loads)]


def test_answers_to_tables(tmp_path: Path) -> None:
    loads = [1, 2, 4, 8, 16, 24, 32]
    assert answered(tmp_path, SDM91)[0] == "do not scale"
    assert "peaks at a load of 96.52 with 1,884/s" in answered(tmp_path, SDM91)[1]
    assert answered(tmp_path, law(loads, 100, 0.003, 0))[0] == "scale"
    assert answered(tmp_path, law(loads, 100, 0.6, 0))[0] == "do not scale"
    assert answered(tmp_path, law(loads, 100, 0.06, 0))[0] == "fix"
    assert answered(tmp_path, SDM91[:3])[0] == "cannot tell"
    rows = [(n, x, 900) for n, x in law(loads, 100, 0.003, 0)]
    assert answered(tmp_path, rows, "p95<800ms", "load,throughput,p95_ms")[0] == "fix"
    slow = [(n, x, 50 + 3 * n) for n, x in law(loads, 100, 0.003, 0)]
    assert answered(tmp_path, slow, "p95<800ms", "load,throughput,p95_ms")[0] == "leave alone"


def closed(servers: int, users: list[int], service: float = 0.02, think: float = 0.5) -> list[tuple[float, float]]:
    """Exact throughput of a closed M/M/c with a think time."""
    out = []
    for n in users:
        p = [1.0]
        for k in range(1, n + 1):
            p.append(p[-1] * (n - k + 1) / think / (min(k, servers) / service))
        out.append((n, sum(w * min(k, servers) / service for k, w in enumerate(p)) / sum(p)))
    return out


def test_users_are_not_bought(tmp_path: Path) -> None:
    """Four servers, 200 users: eight servers carry nearly twice, so “do not scale” is wrong; more users of the same four bring nothing."""
    users = [10, 20, 40, 60, 80, 100, 120, 150, 200]
    four, eight = closed(4, users), closed(8, users)
    assert eight[-1][1] > 1.8 * four[-1][1]
    for name in ("users", "vus", "clients", "connections"):
        answer, reason = answered(tmp_path, four, header=f"{name},rps")
        assert answer == "cannot tell" and "stops growing at 200/s" in reason and "look the same" in reason
    answer, reason = answered(tmp_path, eight, header="users,rps")
    assert answer == "leave alone" and "where it ends was not seen" in reason
    assert answered(tmp_path, four, header="nodes,rps")[0] == "do not scale"
    assert "not what could be bought" in table.read(written(tmp_path, lines(four, "users,rps"))).notes[0]
    assert answered(tmp_path, SDM91, header="users,rps")[0] == "do not scale"  # here it was seen to fall


def test_thousands_of_a_german_table(tmp_path: Path) -> None:
    found = table.read(written(tmp_path, "users;rps\n100;50,5\n200;99,0\n1.000;1.420,3\n"))
    assert found.load.tolist() == [100, 200, 1000] and found.throughput.tolist() == [50.5, 99, 1420.3] and any("1.000 is read as 1000" in n for n in found.notes)
    plain = table.read(written(tmp_path, "load;rps\n1.000;50.5\n2.000;99.0\n"))
    assert plain.load.tolist() == [1, 2] and any("1.000 is read as 1:" in n for n in plain.notes)


def test_a_count_without_a_period_is_told(tmp_path: Path) -> None:
    assert any("read as per second" in n for n in table.read(written(tmp_path, "users,requests\n1,270\n2,540\n")).notes)
    assert not table.read(written(tmp_path, "load,requests_per_min\n1,270\n2,540\n")).notes and not table.read(written(tmp_path, "load,rps\n1,270\n")).notes


@pytest.mark.parametrize("wanted", ["errors<1%", "p99<200ms", "p50<200ms", "/checkout p95<200ms"])
def test_p95_is_no_answer_to_another_objective(tmp_path: Path, wanted: str) -> None:
    rows = [(n, 10 * n, 50 + n) for n in (1, 2, 4, 8, 16, 32)]
    points = table.read(written(tmp_path, lines(rows, "users,rps,p95_ms")))
    at = study.part(study.study(study.of_points(points, parsed(wanted))))["at_objective"]
    assert at["kept"] == "unknown" and "95th percentile of all requests" in at["reason"]
    assert study.part(study.study(study.of_points(points, parsed("p95<70ms"))))["at_objective"]["kept"] == "some"


def test_a_flat_knee_is_no_fall(tmp_path: Path) -> None:
    knee = [(1, 10), (2, 20), (4, 40), (8, 80), (16, 120), (32, 121), (64, 120)]
    found = study.of_points(table.read(written(tmp_path, lines(knee, "nodes,rps"))), None)
    assert found.saturation is not None and found.saturation.value == 120 and isinstance(found.law, usl.Refusal)
    assert decide(found).answer == "do not scale" and "stops growing at 120/s" in decide(found).reason
    rng = np.random.default_rng(4)
    for _ in range(20):  # the law itself, with 2 % noise, is never taken for a knee
        rows = [(n, x * rng.normal(1, 0.02)) for n, x in law([1, 2, 4, 8, 16, 24, 32, 48], 100, 0.03, 0.0005)]
        assert isinstance(study.of_points(table.read(written(tmp_path, lines(rows, "nodes,rps"))), None).law, usl.Scalability)


def test_the_blame_is_on_what_causes_the_fall(tmp_path: Path) -> None:
    drop = answered(tmp_path, [(n, 100 / n) for n in (1, 2, 4, 8, 16, 32)], header="nodes,rps")
    assert drop[0] == "do not scale" and "coherency (κ = 1)" in drop[1] and "σ" not in drop[1]
    flat = answered(tmp_path, [(1, 100), (2, 101), (4, 99), (8, 100), (16, 101), (32, 100)], header="nodes,rps")
    assert flat[0] == "do not scale" and "contention (σ = 1)" in flat[1] and "κ" not in flat[1]


def test_the_part_holds_the_published_figures(tmp_path: Path) -> None:
    part = study.part(study.study(study.of_points(table.read(written(tmp_path, lines(SDM91))), None)))
    assert round(part["usl"]["sigma"]["value"], 5) == 0.02773 and round(part["usl"]["peak_load"]["value"], 2) == 96.52
    assert part["limits"] == {"smallest": 1.0, "largest": 216.0, "reach": 432.0, "distinct": 7, "points": 7}
    assert part["doubling"]["to"] == 432 and part["doubling"]["gain"]["ci"][1] < 1 and max(p["load"] for p in part["curve"]) == 432
    assert [f["what"] for f in part["fixing"]] == ["contention (σ → 0)", "coherency (κ → 0)"]


def test_the_largest_load_that_keeps_an_objective() -> None:
    load, latency = np.array([10.0, 20, 40, 80, 160]), np.array([50.0, 55, 80, 400, 2000])
    found = objective.largest(load, latency, 200)
    assert found is not None and found.load is not None and found.kept == "some" and (found.load.low, found.load.high) == (40, 80) and 40 < found.load.value < 80
    assert objective.largest(load, latency, 5_000).kept == "all" and objective.largest(load, latency, 10).kept == "none"  # type: ignore[union-attr]
    assert objective.largest(load, np.full(5, np.nan), 10) is None
    dip = objective.largest(load, np.array([50.0, 300, 80, 400, 2000]), 200)  # one bad run is smoothed with its neighbour
    assert dip is not None and dip.load is not None and dip.load.value > 40


def test_the_interval_of_the_largest_load_covers() -> None:
    """Latency 40·e^(load/50) ms with 15 % noise crosses 200 ms at 80.5; nominal 95 %, 60 series of 120 points."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        load = rng.uniform(10, 120, 120)
        found = objective.largest(load, 40 * np.exp(load / 50 + rng.normal(0, 0.15, 120)), 200, block=4)
        assert found is not None and found.load is not None
        hits += (found.load.low or 0) <= 50 * np.log(5) <= (found.load.high or np.inf)
    assert hits >= 51


def test_pools() -> None:
    row = pools.judge(pools.parse("size=4,hold=1s,rate=3.2/s,name=db"))
    assert round(row["wait_probability"]["value"], 6) == 0.596432 and row["answer"] == "grow" and row["size_needed"]["value"] == 8
    assert pools.judge(pools.parse("size=8 hold=1000ms rate=192/min"))["answer"] == "enough"
    full = pools.judge(pools.parse("size=2,hold=1s,rate=5"))
    assert full["answer"] == "grow" and "without end" in full["reason"] and "wait_mean" not in full
    assert pools.judge(pools.parse("size=2"))["answer"] == "cannot tell"
    assert pools.judge(pools.parse("size=40,hold=20ms,rate=1000/s,wait=1ms"))["size_needed"]["value"] <= 40


@pytest.mark.parametrize("text", ["", "size=0", "size=-3", "hold=1s", "size=3,hold=fast", "size=3,colour=red", "size=3,rate=-1/s", "size=1e9"])
def test_pools_that_cannot_be_understood(text: str) -> None:
    with pytest.raises(UsageError, match="pool"):
        pools.parse(text)
