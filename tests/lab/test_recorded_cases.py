"""Every case in the repository is complete, small, accepted by its signature, and its evidence does not tell the answer."""

import json
import re
from pathlib import Path

import pytest
import zstandard

from lab import case, plan
from lab.mechanism import Sign, discover
from lab.table import show

CASES = list(case.truths())
KEYS = {
    "name", "stack", "seed", "set", "kind", "problem", "accept", "rivals", "trigger", "notes", "fix", "onset", "fault_start", "fault_end", "fixed_start", "fixed_end",
    "style", "baseline", "withheld", "red_herrings", "measured", "after", "signature", "generator", "ready_s", "overhead_s",
}  # fmt: skip
LARGEST_OF_ALL = 45_000_000
#: Words that only the lab uses.
TELLING = re.compile(rb"perfaudit|mechanism|neighbour|/stacks/|hot_row|nplus1|APP_VERSION", re.I)


def text(path: Path) -> bytes:
    with path.open("rb") as packed:
        return bytes(zstandard.ZstdDecompressor().stream_reader(packed).readall())


def test_there_are_cases_of_both_sets_and_stacks() -> None:
    assert {(t["set"], t["stack"]) for _, t in CASES} == {(s, k) for s in plan.SETS for k in ("shop", "market")}
    assert sum(case.size(folder) for folder, _ in CASES) <= LARGEST_OF_ALL
    names = [(t["name"], t["stack"], t["seed"]) for _, t in CASES]
    assert len(names) == len(set(names)), "no recording twice"


def test_the_table_of_recordings_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    show()
    assert capsys.readouterr().out == (case.CASES / "recordings.md").read_text(), "python -m lab --list > tests/cases/recordings.md"


@pytest.mark.parametrize(("folder", "truth"), CASES, ids=lambda v: f"{v.parent.name}-{v.name}" if isinstance(v, Path) else "")
def test_a_case(folder: Path, truth: dict) -> None:  # type: ignore[type-arg]
    assert truth.keys() >= KEYS
    assert truth["set"] == folder.parent.name
    assert (truth["name"], truth["stack"]) in discover()
    assert case.size(folder) <= case.LARGEST + 20_000, "evidence, and truth beside it"
    assert (folder / "baseline").is_dir() == truth["baseline"]
    assert any((folder / "evidence").glob("access.log*"))
    assert any((folder / "fixed").iterdir())
    assert truth["signature"] and all(Sign(**s).ok for s in truth["signature"])
    assert (truth["onset"] is None) == (truth["style"] == "baseline" or truth["problem"] == "healthy")
    assert json.dumps(truth["measured"]) and truth["measured"]["healthy"]["rate"] > 1
    names = {p.name.removesuffix(".zst") for p in (folder / "evidence").iterdir()}
    if "traces" in truth["withheld"]:
        assert not names & {"otlp-traces.jsonl", "zipkin-spans.json"}


@pytest.mark.parametrize(("folder", "truth"), CASES, ids=lambda v: f"{v.parent.name}-{v.name}" if isinstance(v, Path) else "")
def test_the_evidence_does_not_tell_the_answer(folder: Path, truth: dict) -> None:  # type: ignore[type-arg]
    # As the lab spells it. A database may well say "deadlock" by itself.
    answer = re.compile(rb"\b" + truth["name"].replace("-", "[-_]").encode() + rb"\b") if "-" in truth["name"] else re.compile(rb"$never")
    for path in [*(folder / "evidence").iterdir(), *(folder / "baseline").glob("*")]:
        assert path.suffix == ".zst"
        found = TELLING.search(data := text(path)) or answer.search(data)
        assert found is None, f"{path.name}: {data[max(0, found.start() - 80) : found.end() + 40]!r}"
