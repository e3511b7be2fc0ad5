"""The bundle: atomic, idempotent, one writer at a time, whatever the disk and the person do."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from benchmarks import kill
from perfaudit.errors import BundleError, ContractError
from perfaudit.evidence import bundle as module
from perfaudit.evidence import intake
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.readers import ReadOptions
from tests.conftest import access_log

KILLS = 15


def add(path: Path, *files: Path, **options: Any) -> intake.Intake:
    return intake.add(Bundle.create(path), files, ReadOptions(**options))


def files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "web1.access.log"
    path.write_bytes(access_log(500))
    return path


# -------------------------------------------------------------------- adding


def test_adding_twice_changes_no_byte(tmp_path: Path, log: Path) -> None:
    home = tmp_path / "audit"
    assert len(add(home, log).added) == 1
    before = files(home)
    report = add(home, log)
    assert (report.added, report.known) == ([], ["web1.access.log"])
    assert files(home) == before


def test_the_order_of_adding_leaves_no_trace(tmp_path: Path, log: Path) -> None:
    other = tmp_path / "web2.access.log"
    other.write_bytes(access_log(300, seed=2))
    for name, order in (("one", (log, other)), ("two", (other, log))):
        for path in order:
            add(tmp_path / name, path)
    one, two = (Bundle.open(tmp_path / n).manifest for n in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
def test_a_compressed_copy_is_the_same_source(tmp_path: Path, log: Path, pack: Any) -> None:
    add(tmp_path / "audit", log)
    rotated = tmp_path / "web1.access.log.1.gz"
    rotated.write_bytes(pack(log.read_bytes()))
    assert add(tmp_path / "audit", rotated).known == [rotated.name]
    assert Bundle.open(tmp_path / "audit").rows("requests") == 500


def test_a_grown_and_rotated_file_replaces_its_rows(tmp_path: Path, log: Path) -> None:
    whole = access_log(800)
    home = tmp_path / "audit"
    for cut, rows in ((len(whole) // 2 + 7, None), (len(whole) * 3 // 4, None), (len(whole), 800)):
        log.write_bytes(whole[:cut])
        add(home, log)
        bundle = Bundle.open(home)
        assert len(bundle.sources) == 1
        assert rows is None or bundle.rows("requests") == rows
    rotated = tmp_path / "web1.access.log.1.gz"
    rotated.write_bytes(gzip.compress(whole + access_log(5, seed=9, after=60)))
    add(home, rotated)
    assert [(s["name"], s["parsed"]) for s in Bundle.open(home).sources] == [(rotated.name, 805)]


def test_the_same_text_read_otherwise_is_read_again(tmp_path: Path, log: Path) -> None:
    home = tmp_path / "audit"
    add(home, log)
    report = add(home, log, instance="blue", labelled=frozenset({"instance"}))
    assert [entry["read_as"]["instance"] for entry in report.added] == ["blue"]
    assert Bundle.open(home).rows("requests") == 500
    report = intake.add(Bundle.open(home), [log], ReadOptions(), zones={"*": "Europe/Berlin"})
    assert len(report.added) == 1
    assert Bundle.open(home).rows("requests") == 500


def test_parts_that_no_manifest_names_are_swept(tmp_path: Path, log: Path) -> None:
    home = tmp_path / "audit"
    add(home, log)
    stray = home / "tables" / "requests" / "feed.parquet"
    stray.write_bytes(b"torn")
    half = home / "tables" / "requests" / ".1-ab.new"
    half.write_bytes(b"torn")
    assert Bundle.open(home).rows("requests") == 500
    add(home, log)
    assert not stray.exists()
    assert not half.exists()


def test_a_failed_commit_leaves_the_manifest_as_it_was(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "audit"
    bundle = Bundle.create(home)
    before = (home / "manifest.json").read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(BundleError, match="No space left"):
        intake.add(bundle, [log], ReadOptions())
    assert (home / "manifest.json").read_bytes() == before
    monkeypatch.undo()
    assert len(add(home, log).added) == 1


def test_unknown_columns_and_wrong_lengths_break_the_contract(tmp_path: Path) -> None:
    writer = Bundle.create(tmp_path / "audit").part_writer({})
    with pytest.raises(ContractError, match="no column nope"):
        writer.write("requests", {"nope": 1}, 1)
    with pytest.raises(ContractError, match="2 values for 3 rows"):
        writer.write("requests", {"status": [200, 200]}, 3)


# -------------------------------------------------------------------- killing and sharing


def test_killed_at_any_instant_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    kill.write_logs(tmp_path / "logs", access_log)
    tally = kill.rounds(KILLS, tmp_path / "logs", tmp_path)
    assert tally.rounds == KILLS
    assert tally.killed > 0


def test_a_second_writer_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    first = Bundle.create(tmp_path / "audit")
    with first.writing(), pytest.raises(BundleError, match="another perfaudit") as caught, Bundle.open(tmp_path / "audit").writing(patience=0.1):
        pass
    assert "wait" in caught.value.todo


def test_two_adders_at_once_both_finish(tmp_path: Path) -> None:
    names = ("web1.access.log", "web2.access.log")
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(access_log(20_000, seed=i))
    script = "import sys; from pathlib import Path; from perfaudit.evidence import intake; from perfaudit.evidence.bundle import Bundle; from perfaudit.evidence.readers import ReadOptions\n"
    script += "intake.add(Bundle.create(Path('audit')), sys.argv[1:], ReadOptions())"
    adders = [subprocess.Popen([sys.executable, "-c", script, name], cwd=tmp_path) for name in names]
    assert [a.wait() for a in adders] == [0, 0]
    bundle = Bundle.open(tmp_path / "audit")
    assert [(s["name"], s["lines"]) for s in bundle.sources] == [(n, 20_000) for n in names]
    assert bundle.rows("requests") == 40_000


# -------------------------------------------------------------------- what can be wrong with a bundle


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b'"x"', b'{"format": 99}', b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_none(tmp_path: Path, manifest: bytes) -> None:
    Bundle.create(tmp_path / "audit")
    (tmp_path / "audit" / "manifest.json").write_bytes(manifest)
    with pytest.raises(BundleError) as caught:
        Bundle.open(tmp_path / "audit")
    assert caught.value.where and caught.value.todo


def test_a_missing_part_and_a_missing_bundle(tmp_path: Path, log: Path) -> None:
    with pytest.raises(BundleError, match="no bundle here"):
        Bundle.open(tmp_path)
    add(tmp_path / "audit", log)
    next((tmp_path / "audit" / "tables" / "requests").iterdir()).unlink()
    with pytest.raises(BundleError, match="part of the bundle is missing"):
        Bundle.open(tmp_path / "audit")


def test_the_client_key_is_private_and_stays(tmp_path: Path) -> None:
    home = tmp_path / "audit"
    key = Bundle.create(home).client_key
    assert len(key) == 16
    assert key != Bundle.create(tmp_path / "other").client_key
    assert Bundle.open(home).client_key == key
    assert (home / "client.key").stat().st_mode & 0o077 == 0


# -------------------------------------------------------------------- disks and permissions

WHERE = "from pathlib import Path; from perfaudit.cli import run; import sys; sys.exit(run(sys.argv[1:]))"


def as_nobody(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line as an unprivileged user."""
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", WHERE, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, "HOME": str(cwd)},
    )  # fmt: skip


