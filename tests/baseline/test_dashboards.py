"""What dashboards hide: each way with traffic that has it, and traffic that only looks like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.baseline.probes import by_timer
from perfaudit.report import pages, renderers, schema
from perfaudit.testing import audit
from tests.traffic import START, requests

USERS = {"/": ("GET", 0.5, 150.0), "/items/{id}": ("GET", 0.3, 200.0), "/orders": ("POST", 0.2, 400.0)}


def at(second: float) -> int:
    return START + round(second * 1e6)


def hidden(**tables: Any) -> dict[str, dict[str, Any]]:
    result = audit(**tables)
    schema.validate(result)
    return {row["how"]: row for row in result["baseline"].get("hidden", [])}


def timer(route: str, every: float, seconds: float, *, ms: float = 1.0, until: float = 1e9) -> dict[str, Any]:
    times = [at(x) for x in np.arange(0.1, seconds, every) if x < until]
    return {"time": times, "duration_us": [round(ms * 1000) + i % 40 for i in range(len(times))], "status": [200] * len(times), "method": ["GET"] * len(times), "route": [route] * len(times), "service": "web", "client_key": [7] * len(times)}


def together(*parts: dict[str, Any]) -> dict[str, Any]:
    return {k: v if isinstance(v, str) else [x for part in parts for x in part[k]] for k, v in parts[0].items()}


@pytest.mark.parametrize("seed", range(3))
def test_steady_traffic_hides_nothing(seed: int) -> None:
    assert hidden(requests=requests(200, seed=seed, routes=USERS)) == {}
    assert hidden(requests=requests(200, seed=seed)) == {}


def test_health_checks_thin_out_the_percentiles() -> None:
    row = hidden(requests=together(requests(200, 10, seed=1, routes=USERS), timer("/alive", 0.1, 200)))["health checks"]
    assert "GET /alive" in row["detail"]
    assert row["shown"]["measurement"]["value"] < 100
    assert row["felt"]["measurement"]["value"] > 150
    assert row["shown"]["what"] == "p50 of all requests"


def test_a_quick_route_that_people_ask_is_no_health_check() -> None:
    assert hidden(requests=requests(200, 20, seed=2, routes={**{k: (m, s / 2, ms) for k, (m, s, ms) in USERS.items()}, "/health": ("GET", 0.5, 1.0)})) == {}


def test_a_route_that_is_asked_by_a_timer_but_works_is_no_health_check() -> None:
    assert hidden(requests=together(requests(200, 10, seed=3, routes=USERS), timer("/sync", 0.1, 200, ms=180))) == {}


def test_counts_of_a_timer_and_of_people() -> None:
    rng = np.random.default_rng(4)
    assert by_timer(np.full(60, 5)) and by_timer(5 + rng.integers(-1, 2, 60))
    assert sum(by_timer(rng.poisson(5, 40)) for _ in range(300)) == 0
    assert not by_timer(np.full(10, 5))
    assert by_timer(np.tile([1, 0], 100))


def test_one_route_is_lost_in_the_percentile_over_all() -> None:
    routes = {"/": ("GET", 0.97, 40.0), "/orders": ("POST", 0.03, 60.0)}
    row = hidden(requests=requests(300, 60, seed=5, routes=routes, slower={"/orders": 900}, since=150))["one route"]
    assert row["scope"] == {"route": "/orders"}
    assert row["felt"]["measurement"]["value"] > 1000 > 200 > row["shown"]["measurement"]["value"]


def test_a_mean_hides_a_tail_of_seconds() -> None:
    traffic = requests(200, 60, seed=6)
    for i, t in enumerate(traffic["time"]):
        if t >= at(100) and i % 40 == 0:
            traffic["duration_us"][i] += 3_000_000
    row = hidden(requests=traffic)["average"]
    assert row["shown"]["measurement"]["value"] < 300
    assert row["felt"]["measurement"]["value"] > 3000


def test_errors_of_one_route() -> None:
    routes = {"/": ("GET", 0.97, 10.0), "/orders": ("POST", 0.03, 60.0)}
    row = hidden(requests=requests(200, 60, seed=7, routes=routes, errors={"/orders": 0.2}))["errors of one route"]
    assert row["shown"]["measurement"]["value"] < 0.01 < 0.1 < row["felt"]["measurement"]["value"]


def test_one_instance_among_four() -> None:
    traffic = requests(200, 40, seed=8)
    traffic["instance"] = [f"web{i % 25 % 4 if i % 25 else 4}" for i in range(len(traffic["time"]))]
    for i, instance in enumerate(traffic["instance"]):
        traffic["duration_us"][i] += 400_000 if instance == "web4" else 0
    row = hidden(requests=traffic)["one instance"]
    assert row["felt"]["what"] == "p95 of web4"
    assert row["felt"]["measurement"]["value"] > 400


def test_one_group_of_clients() -> None:
    traffic = requests(200, 40, seed=9)
    rng = np.random.default_rng(9)
    traffic["client_key"] = rng.integers(1, 400, len(traffic["time"])).tolist()
    for i, key in enumerate(traffic["client_key"]):
        traffic["duration_us"][i] += 500_000 if key <= 12 else 0
    row = hidden(requests=traffic)["one group of clients"]
    assert row["felt"]["what"] == "median of 12 clients"
    assert row["felt"]["measurement"]["value"] > 500


def test_an_edge_that_waits_in_front_of_the_application() -> None:
    inner = requests(120, 30, seed=10)
    inner["trace_id"] = [f"{i:032x}" for i in range(len(inner["time"]))]
    edge = {**inner, "service": "edge", "time": [t - 600_000 for t in inner["time"]], "duration_us": [d + 610_000 for d in inner["duration_us"]]}
    both = {k: [inner[k]] * len(inner["time"]) + [edge[k]] * len(edge["time"]) if isinstance(inner[k], str) else inner[k] + edge[k] for k in inner}
    row = hidden(requests=both)["another tier"]
    assert row["shown"]["what"] == "p95 as web measures it"
    assert row["felt"]["measurement"]["value"] > 600


def test_a_spell_of_seconds_inside_a_minute() -> None:
    traffic = requests(600, 60, seed=11)
    for i, t in enumerate(traffic["time"]):
        if at(300) <= t < at(304):
            traffic["duration_us"][i] += 2_500_000
    row = hidden(requests=traffic)["a short spell"]
    assert row["felt"]["measurement"]["value"] > 2000
    assert row["shown"]["measurement"]["value"] < 500


def test_a_probe_that_waits_itself() -> None:
    users = requests(240, 20, seed=12, routes={"/": ("GET", 1.0, 150.0)}, slower={"/": 3000}, since=120)
    quick = together(users, timer("/ping", 0.5, 240))
    assert "probe" in hidden(requests=quick)
    waits = together(users, timer("/ping", 0.5, 240, until=120), {k: v if isinstance(v, str) else v[-20:] for k, v in timer("/ping", 0.5, 240).items()})
    assert "coordinated omission" in hidden(requests=waits)["probe"]["detail"]


def test_the_page_says_it_in_every_format() -> None:
    result = audit(requests=together(requests(200, 10, seed=1, routes=USERS), timer("/<b>alive", 0.1, 200)))
    (page,) = [p for p in pages.of(result) if p.key == "dashboards"]
    assert page.tone == "bad" and "while users feel" in page.answer
    for name, module in renderers.discover().items():
        said = module.render(result)
        assert "users feel" in said or name in ("json", "junit", "openmetrics")
        assert "<b>alive" not in said or name != "html"


@pytest.mark.parametrize("n", [0, 1, 3, 100])
def test_little_evidence_hides_nothing(n: int) -> None:
    traffic = {k: v if isinstance(v, str) else v[:n] for k, v in requests(60, seed=13).items()}
    assert "hidden" not in audit(requests=traffic).get("baseline", {})
    bare = {**traffic, "duration_us": [None] * n}
    assert "hidden" not in audit(requests=bare).get("baseline", {})


def test_hostile_names_stay_names() -> None:
    evil = "x' OR 1=1; DROP TABLE requests; --\x1b[31m<script>"
    routes = {"/": ("GET", 0.97, 40.0), f"/{evil}": ("POST", 0.03, 60.0)}
    traffic = requests(300, 60, seed=5, routes=routes, slower={f"/{evil}": 900}, since=150)
    traffic["instance"] = [evil if r != "/" else "web1" for r in traffic["route"]]
    rng = np.random.default_rng(5)
    traffic["client_key"] = rng.integers(1, 300, len(traffic["time"])).tolist()
    result = audit(requests=traffic)
    assert {row["how"] for row in result["baseline"]["hidden"]} >= {"one route", "one instance"}
    page = renderers.discover()["html"].render(result)
    assert "<script>" not in page and "\x1b" not in page
    assert "\x1b" not in renderers.discover()["terminal"].render(result)
