"""The bundle: a folder with ``manifest.json`` and ``tables/<name>/*.parquet``. It is the truth; nothing downstream opens a log.

Adding is atomic and idempotent. A source is keyed by the hash of its text (decompressed); its parts are written beside, synced and
renamed, then entered into the manifest in one replace. Killed at any instant, a bundle opens, and the same command finishes
the job: parts that the manifest does not name are ignored and swept by the next writer. One writer at a time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from perfaudit.errors import BundleError, ContractError
from perfaudit.evidence.tables import TABLES, arrow_schema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

FORMAT = 1
#: How long a second writer waits before it is refused, seconds. Adding 5 M lines takes some seconds.
LOCK_PATIENCE = 60.0
_CONTENTS = frozenset({"tables", "baseline", "spill", "manifest.json", "manifest.json.new", "client.key", "lock", "result.json"})
_AGAIN = "then run the same command again: what was added so far is kept"
_UNWRITABLE = {
    errno.ENOSPC: f"free some space, {_AGAIN}",
    errno.EDQUOT: f"free some of your quota, {_AGAIN}",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
}


class Bundle:
    """A folder of evidence. ``durable=False`` (ad-hoc audits) writes faster: no sync, no compression."""

    def __init__(self, path: Path, manifest: dict[str, Any], *, durable: bool = True) -> None:
        self.path = path
        self.manifest = manifest
        self.durable = durable

    @classmethod
    def create(cls, path: Path, *, durable: bool = True, keep_addresses: bool = False) -> Bundle:
        """Make an empty bundle at ``path`` (or open the one that is there). Raises :class:`BundleError`."""
        if (path / "manifest.json").exists():
            return cls.open(path)
        try:
            (path / "tables").mkdir(parents=True, exist_ok=True)
            _write_once(path / "client.key", secrets.token_bytes(16))
        except OSError as error:
            raise BundleError(f"cannot create a bundle: {error.strerror}", where=str(path), todo="choose a folder that you may write to") from error
        bundle = cls(path, {"format": FORMAT, "keep_addresses": keep_addresses, "sources": [], "not_read": [], "configuration": []}, durable=durable)
        with bundle.writing(fresh=True):
            return bundle

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Open a bundle. Raises :class:`BundleError` if there is none or it is of another format."""
        try:
            manifest = json.loads((path / "manifest.json").read_bytes())
        except FileNotFoundError as error:
            raise BundleError("there is no bundle here", where=str(path), todo="make one: perfaudit init DIR, then perfaudit add PATH…") from error
        except (OSError, ValueError, RecursionError) as error:
            raise BundleError(f"the manifest cannot be read: {error}", where=str(path / "manifest.json"), todo="check the path and its permissions") from error
        found = manifest.get("format") if isinstance(manifest, dict) else None
        if found != FORMAT:
            raise BundleError(f"the bundle has format {found!r}, this version reads {FORMAT}", where=str(path), todo="use the version of perfaudit that wrote it")
        bundle = cls(path, manifest)
        missing = next((part for table in TABLES for part, _ in bundle.parts(table) if not part.is_file()), None)
        if missing:
            raise BundleError("a part of the bundle is missing", where=str(missing), todo="restore the folder, or make a new bundle: perfaudit init DIR, then perfaudit add PATH…")
        return bundle

    @staticmethod
    def is_bundle(path: Path) -> bool:
        """Whether ``path`` is the folder of a bundle."""
        return os.path.isfile(path / "manifest.json") and os.path.isdir(path / "tables")  # noqa: PTH112, PTH113  (False without permission)

    @staticmethod
    def contents(path: Path) -> frozenset[str]:
        """Names in ``path`` that belong to its bundle and are no evidence; empty where it holds none."""
        return _CONTENTS if Bundle.is_bundle(path) else frozenset()

    def beside(self, other: Bundle, role: str) -> Bundle:
        """A read-only view of both bundles; the sources of ``other`` carry ``role`` (``baseline``)."""
        theirs = [{**s, "home": str(other.path.resolve()), "role": role} for s in other.manifest["sources"]]
        manifest = {**self.manifest, "sources": [*self.manifest["sources"], *theirs]}
        return Bundle(self.path, manifest, durable=self.durable)

    @property
    def homes(self) -> list[Path]:
        """The folders that hold parts."""
        return list(dict.fromkeys([self.path, *(Path(s["home"]) for s in self.manifest["sources"] if "home" in s)]))

    @property
    def sources(self) -> list[dict[str, Any]]:
        """What was read, by name: the entries of the manifest."""
        return list(self.manifest["sources"])

    @property
    def client_key(self) -> bytes:
        """The 16-byte key for hashing client addresses. Leave the file out when a bundle is handed on."""
        try:
            return (self.path / "client.key").read_bytes()[:16].ljust(16, b"\0")
        except OSError:
            return _write_once(self.path / "client.key", secrets.token_bytes(16))

    def parts(self, table: str) -> list[tuple[Path, list[str]]]:
        """The Parquet files of ``table`` with the columns that each holds."""
        return [
            (Path(source.get("home", self.path)) / "tables" / table / part["file"], part["columns"])
            for source in self.manifest["sources"]
            for name, part in source["tables"].items()
            if name == table
        ]

    def rows(self, table: str) -> int:
        """Rows of ``table``, from the manifest."""
        return sum(part["rows"] for source in self.manifest["sources"] for name, part in source["tables"].items() if name == table)

    # ---------------------------------------------------------------- writing

    @contextlib.contextmanager
    def writing(self, patience: float = LOCK_PATIENCE, *, fresh: bool = False) -> Iterator[None]:
        """Hold the bundle for writing; waits for another writer up to ``patience`` seconds, then :class:`BundleError`.

        ``fresh`` writes the first manifest, unless another writer did so meanwhile. A disk that is full or read-only
        becomes :class:`BundleError`; what was committed before stays.
        """
        try:
            with open(self.path / "lock", "a+b") as handle:
                self._lock(handle, patience)
                if fresh and not (self.path / "manifest.json").exists():
                    self._save()
                self.manifest = self.open(self.path).manifest
                self._sweep()
                yield
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            raise BundleError(f"cannot write to the bundle: {error.strerror or os.strerror(error.errno)}", where=str(self.path), todo=_UNWRITABLE[error.errno]) from error

    def _lock(self, handle: BinaryIO, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            try:
                return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= deadline:
                    raise BundleError("another perfaudit is adding to this bundle", where=str(self.path), todo="wait for it to end, then run the same command again") from None
                time.sleep(0.05)

    def part_writer(self, columns: Mapping[str, frozenset[str]]) -> SourceWriter:
        """Begin a source. ``columns`` limits what is stored of a table (absent: everything)."""
        return SourceWriter(self, columns)

    def commit(self, entry: dict[str, Any], writer: SourceWriter, *, replaces: str | None = None) -> dict[str, Any]:
        """Enter a source: its parts become visible in one replace of the manifest. ``replaces``: the text that it goes on from. Gives the entry."""
        how = json.dumps([entry["text_sha256"], entry["reader"], entry["reader_version"], entry["read_as"]], sort_keys=True)
        tables = writer.finish(hashlib.sha256(how.encode()).hexdigest()[:24])
        kept = [s for s in self.manifest["sources"] if s["text_sha256"] not in (replaces, entry["text_sha256"])]
        whole = {**entry, "tables": tables}
        self._update(sources=sorted([*kept, whole], key=lambda s: (s["name"], s["text_sha256"])))
        return whole

    def set_aside(self, not_read: list[dict[str, str]], configuration: list[dict[str, Any]]) -> None:
        """Remember, by name, files that nobody could read and files whose log formats were used."""
        read = {s["name"] for s in self.manifest["sources"]}
        used = _by_name(self.manifest.get("configuration", []), configuration)
        aside = [e for e in _by_name(self.manifest["not_read"], not_read) if e["name"] not in read | {c["name"] for c in used}]
        self._update(not_read=aside, configuration=used)

    def find(self, text_sha256: str) -> dict[str, Any] | None:
        """The source with this text, if it was added."""
        return next((s for s in self.manifest["sources"] if s["text_sha256"] == text_sha256), None)

    def _update(self, **changes: Any) -> None:
        before = self.manifest
        self.manifest = {**before, **changes}
        if self.manifest == before:
            return
        try:
            self._save()
        except BaseException:
            self.manifest = before
            raise

    def _save(self) -> None:
        target, beside = self.path / "manifest.json", self.path / "manifest.json.new"
        with open(beside, "wb") as handle:
            handle.write(json.dumps(self.manifest, indent=1, sort_keys=True, ensure_ascii=False).encode())
            handle.flush()
            self.sync(handle.fileno())
        os.replace(beside, target)  # noqa: PTH105
        self.sync_folder(self.path)

    def _sweep(self) -> None:
        named = {part["file"] for source in self.manifest["sources"] for part in source["tables"].values()}
        for path in (self.path / "tables").glob("*/*"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def sync(self, descriptor: int) -> None:
        """Flush to disk, when the bundle is to last."""
        if self.durable:
            os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Make renames in ``path`` last."""
        if self.durable:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


#: Types of columns whose least and greatest value in a row group exclude nothing: of few values, or of ids.
_UNORDERED = ("symbol", "labels", "string", "strings")


class SourceWriter:
    """Writes the parts of one source beside the bundle's tables until :meth:`finish` renames them."""

    def __init__(self, bundle: Bundle, columns: Mapping[str, frozenset[str]]) -> None:
        self.bundle = bundle
        self.columns = columns
        self._open: dict[str, tuple[Path, pq.ParquetWriter, list[int]]] = {}
        self.first: int | None = None
        self.last: int | None = None

    def write(self, table: str, columns: Mapping[str, Any], rows: int) -> None:
        """Append rows; see :class:`perfaudit.evidence.readers.Sink`."""
        if rows == 0:
            return
        import pyarrow as pa

        schema = arrow_schema(table)
        unknown = set(columns) - set(schema.names)
        if unknown:
            raise ContractError(f"table {table} has no column {', '.join(sorted(unknown))}")
        wanted = self.columns.get(table)
        names = [n for n in schema.names if wanted is None or n in wanted or n == "time"]
        types = {c.name: c.type for c in TABLES[table].columns}
        arrays = [_arrow(columns.get(n), types[n], schema.field(n).type, rows) for n in names]
        batch = pa.Table.from_arrays(arrays, names=names)
        self._span(arrays[names.index("time")] if "time" in names else None)
        if table not in self._open:
            self._open[table] = self._begin(table, batch.schema, types)
        _, writer, counted = self._open[table]
        writer.write_table(batch, row_group_size=rows)
        counted[0] += rows

    def _begin(self, table: str, schema: pa.Schema, types: Mapping[str, str]) -> tuple[Path, pq.ParquetWriter, list[int]]:
        import pyarrow.parquet as pq

        folder = self.bundle.path / "tables" / table
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f".{os.getpid()}-{secrets.token_hex(4)}.new"
        writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd" if self.bundle.durable else "none",
            use_dictionary=[n for n in schema.names if types[n] in ("symbol", "labels")],
            write_statistics=self.bundle.durable and [n for n in schema.names if types[n] not in _UNORDERED],  # a quarter of the time of writing, and of ids another 8 %
            store_schema=False,
        )
        return path, writer, [0]

    def _span(self, times: pa.Array | None) -> None:
        if times is None or len(times) == times.null_count:
            return
        import pyarrow as pa

        values: np.ndarray[Any, Any] = times.drop_null().view(pa.int64()).to_numpy(zero_copy_only=False)
        low, high = int(values.min()), int(values.max())
        self.first = low if self.first is None else min(self.first, low)
        self.last = high if self.last is None else max(self.last, high)

    def finish(self, key: str) -> dict[str, dict[str, Any]]:
        """Sync and rename the parts; gives ``{table: {"file", "rows", "columns"}}``."""
        done: dict[str, dict[str, Any]] = {}
        for table, (path, writer, counted) in sorted(self._open.items()):
            columns = list(writer.schema.names)
            writer.close()
            with open(path, "rb") as handle:
                self.bundle.sync(handle.fileno())
            file = f"{key}.parquet"
            os.replace(path, path.parent / file)  # noqa: PTH105
            self.bundle.sync_folder(path.parent)
            done[table] = {"file": file, "rows": counted[0], "columns": columns}
        self._open = {}
        return done

    def abandon(self) -> None:
        """Drop what was written."""
        for path, writer, _ in self._open.values():
            with contextlib.suppress(Exception):
                writer.close()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._open = {}


def _by_name(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {e["name"]: e for e in [*old, *new]}
    return [known[name] for name in sorted(known)]


def _arrow(value: Any, kind: str, target: pa.DataType, rows: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if value is None:
        return pa.nulls(rows, target)
    if isinstance(value, (str, int, float, bool)):
        if kind == "symbol":
            return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.string()))
        plain = pa.repeat(pa.scalar(value, pa.int64() if kind == "time" else target), rows)
        return plain.view(target) if kind == "time" else plain
    if isinstance(value, (pa.Array, np.ndarray)):
        array = value if isinstance(value, pa.Array) else _from_numpy(value)
    elif kind == "labels":
        array = pa.array([None if v is None else list(v.items()) for v in value], target)
    else:
        array = pa.array(value, {"time": pa.int64(), "symbol": pa.string()}.get(kind, target))
    if len(array) != rows:
        raise ContractError(f"a column has {len(array)} values for {rows} rows")
    if array.type == target:
        return array
    if kind == "symbol" and not pa.types.is_dictionary(array.type):
        return array.cast(pa.string()).dictionary_encode().cast(target)
    if kind == "time" and pa.types.is_integer(array.type):
        return array.cast(pa.int64()).view(target)
    return array.cast(target)


def _from_numpy(value: Any) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if isinstance(value, np.ma.MaskedArray):
        return pa.array(value.data, mask=np.ma.getmaskarray(value))
    return pa.array(value)


def _write_once(path: Path, content: bytes) -> bytes:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    return content
