"""From paths to a bundle: find the files, recognise each, read it, count what was read and what was not.

A file that nobody can read never stops an audit: it is listed by name with the reason. Nothing readable at all is an error
that shows the first bad line and the setting that would make it readable.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfaudit.errors import AuditError, EvidenceError, NothingReadable, Stopped, UsageError
from perfaudit.evidence.bundle import Bundle, SourceWriter
from perfaudit.evidence.directives import declared
from perfaudit.evidence.naming import identify, shown
from perfaudit.evidence.readers import ReadOptions, Recognised, Sample, discover, recognise
from perfaudit.evidence.source import Source

Progress = Callable[[str, int, int | None], None]
"""Called with the source's name, raw bytes read so far and its size (None when unknown)."""

#: Files of an audit folder that are no evidence.
_OWN = frozenset({"audit.toml", "perfaudit.toml"})
#: What else files are, by their first bytes (of ``file``'s magic): one step of the person makes them readable.
_PACKED = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "zip", b"\x04\x22\x4d\x18": "lz4", b"7z\xbc\xaf": "7z"}


@dataclass
class Intake:
    """What one ``add`` did: manifest entries added, names known before, files set aside, files whose formats were used."""

    added: list[dict[str, Any]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    not_read: list[dict[str, str]] = field(default_factory=list)
    configuration: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def aside(self, name: str, reason: str) -> None:
        """Set a file aside, by name."""
        self.not_read.append({"name": name, "reason": reason})


@dataclass(frozen=True)
class Failure:
    """A file of which no line could be read: its first bad line (redacted) and the setting that might help."""

    name: str
    line: str
    hint: str
    size: int


@dataclass(frozen=True)
class Item:
    """A file to read and how people know it; ``path`` is None for standard input, ``named`` when it was given by name."""

    name: str
    path: Path | None
    named: bool = True


def find(paths: Iterable[str | Path]) -> tuple[list[Item], list[dict[str, str]]]:
    """The files below ``paths`` (``-`` is standard input) by name, and what is set aside unseen. Raises :class:`UsageError`."""
    items: list[Item] = []
    aside: list[dict[str, str]] = []
    given = list(dict.fromkeys(map(str, paths)))
    for text in given:
        if text == "-":
            items.append(Item("standard input", None))
            continue
        path = Path(text)
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"cannot read {shown(text)}: {reason}", where=shown(text), todo="check the path and its permissions") from error
        if stat.S_ISDIR(mode):
            _walk(path, items, aside)
        else:
            twins = sum(Path(other).name == path.name for other in given) > 1
            items.append(Item(shown("/".join(path.resolve().parts[-3:]) if twins else path.name), path))
    return sorted(items, key=lambda item: (item.name, str(item.path))), aside


def _walk(top: Path, items: list[Item], aside: list[dict[str, str]]) -> None:
    """The regular files below ``top``; everything else by name and reason."""
    base = top.resolve().name

    def set_aside(path: str | Path, reason: str) -> None:
        aside.append({"name": shown(f"{base}/{os.path.relpath(path, top)}"), "reason": reason})

    for folder, folders, files in os.walk(top, onerror=lambda error: set_aside(error.filename, f"cannot be opened: {error.strerror}")):
        here = Path(folder)
        ours = Bundle.contents(here)
        for name in sorted(folders):
            reason = _unwalked(here / name)
            if reason:
                folders.remove(name)
                if name not in ours:
                    set_aside(here / name, reason)
        folders[:] = sorted(set(folders) - ours)
        for name in sorted(set(files) - ours):
            path = here / name
            reason = "hidden; give it by name to read it" if name.startswith(".") else _unread(path)
            if reason:
                set_aside(path, reason)
            else:
                items.append(Item(shown(f"{base}/{path.relative_to(top)}"), path, named=False))


def _unwalked(folder: Path) -> str:
    if folder.name.startswith("."):
        return "hidden; give it by name to read it"
    if folder.is_symlink():
        return "a link to a folder; give it by name to read it"
    return "a bundle of its own; give it by name to read it" if Bundle.is_bundle(folder) else ""


