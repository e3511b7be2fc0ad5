"""Row and table locks: the problem, its look-alikes, and health."""

import pytest

from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, audit, examine
from tests.traffic import START, requests, waits

SLOW = {"slower": {"/orders": 500}, "since": 50}


def incident(seed=0, **more):
    traffic = requests(seed=seed, **SLOW)
    return {"requests": traffic, "sessions": waits(traffic, "/orders", 200_000, **more)}


@pytest.mark.parametrize("seed", range(3))
def test_transactions_that_queue_for_a_row(seed):
    finding = assert_problem("row-lock-contention", **incident(seed))
    assert finding.scope["route"] == "/orders"
    assert finding.scope["object"] == "stock"
    assert finding.scope["statement"].startswith("update stock")
    assert finding.share.interval[0] < finding.share.value < finding.share.interval[1]
    assert finding.explains > 0.5
    assert "idles between statements" in finding.cause
    assert {t.problem for t in finding.rejected if t.passed} >= {"table-lock", "traffic-surge"}


def test_the_verdict_names_it_with_its_window():
    result = audit(**incident())
    verdict = result["verdict"]
    assert (verdict["status"], verdict["problem"]) == ("constraint", "row-lock-contention")
    assert verdict["confidence"] > 0.8
    assert verdict["since"]["interval"][0] < verdict["since"]["interval"][1]
    assert verdict["predicted"]["duration_ms"]["p95"]["value"] < 200
    assert sum(c["share"]["value"] for c in result["time_account"]) == pytest.approx(1)


def test_a_relation_is_a_table_lock_and_not_a_row():
    given = incident(event="relation", statement="select * from stock where id=$1")
    finding = assert_problem("table-lock", **given)
    assert finding.scope["object"] == "stock"
    assert_clear("row-lock-contention", **given)


def test_row_waits_behind_a_table_lock_are_its_consequence():
    traffic = requests(**SLOW)
    given = waits(traffic, "/orders", 200_000, event="relation")
    rows = [i for i, w in enumerate(given["wait_type"]) if w == "Lock"]
    by_time = {}
    for i in rows:
        by_time.setdefault(given["time"][i], []).append(i)
    for same in by_time.values():
        for i in same[1:]:  # behind the first one, which waits for the relation, others wait for its row
            given["wait_event"][i] = "transactionid"
            given["blocked_by"][i] = [given["pid"][same[0]]]
    assert_problem("table-lock", requests=traffic, sessions=given)
    assert "behind a session that waits for a table lock" in assert_clear("row-lock-contention", requests=traffic, sessions=given).reason


def test_waits_of_a_batch_job_are_nobodys_time():
    traffic = requests(**SLOW)
    outcome = examine("row-lock-contention", requests=traffic, sessions=waits(traffic, "/orders", 10**9, background=True))
    assert outcome.status == "clear"


def test_short_waits_below_one_percent_are_no_finding():
    traffic = requests(120, 100)
    given = waits(traffic, "/orders", 10**9)
    i = given["state"].index("idle", 100)
    given["wait_type"][i], given["wait_event"][i], given["state"][i] = "Lock", "tuple", "active"
    assert "under 1%" in assert_clear("row-lock-contention", requests=traffic, sessions=given).reason


def test_waiting_that_was_always_there_is_not_what_changed():
    traffic = requests(slower={"/orders": 500}, since=0)
    for i, t in enumerate(traffic["time"]):
        if t >= START + 60_000_000 and traffic["route"][i] == "/":
            traffic["duration_us"][i] += 400_000
    outcome = examine("row-lock-contention", requests=traffic, sessions=waits(traffic, "/orders", 200_000))
    assert outcome.status == "clear"
    assert "not what changed" in outcome.reason


def test_a_slow_query_without_waiters_is_clear():
    traffic = requests(**SLOW)
    given = waits(traffic, "/orders", 200_000)
    given["wait_type"] = [None if w == "Lock" else w for w in given["wait_type"]]
    given["wait_event"] = [None if w is None else e for w, e in zip(given["wait_type"], given["wait_event"], strict=True)]
    assert_clear("row-lock-contention", requests=traffic, sessions=given)
    assert audit(requests=traffic, sessions=given)["verdict"]["status"] == "insufficient-evidence"


def test_the_database_log_alone_suffices():
    traffic = requests(**SLOW)
    slow = [(t, d) for t, d, r in zip(traffic["time"], traffic["duration_us"], traffic["route"], strict=True) if r == "/orders" and d > 300_000]
    log = {
        "time": [t + 2000 for t, _ in slow], "duration_us": [d - 20_000 for _, d in slow], "kind": "lock-wait", "acquired": True, "pid": [100 + i for i in range(len(slow))],
        "lock_mode": "ShareLock", "lock_target": "transaction", "object": "stock", "holders": [[7]] * len(slow), "statement": "update stock set n=n-$1", "service": "postgresql",
    }  # fmt: skip
    finding = assert_problem("row-lock-contention", requests=traffic, lock_events=log)
    assert finding.scope["route"] == "/orders"
    assert "lower bound" in finding.share.method


def test_without_requests_nobody_knows_whether_users_waited():
    sessions = incident()["sessions"]
    assert "no requests" in assert_no_evidence("row-lock-contention", sessions=sessions).reason


@pytest.mark.parametrize("name", ["row-lock-contention", "table-lock"])
def test_no_waits_and_no_evidence(name):
    traffic = requests()
    assert_clear(name, requests=traffic, sessions=waits(traffic, "/orders", 10**9))
    outcome = assert_no_evidence(name, requests=traffic)
    assert "pg_blocking_pids" in outcome.wanted[0].collect


def test_a_log_in_another_time_zone_is_no_evidence_of_absence():
    traffic = requests(**SLOW)
    log = {"time": [START + 7_200_000_000 + i * 1_000_000 for i in range(60)], "duration_us": 500_000, "kind": "lock-wait", "lock_target": "transaction", "service": "postgresql"}
    outcome = examine("row-lock-contention", requests=traffic, lock_events=log)
    assert outcome.status == "no-evidence"
    assert "time zone" in outcome.reason