needs_root = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv to become another user")


@needs_root
def test_without_permission(tmp_path: Path) -> None:
    """What may not be read is listed beside what may; a bundle of somebody else is refused."""
    logs, work = tmp_path / "logs", tmp_path / "work"
    (logs / "locked").mkdir(parents=True)
    work.mkdir()
    work.chmod(0o777)
    for name in ("public.jsonl", "secret.jsonl"):
        (logs / name).write_bytes(b'{"time": "2026-11-23T08:00:00Z", "kind": "deploy", "service": "shop", "version": "1"}\n')
    (logs / "secret.jsonl").chmod(0)
    (logs / "locked").chmod(0)
    for folder in (tmp_path, *tmp_path.parents):  # pytest keeps its folders to itself
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    assert as_nobody("init", work / "audit", cwd=work).returncode == 0
    ran = as_nobody("add", logs, "--audit", work / "audit", cwd=work)
    assert ran.returncode == 0, ran.stderr
    assert "logs/public.jsonl: events, 1 lines, 1 events" in ran.stdout
    assert "logs/secret.jsonl: not read: cannot open logs/secret.jsonl: Permission denied" in ran.stderr
    assert "logs/locked: not read: cannot be opened: Permission denied" in ran.stderr

    for path in (work / "audit", work / "audit" / "lock"):
        os.chown(path, 0, 0)
    ran = as_nobody("add", logs, "--audit", work / "audit", cwd=work)
    assert (ran.returncode, ran.stderr.splitlines()[0]) == (2, "perfaudit: cannot write to the bundle: Permission denied")
    ran = as_nobody("analyze", logs / "secret.jsonl", cwd=work)
    assert (ran.returncode, "Permission denied" in ran.stderr) == (2, True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 512 KiB."""
    point = tmp_path / "disk"
    point.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(point)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_full_disk_keeps_what_was_added_and_the_same_command_finishes(tmp_path: Path, small_disk: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.access.log").write_bytes(access_log(2_000))
    (logs / "b.access.log").write_bytes(access_log(60_000, seed=2))
    home = small_disk / "audit"
    with pytest.raises(BundleError, match="No space left") as caught:
        add(home, logs)
    assert "what was added so far is kept" in caught.value.todo
    bundle = Bundle.open(home)
    assert [s["name"] for s in bundle.sources] == ["logs/a.access.log"]
    assert json.loads((home / "manifest.json").read_bytes())["format"] == module.FORMAT
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    add(home, logs)
    assert Bundle.open(home).rows("requests") == 62_000
    assert not list(home.glob("tables/*/.*.new"))
