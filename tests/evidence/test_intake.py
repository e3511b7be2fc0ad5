"""From paths to a bundle: what is found, recognised, counted, set aside, and never kept."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from perfaudit.errors import NothingReadable, Stopped, UsageError
from perfaudit.evidence import directives, intake
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.naming import identify, shown
from perfaudit.evidence.readers import ReadOptions
from perfaudit.evidence.store import Evidence
from tests.conftest import access_log

GOOD = access_log(100)
ONE = GOOD.split(b"\n")[0]


def add(home: Path, *paths: Path | str, **options: Any) -> tuple[Bundle, intake.Intake]:
    bundle = Bundle.create(home / "audit")
    return bundle, intake.add(bundle, paths, ReadOptions(**options))


def one(home: Path, data: bytes, name: str = "access.log", **options: Any) -> dict[str, Any]:
    """The manifest's entry of one file with ``data``."""
    path = home / name
    path.write_bytes(data)
    _, report = add(home, path, **options)
    (entry,) = report.added
    assert entry["parsed"] + sum(entry["rejected"].values()) == entry["lines"]
    return entry


# -------------------------------------------------------------------- names

NAMES = {
    "access.log": ("", ""),
    "access.log.1": ("", ""),
    "access.log.2.gz": ("", ""),
    "access.log-20261123.gz": ("", ""),
    "access.log-20261123-1795420800.gz": ("", ""),
    "access-2026.11.23.log": ("", ""),
    "access_20261123_120000.log.zst": ("", ""),
    "ssl_access_log": ("", ""),
    "other_vhosts_access.log": ("", ""),
    "localhost_access_log.2026-11-23.txt": ("", ""),
    "u_ex261123.log": ("", ""),
    "u_ex261123_x.log": ("", ""),
    "standard input": ("", ""),
    "0.log": ("", ""),
    "2026-11-23.log": ("", ""),
    "web1.access.log": ("web", "web1"),
    "web1.access.log.2.gz": ("web", "web1"),
    "shop-web-02.log": ("shop-web", "shop-web-02"),
    "web-server-01_access_log": ("web-server", "web-server-01"),
    "web1.example.com.access.log": ("web", "web1.example.com"),
    "postgres-0.log": ("postgres", "postgres-0"),
    "access2.log": ("", "access2"),
    "ip-10-0-1-23.access.log": ("", "ip-10-0-1-23"),
    "downstream.access.log": ("downstream", ""),
    "example.com.access.log": ("example.com", ""),
    "www.example.com-ssl_access.log": ("www.example.com", ""),
    "nginx-access.json": ("nginx", ""),
    "postgresql-2026-11-23_000000.log": ("postgresql", ""),
    "oauth2.access.log": ("oauth2", ""),
    "shop-v2.log": ("shop-v2", ""),
    "app.log.2026-11-23-14": ("app", ""),
    "shop-7d4b9c6f5-x2x8k.log": ("shop", "shop-7d4b9c6f5-x2x8k"),
    f"shop-7d4b9c6f5-x2x8k_default_shop-{'0f' * 32}.log": ("shop", "shop-7d4b9c6f5-x2x8k"),
    "123456789012_elasticloadbalancing_us-east-1_app.my-lb.1234567890abcdef_20261123T2340Z_192.0.2.1_abcd.log.gz": ("my-lb", ""),
    "incident/access.log": ("", ""),
    "logs/web1/access.log": ("web", "web1"),
    "logs/nginx/access.log": ("", ""),
    "logs/checkout/access.log": ("checkout", ""),
    "logs/2026-11-23/access.log": ("", ""),
}


@pytest.mark.parametrize(("name", "told"), NAMES.items())
def test_what_a_file_name_tells(name: str, told: tuple[str, str]) -> None:
    assert identify(name) == told


def test_names_are_shown_so_that_they_act_nowhere() -> None:
    assert shown("a\x1b[31m\n\udcff.log") == "a\\x1b[31m\\n\\udcff.log"
    assert shown("Größe 1.log") == "Größe 1.log"


# -------------------------------------------------------------------- finding


def test_a_folder_gives_its_files_and_says_what_it_leaves(tmp_path: Path) -> None:
    top = tmp_path / "logs"
    (top / "web1").mkdir(parents=True)
    (top / "web1" / "access.log").write_bytes(GOOD)
    (top / ".hidden.log").write_bytes(GOOD)
    (top / ".git").mkdir()
    os.mkfifo(top / "pipe")
    (top / "loop").symlink_to(top)
    (top / "broken").symlink_to(top / "gone")
    (top / "self").symlink_to(top / "self")
    (top / "link.log").symlink_to(top / "web1" / "access.log")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(top)  # a socket's path is short
        server.bind("socket")
    Bundle.create(top / "kept")
    items, aside = intake.find([top])
    assert [i.name for i in items] == ["logs/link.log", "logs/web1/access.log"]
    reasons = {e["name"].removeprefix("logs/"): e["reason"].split(";")[0] for e in aside}
    assert reasons == {
        ".git": "hidden",
        ".hidden.log": "hidden",
        "broken": "cannot be opened: No such file or directory",
        "kept": "a bundle of its own",
        "loop": "a link to a folder",
        "pipe": "not a regular file",
        "self": "cannot be opened: Too many levels of symbolic links",
        "socket": "not a regular file",
    }


