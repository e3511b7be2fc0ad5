"""OpenSLO v1: what is right becomes objectives, what is wrong is told with its line, what is not evaluated is told too."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfaudit.errors import ConfigError, UsageError
from perfaudit.slo import openslo, rules
from perfaudit.slo.judge import judge
from perfaudit.slo.model import PERIOD, duration, of_objective, period, shorthand

SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: shop
spec:
  service: web
  indicatorRef: failures
  timeWindow:
    - duration: 28d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.999
"""
SLI = """\
---
apiVersion: openslo/v1
kind: SLI
metadata:
  name: failures
spec:
  ratioMetric:
    counter: true
    bad:
      metricSource:
        metricSourceRef: prom
        spec:
          query: http_requests_total{code=~"5.."}
    total:
      metricSource:
        type: Prometheus
        spec:
          query: http_requests_total
---
apiVersion: openslo/v1
kind: DataSource
metadata:
  name: prom
spec:
  type: Prometheus
"""
INLINE = SLO.replace(
    "  indicatorRef: failures\n",
    """  indicator:
    metadata:
      name: load
    spec:
      thresholdMetric:
        metricSource:
          type: Prometheus
          spec:
            query: queue_length
""",
).replace("    - target: 0.999", "    - op: lte\n      value: 100\n      target: 0.99")


@pytest.fixture
def load(tmp_path: Path):  # type: ignore[no-untyped-def]
    def definitions(text: str | bytes) -> openslo.Definitions:
        path = tmp_path / "slo.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return openslo.load([str(path)])

    return definitions


def test_a_ratio_by_reference(load) -> None:  # type: ignore[no-untyped-def]
    (slo,) = load(SLO + SLI).slos
    assert (slo.name, slo.service, slo.target, slo.period_s, slo.method) == ("shop", "web", 0.999, 28 * 86400, "occurrences")
    assert slo.indicator.kind == "ratio" and slo.indicator.good is None
    assert slo.indicator.bad is not None and slo.indicator.bad.system == "prometheus" and slo.indicator.bad.text.startswith("http_requests_total{")
    assert slo.origin.endswith("slo.yaml:13")


def test_a_threshold_inline(load) -> None:  # type: ignore[no-untyped-def]
    (slo,) = load(INLINE).slos
    assert (slo.indicator.kind, slo.indicator.op, slo.indicator.bound) == ("threshold", "lte", 100)


def test_several_objectives_have_names(load) -> None:  # type: ignore[no-untyped-def]
    slos = load(SLO.replace("    - target: 0.999", "    - target: 0.999\n    - displayName: contract\n      targetPercent: 99") + SLI).slos
    assert [(s.name, s.target) for s in slos] == [("shop/1", 0.999), ("shop/contract", 0.99)]


def test_time_slices(load) -> None:  # type: ignore[no-untyped-def]
    text = SLO.replace("Occurrences", "Timeslices").replace("    - target: 0.999", "    - target: 0.99\n      timeSliceTarget: 0.95\n      timeSliceWindow: 5m")
    (slo,) = load(text + SLI).slos
    assert (slo.method, slo.slice_s, slo.slice_target) == ("timeslices", 300, 0.95)
    (slo,) = load(text.replace("Window: 5m", "Window: 5") + SLI).slos
    assert slo.slice_s == 300, "a number is minutes"
    (slo,) = load(SLO.replace("Occurrences", "RatioTimeslices") + SLI).slos
    assert (slo.method, slo.slice_s) == ("ratio-timeslices", 60)


def test_a_calendar_period_is_said(load) -> None:  # type: ignore[no-untyped-def]
    text = SLO.replace("28d\n      isRolling: true", "1M\n      calendar:\n        startTime: 2026-01-01 00:00:00\n        timeZone: Europe/Berlin")
    (slo,) = load(text + SLI).slos
    assert slo.period_s == 30 * 86400 and "Europe/Berlin" in slo.calendar and any("calendar" in n for n in slo.notes)


