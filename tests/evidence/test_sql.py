"""Fingerprints join what differs only in literals; texts hold none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.evidence.sql import PARSE_LENGTH, TEXT_LENGTH, Statement, expression, fingerprint, tables

CANARY = "SECRET_CANARY"


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("update inventory set stock=stock-1 where product_id=17", "update inventory set stock=stock-$1 where product_id=$2"),
        ("select *\n\t from  t\n where a = 'x'  ;", "select * from t where a = $1"),
        ("select * from t where a in (1, 2,3) and b = 4", "select * from t where a in ($1, …) and b = $2"),
        ("insert into t values (1,'a'),(2,'b'), (3,'c')", "insert into t values ($1,$2), …"),
        ("select $1, 'x', $2", "select $1, $3, $2"),
        ("select E'it\\'s', $a$ x $a$, B'01', x'1f', U&'d', 1.5e-3, .5", "select $1, $2, $3, $4, $5, $6, .$7"),
        ("select t1.a2, \"B c\" from s3.t1 -- SECRET\n /* SECRET */ where x=1", 'select t1.a2, "B c" from s3.t1 where x=$1'),
        ("select 1 /* a /* SECRET */ SECRET */ from t", "select $1 from t"),
        ('select "alice@example.com", "4111111111111111" from t', 'select "…", "…" from t'),
        ("BEGIN", "BEGIN"),
    ],
)
def test_normalised_text(text, statement):
    found = fingerprint(text)
    assert found.statement == statement
    assert found.fingerprint and not found.fingerprint.startswith("x")


def test_one_fingerprint_whatever_the_literals():
    texts = [
        "update inventory set stock=stock-1 where product_id=1",
        "UPDATE inventory SET stock = stock - 25 WHERE product_id = 4711",
        "update inventory set stock=stock-$1 where product_id=$2",
        "update inventory set stock=stock-'5' where product_id=2 /* traceparent='00-590f8e4e7fcc0f7d9d51d1db1379d8e3-1234567890123456-01' */",
    ]
    assert len({fingerprint(text).fingerprint for text in texts}) == 1
    assert fingerprint("update inventory set stock=stock+1 where product_id=1").fingerprint != fingerprint(texts[0]).fingerprint


def test_the_fingerprint_is_libpg_querys():
    assert fingerprint("select * from t where a in (1,2,3)").fingerprint == "28550ea0fc43bed7"
    assert fingerprint("select * from t where a in (" + ",".join(map(str, range(50_000))) + ")").fingerprint == "28550ea0fc43bed7"


@pytest.mark.parametrize(
    "text",
    [
        "alter user bob password 'SECRET_CANARY'",
        "create user bob with password 'SECRET_CANARY' valid until '2030-01-01'",
        "copy t from '/SECRET_CANARY' with (delimiter ',')",
        "set x='SECRET_CANARY'",
        "execute p(1,'SECRET_CANARY')",
        "prepare p as select 'SECRET_CANARY'",
        "comment on table t is 'SECRET_CANARY'",
        "do $$ begin perform 'SECRET_CANARY'; end $$",
        "do $tag$ SECRET_CANARY $tag$",
        "create function f() returns int as $$ select 'SECRET_CANARY' $$ language sql",
        "create table t(a text default 'SECRET_CANARY')",
        "notify c, 'SECRET_CANARY'",
        "select 'it''s SECRET_CANARY'",
        "select e'it\\'s SECRET_CANARY'",
        # cut, or another dialect
        "select * from t where name = 'SECRET_CANARY",
        "alter user bob password 'SECRET_CANARY",
        "select $$ SECRET_CANARY",
        "select 1 /* SECRET_CANARY",
        "select * from t where a = \"SECRET_CANARY",
        "select `a` from `t` where b = \"SECRET_CANARY\" limit 1, 2",
        "select a from t where b = \"SECRET_CANARY\" limit 1, 2",
        "select a from t where b like \"SECRET_CANARY\" limit 1, 2",
        "insert ignore into t values (\"SECRET_CANARY\", 'it\\'s SECRET_CANARY')",
        "select 'it\\'s SECRET_CANARY' and b='x' limit 1, 2",
    ],
)
def test_no_literal_survives(text):
    found = fingerprint(text)
    assert CANARY not in found.statement
    assert found.fingerprint
    assert CANARY not in expression(text) or '"' in text or "t\\'s" in text


def test_what_does_not_parse_has_a_stable_fingerprint():
    one, two = fingerprint("select `a` from t limit 1, 20"), fingerprint("select  `a` from t limit 7, 99")
    assert one == two == Statement(one.fingerprint, "select `a` from t limit $1, $2")
    assert one.fingerprint.startswith("x") and len(one.fingerprint) == 17
    assert fingerprint("select 'a").fingerprint != fingerprint("select 'a'").fingerprint


def test_the_order_of_reading_does_not_matter():
    cut, whole = "select zz from t where zz='abc", "select zz from t where zz='abc'"
    assert fingerprint(cut).fingerprint.startswith("x")
    assert not fingerprint(whole).fingerprint.startswith("x")


def test_trace_ids_of_comments():
    text = "select 1 /*action='x',traceparent='00-590F8E4E7FCC0F7D9D51D1DB1379D8E3-1234567890123456-01'*/"
    assert fingerprint(text).trace_id == "590f8e4e7fcc0f7d9d51d1db1379d8e3"
    assert fingerprint("select 1").trace_id is None
    assert fingerprint(text).statement == "select $1"


def test_empty_text():
    assert fingerprint("") == fingerprint(" ;\n") == fingerprint("/* only */") == Statement("", "")


@pytest.mark.parametrize(
    "text",
    [
        "select 1" + "+1" * 400_000,
        "select " + "(" * 400_000,
        "select " + "not " * 100_000 + "true",
        "select " + "/*" * 300_000,
        "select '" + "x" * 1_000_000,
        "select " + "$a$" * 300_001,
        "select e'" + "\\" * 300_000,
        "insert into t values " + ",".join(f"({i},'v{i}')" for i in range(50_000)),
        "\0select\0 1 from\ud800 t\x01 where a='x'",
    ],
)
def test_hostile_texts_neither_crash_nor_grow(text):
    found = fingerprint(text)
    assert found.fingerprint
    assert 0 < len(found.statement) <= TEXT_LENGTH
    assert not any(ord(c) < 32 for c in found.statement)


def test_a_text_at_the_parsers_limit():
    text = "select 1" + "+1" * ((PARSE_LENGTH - 8) // 2)
    assert not fingerprint(text).fingerprint.startswith("x")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("update inventory set stock=stock-$1", ("inventory",)),
        ("select * from shop.a join b using (x) join shop.a z using (y)", ("shop.a", "b")),
        ("select 1", ()),
        ("not sql", ()),
        ("select " + "(select " * 500 + "1" + ")" * 500, ()),
    ],
)
def test_tables(text, found):
    assert tables(text) == found


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="ab'\"`$\\-/*;(),.=1 \nE\0é", max_size=60), st.sampled_from(["select ", "insert into t values (", "alter role x password ", ""]))
def test_strings_of_any_shape(body, head):
    quoted = head + "'" + body.replace("'", "''").replace("\\", "") + CANARY + "'"
    assert CANARY not in fingerprint(quoted).statement
    fingerprint(head + body)