def test_the_audit_folder_itself_is_no_evidence(tmp_path: Path) -> None:
    home = tmp_path / "audit"
    Bundle.create(home)
    (home / "result.json").write_text("{}")
    (home / "access.log").write_bytes(GOOD)
    (home / "audit.toml").write_text("")
    report = intake.add(Bundle.open(home), [home], ReadOptions())
    assert [e["name"] for e in report.added] == ["audit/access.log"]
    assert report.not_read == [{"name": "audit/audit.toml", "reason": "settings of an audit, not evidence"}]


@pytest.mark.parametrize("name", ["with space.log", "new\nline.log", "esc\x1b[2Jape.log", os.fsdecode(b"\xff\xfe.log"), "[red]mark.log", "=cmd().log", "ünïcode.log"])
def test_file_names_of_any_kind(tmp_path: Path, name: str) -> None:
    entry = one(tmp_path, GOOD, name)
    assert entry["name"] == shown(name)
    manifest = (tmp_path / "audit" / "manifest.json").read_text("utf-8")
    assert all(c.isprintable() or c == "\n" for c in manifest)
    assert Bundle.open(tmp_path / "audit").sources[0]["parsed"] == 100


def test_twins_given_by_name_are_told_apart(tmp_path: Path) -> None:
    for i in (1, 2):
        (tmp_path / f"web{i}").mkdir()
        (tmp_path / f"web{i}" / "access.log").write_bytes(access_log(10, seed=i))
    bundle, _ = add(tmp_path, tmp_path / "web1" / "access.log", tmp_path / "web2" / "access.log")
    assert [s["name"].split("/", 1)[1] for s in bundle.sources] == ["web1/access.log", "web2/access.log"]
    assert Evidence(bundle).rows("select distinct service, instance from requests order by all") == [("web", "web1"), ("web", "web2")]


@pytest.mark.parametrize("path", ["gone.log", "gone/", "nul\0.log", "x" * 5000])
def test_a_path_that_does_not_exist(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match="cannot read") as caught:
        add(tmp_path, tmp_path / path)
    assert caught.value.where and caught.value.todo


# -------------------------------------------------------------------- lines of any kind

#: What logs hold besides good lines: raw TLS, NUL, controls, invalid UTF-8, quotes in the request, escapes of nginx.
STRANGE = {
    "a TLS handshake": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" 400 150 "-" "-" 0.100 -',
    "as nginx escapes it": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "\\x16\\x03\\x01" 400 150 "-" "-" 0.100 -',
    "NUL": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /a\x00b HTTP/1.1" 200 150 "-" "-" 0.100 0.090',
    "0x01": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /\x01 HTTP/1.1" 200 150 "\x01" "\x01" 0.100 0.090',
    "no UTF-8": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /\xff\xfe HTTP/1.1" 200 150 "\xc3" "\xe2\x82" 0.100 0.090',
    "quotes": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /a"b"c HTTP/1.1" 200 150 "-" "ag"ent" 0.100 0.090',
    "empty request": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "" 400 0 "-" "-" 0.100 -',
}


@pytest.mark.parametrize("line", STRANGE.values(), ids=STRANGE)
def test_strange_lines_are_requests_too(tmp_path: Path, line: bytes) -> None:
    entry = one(tmp_path, GOOD + line + b"\n" + GOOD[: len(ONE) + 1])
    assert (entry["lines"], entry["parsed"]) == (102, 102)
    ((count, seconds),) = Evidence(Bundle.open(tmp_path / "audit")).rows("select count(*), sum(duration_us) from requests where status in (200, 400) and response_bytes in (150, 0)")
    assert (count, seconds) == (1, 100_000)


