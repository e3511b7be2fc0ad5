"""Configuration: flag > PERFAUDIT_* > file > default, typed, and told where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.config import instant, load, objective
from perfaudit.errors import ConfigError, UsageError

NOON = 1_795_435_200_000_000


@pytest.mark.parametrize(
    ("text", "kind", "bound", "quantile", "route"),
    [
        ("p95<800ms", "latency", 800_000, 0.95, ""),
        ("  p99 <= 1.5s ", "latency", 1_500_000, 0.99, ""),
        ("/checkout p99.9<2m", "latency", 120_000_000, 0.999, "/checkout"),
        ("p999<.5s", "latency", 500_000, 0.999, ""),
        ("p50<250µs", "latency", 250, 0.5, ""),
        ("p5<1ms", "latency", 1_000, 0.05, ""),
        ("errors<0.1%", "errors", 0.001, 0, ""),
        ("/checkout error<0.01", "errors", 0.01, 0, "/checkout"),
        ('metric:queue_length{queue="a b"}<1e2', "metric", 100, 0, ""),
        ("metric:temperature<-3.5", "metric", -3.5, 0, ""),
    ],
)
def test_objectives(text: str, kind: str, bound: float, quantile: float, route: str) -> None:
    found = objective(text)
    assert (found.kind, found.bound, found.route) == (kind, pytest.approx(bound), route)
    assert found.quantile == pytest.approx(quantile)
    assert found.text == text.strip()


@pytest.mark.parametrize("text", ["", "p95", "p95<800", "p100<1s", "p95<1.2.3s", "p95>800ms", "errors<", "errors<.%", "fast", "metric:x<e", "metric:1x<3", "p95<800ms, errors<1%"])
def test_what_is_no_objective(text: str) -> None:
    with pytest.raises(UsageError, match="cannot understand the objective") as caught:
        objective(text)
    assert "p95<800ms" in caught.value.todo


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T12:00:00Z", "2026-11-23 12:00", "2026-11-23T13:00:00+01:00", "1795435200", "1795435200.0", "1795435200000", " 2026-11-23T12:00:00.000000Z "],
)
def test_instants(text: str) -> None:
    assert instant(text) == NOON


@pytest.mark.parametrize("text", ["", "noon", "12:00", "2026-13-01", "2026-11-23T25:00", "17954352000000000"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(UsageError, match="cannot understand the time"):
        instant(text)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=30))
def test_any_text_is_an_answer_or_an_error_of_ours(text: str) -> None:
    for parse in (objective, instant):
        try:
            assert parse(text) is not None
        except UsageError as error:
            assert error.todo


# -------------------------------------------------------------------- files and variables


def test_the_nearer_wins_and_says_where_from(tmp_path: Path) -> None:
    inner = tmp_path / "team" / "audit"
    inner.mkdir(parents=True)
    (tmp_path / "perfaudit.toml").write_text('[reading]\nservice = "far"\ntimezone = "Asia/Tokyo"\n[costs]\ncurrency = "EUR"\n')
    (inner.parent / "perfaudit.toml").write_text('[reading]\nservice = "near"\nroute_patterns = ["/a/{x}"]\n')
    (inner / "audit.toml").write_text('objectives = ["p95<1s"]\n[problem]\nname = "it"\nsince = 2026-11-23T12:00:00Z\n[reading]\nkeep_addresses = true\n')
    found = load(inner, {"PERFAUDIT_TIMEZONE": "UTC", "PERFAUDIT_OBJECTIVES": "p50<1s; errors<1%", "PERFAUDIT_KEEP_ADDRESSES": "false", "PERFAUDIT_PER_HOUR": "12.5"})
    assert found.get("reading.service") == "near"
    assert found.get("costs.currency") == "EUR"
    assert found.get("reading.timezone") == "UTC"
    assert found.get("reading.keep_addresses") is False
    assert found.get("costs.per_hour") == 12.5
    assert found.get("objectives.objectives") == ["p50<1s", "errors<1%"]
    assert found.origin["reading.service"] == "perfaudit.toml"
    assert found.origin["reading.timezone"] == "PERFAUDIT_TIMEZONE"
    assert found.definition == {"name": "it", "since": "2026-11-23T12:00:00+00:00"}
    assert instant(found.get("problem.since")) == NOON


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[problem", "cannot read the configuration"),
        ("\xff", "cannot read the configuration"),
        ("[nope]\nx = 1\n", "unknown section [nope]"),
        ("x = 1\n", "unknown section [x]"),
        ("[problem]\nnope = 1\n", "unknown key 'nope'"),
        ("[problem]\nname = 1\n", "wrong type"),
        ("[objectives]\nobjectives = [1]\n", "wrong type"),
        ("[costs]\nper_hour = true\n", "wrong type"),
        ("[problem]\nsuccess = 'p95<1s'\n", "wrong type"),
    ],
)
def test_a_wrong_file_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "audit.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    assert says in caught.value.what
    assert str(tmp_path / "audit.toml") in caught.value.where
    assert caught.value.todo


@pytest.mark.parametrize(("name", "value"), [("PERFAUDIT_KEEP_ADDRESSES", "maybe"), ("PERFAUDIT_PER_HOUR", "much")])
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {name: value})
    assert caught.value.where == name


def test_the_example_that_init_writes_is_a_configuration(tmp_path: Path) -> None:
    from importlib import resources

    text = resources.files("perfaudit.cli").joinpath("audit.toml").read_text("utf-8")
    (tmp_path / "audit.toml").write_text(text)
    assert load(tmp_path, {}).values == {}
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    (tmp_path / "audit.toml").write_text(uncommented)
    assert load(tmp_path, {}).get("problem.flow") == "POST /checkout"
