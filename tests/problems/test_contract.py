"""What every check, reader and renderer promises, whoever wrote it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from perfaudit import problems
from perfaudit.errors import UsageError
from perfaudit.evidence import readers
from perfaudit.evidence.readers import Sample
from perfaudit.evidence.tables import TABLES
from perfaudit.model import Outcome, Status, Wanted
from perfaudit.report import renderers
from perfaudit.testing import assert_clear, assert_no_evidence, assert_problem, audit, evidence, examine, micros

CHECKS = problems.discover()
NAME = r"[a-z]+(-[a-z0-9]+)*"
START = micros("2026-11-23T08:00:00Z")


def steady(seconds: int = 300, per_second: int = 10, duration_us: int = 20_000) -> dict[str, object]:
    """Requests at an even pace whose duration varies a little."""
    n = seconds * per_second
    return {
        "time": [START + i * 1_000_000 // per_second for i in range(n)],
        "duration_us": [duration_us + (i * 7919) % 5000 for i in range(n)],
        "status": 200, "method": "GET", "route": "/a", "service": "web",
    }  # fmt: skip


# -------------------------------------------------------------------- checks


def test_checks_are_found() -> None:
    assert {"row-lock-contention", "table-lock", "traffic-surge", "tail-under-concurrency", "deploy-regression"} <= set(CHECKS)
    assert all(re.fullmatch(NAME, name) for name in CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_declarations(name: str) -> None:
    check, module = CHECKS[name], CHECKS[name].module
    assert check.needs, "a check that needs nothing cannot lack evidence"
    assert check.tables <= set(TABLES)
    assert check.rivals and name not in check.rivals
    assert all(re.fullmatch(NAME, rival) for rival in check.rivals)
    assert check.wanted and all(isinstance(w, Wanted) and w.evidence and w.collect and w.effect for w in check.wanted)
    assert list(inspect.signature(module.examine).parameters) == ["evidence", "account"]


@pytest.mark.parametrize("name", CHECKS)
def test_docstring_is_a_page(name: str) -> None:
    doc = CHECKS[name].module.__doc__ or ""
    title, _, rest = doc.partition("\n")
    parts = re.split(r"^(.+)\n-{4,}\n", rest, flags=re.M)
    assert title.endswith(".")
    assert tuple(parts[1::2]) == problems.HEADINGS
    assert all(len(text.split()) >= 15 for text in parts[2::2]), "each heading has prose under it"
    page = CHECKS[name].page
    assert page.startswith(f"# {name}\n")
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == list(problems.HEADINGS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_stays_short(name: str) -> None:
    lines = inspect.getsource(CHECKS[name].module).count("\n")
    assert lines <= 160, "move arithmetic to stats/ and shared steps to a helper beside the check"


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_opens_nothing(name: str) -> None:
    source = inspect.getsource(CHECKS[name].module)
    assert not re.search(r"\bopen\(|\bprint\(|read_parquet|\bsubprocess\b|\btime\.sleep\b|\brandom\.", source)


@pytest.mark.parametrize("name", CHECKS)
def test_no_evidence_is_never_clear(name: str) -> None:
    outcome = assert_no_evidence(name)
    assert outcome.wanted == CHECKS[name].wanted
    assert not outcome.findings


@pytest.mark.parametrize("name", CHECKS)
def test_a_handful_of_requests_is_never_a_problem_or_clear(name: str) -> None:
    outcome = examine(name, requests=steady(seconds=1, per_second=3))
    assert outcome.status in (Status.NO_EVIDENCE, Status.NOT_APPLICABLE), outcome


@pytest.mark.parametrize("name", CHECKS)
def test_steady_requests_are_no_problem(name: str) -> None:
    outcome = examine(name, requests=steady())
    assert outcome.status in (Status.CLEAR, Status.NO_EVIDENCE, Status.NOT_APPLICABLE), outcome
    assert outcome.reason


@pytest.mark.parametrize("name", CHECKS)
def test_rows_full_of_nulls_are_no_error(name: str) -> None:
    times = [START + i * 1_000_000 for i in range(120)]
    tables = {t: {"time": times} for t in CHECKS[name].tables}
    outcome = examine(name, **tables)  # type: ignore[arg-type]
    assert outcome.status in (Status.CLEAR, Status.NO_EVIDENCE, Status.NOT_APPLICABLE), outcome


def test_an_exception_becomes_an_error_and_the_audit_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(evidence: object, account: object) -> Outcome:
        raise ValueError("a defect\nwith two lines")

    monkeypatch.setattr(CHECKS["traffic-surge"].module, "examine", broken)
    monkeypatch.delenv("PERFAUDIT_DEBUG", raising=False)
    result = audit(requests=steady())
    said = {c["problem"]: c for c in result["checks"]}
    assert said["traffic-surge"]["outcome"] == "error"
    assert said["traffic-surge"]["reason"] == "ValueError: a defect"
    assert len(said) == len(CHECKS)


def test_a_check_is_handed_only_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHECKS["traffic-surge"].module, "examine", lambda evidence, account: evidence.rows("SELECT * FROM plans"))
    monkeypatch.delenv("PERFAUDIT_DEBUG", raising=False)
    outcome = examine("traffic-surge", requests=steady())
    assert outcome.status is Status.ERROR
    assert "plans" in outcome.reason and "declare" in outcome.reason


# -------------------------------------------------------------------- perfaudit.testing


def test_rows_may_be_dicts_or_columns_and_instants_of_any_kind() -> None:
    rows = [{"time": "2026-11-23T08:00:00Z", "route": "/a", "service": "web"}, {"time": START + 5, "duration_us": 7, "service": "api"}]
    store = evidence(requests=rows, metrics={"time": [START, START], "name": "up", "value": [1.0, 0.0], "labels": [{"job": "a"}, None]})
    assert store.rows("SELECT epoch_us(time), route, duration_us, service FROM requests ORDER BY time") == [(START, "/a", None, "web"), (START + 5, None, 7, "api")]
    assert store.rows("SELECT sum(value), count(*) FROM metrics WHERE name = 'up'") == [(1.0, 2)]
    assert store.has("requests") and not store.has("spans")
    with pytest.raises(UsageError):
        evidence(requets=rows)


def test_assertions_tell_what_was_found_instead() -> None:
    with pytest.raises(AssertionError, match="expected problem, got no-evidence"):
        assert_problem("traffic-surge")
    with pytest.raises(UsageError):
        assert_clear("no-such-class")


def test_a_hot_row_is_a_problem_and_the_reference_makes_it_one() -> None:
    def requests(start: int, slow: bool) -> list[dict[str, object]]:
        checkouts = [{"time": start + t * 1_000_000, "duration_us": 1_800_000 if slow and t % 6 == 0 else 20_000 + t, "method": "POST", "route": "/checkout", "status": 200} for t in range(300) for _ in range(4)]
        return checkouts + [{"time": start + t * 250_000, "duration_us": 5_000 + t, "method": "GET", "route": "/", "status": 200} for t in range(1200)]

    statement = "update inventory set stock = stock - $1"
    waiting = [
        {"time": START + (t * 1000 + 500) * 1000, "pid": 100 + w, "state": "active", "wait_type": "Lock", "wait_event": "transactionid", "statement": statement,
         "blocked_by": [99], "query_age_us": 500_000, "xact_age_us": 500_000, "state_age_us": 500_000, "backend_type": "client backend"}
        for t in range(0, 300, 6) for w in range(3)
    ]  # fmt: skip
    root = [{"time": START + (t * 1000 + 500) * 1000, "pid": 99, "state": "idle in transaction", "blocked_by": [], "statement": statement, "backend_type": "client backend", "xact_age_us": 10**6} for t in range(300)]
    before = START - 600_000_000
    given = {"requests": requests(START, slow=True), "sessions": [*waiting, *root], "baseline": {"requests": requests(before, slow=False), "sessions": {"time": [before + t * 1_000_000 for t in range(300)], "pid": 1, "state": "idle"}}}
    finding = assert_problem("row-lock-contention", **given)
    assert finding.scope["object"] == "inventory"
    assert finding.scope["route"] == "/checkout"
    assert finding.added_seconds > 0
    assert_clear("table-lock", **given)


# -------------------------------------------------------------------- readers


READERS = readers.discover()
GARBAGE = [b"", b"\n\n\n", b"\0" * 5000, bytes(range(256)) * 40, b"\xff\xfe" + "hello".encode("utf-16-le"), b"\x16\x03\x01\x02\x00" * 200, b"the quick brown fox\n" * 50]


@pytest.mark.parametrize("name", READERS)
def test_reader_declarations(name: str) -> None:
    reader = READERS[name]
    assert isinstance(reader.NAME, str) and reader.NAME
    assert isinstance(reader.VERSION, int) and reader.VERSION >= 1
    assert reader.TABLES and set(reader.TABLES) <= set(TABLES)
    assert list(inspect.signature(reader.sniff).parameters) == ["sample"]
    assert list(inspect.signature(reader.read).parameters) == ["source", "sink", "recognised", "options"]
    assert (reader.__doc__ or "").strip()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_nobody_claims_garbage(name: str, garbage: bytes) -> None:
    assert READERS[name].sniff(Sample("unknown", garbage)) is None


def test_reader_names_are_unique() -> None:
    assert len({r.NAME for r in READERS.values()}) == len(READERS)


# -------------------------------------------------------------------- renderers


RENDERERS = renderers.discover()


@pytest.mark.parametrize("name", RENDERERS)
def test_renderer_contract(name: str, tmp_path: Path) -> None:
    module = RENDERERS[name]
    assert module.NAME and re.fullmatch(r"[a-z]+", module.PREFIX)
    assert all(s.startswith(".") for s in module.SUFFIXES)
    result = audit(requests=steady())
    first, again = module.render(result), module.render(result)
    assert first and first == again
    renderers.write(result, f"{module.PREFIX}:{tmp_path / 'out'}")
    assert (tmp_path / "out").stat().st_size > 0


def test_suffixes_and_prefixes_are_unique() -> None:
    said = [*(s for m in RENDERERS.values() for s in m.SUFFIXES), *(m.PREFIX for m in RENDERERS.values())]
    assert len(said) == len(set(said))