BROKEN = {
    "cut short": b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /a HT',
    "nothing but NUL": b"\0" * 300,
    "words": b"hello world",
    "blank": b"   ",
    "too long for a block": b"x" * (18 << 20),
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_broken_lines_are_counted_with_their_place(tmp_path: Path, line: bytes) -> None:
    entry = one(tmp_path, GOOD + line + b"\n" + ONE + b"\n")
    assert (entry["lines"], entry["parsed"]) == (102, 101)
    ((reason, example),) = entry["rejected_examples"].items()
    assert entry["rejected"][reason] == 1
    assert example["offset"] == len(GOOD)
    assert example["text"][:3].encode("unicode_escape")[:1] in (line[:1], b"\\", b"x", b"")
    with (tmp_path / "access.log").open("rb") as file:
        file.seek(example["offset"])
        assert file.read(len(line)) == line


@pytest.mark.parametrize("ending", [b"\n", b"", b"\r\n"], ids=["LF", "none", "CRLF"])
def test_the_last_line(tmp_path: Path, ending: bytes) -> None:
    data = GOOD.replace(b"\n", ending or b"\n").rstrip(b"\r\n") + ending
    assert one(tmp_path, data)["parsed"] == 100


def test_a_last_line_that_is_cut_is_told_from_a_bad_one(tmp_path: Path) -> None:
    assert one(tmp_path, GOOD + ONE[:60])["rejected"] == {"truncated last line": 1}


def test_the_clock_going_back_loses_nothing(tmp_path: Path) -> None:
    entry = one(tmp_path, access_log(50, after=600) + access_log(50, seed=2))
    assert entry["parsed"] == 100
    assert entry["last"] - entry["first"] > 590_000_000


# -------------------------------------------------------------------- nothing readable


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08" + b"\xff" * 60, "gzip data is corrupt"),
        (b"BZh91AY&SY", "bzip2 is not read; unpack it first"),
        (b"PK\x03\x04....", "zip is not read; unpack it first"),
    ],
)
def test_files_that_hold_nothing_say_why(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.log").write_bytes(data)
    with pytest.raises(NothingReadable) as caught:
        add(tmp_path, tmp_path / "x.log")
    assert reason in caught.value.where
    assert caught.value.exit_code == 2


def test_an_unknown_format_shows_its_first_line_and_the_setting(tmp_path: Path) -> None:
    (tmp_path / "odd.log").write_bytes(b"08:00:00|GET|/cart?sid=CANARY|ok|user=bob@example.com|17\n" * 50)
    with pytest.raises(NothingReadable) as caught:
        add(tmp_path, tmp_path / "odd.log")
    error = caught.value
    assert error.what == "nothing could be read: 0 lines parsed of 1 source"
    assert error.where.startswith("odd.log, first line: 08:00:00|GET|/cart?…")
    assert "CANARY" not in str(error)
    assert "bob@" not in str(error)
    assert "--log-format '" in error.todo
    assert "log_format" in error.todo


def test_a_log_format_that_does_not_fit_shows_one_that_does(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"17 200 [nonsense] x\n" * 20)
    with pytest.raises(NothingReadable) as caught:
        add(tmp_path, tmp_path / "a.log", log_format="$remote_addr [$time_local] $status")
    assert "17 200 [nonsense] x" in caught.value.where


def test_garbage_never_stops_the_rest(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "access.log").write_bytes(GOOD)
    (logs / "core").write_bytes(bytes(range(256)) * 300)
    (logs / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + os.urandom(5000))
    (logs / "nul.log").write_bytes(b"\0" * 100_000)
    (logs / "deep.json").write_bytes(b"[" * 200_000)
    (logs / "deep.jsonl").write_bytes(b'{"a":' * 50_000 + b"\n")
    (logs / "empty.csv").write_bytes(b"")
    (logs / "long").write_bytes(b"x" * 3_000_000)
    _, report = add(tmp_path, logs)
    assert [e["name"] for e in report.added] == ["logs/access.log"]
    assert {e["name"].removeprefix("logs/") for e in report.not_read} == {"core", "photo.jpg", "nul.log", "deep.json", "deep.jsonl", "empty.csv", "long"}


def test_a_reader_that_fails_is_named_and_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from perfaudit.evidence.readers import events

    monkeypatch.delenv("PERFAUDIT_DEBUG", raising=False)
    monkeypatch.setattr(events, "read", lambda *_: 1 / 0)
    (tmp_path / "e.jsonl").write_bytes(b'{"time": "2026-11-23T08:00:00Z", "kind": "deploy", "service": "shop"}\n')
    (tmp_path / "access.log").write_bytes(GOOD)
    bundle, report = add(tmp_path, tmp_path / "access.log", tmp_path / "e.jsonl")
    assert [e["name"] for e in report.added] == ["access.log"]
    assert bundle.manifest["not_read"] == [{"name": "e.jsonl", "reason": "the reader “events” failed: ZeroDivisionError: division by zero"}]
    assert not list((tmp_path / "audit" / "tables").glob("*/.*"))


def test_stopped_by_a_person_says_how_far_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from perfaudit.evidence.readers import access_text

    for i in (1, 2, 3):
        (tmp_path / f"web{i}.log").write_bytes(access_log(10, seed=i))
    calls: list[int] = []
    read = access_text.read

    def stops(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        read(*arguments)

    monkeypatch.setattr(access_text, "read", stops)
    with pytest.raises(Stopped) as caught:
        add(tmp_path, *sorted(tmp_path.glob("web*.log")))
    assert (caught.value.what, caught.value.exit_code) == ("stopped: 1 of 3 files were read", 130)
    _, report = add(tmp_path, *sorted(tmp_path.glob("web*.log")))
    assert (len(report.added), len(report.known)) == (2, 1)


# -------------------------------------------------------------------- declared formats

NGINX = r"""
http {
    log_format  short  '$status $request_time';
    log_format  main escape=default
        '$msec $status "$request" '
        '$request_time it\'s; "$http_user_agent"';  # of many lines
    access_log /var/log/nginx/access.log main;
}
"""
MAIN = b"""1795420800.125 200 "GET /a HTTP/1.1" 0.250 it's; "curl/8"\n"""


def test_directives_of_all_three_kinds() -> None:
    text = NGINX + 'LogFormat "%h %{User-Agent}i \\"%r\\" \\\n %>s %D" timed\n#log_format no \'$status\';\nlog_line_prefix = \'%m [%p] it\'\'s \'\n'
    found = {(f.kind, f.name): f.text for f in directives.parse(text, "all.conf")}
    assert list(found) == [("nginx", "short"), ("nginx", "main"), ("apache", "timed"), ("postgresql", "log_line_prefix")]
    assert found["postgresql", "log_line_prefix"] == "%m [%p] it's "
    assert '"%r"' in found["apache", "timed"]


@pytest.mark.parametrize("place", ["nginx.conf", "conf.d/site.conf", "README.md"])
@pytest.mark.parametrize("named", [True, False], ids=["file", "folder"])
def test_a_directive_beside_the_log_is_used_and_listed(tmp_path: Path, place: str, named: bool) -> None:
    logs = tmp_path / "logs"
    (logs / place).parent.mkdir(parents=True)
    (logs / place).write_text(NGINX)
    (logs / "access.log").write_bytes(MAIN * 50)
    bundle, report = add(tmp_path, logs / "access.log" if named else logs)
    assert [e["parsed"] for e in report.added] == [50]
    assert report.not_read == []
    assert Evidence(bundle).rows("select distinct route, status, duration_us from requests") == [("/a", 200, 250_000)]
    assert bundle.manifest["configuration"] == ([] if named else [{"name": f"logs/{place}", "formats": 2}])
    assert bundle.manifest["not_read"] == []


def test_a_log_is_no_configuration_though_its_lines_say_so(tmp_path: Path) -> None:
    hostile = b"log_format x '$status';\n"
    entry = one(tmp_path, GOOD + hostile)
    assert (entry["parsed"], entry["lines"]) == (100, 101)


def test_a_huge_folder_beside_the_log_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "access.log").write_bytes(MAIN * 50)
    (tmp_path / "nginx.conf").write_text(NGINX)
    for i in range(300):
        (tmp_path / f"old{i}.log").write_bytes(b"x\n")
    read: list[Path] = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self) or read_bytes(self))  # type: ignore[func-returns-value]
    _, report = add(tmp_path, tmp_path / "access.log")
    assert report.added[0]["parsed"] == 50
    assert tmp_path / "nginx.conf" in read
    assert len([p for p in read if p.suffix == ".log"]) < directives.MOST_FILES


