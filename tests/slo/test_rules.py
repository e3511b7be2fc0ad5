"""Rules for Prometheus: promtool accepts them, they fire when they should and not by chance, and hostile names act nowhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfaudit.config import objective
from perfaudit.errors import UsageError
from perfaudit.slo import expressions, rules
from perfaudit.slo.judge import judge
from perfaudit.slo.model import Alert, Indicator, Query, Slo, of_objective

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian package prometheus)")
HOSTILE = [
    '"}) or vector(1) #',
    "a\n- alert: Owned\n  expr: vector(1)",
    "{{ $labels }} {{ printf \"%s\" \"x\" }}",
    "!!python/object/apply:os.system [id]",
    "&a *a %TAG ! : - ? |",
    "\u202e\u2028 ünï 🙂",
    "",
]


def built(*slos: Slo, metric: tuple[str, ...] = ()) -> rules.Rules:
    return rules.build([(slo, judge(slo, None)) for slo in slos], expressions.metrics(metric))


def ask(text: str, **more: Any) -> Slo:
    return of_objective(objective(text), **more)


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, cwd=cwd, timeout=120)


def accepted(found: rules.Rules, folder: Path) -> None:
    (folder / "rules.yml").write_text(found.text(), "utf-8")
    said = promtool("check", "rules", "rules.yml", cwd=folder)
    assert said.returncode == 0, said.stdout + said.stderr


PROM = "prometheus"
KINDS = {
    "errors": Indicator("errors"),
    "route": Indicator("errors", route="POST:/checkout"),
    "latency": Indicator("latency", 800_000),
    "whole-seconds": Indicator("latency", 1_000_000),
    "selector": Indicator("ratio", bad=Query('sum(rate(a_total{c=~"5..|4.."}[5m]))', PROM), total=Query("sum(rate(a_total[5m]))", PROM)),
    "good": Indicator("ratio", good=Query("sum by (job) (rate(ok_total[5m]))", PROM), total=Query("sum by (job) (rate(all_total[5m]))", PROM)),
    "counter": Indicator("ratio", good=Query("sum(ok_total) + sum(fine_total)", PROM), total=Query("all_total", PROM)),
    "free": Indicator("ratio", bad=Query('sum(rate(a[5m])) -\n sum(rate(b{x="#"}[5m]))'), total=Query("sum(rate(a[5m]))")),
    "placeholder": Indicator("ratio", bad=Query('sum(rate(a{e="1"}[{{.window}}]))'), total=Query("sum(rate(a[{{.window}}])) + sum(rate(b[{{ .window }}]))")),
    "gauge": Indicator("ratio", bad=Query("busy"), total=Query("pool_size * 2"), counter=False),
    "raw": Indicator("raw", bad=Query("job:errors:ratio")),
    "raw-success": Indicator("raw", good=Query("job:success:ratio")),
    "threshold": Indicator("threshold", 0.25, "lt", value=Query("histogram_quantile(0.99, sum by (le) (rate(d_bucket[5m])))")),
}


@needs_promtool
def test_promtool_accepts_every_kind(tmp_path: Path) -> None:
    plain = [Slo(name, name, indicator, 0.999, service="shop") for name, indicator in KINDS.items()]
    sliced = [
        Slo(f"{name}-{method}", name, KINDS[name], 0.99, method=method, slice_s=60, slice_target=0.95 if method == "timeslices" else 0.0)
        for name in ("errors", "latency", "free")
        for method in ("timeslices", "ratio-timeslices")
    ]
    policy = Slo("policy", "policy", KINDS["errors"], 0.99, alerts=(Alert("fast", "sev1", 10, 1800, 120),))
    found = built(*plain, *sliced, policy)
    assert found.refused == []
    assert len(found.groups) == len(plain) + len(sliced) + 1
    accepted(found, tmp_path)


@needs_promtool
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_acts_nowhere(name: str, tmp_path: Path) -> None:
    slo = Slo(name, name, KINDS["errors"], 0.999, service=name, description=name, alerts=(Alert(name, name, 14.4, 3600, 0),))
    found = built(slo, Slo(name + " ", name, KINDS["latency"], 0.99))
    accepted(found, tmp_path)
    text = found.text()
    loaded = yaml.safe_load(text)
    assert [set(group) for group in loaded["groups"]] == [{"name", "rules"}] * 2
    assert len({group["name"] for group in loaded["groups"]}) == 2
    assert {r.get("alert", r.get("record")).partition("_")[0].partition(":")[0] for g in loaded["groups"] for r in g["rules"]} == {"slo", "SloBudgetBurn"}
    assert all(c.isascii() and (c.isprintable() or c == "\n") for c in text)
    for group in loaded["groups"]:
        for rule in group["rules"]:
            assert "{{" not in "".join(rule["labels"].values())
            assert "vector(1)" not in rule["expr"]


@pytest.mark.parametrize("text", ['up) or vector(1) or (up', "up # comment", 'up{a="b}', ""])
def test_a_query_that_would_break_out_is_refused(text: str) -> None:
    bad = Slo("bad", "bad", Indicator("ratio", bad=Query(text), total=Query("up")), 0.99)
    with pytest.raises(UsageError, match="not one alert"):
        built(bad)
    both = built(bad, ask("errors<1%"))
    assert any("not well formed" in r for r in both.refused) and len(both.groups) == 1


def test_a_broken_regular_expression_is_refused() -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        built(Slo("a", "a", Indicator("ratio", bad=Query('a_total{code=~"(["}'), total=Query("a_total")), 0.99))


def test_what_can_never_fire_is_refused_and_the_reason_stands_in_the_file() -> None:
    found = built(ask("errors<10%"))
    assert "# refused: errors-under-10-percent: page 14.4× over 1h and 5m: it can never fire" in found.text()
    assert "14.4 *" not in found.text()
    with pytest.raises(UsageError) as caught:
        built(Slo("a", "a", KINDS["errors"], 0.9, alerts=(Alert("x", "page", 14.4, 3600, 0),)))
    assert "144%" in str(caught.value)
    with pytest.raises(UsageError, match="not one alert"):
        built(Slo("a", "a", Indicator("ratio", bad=Query("x", "datadog"), total=Query("y", "datadog")), 0.99))


def test_metric_names() -> None:
    names = expressions.metrics(("errors=nginx_http_requests_total{code=~\"5..\"}", "durations=http_request_seconds", "route=path"))
    assert names["requests"] == "nginx_http_requests_total", "the errors without their matchers"
    text = rules.build([(s, judge(s, None)) for s in (ask("/a errors<1%"), ask("/a p95<800ms"))], names).text()
    assert 'nginx_http_requests_total{code=~"5..",path="/a"}' in text and 'http_request_seconds_bucket{path="/a",le="0.8"}' in text
    assert expressions.metrics(("requests=all_total{job=\"a\"}",))["errors"] == 'all_total{job="a",status=~"5.."}'
    for wrong in ("x=y", "errors", "errors=a b", "errors=rate(a[5m])", "route=a b", "durations=a)"):
        with pytest.raises(UsageError, match="cannot understand the metric"):
            expressions.metrics((wrong,))


def test_the_same_bytes_again() -> None:
    slos = [Slo(name, name, indicator, 0.999) for name, indicator in KINDS.items()]
    assert built(*slos).text() == built(*slos).text()


UNIT = """\
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'http_requests_total{{status="200"}}'
        values: '{good}'
      - series: 'http_requests_total{{status="503"}}'
        values: '{bad}'
    alert_rule_test:
{checks}
"""
CHECK = "      - eval_time: {at}\n        alertname: SloBudgetBurn\n        exp_alerts: [{alerts}]\n"


def simulated(found: rules.Rules, folder: Path, good: str, bad: str, at: str) -> list[str]:
    """Severity and window of the alerts that fire: promtool names those that it got when none is expected."""
    (folder / "rules.yml").write_text(found.text(), "utf-8")
    (folder / "test.yml").write_text(UNIT.format(good=good, bad=bad, checks=CHECK.format(at=at, alerts="")), "utf-8")
    said = promtool("test", "rules", "test.yml", cwd=folder)
    if said.returncode == 0:
        return []
    out = said.stdout + said.stderr
    assert "got:" in out, out
    got = out.partition("got:")[2]
    return [f"{s} {w}" for s in ("page", "ticket") for w in ("1h", "6h", "1d", "3d") if f'severity="{s}"' in got and f'window="{w}"' in got and f'severity="{s}", slo="errors-under-0.1-percent", window="{w}"' in got]


@needs_promtool
@pytest.mark.parametrize(
    ("good", "bad", "at", "fires"),
    [
        ("0+600x239 144000+0x60", "0x239 0+600x60", "4h5m", True),  # a total outage at 10 requests a second
        ("0+600x300", "0+0.06x300", "4h", False),  # a tenth of what is allowed
        ("0+600x300", "0+0.6x300", "4h", False),  # exactly on the objective
        ("0+1x300", "0x200 1x100", "3h25m", False),  # 60 an hour, one failure: burn 16.7
        ("0+1x239 239+0x60", "0x239 0+1x60", "4h20m", True),  # 60 an hour, a total outage
        ("0x300", "0x300", "4h", False),  # no traffic
    ],
)
def test_promtool_fires_them_as_we_say(good: str, bad: str, at: str, fires: bool, tmp_path: Path) -> None:
    fired = simulated(built(ask("errors<0.1%")), tmp_path, good, bad, at)
    assert ("page 1h" in fired) == fires, fired
    if not fires:
        assert not [f for f in fired if f.startswith("page")]


@needs_promtool
@pytest.mark.parametrize("text", ['http_requests_total{status!~"5.."}', 'sum(rate(http_requests_total{status!~"5.."}[5m]))', 'sum(rate(http_requests_total{status!~"5.."}[$window]))'])
def test_a_total_outage_without_a_series_of_good_events_fires(text: str, tmp_path: Path) -> None:
    slo = Slo("errors-under-0.1-percent", "a", Indicator("ratio", good=Query(text), total=Query(text.replace('{status!~"5.."}', ""))), 0.999)
    assert "page 1h" in simulated(built(slo), tmp_path, "_x300", "0+600x300", "150m")
    assert "page 1h" not in simulated(built(slo), tmp_path, "0+600x300", "_x300", "150m")


@needs_promtool
def test_a_series_of_errors_that_is_not_there_yet_is_no_error(tmp_path: Path) -> None:
    found = built(ask("errors<0.1%"))
    (tmp_path / "rules.yml").write_text(found.text(), "utf-8")
    (tmp_path / "test.yml").write_text(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      - series: 'http_requests_total{status=\"200\"}'\n        values: '0+60x90'\n"
        "    promql_expr_test:\n      - expr: slo:errors_per_event:ratio_rate1h\n        eval_time: 80m\n        exp_samples:\n          - labels: 'slo:errors_per_event:ratio_rate1h{slo=\"errors-under-0.1-percent\"}'\n            value: 0\n",
        "utf-8",
    )
    said = promtool("test", "rules", "test.yml", cwd=tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr


@needs_promtool
def test_time_slices_fire_in_promtool(tmp_path: Path) -> None:
    slo = Slo("errors-under-0.1-percent", "", KINDS["errors"], 0.99, method="timeslices", slice_s=60, slice_target=0.95)
    half = simulated(built(slo), tmp_path, "0+600x239 144000+300x60", "0x239 0+300x60", "4h20m")
    assert "page 1h" in half
    assert simulated(built(slo), tmp_path, "0+600x239 144000+590x60", "0x239 0+10x60", "4h20m") == [], "1.7 % in every minute keeps every slice"


def test_a_latency_rule_asks_for_the_histogram_that_is_recorded() -> None:
    """A rule on another name, or on a bucket that is not there, would be silent for ever."""
    slo = ask("p95<1s")
    row = {"alerts": [{"severity": "page", "factor": 14.4, "long_s": 3600, "short_s": 300, "after_s": 0, "threshold": 0.72, "minimum_bad": 6, "budget_share": 0.02, "feasible": True}]}
    recorded = [{"check": "bucket", "ok": True, "detail": "1 s is one of the bounds", "metric": "api_seconds"}]
    text = rules.build([(slo, row | {"feasibility": recorded})], expressions.metrics(())).text()
    assert "api_seconds_bucket" in text and "http_request_duration_seconds" not in text
    mine = rules.build([(slo, row | {"feasibility": recorded})], expressions.metrics(("durations=mine_seconds",))).text()
    assert "mine_seconds_bucket" in mine
    with pytest.raises(UsageError, match="one alert rule"):
        rules.build([(slo, row | {"feasibility": [recorded[0] | {"ok": False}]})], expressions.metrics(()))