def _unread(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return "" if stat.S_ISREG(mode) else "not a regular file; give it by name to read it"


def add(
    bundle: Bundle,
    paths: Iterable[str | Path],
    options: ReadOptions,
    *,
    zones: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Intake:
    """Read ``paths`` into ``bundle``. ``zones`` maps a source's name (or ``*``) to an IANA zone.

    Raises :class:`NothingReadable` when no source gave a row, :class:`~perfaudit.errors.BundleError` when the bundle cannot
    be written, and :class:`Stopped` for a keyboard interrupt; what was committed until then stays.
    """
    items, aside = find(paths)
    report = Intake(not_read=aside)
    formats = declared([i.path for i in items if i.path and not i.named], [i.path for i in items if i.path and i.named])
    with bundle.writing():
        try:
            for item in items:
                near = options.formats + formats.near(item.path)
                own = replace(options, formats=near, zone=_zone(item.name, zones, options.zone), client_key=bundle.client_key)
                _add_one(bundle, item, own, report, progress, formats.count(item.path))
        except KeyboardInterrupt:
            done = len(report.added) + len(report.known)
            raise Stopped(f"stopped: {done} of {len(items)} files were read", todo="the same command goes on from there" if bundle.durable and done else "") from None
        bundle.set_aside(report.not_read, report.configuration)
    if not report.added and not report.known:
        raise _nothing(items, report)
    return report


def _add_one(bundle: Bundle, item: Item, options: ReadOptions, report: Intake, progress: Progress | None, declares: int) -> None:
    if item.path is not None and item.path.name in _OWN:
        return report.aside(item.name, "settings of an audit, not evidence")
    try:
        with Source(item.name, item.path) as source:
            source.mark((s["text_bytes"], s["text_sha256"]) for s in bundle.sources)
            if progress:
                source.on_read = lambda _n: progress(item.name, source.raw_bytes, source.size)
            if not source.head:
                return report.aside(item.name, source.damage[0] if source.damage else "empty")
            service, instance = identify(item.name)
            sample = Sample(item.name, source.head, replace(options, service=options.service or service, instance=options.instance or instance))
            found = recognise(sample)
            if declares and (found is None or found[1].confidence < 0.7):
                report.configuration.append({"name": item.name, "formats": declares})
            elif found is None:
                _unknown(sample, source, report)
            else:
                if declares and "settings" in discover()[found[0]].TABLES:
                    report.configuration.append({"name": item.name, "formats": declares})
                _read(bundle, source, *found, sample.options, report)
    except EvidenceError as error:
        report.aside(item.name, error.what)
    return None


def _unknown(sample: Sample, source: Source, report: Intake) -> None:
    packed = next((kind for magic, kind in _PACKED.items() if sample.head.startswith(magic)), None)
    if packed:
        return report.aside(sample.name, f"{packed} is not read; unpack it first")
    from perfaudit.evidence.readers._infer import infer

    first = sample.lines[0][:2000] if sample.lines else sample.head[:2000]
    told = infer([first])
    report.failures.append(Failure(sample.name, _redacted(first), told.program.text if told else "", source.size or len(sample.head)))
    return report.aside(sample.name, "; ".join(["no reader knows this format", *source.damage]))


def _read(bundle: Bundle, source: Source, name: str, claim: Recognised, options: ReadOptions, report: Intake) -> None:
    reader = discover()[name]
    if hasattr(reader, "TIER"):  # a format that only one tier writes, whatever its file is called
        options = replace(options, service=reader.TIER)
    if not options.service:
        options = replace(options, service=getattr(reader, "SERVICE", "web" if "requests" in reader.TABLES else ""))
    writer = bundle.part_writer(options.columns)
    sink = Tally(writer)
    try:
        if claim.note:
            sink.note(claim.note)
        reader.read(source, sink, claim, options)
        entry = _entry(source, reader, sink, writer, options, claim)
        known = bundle.find(source.text_sha256)
        if known and all(known[key] == entry[key] for key in ("reader", "reader_version", "read_as", "parsed")):
            report.known.append(source.name)
        elif sink.n_parsed:
            report.added.append(bundle.commit(entry, writer, replaces=source.grown_from))
        else:
            _none_fit(source, reader.NAME, claim, sink, report)
    except OSError:
        raise
    except Exception as error:
        if os.environ.get("PERFAUDIT_DEBUG"):
            raise
        report.aside(source.name, f"the reader “{reader.NAME}” failed: {type(error).__name__}: {shown(str(error))[:120]}")
    finally:
        writer.abandon()


def _entry(source: Source, reader: Any, sink: Tally, writer: SourceWriter, options: ReadOptions, claim: Recognised) -> dict[str, Any]:
    """What the manifest keeps of a source, but for its tables."""
    return {
        "name": source.name,
        "sha256": source.sha256,
        "bytes": source.raw_bytes,
        "text_sha256": source.text_sha256,
        "text_bytes": source.text_bytes,
        "reader": reader.NAME,
        "reader_version": reader.VERSION,
        "read_as": _read_as(options, claim),
        "service": options.service,
        "lines": sink.n_lines,
        "parsed": sink.n_parsed,
        "rejected": dict(sorted(sink.rejected.items())),
        "rejected_examples": dict(sorted(sink.examples.items())),
        "notes": sink.notes + [f"damaged: {d}" for d in source.damage],
        "first": writer.first,
        "last": writer.last,
    }


def _read_as(options: ReadOptions, claim: Recognised) -> dict[str, Any]:
    """What a person said about reading, and the form that was found: with another one the same text is read again."""
    said = {"timezone": options.zone, "routes": list(options.route_patterns), **{k: getattr(options, k) for k in sorted(options.labelled)}}
    form = re.sub(r" at 0x[0-9a-f]+", "", repr(claim.detail))
    return {k: v for k, v in said.items() if v} | {"form": hashlib.sha256(form.encode("utf-8", "backslashreplace")).hexdigest()[:8]}


def _none_fit(source: Source, reader: str, claim: Recognised, sink: Tally, report: Intake) -> None:
    example = next(iter(sink.examples.values()), {"text": ""})["text"]
    report.failures.append(Failure(source.name, example, claim.hint, source.text_bytes))
    report.aside(source.name, "; ".join([f"0 of {sink.n_lines:,} lines fit “{reader}”", *filter(None, [claim.note]), *source.damage]))


class Tally:
    """The sink of one source: passes rows on and counts lines; see :class:`perfaudit.evidence.readers.Sink`."""

    def __init__(self, writer: SourceWriter) -> None:
        self.write = writer.write
        self.n_lines = 0
        self.n_parsed = 0
        self.rejected: dict[str, int] = {}
        self.examples: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []

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
            self.examples[reason] = {"text": _redacted(bytes(example[:2000])), "offset": int(offset)}
        self.rejected[reason] = self.rejected.get(reason, 0) + n

    def too_long(self, offset: int, first: bytes) -> None:
        """Count an over-long line."""
        self.lines()
        self.reject("line longer than 1 MiB", example=first, offset=offset)

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text not in self.notes:
            self.notes.append(text)


def _redacted(line: bytes) -> str:
    from perfaudit import redact

    return redact.line(line)


def _zone(name: str, zones: Mapping[str, str] | None, default: str | None) -> str | None:
    zones = zones or {}
    return zones.get(name) or zones.get(Path(name).name) or zones.get("*") or default


# -------------------------------------------------------------------- nothing readable

_EXAMPLE = """--log-format '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time'"""


def _nothing(items: list[Item], report: Intake) -> AuditError:
    if report.failures:
        worst = max(report.failures, key=lambda f: (bool(f.hint), f.size))
        many = f"{len(items)} source{'s' * (len(items) != 1)}"
        todo = f"say how its lines are built, e.g. {_EXAMPLE}, or put the log_format (nginx), LogFormat (Apache) or log_line_prefix (PostgreSQL) directive in a text file beside it"
        if "$" in worst.hint:
            todo = f"--log-format '{worst.hint}'"
        elif worst.hint:
            todo = worst.hint
        return NothingReadable(f"nothing could be read: 0 lines parsed of {many}", where=f"{worst.name}, first line: {worst.line}", todo=todo)
    reasons = "; ".join(f"{r['name']}: {r['reason']}" for r in report.not_read[:3])
    return NothingReadable("nothing could be read" + ("" if items else ": no files were found"), where=reasons, todo="give access logs, database logs, session dumps or metrics; perfaudit analyze --help lists the formats")
