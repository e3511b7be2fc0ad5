"""The published schema: one copy, strict, and every sample keeps it."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from perfaudit import model
from perfaudit.errors import ContractError
from perfaudit.report import schema

from .sample import SAMPLES, incident, insufficient

ROOT = Path(__file__).parents[2]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(schema.text()))


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_keep_it(name: str) -> None:
    schema.validate(SAMPLES[name]())


def test_one_copy_each_in_the_wheel_and_where_people_look() -> None:
    assets = Path(str(files("perfaudit.report"))) / "assets"
    for name, public in (("result-schema.json", "docs/reference"), ("performance-report-template.md", "templates"), ("slo-template.md", "templates")):
        assert (ROOT / public / name).resolve() == (assets / name).resolve()


def test_only_the_named_objects_are_open() -> None:
    known = json.loads(schema.text())
    open_objects = {name for name, part in known["properties"].items() if part == {"type": "object"}}
    assert open_objects <= {"load_test", "slo", "capacity", "comparison"}
    for name, part in known["$defs"].items():
        if part.get("type") == "object":
            assert "additionalProperties" in part, name


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda r: r.pop("verdict"), "verdict"),
        (lambda r: r.update(surprise=1), "surprise"),
        (lambda r: r["verdict"].update(confidence=1.5), "confidence"),
        (lambda r: r["verdict"].pop("share"), "share"),
        (lambda r: r["window"].update(start="yesterday"), "window.start"),
        (lambda r: r["checks"][0].update(outcome="fine"), "checks[0].outcome"),
        (lambda r: r["findings"][0]["fixes"][0].update(effort="some"), "effort"),
        (lambda r: r["verdict"]["share"].update(ci=[1]), "ci"),
    ],
)
def test_a_break_is_named(change, place: str) -> None:  # type: ignore[no-untyped-def]
    result = incident()
    change(result)
    with pytest.raises(ContractError, match="breaks its schema") as caught:
        schema.validate(result)
    assert place in caught.value.what


def test_a_result_has_a_verdict_or_the_part_that_was_asked_for() -> None:
    least = {"schema_version": 1, "audit": {"question": "?"}}
    schema.validate(least | {"baseline": {}})
    for broken in (least, least | {"baseline": {}, "verdict": incident()["verdict"]}, least | {"baseline": {}, "checks": []}):
        with pytest.raises(ContractError):
            schema.validate(broken)


def test_the_nouns_of_the_model_fit() -> None:
    share = model.Measurement(0.5, "share of added request-seconds", (0.4, None), n=10, method="m", query="select 1")
    test = model.Test("t", "94 of 96", "≥ half", None, "table-lock", "select 2")
    fix = model.Fix("a", "i", "low", "high", "b", True, "r", "v")
    wanted = model.Wanted("e", "c", "f")
    finding = model.Finding("row-lock-contention", "Title", {"route": ["/a", "/b"]}, share, evidence=(model.Exhibit("s", share, "log"),), fixes=(fix,))
    verdict = model.Verdict("constraint", "do", 0.5, finding, since={"time": model.iso(0), "interval": [model.iso(0), model.iso(1)]}, rejected=(test,), would_change=(wanted,))
    result = insufficient() | {"verdict": verdict.to_json()}
    result["findings"] = [
        {
            "id": "F1", "problem": finding.problem, "type": finding.type, "title": finding.title, "scope": finding.scope, "share": share.to_json(), "confidence": 0.5,
            "evidence": [e.to_json() for e in finding.evidence], "tests": [test.to_json()], "rejected": [test.to_json()], "fixes": [fix.to_json()],
        }
    ]  # fmt: skip
    schema.validate(result)
    assert {s.value for s in model.Status} == set(json.loads(schema.text())["$defs"]["outcome"]["enum"])