def test_alert_policies_inline_and_by_reference(load) -> None:  # type: ignore[no-untyped-def]
    condition = "metadata: {name: fast}\n    spec: {severity: page, condition: {kind: burnrate, threshold: 14.4, lookbackWindow: 1h, alertAfter: 2m}}"
    inline = f"  alertPolicies:\n  - kind: AlertPolicy\n    metadata: {{name: p}}\n    spec:\n      alertWhenBreaching: true\n      conditions:\n      - kind: AlertCondition\n        {condition.replace(chr(10), chr(10) + '    ')}\n"
    referred = "  alertPolicies:\n  - alertPolicyRef: p\n"
    policy = "---\napiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {name: p}\nspec: {alertWhenBreaching: true, conditions: [{conditionRef: fast}]}\n"
    rule = "---\napiVersion: openslo/v1\nkind: AlertCondition\nmetadata: {name: fast}\nspec: {severity: page, condition: {kind: burnrate, threshold: 14.4, lookbackWindow: 1h, alertAfter: 2m}}\n"
    for text in (SLO + inline + SLI, SLO + referred + SLI + policy + rule):
        (alert,) = load(text).slos[0].alerts
        assert (alert.severity, alert.factor, alert.lookback_s, alert.after_s) == ("page", 14.4, 3600, 120)
    silent = load(SLO + referred + SLI + policy.replace("true", "false") + rule).slos[0]
    assert silent.alerts == () and any("does not alert" in n for n in silent.notes)


def test_what_is_not_used_is_said(load) -> None:  # type: ignore[no-untyped-def]
    text = SLO.replace("  budgetingMethod: Occurrences\n", "").replace("  timeWindow:\n    - duration: 28d\n      isRolling: true\n", "")
    found = load(text + SLI + "---\napiVersion: v1\nkind: ConfigMap\n---\napiVersion: openslo/v1\nkind: Dashboard\nmetadata: {name: d}\n---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: idle}\nspec: {}\n")
    said = "\n".join([*found.notes, *found.slos[0].notes])
    for word in ("ConfigMap", "Dashboard", "Service idle", "Occurrences is assumed", "30 days"):
        assert word in said
    assert found.slos[0].period_s == PERIOD


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("target: 0.999", "target: 99.9", 13, "targetPercent: 99.9"),
        ("target: 0.999", "targetPercent: 0.999", 13, "target: 0.999"),
        ("target: 0.999", "target: 1", 13, "leaves no budget"),
        ("target: 0.999", "targetPercent: 100", 13, "leaves no budget"),
        ("target: 0.999", "target: 0", 13, "promises nothing"),
        ("target: 0.999", "target: .nan", 13, "must be a number"),
        ("target: 0.999", "target: -0.5", 13, "is no share"),
        ("target: 0.999", "target: true", 13, "must be a number"),
        ("target: 0.999", 'target: "0.999"', 13, "must be a number"),
        ("target: 0.999", "target: 0.999\n      targetPercent: 99.9", 13, "needs one of target"),
        ("target: 0.999", "displayName: x", 13, "needs one of target"),
        ("    - target: 0.999\n", "", 12, "objectives"),
        ("indicatorRef: failures", "indicatorRef: nothing", 7, "there is no SLI nothing"),
        ("  indicatorRef: failures\n", "", 6, "indicator"),
        ("duration: 28d", "duration: a month", 9, "no duration"),
        ("duration: 28d", "duration: 0d", 9, "no duration"),
        ("Occurrences", "Guess", 11, "budgetingMethod Guess"),
        ("Occurrences", "Timeslices", 13, "timeSliceWindow"),
        ("openslo/v1\nkind: SLO", "openslo/v1alpha\nkind: SLO", 1, "openslo/v1alpha is not read"),
        ("  name: shop", "  name: !!python/object/apply:os.system [id]", 4, "no YAML that can be used"),
        ("  name: shop", "  name: [shop", 5, "no YAML that can be used"),
        ("  name: shop", "  name: shop\n  name: again", 5, "stands twice"),
        ("  name: shop", '  name: "a\\u001b[31m"', 4, "control characters"),
        ("service: web", "service: &a [*a]", 6, "refers to what holds it"),
        ("service: web", "? [a]\n  : b", 6, "a key is not a plain text"),
        ("    - duration: 28d\n      isRolling: true", "    duration: 28d", 9, "must be a list"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(load, old: str, new: str, line: int, words: str) -> None:  # type: ignore[no-untyped-def]
    assert old in SLO
    with pytest.raises(ConfigError) as caught:
        load(SLO.replace(old, new) + SLI)
    said = str(caught.value)
    assert words in said, said
    assert f"slo.yaml:{line}\n" in f"{said}\n", said
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("wrong", "words"), [("target: 0.0", "promises nothing"), ("target: 0.9\n      indicatorRef: nothing", "there is no SLI nothing")])
def test_a_wrong_objective_does_not_stop_those_beside_it(load, wrong: str, words: str) -> None:  # type: ignore[no-untyped-def]
    found = load(SLO.replace("    - target: 0.999", f"    - displayName: a\n      {wrong}\n    - displayName: b\n      target: 0.99") + SLI)
    assert [(slo.name, slo.target) for slo in found.slos] == [("shop/b", 0.99)]
    (note,) = found.notes
    assert words in note and "left out" in note and ("slo.yaml:14" in note or "slo.yaml:15" in note)


