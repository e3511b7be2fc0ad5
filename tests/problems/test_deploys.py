"""Deploy regression: a change that a deploy brought, and deploys that brought nothing."""

from perfaudit.testing import assert_clear, assert_problem, audit, examine
from tests.paths.test_tracing import HALF, shop
from tests.paths.test_tracing import START as FIRST
from tests.traffic import START, requests


def deploy(second, **more):
    return [{"time": START + int(second * 1e6), "kind": "deploy", "service": "shop", "version": "1.4.2"} | more]


def test_slower_since_a_deploy():
    finding = assert_problem("deploy-regression", requests=requests(slower={"/orders": 200}, since=60), events=deploy(60))
    assert finding.scope["route"] == "/orders"
    assert finding.cause == "deploy of shop 1.4.2"


def test_the_trigger_of_the_verdict():
    verdict = audit(requests=requests(slower={"/orders": 200}, since=60), events=deploy(59))["verdict"]
    assert verdict["problem"] == "deploy-regression"
    assert (verdict["trigger"]["kind"], verdict["trigger"]["version"]) == ("deploy", "1.4.2")


def test_failing_since_a_deploy():
    given = {"requests": requests(errors={"/orders": 0.4}, since=60), "events": deploy(60)}
    finding = assert_problem("deploy-regression", **given)
    assert "failed" in finding.share.unit
    predicted = audit(**given)["verdict"]["predicted"]
    assert predicted["error_ratio"]["value"] < 0.01


def test_a_deploy_that_changed_nothing():
    assert_clear("deploy-regression", requests=requests(), events=deploy(60))
    assert audit(requests=requests(), events=deploy(60))["verdict"]["status"] == "healthy"


def test_a_deploy_long_before_it_began():
    given = {"requests": requests(slower={"/orders": 200}, since=80), "events": deploy(20)}
    assert "no deploy lies in the interval" in assert_clear("deploy-regression", **given).reason
    assert audit(**given)["verdict"]["status"] == "insufficient-evidence"


def test_a_commit_counts_only_where_no_deploy_is_recorded():
    given = requests(slower={"/orders": 200}, since=60)
    commit = {"time": START + 59_000_000, "kind": "commit", "commit": "ab12cd34ef567890"}
    finding = assert_problem("deploy-regression", requests=given, events=[commit])
    assert finding.cause == "commit ab12cd34ef56"
    both = assert_problem("deploy-regression", requests=given, events=[commit, *deploy(60)])
    assert both.cause == "deploy of shop 1.4.2"


def test_between_a_baseline_and_the_recording():
    slow = requests(60, seed=1, slower={"/orders": 200}, start=START + 200_000_000)
    finding = assert_problem("deploy-regression", requests=slow, events=deploy(150), baseline={"requests": requests(60)})
    assert next(t for t in finding.tests if "inside the recording" in t.test).passed is None


def test_time_that_was_added_in_another_service_is_not_the_deploys_own_mechanism():
    given = shop(slow_tax=6.0, sampled=1)
    deploy = {"time": [FIRST + HALF * 1_000_000], "kind": "deploy", "service": "api", "version": "7"}
    outcome = examine("deploy-regression", since=FIRST + HALF * 1_000_000, events=deploy, **given)
    assert outcome.status == "symptom"
    assert "downstream: tax" in outcome.reason
    test = next(t for t in outcome.findings[0].rejected if t.problem == "cascading-delay")
    assert test.passed is False


def test_time_that_was_added_in_the_service_itself_rules_its_dependencies_out():
    given = shop(sampled=1)
    for row in given["requests"]:
        if row["time"] >= FIRST + HALF * 1_000_000:
            row["duration_us"], row["upstream_us"] = row["duration_us"] + 40_000, row["upstream_us"] + 40_000
    for span in given["spans"]:
        if span["time"] >= FIRST + HALF * 1_000_000 and span["span_id"] == "a":
            span["duration_us"] += 40_000
    deploy = {"time": [FIRST + HALF * 1_000_000], "kind": "deploy", "service": "api", "version": "7"}
    finding = assert_problem("deploy-regression", since=FIRST + HALF * 1_000_000, events=deploy, **given)
    assert next(t for t in finding.rejected if "own" in t.test).passed
