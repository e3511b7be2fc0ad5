"""Log text is hostile: nothing of it is kept that should not be, and nothing of it acts anywhere."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import Ran, access_log

#: Every canary begins with one of these; none may be found anywhere.
CANARIES = (b"CANARY", b"198.51.100.77", b"2001:db8:77", b"bob@", b"hunter2")
ACCESS = rb"""198.51.100.77 - CANARYuser [23/Nov/2026:08:00:30 +0000] "GET /cart?sid=CANARY1&card=4111111111111111 HTTP/1.1" 200 10 "https://u:CANARY2@x/?q=CANARY3" "agent CANARY4" 0.100 0.090
2001:db8:77::1 - - [23/Nov/2026:08:00:31 +0000] "GET /login;jsessionid=CANARY5?next=/CANARY6 HTTP/1.1" 200 10 "-" "-" 0.100 0.090
198.51.100.77 - - [23/Nov/2026:08:00:31 +0000] "GET /users/bob@example.com/CANARY7CANARY7CANARY7CANARY7x0123456789 HTTP/1.1" 200 10 "-" "-" 0.100 0.090
198.51.100.77 broken "GET /cart?sid=CANARY8 HTTP/1.1" Cookie: session=CANARY9; Authorization: Bearer CANARYa
"""
JSON_ACCESS = b"".join(
    b'{"time":"2026-11-23T08:00:%02dZ","remote_addr":"198.51.100.77","request":"GET /api/cart?token=CANARY HTTP/1.1","status":200,"request_time":0.1,"http_cookie":"CANARY","headers":{"Authorization":"Bearer CANARY"},"http_referer":"https://x/?CANARY","user":"bob@example.com"}\n'
    % (i % 60)
    for i in range(60)
) + b'{"time":"2026-11-23T08:00:00Z","remote_addr":"198.51.100.77","password":"hunter2","request":"GET /x?CANARY\n'
POSTGRES = b"".join(
    b"2026-11-23 08:00:%02d.000 UTC [%d] bob@shop LOG:  duration: 12.5 ms  statement: select * from users where email = 'bob@example.com' and card = 4111111111111111 /* CANARY */ and token = 'CANARY'\n"
    % (i, 100 + i)
    for i in range(30)
) + b"2026-11-23 08:00:31.000 UTC [99] bob@shop ERROR:  duplicate key value violates unique constraint \"users_email\"\n2026-11-23 08:00:31.000 UTC [99] bob@shop DETAIL:  Key (email)=(bob@example.com CANARY) already exists.\n2026-11-23 08:00:31.000 UTC [99] bob@shop STATEMENT:  insert into users values ('CANARY', 'hunter2')\n"
ACTIVITY = b"now,datname,pid,application_name,client_addr,state,wait_event_type,wait_event,query_start,xact_start,query,backend_type,blocked_by\n" + b"".join(
    b"2026-11-23 08:00:%02d+00,shop,7,app,198.51.100.77,active,Lock,tuple,2026-11-23 08:00:00+00,2026-11-23 08:00:00+00,\"update users set password = 'hunter2' where email = 'bob@example.com' -- CANARY\",client backend,{8}\n" % i
    for i in range(30)
)
ERROR = b"".join(
    b'2026/11/23 08:00:%02d [error] 7#7: *1 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 198.51.100.77, server: shop, request: "GET /cart?sid=CANARY HTTP/1.1", upstream: "http://u:CANARY@10.0.0.1:8080/cart?sid=CANARY", host: "shop", referrer: "https://x/?q=CANARY"\n'
    % i
    for i in range(30)
)
APP = b"".join(
    b'{"time":"2026-11-23T08:00:%02dZ","level":"error","message":"login failed for \'bob@example.com\' from 198.51.100.77 with password=hunter2 and token CANARY0123456789CANARY0123456789","service":"shop"}\n' % i
    for i in range(30)
)
EVENTS = b'{"time":"2026-11-23T08:00:30Z","kind":"deploy","service":"shop","version":"2","note":"by bob@example.com, password=hunter2, https://u:CANARY@ci/?token=CANARY"}\n'


@pytest.fixture
def evidence(home: Path) -> Path:
    folder = home / "evidence"
    folder.mkdir()
    for name, data in {
        "access.log": access_log(1_500) + ACCESS,
        "api.json": JSON_ACCESS,
        "postgresql.log": POSTGRES,
        "pg_stat_activity.csv": ACTIVITY,
        "error.log": ERROR,
        "app.jsonl": APP,
        "events.jsonl": EVENTS,
        "unknown.txt": b"what is this? password=hunter2 token: CANARY bob@example.com /cart?sid=CANARY\n" * 3,
    }.items():
        (folder / name).write_bytes(data)
    return folder


def found_in(data: bytes) -> list[bytes]:
    return [canary for canary in CANARIES if canary.lower() in data.lower()]


OUTPUTS = ("report.html", "report.md", "result.json", "ci.xml", "m.prom")


def test_no_secret_is_in_the_bundle_or_in_any_output(evidence: Path, perfaudit: Callable[..., Ran]) -> None:
    home = evidence.parent
    assert perfaudit("init", "audit").code == 0
    ran = perfaudit("add", "evidence", "--audit", "audit")
    assert ran.code == 0
    assert "7 sources" in ran.err or ran.out.count("\n") == 7, ran.out + ran.err
    said = [ran]
    targets = [word for name in OUTPUTS for word in ("-o", {"ci.xml": "junit:ci.xml", "m.prom": "openmetrics:m.prom"}.get(name, name))]
    said.append(perfaudit("diagnose", "--audit", "audit", *targets))
    said += [perfaudit(*command, "--audit", "audit") for command in (["inventory"], ["inventory", "--json"], ["baseline"], ["report", "-o", "-"])]
    said.append(perfaudit("analyze", "evidence/unknown.txt"))
    assert said[-1].code == 2
    for ran in said:
        assert found_in(ran.out.encode() + ran.err.encode()) == [], ran
    parts = 0
    for path in (home / "audit").rglob("*"):
        if path.suffix == ".parquet":
            parts += 1
            assert found_in(json.dumps(pq.read_table(path).to_pylist(), default=str).encode()) == [], path
        if path.is_file():
            assert found_in(path.read_bytes()) == [], path
    assert parts >= 7
    for name in OUTPUTS:
        assert found_in((home / name).read_bytes()) == [], name


#: Paths that mean something somewhere: terminals, pages, spreadsheets, Markdown, SQL, XML, CI logs.
ACTS = {
    "ansi": "/\\x1b[31mred\\x1b]0;title\\x07",
    "raw-ansi": "/\x1b[2J\x1b[31mred",
    "c1": "/\x9b31mred",
    "script": "/<script>alert(1)</script>",
    "image": "/<img/src=x/onerror=alert(1)>",
    "attribute": "/'onmouseover='alert(1)'",
    "formula": "=cmd|'/C calc'!A0",
    "plus": "+1+1",
    "at": "@SUM(A1)",
    "markdown": "/[click](javascript:alert(1))|`code`",
    "sql": "/';drop/**/view/**/requests;--",
    "entity": "/&lt;script&gt;&amp;]]>",
    "ci": "/::error::boo",
    "rich": "/[bold][link=http://x]a[/link][/x]",
    "bidi": "/\u202egnp.exe",
}


@pytest.fixture
def hostile(home: Path) -> Path:
    path = home / "access.log"
    lines = [
        f'192.0.2.1 - - [23/Nov/2026:08:{i // 60:02d}:{i % 60:02d} +0000] "GET {act} HTTP/1.1" 200 10 "-" "{act}" 0.{100 + i % 50} 0.090'.encode("utf-8", "surrogateescape")
        for i in range(600)
        for act in [list(ACTS.values())[i % len(ACTS)]]
    ]
    path.write_bytes(b"\n".join(lines) + b"\n" + b"\x1b[31mbroken \x9b <b> line\n")
    return path


CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Page(html.parser.HTMLParser):
    """Notes tags and attributes that could act."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.acts += [f"{tag} {k}" for k, v in attrs if k.startswith("on") or (v or "").strip().lower().startswith("javascript:")]
        if tag in ("img", "iframe", "object", "embed", "base", "form"):
            self.acts.append(tag)