def test_formats_of_the_nearest_file_come_first(tmp_path: Path) -> None:
    for name in ("web1", "web2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nginx.conf").write_text(f"log_format {name} '$status';\n")
    found = directives.declared([], [tmp_path / n / "access.log" for n in ("web1", "web2")])
    assert [f.name for f in found.near(tmp_path / "web2" / "access.log")] == ["web2", "web1"]
    assert [f.name for f in found.near(tmp_path / "web1" / "access.log")] == ["web1", "web2"]


#: Lines that a search of all ways would not finish in a lifetime (texts between blanks), or that cost the square of their length.
COSTLY = {
    "blanks and slashes": b"1.2.3.4:5 [23/Nov/2026:08:00:00.000] f b/s 1/1/1/1/1 200 10 " + b"a " * 60 + b"/" * 60,
    "prefixes": b"LOG: " * 800,
    "quotes": b'\\"' * 2_000,
    "brackets": b"[" * 4_000,
    "times": b"1.1, " * 800,
    "one long": b"[" * 200_000,
}


@pytest.mark.parametrize("line", COSTLY.values(), ids=COSTLY)
def test_a_crafted_line_is_one_rejected_line(tmp_path: Path, line: bytes) -> None:
    entry = one(tmp_path, (GOOD + line + b"\n") * 20)
    assert (entry["lines"], entry["parsed"]) == (2_020, 2_000)
    with pytest.raises(NothingReadable):
        add(tmp_path / "other", _written(tmp_path / "only.log", (line + b"\n") * 50))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