def test_an_objective_has_an_indicator_of_its_own(load) -> None:  # type: ignore[no-untyped-def]
    (slo,) = load(SLO.replace("  indicatorRef: failures\n", "").replace("target: 0.999", "target: 0.999\n      indicatorRef: failures") + SLI).slos
    assert slo.indicator.bad is not None and slo.not_evaluated == ""


def test_a_composite_objective_is_listed_and_not_evaluated(load) -> None:  # type: ignore[no-untyped-def]
    (slo,) = load(SLO.replace("  indicatorRef: failures\n", "").replace("target: 0.999", "target: 0.999\n      compositeWeight: 1\n      indicatorRef: failures") + SLI).slos
    row = judge(slo, None)
    assert row["state"] == "unknown" and row["reason"].startswith("not evaluated: it is a part of a composite objective")
    with pytest.raises(UsageError, match="composite"):
        rules.build([(slo, row)], rules.METRICS)


def test_names_are_given_once(load) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="SLO shop is defined twice"):
        load(SLO + "---\n" + SLO + SLI)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe\x00\x01\x02",
        b"",
        b"just a text",
        b"- 1\n- 2\n",
        b"[" * 5000,
        b"{a: " * 3000,
        b"\x00",
        b"date: 2026-99-99 00:00:00\n",
        b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((i, i) + (i - 1,) * 9) for i in range(98, 110)),
        b"#" * 1_100_000,
        b"a: " + b"1:" * 9_000 + b"1",
        b"apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: " + b"9" * 5_000 + b"}\n",
    ],
)
def test_hostile_files_are_refused(load, data: bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError) as caught:
        load(data)
    assert "slo.yaml" in caught.value.where


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="cannot read the definition"):
        openslo.load(["nowhere.yaml"])


def test_files_may_refer_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SLO)
    (tmp_path / "b.yaml").write_text(SLI)
    assert openslo.load([str(tmp_path / "b.yaml"), str(tmp_path / "a.yaml")]).slos[0].name == "shop"


def test_durations() -> None:
    assert [duration(t) for t in ("5m", "12h", "4w", "1M", "1Q", "1Y")] == [300, 43200, 2419200, 2592000, 7862400, 31536000]
    assert [shorthand(s) for s in (300, 3600, 86400, 259200, 90, 5400)] == ["5m", "1h", "1d", "3d", "90s", "90m"]
    assert period(" 30d ") == 2592000


def test_objectives_of_audit_toml_are_the_same_promise() -> None:
    from perfaudit.config import objective
    from perfaudit.errors import UsageError

    latency, errors, metric = (of_objective(objective(t)) for t in ("/checkout p99<1.5s", "errors<0.1%", "metric:queue_length<100"))
    assert (latency.target, latency.indicator.kind, latency.indicator.bound, latency.indicator.route) == (0.99, "latency", 1_500_000, "/checkout")
    assert (errors.target, errors.indicator.kind) == (0.999, "errors")
    assert (metric.target, metric.indicator.kind) == (1.0, "metric")
    for text in ("errors<0%", "errors<100%", "errors<250%"):
        with pytest.raises(UsageError, match=r"budget|promise"):
            of_objective(objective(text))