def test_nothing_of_a_log_acts(hostile: Path, perfaudit: Callable[..., Ran]) -> None:
    home = hostile.parent
    ran = perfaudit("analyze", hostile, "--keep", "kept", "-o", "report.html", "-o", "report.md", "-o", "result.json", "-o", "junit:ci.xml", "-o", "github:ci.md")
    assert ran.code in (0, 3)
    plain = [ran.out + ran.err]
    for command in (["inventory"], ["baseline"], ["query", "select distinct route from requests"], ["query", "--csv", "select route, 1 from requests"], ["query", "--json", "select route from requests"]):
        ran = perfaudit(*command, "--audit", "kept")
        assert ran.code == 0
        plain.append(ran.out + ran.err)
    plain += [(home / name).read_text("utf-8") for name in ("report.md", "ci.xml", "report.html")]
    for text in plain:
        assert not CONTROL.search(text.replace("\r\n", "\n")), repr(CONTROL.search(text))
    page = Page()
    text = (home / "report.html").read_text("utf-8")
    page.feed(text)
    assert page.acts == []
    assert "<script>alert" not in text
    outside_code = re.sub(r"(`+).+?\1", "", (home / "report.md").read_text())
    assert not re.search(r"<(?:img|script)|\]\(javascript:", outside_code)
    assert not re.search(r"(?m)^\s*::", (home / "ci.md").read_text())


def test_cells_are_no_formulas_and_json_is_json(hostile: Path, perfaudit: Callable[..., Ran]) -> None:
    out = perfaudit("query", "--csv", "select '=1+1' as \"=head\", '+1' as b, '-1' as c, '@x' as d, -1 as number, 'tab\tand\x1besc' as e, null as n", hostile).out
    head, row = list(csv.reader(io.StringIO(out)))
    assert head == ["'=head", "b", "c", "d", "number", "e", "n"]
    assert row == ["'=1+1", "'+1", "'-1", "'@x", "-1", "tab\\tand\\x1besc", ""]
    rows: list[dict[str, Any]] = json.loads(perfaudit("query", "--json", "select distinct route from requests", hostile).out)
    assert len(rows) >= 5
    assert perfaudit("query", "--json", "select count(*) as n from requests", hostile).out == '[{"n": 600}]\n'


def test_names_of_files_do_not_act(home: Path, perfaudit: Callable[..., Ran]) -> None:
    folder = home / "e\x1b[31mvidence"
    folder.mkdir()
    (folder / "a\x1b[2J\n<b>.log").write_bytes(access_log(300))
    (folder / "=x\x1b.bin").write_bytes(b"\x00\x01")
    ran = perfaudit("analyze", folder, "-o", "report.html", "-o", "report.md", "-o", "result.json")
    for text in (ran.out, ran.err, *((home / n).read_text("utf-8") for n in ("report.html", "report.md"))):
        assert not CONTROL.search(text)
    assert "a\\x1b[2J\\n<b>.log" in json.loads((home / "result.json").read_text())["inventory"][0]["sources"][0]["name"]
