"""Log formats that configuration declares: ``log_format``, ``LogFormat`` and ``log_line_prefix`` in the text files beside a log."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from perfaudit.evidence.readers import NamedFormat

#: What is looked at: a configuration is small (nginx.conf 2–50 KB, postgresql.conf 30 KB), and /var/log must be no burden.
MOST_BYTES, MOST_FILES, MOST_ENTRIES = 256 << 10, 200, 2_000
_USUAL = (".conf", ".cfg", ".cnf", ".ini", ".txt", ".md", ".yml", ".yaml", ".toml", ".j2", ".template")
_NGINX = re.compile(r"^\s*log_format\s+(\S+)\s+((?:[^;'\"]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")+);", re.M)
_PIECE = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|([^\s'\"]+)", re.S)
_ESCAPES = {"'": "'", '"': '"', "\\": "\\", "t": "\t"}  # ngx_conf_read_token
_APACHE = re.compile(r"^\s*LogFormat\s+\"((?:[^\"\\]|\\.)*)\"(?:\s+(\S+))?", re.M | re.I)
_POSTGRES = re.compile(r"^\s*log_line_prefix\s*=\s*'((?:[^']|'')*)'", re.M)


def parse(text: str, origin: str) -> list[NamedFormat]:
    """The formats that a piece of configuration declares, each as the bare text of its format; ``origin`` names the file."""
    text = text.replace("\r\n", "\n")
    found = [NamedFormat("nginx", m[1], _joined(m[2]), origin) for m in _NGINX.finditer(text)]
    joined = text.replace("\\\n", " ")
    found += [NamedFormat("apache", m[2] or "", m[1].replace('\\"', '"').replace("\\\\", "\\"), origin) for m in _APACHE.finditer(joined)]
    return found + [NamedFormat("postgresql", "log_line_prefix", m[1].replace("''", "'"), origin) for m in _POSTGRES.finditer(text)]


def _joined(body: str) -> str:
    """The format text of a ``log_format`` directive: its pieces one behind the other, without quotes and ``escape=``."""
    pieces = _PIECE.findall(re.sub(r"^\s*escape=\w+\s", "", body))
    return "".join(bare or re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), single or double) for single, double, bare in pieces)


@dataclass(frozen=True)
class Declared:
    """Formats by the file that declares them."""

    files: Mapping[Path, tuple[NamedFormat, ...]]

    def near(self, path: Path | None) -> tuple[NamedFormat, ...]:
        """All formats, those of the nearest file first."""
        order = sorted(self.files, key=lambda file: (_distance(file, path), str(file)))
        return tuple(dict.fromkeys(f for file in order for f in self.files[file]))

    def count(self, path: Path | None) -> int:
        """How many formats the file at ``path`` declares."""
        return len(self.files.get(path, ())) if path else 0


def declared(found: Iterable[Path], named: Iterable[Path]) -> Declared:
    """What is declared in the files ``found`` in given folders, and in and beside files that were ``named`` (one folder deep)."""
    paths = dict.fromkeys([*found, *named])
    for folder in dict.fromkeys(path.parent for path in named):
        paths |= dict.fromkeys(islice(_beside(folder), MOST_ENTRIES))
    likely = sorted(paths, key=lambda p: (not p.name.lower().endswith(_USUAL), str(p)))
    formats = {path: tuple(parse(text, path.name)) for path, text in islice(_texts(likely), MOST_FILES)}
    return Declared({path: some for path, some in formats.items() if some})


def _beside(folder: Path) -> Iterator[Path]:
    """Files of ``folder``, then those of its subfolders (``conf.d``)."""
    folders: list[Path] = []
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            folders.append(Path(entry.path))
        else:
            yield Path(entry.path)
    for inner in sorted(folders):
        yield from (Path(entry.path) for entry in _entries(inner))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _texts(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size <= MOST_BYTES:
                raw = path.read_bytes()
                yield path, raw.decode("utf-8", "replace") if re.search(rb"(?i)log_?format|log_line_prefix", raw) else ""


def _distance(file: Path, path: Path | None) -> int:
    if path is None:
        return 0
    one, other = file.parent.parts, path.parent.parts
    common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return len(one) + len(other) - 2 * common
