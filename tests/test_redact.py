"""What may be kept of free text: the shape stays, people and secrets go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit import redact

CANARIES = ("SECRET_CANARY", "4111111111111111", "4111 1111 1111 1111", "alice@example.com", "203.0.113.77", "2001:db8::77", "hunter2")
LEAKY = [
    "GET /x?token=SECRET_CANARY&card=4111111111111111 HTTP/1.1",
    '203.0.113.77 - alice@example.com [23/Nov/2026:08:02:23 +0000] "GET /a?q=SECRET_CANARY HTTP/1.1" 200 5 "https://e/?p=hunter2" "SECRET_CANARY"',
    "password='hunter2' and name = 'SECRET_CANARY' or mail=alice@example.com",
    "Authorization: Bearer SECRET_CANARY",
    "Cookie: session=SECRET_CANARY; other=hunter2",
    "Set-Cookie: a=SECRET_CANARY; Path=/; HttpOnly; b=hunter2",
    '{"password": "hunter2", "api_key":"SECRET_CANARY", "card": "4111 1111 1111 1111"}',
    "client [2001:db8::77]:443 closed, peer 203.0.113.77:5432",
    "postgres://alice:hunter2@db:5432/shop?sslpassword=SECRET_CANARY",
    "X-Api-Key: SECRET_CANARY",
    "token is SECRET_CANARY",
    "where name = 'SECRET_CANARY",
    'msg="SECRET_CANARY \\" hunter2"',
    "basic SECRET_CANARY=",
    "card 4111-1111-1111-1111 and 4111111111111111",
]


@pytest.mark.parametrize("text", LEAKY)
@pytest.mark.parametrize("kept", [lambda t: redact.line(t.encode()), redact.template])
def test_canaries_do_not_survive(text, kept):
    out = kept(text)
    assert not [canary for canary in CANARIES if canary in out], out
    assert "…" in out


@pytest.mark.parametrize("text", [t for t in LEAKY if "where name" not in t and "msg=" not in t and "(" not in t and "name = " not in t])
def test_notes_lose_credentials_and_addresses(text):
    out = redact.note(text)
    assert not [canary for canary in CANARIES if canary in out and canary != "SECRET_CANARY"], out


def test_a_line_keeps_its_format():
    data = b'203.0.113.77 - - [23/Nov/2026:08:02:23 +0000] "GET /cart/17?x=1 HTTP/1.1" 200 512 "-" "curl/8" 0.123'
    assert redact.line(data) == '… - - [23/Nov/2026:08:02:23 +0000] "GET /cart/17?… HTTP/1.1" 200 512 "-" "…" 0.123'
    assert redact.line(b'{"time":1795420943770,"path":"/x","status":"200"}') == '{"time":1795420943770,"path":"…","status":"…"}'


def test_a_line_is_short_and_printable():
    out = redact.line(b"\x00\x1b[31mred\xff\r\n" + b"x y " * 5_000_000)
    assert len(out) == redact.LINE_LENGTH
    assert out.startswith("\\x00\\x1b[31mred\ufffd\\x0d\\x0a")
    assert out.isprintable()


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("cannot add product 17 for bob@example.com in 12.5ms", "cannot add product … for … in …"),
        ("user 'bob' can't log in, isn't known", "user … can't log in, isn't known"),
        ("GET http://h/a/3f2a9c1b/x?y=1 failed (110: timed out)", "GET http://h/a/…/x?… failed (…: timed out)"),
        ('column "price" does not exist', "column … does not exist"),
        ("retry op=read code=17 user=bob key=abc", "retry op=read code=… user=… key=…"),
        ("first line\nsecond line 2", "first line"),
        ("values 1, 2, 3, 4", "values …"),
        ("590f8e4e7fcc0f7d9d51d1db1379d8e3 gone", "… gone"),
        ("", ""),
    ],
)
def test_templates(message, template):
    assert redact.template(message) == template


def test_templates_make_like_messages_equal():
    messages = [f"order {n} of customer {n * 7} took {n / 3:.2f} ms at 10.0.0.{n}" for n in range(1, 50)]
    assert len({redact.template(m) for m in messages}) == 1


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("instance", "10.0.0.1:9100", "10.0.0.1:9100"),
        ("le", "0.5", "0.5"),
        ("password", "hunter2", "…"),
        ("client_ip", "203.0.113.77", "…"),
        ("path", "/x?token=SECRET", "/x?…"),
        ("user", "alice@example.com", "…"),
        ("keyspace", "db0", "db0"),
    ],
)
def test_values_of_labels(name, text, kept):
    assert redact.value(name, text) == kept


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    assert len(redact.line(data)) <= redact.LINE_LENGTH
    text = data.decode("utf-8", "replace")
    assert "\n" not in redact.template(text)
    assert not set("0123456789") & set(redact.template(text))
    assert len(redact.note(text)) <= redact.NOTE_LENGTH


@pytest.mark.parametrize("text", ["'" * 100_000, '"\\' * 50_000, "a@" * 50_000, "1:" * 50_000, "1-" * 50_000, "token" * 50_000, "a=" * 50_000, "?" * 100_000])
def test_hostile_text_is_bounded(text):
    assert len(redact.line(text.encode())) <= redact.LINE_LENGTH
    assert len(redact.template(text)) <= redact.TEMPLATE_LENGTH
