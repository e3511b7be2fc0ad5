"""Rules over configuration: what does not fit, what looks like it and fits, and what cannot be known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from perfaudit import testing
from perfaudit.evidence import settings
from perfaudit.paths import configuration
from perfaudit.paths.configuration import Rule
from perfaudit.report import renderers, schema
from perfaudit.report.pages import configuration as page

Row = dict[str, Any]


def rows(component: str, *given: tuple[str, str], service: str = "", source: str = "", scope: str = "") -> list[Row]:
    """Settings as a reader writes them."""
    out = []
    for line, (name, value) in enumerate(given, 1):
        read = settings.read(component, name, value)
        out.append({"service": service or None, "component": component, "scope": scope, "name": name, "role": read.role or None, "value": read.value, "number": read.number, "unit": read.unit or None, "source": source or f"{component}.conf", "line": line})
    return out


def judged(name: str, *parts: Sequence[Row]) -> list[Rule]:
    return [rule for rule in configuration.judge([row for part in parts for row in part]) if rule.name == name]


DATABASE = rows("postgresql", ("max_connections", "100"), ("superuser_reserved_connections", "3"))
SHOP = rows("kubernetes", ("replicas", "4"), service="shop") + rows("environment", ("WEB_CONCURRENCY", "2"), ("DB_POOL_SIZE", "20"), service="shop")


def test_pools_of_all_replicas_against_the_database() -> None:
    (rule,) = judged("pool capacity", DATABASE, SHOP)
    assert rule.ok is False and not rule.missing
    assert rule.arithmetic == "4 replicas × 2 workers × pool 20 = 160 > max_connections 100 − 3 reserved"
    assert {v.source for v in rule.values} == {"postgresql.conf:1", "postgresql.conf:2", "kubernetes.conf:1", "environment.conf:1", "environment.conf:2"}


@pytest.mark.parametrize(("pool", "ok"), [("12", True), ("13", False)])
def test_the_reserved_connections_decide(pool: str, ok: bool) -> None:
    app = rows("kubernetes", ("replicas", "4"), service="shop") + rows("environment", ("WEB_CONCURRENCY", "2"), ("DB_POOL_SIZE", pool), service="shop")
    (rule,) = judged("pool capacity", rows("postgresql", ("max_connections", "100")), app)
    assert rule.ok is ok and "3 reserved (default)" in rule.arithmetic


def test_mysql_reserves_none_and_a_jvm_is_one_process() -> None:
    app = rows("kubernetes", ("replicas", "10"), service="shop") + rows("hikari", ("maximum-pool-size", "15"))
    (rule,) = judged("pool capacity", rows("mysql", ("max_connections", "151")), app)
    assert rule.ok is True and rule.arithmetic.endswith("= 150 ≤ max_connections 151")


@pytest.mark.parametrize("left_out", ["replicas", "WEB_CONCURRENCY", "max_connections"])
def test_what_is_not_known_is_named_and_leaves_the_rule_open(left_out: str) -> None:
    app = rows("kubernetes", ("replicas", "2"), service="shop") + rows("environment", ("WEB_CONCURRENCY", "2"), ("DB_POOL_SIZE", "5"), service="shop")
    (rule,) = judged("pool capacity", [row for row in DATABASE + app if row["name"] != left_out])
    assert rule.ok is None and len(rule.missing) == 1


def test_too_large_for_one_is_too_large_for_more() -> None:
    (rule,) = judged("pool capacity", DATABASE, rows("environment", ("DB_POOL_SIZE", "200")))
    assert rule.ok is False and len(rule.missing) == 2 and "at least 200" in rule.arithmetic


def test_values_that_contradict_and_several_databases_are_unknown() -> None:
    (rule,) = judged("pool capacity", DATABASE, SHOP, rows("environment", ("DB_POOL_SIZE", "3"), service="shop", source="other.env"))
    assert rule.ok is None and "several values (3, 20)" in rule.missing[0]
    (rule,) = judged("pool capacity", DATABASE, rows("mysql", ("max_connections", "9")), SHOP)
    assert rule.ok is None and "several database" in rule.missing[0]


def test_the_autoscaler_counts_and_pools_of_services_add_up() -> None:
    more = rows("kubernetes", ("maxReplicas", "8"), service="cart") + rows("environment", ("WEB_CONCURRENCY", "1"), ("DB_POOL_SIZE", "6"), service="cart")
    small = rows("kubernetes", ("replicas", "2"), ("maxReplicas", "5"), service="shop") + rows("environment", ("WEB_CONCURRENCY", "1"), ("SQLALCHEMY_POOL_SIZE", "2"), service="shop")
    (rule,) = judged("pool capacity", DATABASE, more, small)
    assert rule.ok is False and "8 replicas × 1 workers × pool 6 = 48 of cart" in rule.arithmetic
    assert "5 replicas × 1 workers × (pool 2 + overflow 10 (default)) = 60 of shop; 108 > max_connections 100" in rule.arithmetic


NGINX = rows("nginx", ("proxy_pass", "http://shop"), ("proxy_read_timeout", "20s"))


@pytest.mark.parametrize(("timeout", "ok"), [("20", True), ("30", False)])
def test_the_proxy_waits_longer_than_the_service(timeout: str, ok: bool) -> None:
    (rule,) = judged("timeouts nest", NGINX, rows("gunicorn", ("timeout", timeout)))
    assert rule.ok is ok and f"timeout {timeout} s {'≤' if ok else '>'} proxy_read_timeout 20 s" == rule.arithmetic


def test_documented_defaults_are_called_so_and_only_of_what_was_read() -> None:
    (rule,) = judged("timeouts nest", rows("nginx", ("proxy_pass", "http://shop")), rows("gunicorn", ("timeout", "90")))
    assert rule.ok is False and "proxy read timeout 60 s (default)" in rule.arithmetic
    assert not judged("timeouts nest", rows("nginx", ("worker_connections", "512")), rows("gunicorn", ("timeout", "90")))
    assert not judged("timeouts nest", rows("gunicorn", ("timeout", "90")))


def test_tries_of_the_database_multiply_its_timeout() -> None:
    app = rows("gunicorn", ("timeout", "30"))
    database = rows("postgresql", ("statement_timeout", "12s"))
    (rule,) = judged("timeouts nest", app, database)
    assert rule.ok is True
    (rule,) = judged("timeouts nest", app + rows("environment", ("DB_RETRIES", "2")), database)
    assert rule.ok is False and "12 s × 3 tries = 36 s > timeout 30 s" in rule.arithmetic
    (rule,) = judged("timeouts nest", app + rows("environment", ("HTTP_RETRIES", "2")), database)
    assert rule.ok is True
    (rule,) = judged("timeouts nest", app, rows("postgresql", ("statement_timeout", "0")))
    assert rule.ok is None and "no limit" in rule.missing[0]


def test_acquire_and_lock_timeouts_end_first() -> None:
    (rule,) = judged("acquire within request", rows("gunicorn", ("timeout", "30")), rows("environment", ("SQLALCHEMY_POOL_TIMEOUT", "30")))
    assert rule.ok is False
    (rule,) = judged("lock timeout within statement", rows("postgresql", ("statement_timeout", "5s"), ("lock_timeout", "2s")))
    assert rule.ok is True
    assert not judged("lock timeout within statement", rows("postgresql", ("statement_timeout", "5s"), ("lock_timeout", "0")))


def test_retries_multiply_over_depth() -> None:
    proxy = rows("nginx", ("proxy_next_upstream_tries", "3"))
    app = rows("environment", ("HTTP_RETRIES", "3"), ("WEB_CONCURRENCY", "2"))
    (rule,) = judged("retries multiply", proxy, app)
    assert rule.ok is False and "3 tries (nginx) × 4 tries (the service) = 12 calls" in rule.arithmetic
    (rule,) = judged("retries multiply", proxy)
    assert rule.ok is True
    (rule,) = judged("retries multiply", rows("nginx", ("proxy_next_upstream_tries", "0")), app)
    assert rule.ok is None and "as many tries as there are servers" in rule.missing[0]


def test_the_proxy_drops_idle_connections_first() -> None:
    proxy = rows("nginx", ("keepalive", "32"), ("upstream keepalive_timeout", "60s"))
    threads = rows("gunicorn", ("worker_class", "gthread"))
    (rule,) = judged("keep-alive", proxy, threads + rows("gunicorn", ("keepalive", "5")))
    assert rule.ok is False
    (rule,) = judged("keep-alive", proxy, threads + rows("gunicorn", ("keepalive", "75")))
    assert rule.ok is True
    assert not judged("keep-alive", proxy, rows("gunicorn", ("keepalive", "5")))  # sync workers keep none
    assert not judged("keep-alive", rows("nginx", ("proxy_read_timeout", "5s")), threads)  # nor does this proxy


def test_the_pool_retires_connections_before_the_database_does() -> None:
    app = rows("hikari", ("maximum-pool-size", "10"))
    (rule,) = judged("pool lifetime", app, rows("mysql", ("wait_timeout", "600")))
    assert rule.ok is False and "1800 s (default) ≥ wait_timeout 600 s" in rule.arithmetic
    for healthy in (rows("mysql", ("wait_timeout", "28800")), rows("postgresql", ("idle_session_timeout", "0"))):
        (rule,) = judged("pool lifetime", app, healthy)
        assert rule.ok is True
    assert not judged("pool lifetime", app, rows("postgresql", ("max_connections", "10")))


@pytest.mark.parametrize(("workers", "cores", "ok"), [("4", "1", True), ("5", "1", False), ("2", "500m", True), ("9", "4", True), ("16", "500m", False)])
def test_workers_against_the_quota(workers: str, cores: str, ok: bool) -> None:
    (rule,) = judged("workers against quota", rows("kubernetes", ("limits.cpu", cores)), rows("gunicorn", ("workers", workers)))
    assert rule.ok is ok


def test_threads_against_quota_and_pool() -> None:
    (rule,) = judged("threads against quota", rows("kubernetes", ("limits.cpu", "1500m")), rows("environment", ("GOMAXPROCS", "8")))
    assert rule.ok is False
    (rule,) = judged("threads against quota", rows("kubernetes", ("limits.cpu", "1500m")), rows("environment", ("GOMAXPROCS", "2")))
    assert rule.ok is True
    (rule,) = judged("threads against pool", rows("spring", ("server.tomcat.threads.max", "200")), rows("hikari", ("maximum-pool-size", "10")))
    assert rule.ok is False and "190 of them wait" in rule.arithmetic


def test_connections_of_the_proxy() -> None:
    proxy = rows("nginx", ("worker_processes", "1"), ("worker_connections", "64"), ("worker_rlimit_nofile", "32")) + rows("nginx", ("server", "a:80"), ("server", "b:80"), scope="upstream shop")
    (rule,) = judged("files of the proxy", proxy)
    assert rule.ok is False
    (rule,) = judged("proxy capacity", proxy, rows("gunicorn", ("workers", "4"), ("threads", "8")))
    assert rule.ok is False and rule.arithmetic == "2 replicas × 4 workers × 8 threads = 64 > 1 × 64 / 2 = 32"
    automatic = [row | ({"number": None, "value": "auto"} if row["name"] == "worker_processes" else {}) for row in proxy]
    (rule,) = judged("proxy capacity", automatic, rows("gunicorn", ("workers", "4"), ("threads", "8")))
    assert rule.ok is None and rule.missing == ("worker_processes is “auto”",)


def test_the_order_of_files_does_not_matter_and_nothing_gives_nothing() -> None:
    every = DATABASE + SHOP + NGINX + rows("gunicorn", ("timeout", "30"))
    assert configuration.judge(every) == configuration.judge(every[::-1])
    assert configuration.judge([]) == [] and configuration.judge(DATABASE) == []


def test_the_result_has_the_rules_and_every_renderer_shows_them_safely() -> None:
    hostile = "<script>alert(1)</script>\x1b[31m|`*"
    shop = [row | {"service": hostile} for row in SHOP]
    result = testing.audit(settings=DATABASE + shop)
    schema.validate(result)
    assert [rule["name"] for rule in result["configuration"]] == ["pool capacity"] and result["configuration"][0]["holds"] is False
    assert json.dumps(result) == json.dumps(testing.audit(settings=DATABASE + shop))
    shown = page.page(result)
    assert shown is not None and shown.tone == "bad" and "= 160 > max_connections 100 − 3 reserved" in shown.answer
    for name, renderer in renderers.discover().items():
        said = renderer.render(result)
        part = said.partition("## Configuration")[2] if name == "markdown" else said
        assert "<script>alert" not in part or name in ("json", "terminal"), name
        assert "\x1b[31m|" not in said


def test_without_settings_there_is_no_key_and_no_page() -> None:
    requests = [{"time": 1_795_420_800_000_000 + i * 200_000, "route": "/", "method": "GET", "status": 200, "duration_us": 9_000 + i} for i in range(50)]
    result = testing.audit(requests=requests)
    assert "configuration" not in result and page.page(result) is None
    assert page.page({"configuration": []}) is None
    both = testing.audit(requests=requests, settings=DATABASE, baseline={"settings": SHOP, "requests": [row | {"time": row["time"] - 10**9} for row in requests]})
    assert both["configuration"] == []  # the baseline's settings are not this system's


def test_a_page_where_all_holds_and_one_where_values_lack() -> None:
    good = [rule.to_json() for rule in configuration.judge(NGINX + rows("gunicorn", ("timeout", "5")))]
    shown = page.page({"configuration": good})
    assert shown is not None and shown.tone == "good" and shown.answer.startswith("No rule is broken: 1 of 1 hold")
    unknown = [rule.to_json() for rule in configuration.judge(rows("environment", ("DB_POOL_SIZE", "5")))]
    shown = page.page({"configuration": unknown})
    assert shown is not None and shown.tone == "open" and any(table.title == "What is not known" for table in shown.tables)
