"""One call a row, and thirty-odd systems that are labelled by hand: those that do it, and those that only look so."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest

from perfaudit.model import Status
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, examine
from tests.calls import Node, Rng, about, call, recorded, served
from tests.traffic import START

CHECK = "n-plus-one"
BY_KEY = "SELECT name, price FROM products WHERE id = $1"
LIST = "SELECT product_id FROM order_lines WHERE order_id = $1"
INSERT = "INSERT INTO lines (order_id, product_id) VALUES ($1, $2)"


def sql(rng: Rng, text: str, rows: int | None = None, ms: float = 2.0, service: str = "shop", **extra: Any) -> Node:
    named = {"system": "postgresql", "peer": "postgresql/stock", "statement": text, "fingerprint": f"{zlib.crc32(text.encode()):08x}"}
    return Node(service, text.split()[0], about(rng, ms), kind="client", extra=named | ({} if rows is None else {"rows": rows}) | extra)


def some(rng: Rng, low: int = 3, high: int = 30) -> int:
    return int(rng.integers(low, high))


def page(*below: Node, own: float = 3.0) -> Node:
    return served("shop", "GET /orders/{id}", own, *below)


def loop(rng: Rng, n: int, text: str = BY_KEY, **extra: Any) -> list[Node]:
    return [sql(rng, text, **extra) for _ in range(n)]


def listed(rng: Rng, n: int, *calls: Node) -> Node:
    return page(sql(rng, LIST, n), *calls)


# ------------------------------------------------------------------ one call a row


def classic(late: bool, rng: Rng) -> Node:
    return listed(rng, n := some(rng), *loop(rng, n, rows=1))


def behind_framework(late: bool, rng: Rng) -> Node:
    n = some(rng)
    return page(sql(rng, LIST, n), Node("shop", "render", 1.0, [Node("shop", "repository.find", 0.1, [sql(rng, BY_KEY, 1)]) for _ in range(n)]))


def behind_gateway(late: bool, rng: Rng) -> Node:
    return served("edge", "GET /orders/{id}", 0.5, call("edge", "GET", classic(late, rng), peer="10.0.0.3:80"))


def by_service(late: bool, rng: Rng) -> Node:
    n = some(rng)
    return listed(rng, n, *(call("shop", "GET", served("prices", "GET /prices/{id}", about(rng, 3)), own=0.3, route="/prices/{id}", peer="10.0.0.4:80") for _ in range(n)))


def by_service_with_other_clock(late: bool, rng: Rng) -> Node:
    root = by_service(late, rng)
    for node in root.below[1:]:
        node.skew = 40.0
    return root


def by_cache(late: bool, rng: Rng) -> Node:
    n = some(rng)
    gets = [Node("shop", "GET", about(rng, 1.0), kind="client", extra={"system": "redis", "peer": "redis", "statement": "GET"}) for _ in range(n)]
    return listed(rng, n, *gets)


def lazy_collections(late: bool, rng: Rng) -> Node:
    n = some(rng)
    return listed(rng, n, *(sql(rng, "SELECT tag FROM tags WHERE product_id = $1", some(rng, 0, 7)) for _ in range(n)))


def some_known_already(late: bool, rng: Rng) -> Node:
    n = some(rng)
    return listed(rng, n, *loop(rng, int(rng.binomial(n, 0.8)), rows=1))


def two_statements(late: bool, rng: Rng) -> Node:
    n = some(rng)
    return listed(rng, n, *(x for _ in range(n) for x in (sql(rng, BY_KEY, 1), sql(rng, "SELECT count(*) FROM stock WHERE product_id = $1", 1))))


def without_kinds(late: bool, rng: Rng) -> Node:
    root = classic(late, rng)
    for node in (root, *root.below):
        node.kind = None
    return root


def one_more_always(late: bool, rng: Rng) -> Node:
    return listed(rng, n := some(rng), *loop(rng, n + 2, rows=1))


def with_attempts(late: bool, rng: Rng) -> Node:
    n = some(rng)
    return listed(rng, n, *(x for _ in range(n) for x in ([sql(rng, BY_KEY, status="error")] if rng.random() < 0.1 else []) + [sql(rng, BY_KEY, 1)]))


def kept_for_being_slow(late: bool, rng: Rng) -> Node:
    root = listed(rng, n := some(rng, 10), *loop(rng, n, rows=1))
    root.extra["sampler"] = "tail"
    return root


def limited_page(late: bool, rng: Rng) -> Node:
    return page(sql(rng, "SELECT id FROM products ORDER BY name LIMIT $1", 20), *loop(rng, 20, rows=1))


def filled_up_to_a_page(late: bool, rng: Rng) -> Node:
    n = min(20, some(rng, 3, 40))
    return page(sql(rng, "SELECT id FROM products WHERE shop = $1 LIMIT $2", n), *loop(rng, n, rows=1))


def with_a_release(late: bool, rng: Rng) -> Node:
    n = some(rng)
    return listed(rng, n, *(loop(rng, n, rows=1) if late else [sql(rng, "SELECT name, price FROM products WHERE id = ANY($1)", n)]))


def rows_not_told(late: bool, rng: Rng) -> Node:
    return page(sql(rng, LIST), *loop(rng, some(rng) if late else 1))


def rows_never_told(late: bool, rng: Rng) -> Node:
    return page(sql(rng, LIST), *loop(rng, some(rng, 5, 40)))


def second_hop(late: bool, rng: Rng) -> Node:
    return served("web-api", "GET /orders/{id}", 1.0, call("web-api", "GET", classic(late, rng), peer="shop:80"))


REAL = [classic, behind_framework, behind_gateway, by_service, by_service_with_other_clock, by_cache, lazy_collections, some_known_already, two_statements, without_kinds]
REAL += [one_more_always, with_attempts, kept_for_being_slow, limited_page, filled_up_to_a_page, with_a_release, rows_not_told, rows_never_told, second_hop]


# ------------------------------------------------------------------ what looks like it


def fixed_loop(late: bool, rng: Rng) -> Node:
    return listed(rng, some(rng), *loop(rng, 12, rows=1))


def fixed_loop_without_rows(late: bool, rng: Rng) -> Node:
    return page(*loop(rng, 12))


def new_fixed_loop(late: bool, rng: Rng) -> Node:
    return page(sql(rng, LIST), *loop(rng, 14 if late else 1))


def batches(late: bool, rng: Rng) -> Node:
    n = some(rng, 10, 200)
    return listed(rng, n, *(sql(rng, "SELECT name FROM products WHERE id = ANY($1)", min(10, n - i)) for i in range(0, n, 10)))


def batches_without_rows(late: bool, rng: Rng) -> Node:
    return page(sql(rng, LIST), *loop(rng, some(rng, 4, 30) if late else 1, "SELECT name FROM products WHERE id IN ($1)"))


def pages_by_offset(late: bool, rng: Rng) -> Node:
    return page(*loop(rng, some(rng), "SELECT id, name FROM products ORDER BY id LIMIT $1 OFFSET $2"))


def pages_by_key(late: bool, rng: Rng) -> Node:
    return page(*loop(rng, some(rng), "SELECT id, name FROM products WHERE id > $1 ORDER BY id LIMIT $2"))


def pages_of_fifty(late: bool, rng: Rng) -> Node:
    n = some(rng, 200, 2000)
    return page(sql(rng, "SELECT id FROM wanted WHERE shop = $1", n), *(sql(rng, "SELECT name FROM products WHERE page = $1", min(50, n - i)) for i in range(0, n, 50)))


def pages_told_by_their_rows(late: bool, rng: Rng) -> Node:
    n = some(rng, 200, 2000)
    return page(*(sql(rng, "EXEC next_part $1", min(50, n - i)) for i in range(0, n, 50)))


def shards_at_once(late: bool, rng: Rng) -> Node:
    n = some(rng)
    root = listed(rng, n, *loop(rng, n, rows=1))
    for node in root.below[2:]:
        node.beside = True
    return root


def tenants_in_turn(late: bool, rng: Rng) -> Node:
    return page(sql(rng, "SELECT id FROM tenants", 9), *loop(rng, 9, "SELECT sum(total) FROM bills WHERE tenant = $1", rows=1))


def attempts_only(late: bool, rng: Rng) -> Node:
    failed = [sql(rng, BY_KEY, status="error") for _ in range(some(rng, 0, 9))]
    return page(sql(rng, LIST, 5), *failed, sql(rng, BY_KEY, 1))


def same_question_again(late: bool, rng: Rng) -> Node:
    return listed(rng, some(rng, 3, 30), *loop(rng, some(rng, 5, 9), "SELECT value FROM settings WHERE key = $1", rows=1))


def timer_asks(late: bool, rng: Rng) -> Node:
    asks = [Node("shop", "poll", 0.2, [Node("shop", "sleep", 50.0), call("shop", "GET", None, own=about(rng, 2), route="/jobs/{id}", peer="jobs:80")]) for _ in range(some(rng, 8, 30))]
    return page(*asks)


def lines_written(late: bool, rng: Rng) -> Node:
    n = some(rng, 2, 9)
    return page(sql(rng, LIST, n), *loop(rng, n, INSERT, rows=1))


def more_writes(late: bool, rng: Rng) -> Node:
    return page(*loop(rng, some(rng, 4, 12) if late else 1, "UPDATE stock SET n = n - $1 WHERE id = $2"))


def called_once(late: bool, rng: Rng) -> Node:
    return page(sql(rng, LIST, some(rng)), sql(rng, BY_KEY, 1))


def hardly_any_time(late: bool, rng: Rng) -> Node:
    n = some(rng, 2, 6)
    return page(sql(rng, LIST, n, ms=2.0), *loop(rng, n, rows=1, ms=0.1), own=200.0)


def as_before(late: bool, rng: Rng) -> Node:
    root = classic(late, rng)
    root.own += 150.0 if late else 0.0
    return root


def few_and_rows_not_told(late: bool, rng: Rng) -> Node:
    return page(sql(rng, LIST), *loop(rng, some(rng, 2, 5)))


def as_often_as_before(late: bool, rng: Rng) -> Node:
    root = page(sql(rng, LIST), *loop(rng, some(rng)))
    root.own += 150.0 if late else 0.0
    return root


ALIKE = [fixed_loop, fixed_loop_without_rows, new_fixed_loop, batches, batches_without_rows, pages_by_offset, pages_by_key, pages_of_fifty, pages_told_by_their_rows, shards_at_once]
ALIKE += [tenants_in_turn, attempts_only, same_question_again, timer_asks, lines_written, more_writes, called_once, hardly_any_time, as_before, few_and_rows_not_told, as_often_as_before]


def traced(plan: Callable[[bool, Rng], Node], seed: int = 1, sampled: float = 1.0) -> dict[str, Any]:
    return recorded(plan, seconds=40, since=20, rate=4, seed=seed, sampled=sampled)


@pytest.mark.parametrize("plan", REAL, ids=lambda plan: plan.__name__)
def test_a_call_a_row(plan: Callable[[bool, Rng], Node]) -> None:
    found = assert_problem(CHECK, **traced(plan))
    assert "/orders/{id}" in found.scope["route"] and found.share.value and found.share.value > 0.1
    known = plan not in (rows_not_told, rows_never_told, limited_page)
    assert (found.tests[0].passed is True) == known
    assert ("candidate" in found.title) != known
    assert found.tests[2].passed


@pytest.mark.parametrize("plan", ALIKE, ids=lambda plan: plan.__name__)
def test_what_looks_like_it(plan: Callable[[bool, Rng], Node]) -> None:
    assert examine(CHECK, **traced(plan)).status is Status.CLEAR


def test_whom_and_what_it_names() -> None:
    found = assert_problem(CHECK, **traced(with_a_release))
    assert found.scope == {"service": ["shop", "stock"], "route": "/orders/{id}", "statement": BY_KEY}
    assert found.explains is not None and found.explains > 0.6 and "database: executing and waiting" in found.components
    assert all(test.passed for test in found.tests)
    assert assert_problem(CHECK, **traced(by_service)).scope["service"] == ["shop", "prices"]


def test_a_few_traces_of_many_requests_are_enough() -> None:
    traffic = recorded(with_a_release, seconds=60, since=30, rate=12, seed=3, sampled=0.05)
    assert len({row["trace_id"] for row in traffic["spans"]}) < 50
    assert_problem(CHECK, **traffic)


def test_too_little() -> None:
    assert_no_evidence(CHECK, requests=traced(classic)["requests"])
    one = traced(classic)
    first = one["spans"][0]["trace_id"]
    assert_clear(CHECK, requests=one["requests"], spans=[row for row in one["spans"] if row["trace_id"] == first])


def counted(many: bool, rows_of_list: int = 20) -> dict[str, Any]:
    """An access log and counters every five seconds: a listing for each request of one route, and a statement by key for each of its rows, or one for all."""
    traffic = recorded(lambda late, rng: served("shop", "GET /orders/{id}", about(rng, 60 if late else 10)) if rng.random() < 0.5 else served("shop", "GET /", 5.0), seconds=120, since=60, rate=8)
    rows = []
    calls = {LIST: 0, BY_KEY: 0}
    given = {LIST: 0, BY_KEY: 0}
    for second in range(0, 120, 5):
        for text, fingerprint in ((LIST, "a"), (BY_KEY, "b")):
            rows.append({"time": START + second * 1_000_000, "fingerprint": fingerprint, "statement": text, "calls": calls[text], "rows": given[text], "duration_us": calls[text] * 2000})
        asked = sum(START + second * 1_000_000 <= r["time"] < START + (second + 5) * 1_000_000 and r["route"] == "/orders/{id}" for r in traffic["requests"])
        repeats = 20 if second >= 60 and many else 1
        for text, times, each in ((LIST, 1, rows_of_list), (BY_KEY, repeats, 1)):
            calls[text] += asked * times
            given[text] += asked * times * each
    return {"requests": traffic["requests"], "statements": rows}


def test_counters_alone_give_a_candidate() -> None:
    found = assert_problem(CHECK, **counted(many=True))
    assert found.scope["statement"] == BY_KEY and found.scope["route"] == "/orders/{id}" and "candidate" in found.title
    assert 15 < float(found.evidence[0].measurement.value or 0) < 25
    assert_no_evidence(CHECK, **counted(many=False))
    assert_no_evidence(CHECK, **counted(many=True, rows_of_list=3))
