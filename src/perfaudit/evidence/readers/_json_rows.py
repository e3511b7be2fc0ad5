"""From lines of a JSON access log to columns of ``requests``: one typed decode a line, then whole columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.readers import ReadOptions, Sink
from perfaudit.evidence.readers._access_columns import ClientKeys, Symbols, nullable, parse_tries, trace_id
from perfaudit.evidence.readers._json_fields import JsonMapping, Path
from perfaudit.evidence.readers._units import SECONDS, Clock, duration_text
from perfaudit.evidence.routes import RouteTable, overflow_note

if TYPE_CHECKING:
    import numpy as np

    from perfaudit.evidence.source import Block

    Array = np.ndarray[Any, Any]

#: Durations (µs) and sizes beyond this are nonsense (31 years, 1 PB) and read as null.
_MAX_VALUE = 1e15
_MAX_TRIES_KNOWN = 50_000
#: What decoding raises for a line that is no JSON (RecursionError: nested too deep).
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_EMPTY = (None, "", "-")
_METHOD = re.compile(r"[A-Za-z][A-Za-z_-]{0,19}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HEX_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_MISSING = re.compile(rb"(\":)\s*-?\s*(?=[,}])")


def decode_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of ``line``, mended where needed, or None."""
    for text in (line, heal(line)):
        try:
            value = msgspec.json.decode(text)
        except BROKEN:
            continue
        return value if isinstance(value, dict) else None
    return None


def heal(line: bytes) -> bytes:
    r"""``line`` with what nginx breaks in JSON mended: ``\x22`` (default escaping), raw bytes, values that are missing or ``-``.

    A truncated line stays broken.
    """
    line = _HEX_ESCAPE.sub(rb"\\u00\1", line).decode("utf-8", "replace").encode()
    return _MISSING.sub(rb"\1null", _CONTROL.sub(b"?", line))


def line_struct(paths: Sequence[Path]) -> tuple[type[msgspec.Struct], dict[Path, str]]:
    """A struct that decodes only ``paths``, and each path's attribute (dotted where nested)."""
    names: dict[Path, str] = {}
    heads: dict[str, list[Path]] = {}
    for path in dict.fromkeys(paths):
        heads.setdefault(path[0], []).append(path)
    fields: list[tuple[str, Any, Any]] = []
    for i, (key, group) in enumerate(heads.items()):
        if (key,) in group:
            names[(key,)] = f"f{i}"
            fields.append((f"f{i}", Any, msgspec.field(default=None, name=key)))
        else:
            inner, inner_names = line_struct([path[1:] for path in group])
            names |= {(key, *path): f"f{i}.{name}" for path, name in inner_names.items()}
            fields.append((f"f{i}", inner, msgspec.field(default_factory=inner, name=key)))
    return msgspec.defstruct("Line", fields, gc=False), names


