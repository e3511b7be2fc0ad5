from __future__ import annotations

import json

import pytest

from perfaudit.evidence.readers import Sample, git_log

T = 1_795_420_943_000_000
SHA = "590f8e4e7fcc0f7d9d51d1db1379d8e3aaaaaaaa"


def log(date: str, body: str = "    Take stock before the payment\n\n    SECRET_CANARY\n\nsrc/a.py\nsrc/b c.py\n") -> bytes:
    return f"commit {SHA} (HEAD -> main, tag: v1)\nAuthor: Alice <alice@example.com>\nDate:   {date}\n\n{body}\n".encode()


@pytest.mark.parametrize(
    "date",
    ["Mon Nov 23 09:02:23 2026 +0100", "2026-11-23 09:02:23 +0100", "2026-11-23T08:02:23Z", "2026-11-23T09:02:23+01:00", "Mon, 23 Nov 2026 09:02:23 +0100", "1795420943", "1795420943 +0100"],
)
def test_dates(read, date):
    sink = read(git_log, log(date) * 2)
    assert sink.n_rejected == 0
    event = sink.rows["events"][0]
    assert (event["time"], event["kind"], event["commit"]) == (T, "commit", SHA)
    assert json.loads(event["detail"]) == {"subject": "Take stock before the payment", "files": ["src/a.py", "src/b c.py"]}
    assert not [c for c in ("Alice", "alice", "SECRET_CANARY") if c in repr(sink.rows)]


def test_fuller_form_takes_the_committers_date(read):
    data = f"""commit {SHA}
Merge: abc1234 def5678
Author:     Alice <alice@example.com>
AuthorDate: Mon Nov 23 00:00:00 2026 +0000
Commit:     Alice <alice@example.com>
CommitDate: Mon Nov 23 08:02:23 2026 +0000

    Merge for bob@example.com

 src/a.py   |  3 ++-
 img/b.png  | Bin 0 -> 12 bytes
 2 files changed, 2 insertions(+), 1 deletion(-)
"""
    event = read(git_log, data.encode()).rows["events"][0]
    assert event["time"] == T
    assert json.loads(event["detail"]) == {"subject": "Merge for …", "files": ["src/a.py", "img/b.png"]}


def test_other_file_lists(read):
    body = "    s\n\nM\tsrc/a.py\nR100\tsrc/b.py\n3\t1\tsrc/c.py\n" + "".join(f"f{i}\n" for i in range(60))
    detail = json.loads(read(git_log, log("1795420943", body)).rows["events"][0]["detail"])
    assert detail["files"][:3] == ["src/a.py", "src/b.py", "src/c.py"]
    assert len(detail["files"]) == git_log.FILES and detail["files_changed"] == 63


def test_a_date_that_cannot_be_read(read):
    sink = read(git_log, log("3 weeks ago") + log("1795420943"))
    assert len(sink.rows["events"]) == 1
    assert list(sink.rejected) == ["commit without a date that can be read (use --date=iso-strict)"]


def test_hostile(read):
    data = log("1795420943") + b"\0\xff\n" + b"x" * 5_000_000 + b"\n" + log("1795420943") + b"commit "
    sink = read(git_log, data)
    assert len(sink.rows["events"]) == 2


@pytest.mark.parametrize("data", [b"", b"commit abc\n", b"commit 590f8e4e7f\nhello\n", b"590f8e4 subject\n"])
def test_other_files_are_left_alone(data):
    assert git_log.sniff(Sample("x", data)) is None
