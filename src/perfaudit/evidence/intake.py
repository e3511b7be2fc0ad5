"""From paths to a bundle: find the files, recognise each, read it, count what was read and what was not.

A file that nobody can read never stops an audit: it is listed by name with the reason. Nothing readable at all is an error
that shows the first bad line and the setting that would make it readable.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfaudit.errors import AuditError, BundleError, EvidenceError, NothingReadable, UsageError
from perfaudit.evidence.bundle import Bundle, SourceWriter
from perfaudit.evidence.readers import NamedFormat, ReadOptions, Recognised, Sample, discover, recognise
from perfaudit.evidence.source import Source

#: Files beside a log that are searched for format directives: small and few, so that /var/log is no burden.
DIRECTIVE_BYTES, DIRECTIVE_FILES = 256 << 10, 200

Progress = Callable[[str, int, int | None], None]
"""Called with the source's name, raw bytes read so far and its size (None when unknown)."""


@dataclass
class Intake:
    """What one ``add`` did."""

    added: list[dict[str, Any]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    not_read: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """A file to read and how people know it; ``path`` is None for standard input."""

    name: str
    path: Path | None


def find(paths: Iterable[str | Path]) -> tuple[list[Item], list[dict[str, str]]]:
    """The files below ``paths`` (``-`` is standard input), sorted; with what is set aside unseen. Raises :class:`UsageError`."""
    items: list[Item] = []
    aside: list[dict[str, str]] = []
    for given in paths:
        if str(given) == "-":
            items.append(Item("standard input", None))
            continue
        path = Path(given)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise UsageError(f"cannot read {given}: {error.strerror}", where=str(given), todo="check the path and its permissions") from error
        if not stat.S_ISDIR(mode):
            items.append(Item(path.name, path))
            continue
        base = path.resolve().name
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(f for f in folders if not f.startswith(".") and not Bundle.is_bundle(Path(folder) / f))
            for file in sorted(files):
                full = Path(folder) / file
                name = f"{base}/{full.relative_to(path)}"
                with contextlib.suppress(OSError):
                    mode = full.stat().st_mode
                    if not stat.S_ISREG(mode):
                        aside.append({"name": name, "reason": "not a regular file; give it by name to read it"})
                        continue
                if not file.startswith("."):
                    items.append(Item(name, full))
    return items, aside


def add(
    bundle: Bundle,
    paths: Iterable[str | Path],
    options: ReadOptions,
    *,
    zones: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Intake:
    """Read ``paths`` into ``bundle``. ``zones`` maps a source's name (or ``*``) to an IANA zone.

    Raises :class:`NothingReadable` when no source gave a row and :class:`BundleError` when the bundle cannot be written.
    """
    items, aside = find(paths)
    report = Intake(not_read=aside)
    failures: list[tuple[str, str, str]] = []
    declared = _directives(items)
    with bundle.writing():
        for item in items:
            if item.path is not None and item.path.name in ("audit.toml", "perfaudit.toml"):
                continue
            near = tuple(f for where, found in declared.items() for f in found if item.path is None or where == item.path.parent or where in item.path.parents)
            own = replace(options, formats=options.formats + near, zone=_zone(item.name, zones, options.zone), client_key=bundle.client_key)
            if item.path is not None and _only_directives(item.path, declared):
                report.not_read.append({"name": item.name, "reason": "configuration; its log formats are used"})
                continue
            try:
                _add_one(bundle, item, own, report, failures, progress)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                    raise BundleError(f"cannot write to the bundle: {error.strerror}", where=str(bundle.path), todo="free some space or choose another folder, then run the same command again: what was added so far is kept") from error
                report.not_read.append({"name": item.name, "reason": str(error.strerror or error)})
        if report.not_read:
            bundle.set_aside(report.not_read)
    if not report.added and not report.known:
        raise _nothing(items, failures, report)
    return report


def _add_one(bundle: Bundle, item: Item, options: ReadOptions, report: Intake, failures: list[tuple[str, str, str]], progress: Progress | None) -> None:
    try:
        with Source(item.name, item.path) as source:
            source.mark({s["bytes"]: s["sha256"] for s in bundle.manifest["sources"] if s["name"] == item.name})
            if progress:
                source.on_read = lambda _n: progress(item.name, source.raw_bytes, source.size)
            if not source.head:
                report.not_read.append({"name": item.name, "reason": source.damage[0] if source.damage else "empty"})
                return
            sample = Sample(item.name, source.head, _identify(item, options))
            found = recognise(sample)
            if found is None:
                failures.append((item.name, _first_line(sample), ""))
                report.not_read.append({"name": item.name, "reason": "no reader knows this format"})
                return
            name, claim = found
            _read(bundle, source, name, claim, sample.options, report, failures)
    except EvidenceError as error:
        if isinstance(error, BundleError):
            raise
        report.not_read.append({"name": item.name, "reason": error.what})


def _read(bundle: Bundle, source: Source, name: str, claim: Recognised, options: ReadOptions, report: Intake, failures: list[tuple[str, str, str]]) -> None:
    reader = discover()[name]
    if not options.service:
        options = replace(options, service=getattr(reader, "SERVICE", "web" if "requests" in reader.TABLES else ""))
    writer = bundle.part_writer(options.columns)
    sink = Tally(writer)
    if claim.note:
        sink.note(claim.note)
    try:
        reader.read(source, sink, claim, options)
    except OSError:
        writer.abandon()
        raise
    except Exception as error:
        writer.abandon()
        if os.environ.get("PERFAUDIT_DEBUG"):
            raise
        report.not_read.append({"name": source.name, "reason": f"the reader “{reader.NAME}” failed: {type(error).__name__}: {str(error)[:120]}"})
        return
    known = bundle.find(source.sha256)
    if known is not None and known["reader_version"] == reader.VERSION:
        writer.abandon()
        report.known.append(source.name)
        return
    if sink.n_parsed == 0:
        writer.abandon()
        example = next(iter(sink.examples.values()), {"text": _first_line(Sample(source.name, source.head))})["text"]
        failures.append((source.name, example, claim.hint))
        report.not_read.append({"name": source.name, "reason": f"0 of {sink.n_lines:,} lines fit “{reader.NAME}”"})
        return
    entry: dict[str, Any] = {
        "name": source.name,
        "sha256": source.sha256,
        "bytes": source.raw_bytes,
        "reader": reader.NAME,
        "reader_version": reader.VERSION,
        "service": options.service,
        "lines": sink.n_lines,
        "parsed": sink.n_parsed,
        "rejected": dict(sorted(sink.rejected.items())),
        "rejected_examples": dict(sorted(sink.examples.items())),
        "notes": sink.notes + [f"damaged: {d}" for d in source.damage],
        "first": writer.first,
        "last": writer.last,
    }
    bundle.commit(entry, writer, replaces=source.grown_from)
    report.added.append(entry)


class Tally:
    """The sink of one source: passes rows on and counts lines; see :class:`perfaudit.evidence.readers.Sink`."""

    def __init__(self, writer: SourceWriter) -> None:
        self._writer = writer
        self.n_lines = 0
        self.n_parsed = 0
        self.rejected: dict[str, int] = {}
        self.examples: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []

    def write(self, table: str, columns: Mapping[str, Any], rows: int) -> None:
        """Append rows."""
        self._writer.write(table, columns, rows)

    def lines(self, n: int = 1) -> None:
        """Count physical lines."""
        self.n_lines += n

    def parsed(self, n: int = 1) -> None:
        """Count lines that belong to a row."""
        self.n_parsed += n

    def reject(self, reason: str, n: int = 1, *, example: bytes = b"", offset: int = 0) -> None:
        """Count lines that do not; keeps the first example of a reason, redacted."""
        if n <= 0:
            return
        if reason not in self.rejected:
            from perfaudit import redact

            self.examples[reason] = {"text": redact.line(bytes(example[:2000])), "offset": int(offset)}
        self.rejected[reason] = self.rejected.get(reason, 0) + n

    def too_long(self, offset: int, first: bytes) -> None:
        """Count an over-long line."""
        self.lines()
        self.reject("line longer than 1 MiB", example=first, offset=offset)

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text not in self.notes:
            self.notes.append(text)


# -------------------------------------------------------------------- names

_NOISE = {"access", "log", "logs", "json", "jsonl", "ndjson", "txt", "csv", "other", "vhosts", "error", "errors", "out", "current", "ssl", "stdin", "standard", "input"}


def identify(name: str) -> tuple[str, str]:
    """``(service, instance)`` told by a file's name: ``web1.access.log.2.gz`` → ``("web", "web1")``, ``access.log`` → ``("", "")``."""
    stem = re.sub(r"\.(gz|zst|zstd)$", "", Path(name).name)
    stem = re.sub(r"([._-]\d{1,3}|[._-]\d{4}-?\d{2}-?\d{2}([._-]?\d{2,6})?)$", "", stem)
    words = [w for w in re.split(r"[._\s-]+", stem) if w.lower() not in _NOISE and not re.fullmatch(r"\d{4,}", w)]
    whole = "-".join(words).lower()
    numbered = re.fullmatch(r"(.*?[a-z]{2,})-?(\d{1,3})", whole)
    return (numbered[1], whole) if numbered else (whole, "")


def _identify(item: Item, options: ReadOptions) -> ReadOptions:
    service, instance = identify(item.name)
    return replace(options, service=options.service or service, instance=options.instance or instance)


def _zone(name: str, zones: Mapping[str, str] | None, default: str | None) -> str | None:
    zones = zones or {}
    return zones.get(name) or zones.get(Path(name).name) or zones.get("*") or default


# -------------------------------------------------------------------- directives

_NGINX = re.compile(r"^\s*log_format\s+(\S+)\s+((?:[^;'\"]|'[^']*'|\"[^\"]*\")+);", re.M)
_APACHE = re.compile(r"^\s*LogFormat\s+\"((?:[^\"\\]|\\.)*)\"(?:\s+(\S+))?", re.M | re.I)
_POSTGRES = re.compile(r"^\s*log_line_prefix\s*=\s*'((?:[^']|'')*)'", re.M)


def directives(text: str, origin: str) -> list[NamedFormat]:
    """The ``log_format``, ``LogFormat`` and ``log_line_prefix`` directives in a piece of configuration."""
    found = [NamedFormat("nginx", m[1], m[2].strip(), origin) for m in _NGINX.finditer(text)]
    found += [NamedFormat("apache", m[2] or "", m[1].replace('\\"', '"').replace("\\\\", "\\"), origin) for m in _APACHE.finditer(text)]
    return found + [NamedFormat("postgresql", "log_line_prefix", m[1].replace("''", "'"), origin) for m in _POSTGRES.finditer(text)]


def _directives(items: Iterable[Item]) -> dict[Path, list[NamedFormat]]:
    folders = dict.fromkeys(item.path.parent for item in items if item.path is not None)
    found: dict[Path, list[NamedFormat]] = {}
    for folder in folders:
        try:
            files = sorted(p for p in folder.iterdir() if p.is_file() and p.stat().st_size <= DIRECTIVE_BYTES)[:DIRECTIVE_FILES]
        except OSError:
            continue
        for path in files:
            with contextlib.suppress(OSError):
                raw = path.read_bytes()
                if b"log_format" in raw or b"logformat" in raw.lower() or b"log_line_prefix" in raw:
                    here = directives(raw.decode("utf-8", "replace"), path.name)
                    if here:
                        found.setdefault(folder, []).extend(here)
    return found


def _only_directives(path: Path, declared: Mapping[Path, list[NamedFormat]]) -> bool:
    return any(f.origin == path.name for f in declared.get(path.parent, ()))


# -------------------------------------------------------------------- nothing readable


def _first_line(sample: Sample) -> str:
    from perfaudit import redact

    return redact.line(sample.lines[0][:2000]) if sample.lines else ""


def _nothing(items: list[Item], failures: list[tuple[str, str, str]], report: Intake) -> AuditError:
    if failures:
        name, line, hint = failures[0]
        todo = hint or "say how its lines are built: --log-format '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_time' (nginx), or put the log_format directive in a text file beside the log"
        return NothingReadable(f"nothing could be read: 0 lines parsed of {len(items)} source{'s' * (len(items) != 1)}", where=f"{name}, first line: {line}", todo=todo)
    reasons = "; ".join(f"{r['name']}: {r['reason']}" for r in report.not_read[:3])
    return NothingReadable("nothing could be read" + ("" if items else ": no files were found"), where=reasons, todo="give access logs, database logs, session dumps or metrics; perfaudit analyze --help lists the formats")