def _prune(value: dict[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """``value`` without the members that are no objects where ``struct`` has one."""
    out: dict[str, Any] = {}
    for info in msgspec.structs.fields(struct):
        item = value.get(info.encode_name)
        if not (isinstance(info.type, type) and issubclass(info.type, msgspec.Struct)):
            out[info.encode_name] = item
        elif isinstance(item, dict):
            out[info.encode_name] = _prune(item, info.type)
    return out


def _status(value: Any) -> int | None:
    """An HTTP status, 0 where none was sent (``0``, ``-``, ``""``), None where the value is no status."""
    if type(value) is int:
        return value if value == 0 or 100 <= value <= 999 else None
    if isinstance(value, str):
        return int(value) if len(value) == 3 and value.isascii() and value.isdigit() else 0 if value in ("", "-", "0", "000") else None
    return int(value) if isinstance(value, float) and value.is_integer() and 100 <= value <= 999 else None


class JsonRows:
    """Turns blocks into rows by a mapping; keeps the tables that live across blocks."""

    def __init__(self, mapping: JsonMapping, options: ReadOptions) -> None:
        self.mapping, self.options = mapping, options
        paths = [path for keys in mapping.keys.values() for path in keys]
        self._struct, self._names = line_struct(paths)
        self._decode = msgspec.json.Decoder(self._struct).decode
        self._clock = Clock()
        self._routes = RouteTable(options.route_patterns)
        self._methods = Symbols(64, "_OTHER")
        self._caches = Symbols(64, "OTHER")
        self._services = Symbols(1_000, "other")
        self._instances = Symbols(10_000, "other")
        self._clients = ClientKeys(options.client_key)
        self._tries: dict[Any, tuple[float | None, int, list[int | None] | None]] = {}
        self._rejected: set[str] = set()

    def notes(self) -> Iterator[str]:
        """What a person should know after reading."""
        if self.mapping.note:
            yield self.mapping.note
        if self._clock.zoneless:
            yield "its times carry no zone and are read as UTC; say otherwise with --timezone SOURCE=Zone"
        if self._routes.overflowed:
            yield overflow_note()

    def _wants(self, column: str) -> bool:
        return self.options.wants("requests", column)

    # ---------------------------------------------------------------- lines

    def is_request(self, line: bytes) -> bool:
        """Whether one line would become a row (its time aside)."""
        record = self._record(line)
        return record is not None and _status(self._get("status")(record)) is not None and self._target([record])[0] is not None

    def _record(self, line: bytes) -> Any | None:
        try:
            return self._decode(line)
        except BROKEN:
            value = decode_object(line)
        return None if value is None else msgspec.convert(_prune(value, self._struct), self._struct)

    def read(self, block: Block, sink: Sink) -> None:
        """Read one block: count its lines, write its rows."""
        lines = bytes(block.data).split(b"\n")
        if not lines[-1]:
            lines.pop()
        sink.lines(len(lines))
        decode = self._decode
        records: list[Any] = []
        for line in lines:
            try:
                records.append(decode(line))
            except BROKEN:
                records.append(self._record(line))
        if None in records:
            self._reject_all(sink, block, lines, [i for i, record in enumerate(records) if record is None], "not JSON")
            lines = [line for line, record in zip(lines, records, strict=True) if record is not None]
            records = [record for record in records if record is not None]
        self._write(sink, block, lines, records)

    def _write(self, sink: Sink, block: Block, lines: list[bytes], records: list[Any]) -> None:
        statuses = list(map(_status, map(self._get("status"), records)))
        targets = self._target(records)
        times = self._clock.column(list(map(self._get("start" if self.mapping.starts else "end"), records)))
        bad = [i for i, row in enumerate(zip(statuses, targets, times, strict=True)) if None in row]
        if bad:
            strangers = [i for i in bad if statuses[i] is None or targets[i] is None]
            self._reject_all(sink, block, lines, strangers, "not a request")
            self._reject_all(sink, block, lines, sorted(set(bad) - set(strangers)), "bad time")
            dropped = set(bad)
            records, statuses, targets, times = ([x for i, x in enumerate(column) if i not in dropped] for column in (records, statuses, targets, times))
        sink.parsed(len(records))
        if records:
            sink.write("requests", self._columns(records, statuses, targets, times), len(records))

    def _reject_all(self, sink: Sink, block: Block, lines: list[bytes], where: list[int], reason: str) -> None:
        for i in where:
            line = lines[i]
            why = reason if line.strip() else "blank line"
            offset = 0
            if why not in self._rejected:
                self._rejected.add(why)
                offset = block.offset + bytes(block.data).find(line + b"\n" if line else b"\n")
            sink.reject(why, example=line.rstrip(b"\r"), offset=offset)

    # ---------------------------------------------------------------- columns

    def _get(self, column: str) -> Callable[[Any], Any]:
        """A function from a record to the first value that says something among the column's keys ("" where all are empty)."""
        getters = [attrgetter(self._names[path]) for path in self.mapping.keys.get(column, ())]
        if len(getters) == 1:
            return getters[0]

        def first(record: Any) -> Any:
            empty = None
            for get in getters:
                value = get(record)
                if value not in _EMPTY:
                    return value
                empty = value if value is not None else empty
            return empty

        return first

    def _target(self, records: list[Any]) -> list[Any]:
        """The request target of each record; "" where it is unreadable, None where there is none."""
        targets = list(map(self._get("route"), records))
        if "line" in self.mapping.keys:
            for i, line in enumerate(map(self._get("line"), records)):
                if targets[i] in _EMPTY and isinstance(line, str):
                    method, _, rest = line.partition(" ")
                    targets[i] = rest.split(" ", 1)[0] if _METHOD.fullmatch(method) else ""
        return targets

    def _method(self, records: list[Any]) -> list[Any]:
        methods = list(map(self._get("method"), records))
        if "line" in self.mapping.keys:
            for i, line in enumerate(map(self._get("line"), records)):
                if methods[i] in _EMPTY and isinstance(line, str):
                    methods[i] = line.partition(" ")[0]
        return methods

    def _columns(self, records: list[Any], statuses: list[Any], targets: list[Any], times: list[Any]) -> dict[str, Any]:
        import numpy as np

        keys = self.mapping.keys
        time = np.array(times, np.int64)
        columns: dict[str, Any] = {"status": np.array(statuses, np.int64)}
        if "duration" in keys:
            duration, null = self._durations("duration", records)
            columns["duration_us"] = nullable(duration, null)
            if not self.mapping.starts:
                time = time - np.where(null, 0, duration)
        columns["time"] = time
        code = self._routes.code
        codes = np.array([code(target) if isinstance(target, str) and target not in _EMPTY else -1 for target in targets], np.int32)
        columns["route"] = Symbols.column(codes, self._routes.values)
        columns["method"] = self._methods.encode([m.upper() if isinstance(m, str) and _METHOD.fullmatch(m) else None for m in self._method(records)])
        for column in ("response_bytes", "request_bytes"):
            if column in keys and self._wants(column):
                columns[column] = nullable(*self._numbers(map(self._get(column), records), 1))
        self._upstream(records, columns)
        if "cache_status" in keys and self._wants("cache_status"):
            columns["cache_status"] = self._caches.encode([v.upper() if isinstance(v, str) and v not in _EMPTY and len(v) <= 40 else None for v in map(self._get("cache_status"), records)])
        self._names_and_ids(records, columns)
        return columns

    def _names_and_ids(self, records: list[Any], columns: dict[str, Any]) -> None:
        import pyarrow as pa

        keys = self.mapping.keys
        for column, table in (("service", self._services), ("instance", self._instances)):
            given = getattr(self.options, column) or None
            if column in keys and column not in self.options.labelled:
                columns[column] = table.encode([v[:200] if isinstance(v, str) and v not in _EMPTY else given for v in map(self._get(column), records)])
            elif given:
                columns[column] = given
        if "client" in keys and self._wants("client_key"):
            columns["client_key"] = pa.array(map(self._clients, map(self._get("client"), records)), pa.uint64())
        if "trace_id" in keys and self._wants("trace_id"):
            columns["trace_id"] = pa.array(map(trace_id, map(self._get("trace_id"), records)), pa.string())
        if "request_id" in keys and self._wants("request_id"):
            columns["request_id"] = pa.array([v[:200] if isinstance(v, str) and v not in _EMPTY else None for v in map(self._get("request_id"), records)], pa.string())

    def _upstream(self, records: list[Any], columns: dict[str, Any]) -> None:
        import numpy as np
        import pyarrow as pa

        keys = self.mapping.keys
        for column in ("upstream_connect", "upstream_header", "upstream"):
            if column not in keys or not (self._wants(f"{column}_us") or (column == "upstream" and self._wants("tries"))):
                continue
            if not self.mapping.lists:
                columns[f"{column}_us"] = nullable(*self._durations(column, records))
                continue
            known = self._tries
            rows = [known[v] if v.__hash__ and v in known else self._parse_tries(v) for v in map(self._get(column), records)]
            columns[f"{column}_us"] = nullable(*self._numbers([row[0] for row in rows], 1))
            if column == "upstream":
                columns["tries"] = np.array([row[1] for row in rows], np.int64)
                if any(row[2] for row in rows):
                    columns["try_us"] = pa.array([row[2] for row in rows], pa.list_(pa.int64()))
        for column, more in (("retries", 1), ("tries", 0)):
            if column in keys and self._wants("tries") and "tries" not in columns:
                count, null = self._numbers(map(self._get(column), records), 1)
                columns["tries"] = nullable(count + more, null)

    def _parse_tries(self, value: Any) -> tuple[float | None, int, list[int | None] | None]:
        """Sum (µs), attempts and each attempt's time (µs) of an upstream list; remembered."""
        if not isinstance(value, (str, float, int)):
            return None, 0, None
        try:
            each = [None if t is None else round(t * 1e6) for t in parse_tries(str(value))]
        except (ValueError, OverflowError):
            each = []
        spent = [t for t in each if t is not None]
        if len(self._tries) >= _MAX_TRIES_KNOWN:
            self._tries.clear()
        self._tries[value] = sum(spent) if spent else None, len(each), each if len(each) > 1 else None
        return self._tries[value]

    def _durations(self, column: str, records: list[Any]) -> tuple[Array, Array]:
        return self._numbers(map(self._get(column), records), SECONDS[self.mapping.units[column]] * 1e6)

    @staticmethod
    def _numbers(values: Any, scale: float) -> tuple[Array, Array]:
        """Integers (``values`` × ``scale``) and where they are null: missing, negative, absurd, or no number."""
        import numpy as np

        values = list(values)
        try:
            with np.errstate(over="ignore"):
                numbers = np.array(values, np.float64) * scale
        except (ValueError, TypeError, OverflowError):
            numbers = np.array([_number(value, scale) for value in values], np.float64)
        null = ~((numbers >= 0) & (numbers < _MAX_VALUE))
        return np.rint(np.where(null, 0, numbers)).astype(np.int64), null


def _number(value: Any, scale: float) -> float:
    """``value`` × ``scale``, or µs of a text with a unit; NaN for anything else."""
    if isinstance(value, str):
        try:
            return float(value) * scale
        except ValueError:
            seconds = duration_text(value)
            return float("nan") if seconds is None else seconds * 1e6
    return value * scale if isinstance(value, (int, float)) and abs(value) < 1e300 else float("nan")
