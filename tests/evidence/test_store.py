"""The evidence as SQL: every table is there, only reading is allowed, and wrong SQL is told in words."""

from __future__ import annotations

import pytest

from perfaudit.errors import ContractError, QueryError, UsageError
from perfaudit.evidence import intake
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.readers import ReadOptions
from perfaudit.evidence.store import Evidence
from perfaudit.evidence.tables import TABLES
from tests.conftest import access_log


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    home = tmp_path_factory.mktemp("it's a home")  # a quote in the path
    (home / "access.log").write_bytes(access_log(200))
    made = Bundle.create(home / "audit")
    intake.add(made, [home / "access.log"], ReadOptions())
    return made


@pytest.fixture
def evidence(bundle: Bundle) -> Evidence:
    return Evidence(bundle)


@pytest.mark.parametrize("table", TABLES)
def test_every_declared_table_and_column_exists(evidence: Evidence, table: str) -> None:
    names, rows = evidence.ask(f"select * from {table}")
    assert tuple(names) == TABLES[table].names
    assert len(list(rows)) == (200 if table == "requests" else 0)


FORBIDDEN = [
    "copy (select 1) to '{home}/tables/x.parquet'",
    "copy requests to '/tmp/perfaudit-test.csv'",
    "explain analyze copy (select 1) to '{home}/tables/x.parquet'",
    "explain (analyze) copy (select 1) to '{home}/tables/x.parquet'",
    "attach '{home}/tables/x.db' as x",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "pragma enable_profiling",
    "create table x as select 1",
    "create or replace view requests as select 1",
    "drop view requests",
    "insert into requests select * from requests",
    "export database '{home}/tables'",
    "checkpoint",
    "call pragma_version()",
    "select 1; drop view requests",
    "select * from read_text('/etc/passwd')",
    "select * from read_text('{home}/client.key')",
    "select * from read_csv('{home}/manifest.json')",
    "select * from '/etc/passwd'",
    "select * from glob('/etc/*')",
    "select * from read_parquet('{home}/../access.log')",
    "select * from read_text('{home}/tables/../client.key')",
    "select * from read_json('http://127.0.0.1:1/x')",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_nothing_but_reading_the_evidence(bundle: Bundle, sql: str) -> None:
    before = sorted(bundle.path.rglob("*"))
    home = str(bundle.path).replace("'", "''")
    evidence = Evidence(bundle)
    with pytest.raises(QueryError) as caught:
        list(evidence.ask(sql.format(home=home))[1])
    assert caught.value.todo
    assert sorted(bundle.path.rglob("*")) == before
    assert evidence.one("select count(*) from requests") == (200,)


@pytest.mark.parametrize("sql", ["select 1", "from range(3)", "with a as (select 1) select * from a", "values (1)", "describe requests", "summarize requests", "show tables", "explain select 1"])
def test_every_way_of_reading(evidence: Evidence, sql: str) -> None:
    assert list(evidence.ask(sql)[1])


@pytest.mark.parametrize("sql", ["", "   ", "selec 1", "select nope from requests", "select * from nope", "select 'a' + 1 from requests", "select 1/", "--", "select '\x1b[2J", "select \ud800"])
def test_wrong_sql_is_told_in_one_line(evidence: Evidence, sql: str) -> None:
    with pytest.raises(QueryError) as caught:
        list(evidence.ask(sql)[1])
    assert "\n" not in caught.value.what
    assert "perfaudit query --tables" in caught.value.todo or "--csv" in caught.value.todo


def test_columns_of_one_name_are_told_apart(evidence: Evidence) -> None:
    assert evidence.ask("select 1 as a, 2 as a, 3 as a")[0] == ["a", "a_1", "a_2"]


def test_a_check_gets_what_it_declares(evidence: Evidence) -> None:
    with pytest.raises(ContractError, match="requests"):
        evidence.restricted(["sessions"]).rows("select * from requests")
    assert evidence.restricted(["requests"]).one("select count(*) from requests") == (200,)


def test_where_narrows_requests(bundle: Bundle) -> None:
    everything = Evidence(bundle)
    narrowed = Evidence(bundle, where="route = '/checkout' -- a comment")
    (n,) = narrowed.one("select count(*) from requests")
    assert 0 < n < 200
    assert n == everything.one("select count(*) from requests where route = '/checkout'")[0]


@pytest.mark.parametrize("where", ["status >", "nope = 1", "true; drop view requests", "1 in (select 1 from read_text('/etc/passwd'))", ")", "'unclosed", "status = 'abc'"])
def test_a_wrong_where_says_so(bundle: Bundle, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        Evidence(bundle, where=where).one("select count(*) from requests")
    assert caught.value.where == f"--where {where}"
    assert "perfaudit query --tables" in caught.value.todo
