"""Runs the scanner over a source and writes its columns: what all readers of line logs of requests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers import ReadOptions, Sink
from perfaudit.evidence.readers._access_columns import Symbols, Zone, nullable
from perfaudit.evidence.routes import MAX_ROUTE, MAX_ROUTES, OTHER, Patterns, overflow_note
from perfaudit.evidence.source import MAX_LINE
from perfaudit.kernels.program import CLIENT, COLUMNS, REASONS, SKIP, SYMBOL, TEXT, TEXTS, Program

if TYPE_CHECKING:
    import numpy as np

    from perfaudit.evidence.source import Block, Source

    Array = np.ndarray[Any, Any]

#: Rows that one call of the kernel may fill; a 16 MiB block of ordinary lines (235 bytes) has 71,000.
_ROWS = 1 << 17
Finish = Callable[[dict[str, Any]], None]
Rename = Callable[[str], str]
_PLAIN = ("response_bytes", "request_bytes", "upstream_connect_us", "upstream_header_us", "upstream_us", "tries")


def scan_source(source: Source, sink: Sink, program: Program, options: ReadOptions, finish: Finish = lambda _: None, service: Rename = str) -> None:
    """Read the whole ``source`` by ``program``.

    ``finish`` may change the columns of a batch before they are written, ``service`` the names of services.
    """
    rows = ScannedRows(program, sink, options, finish, service)
    for block in source.blocks(sink.too_long):
        rows.read(block)
    rows.end()


def skip_unwanted(program: Program, options: ReadOptions) -> Program:
    """``program`` without the work for texts, clients and symbols that will not be stored."""
    from dataclasses import replace

    fields = tuple(
        replace(f, kind=SKIP) if f.kind in (CLIENT, TEXT, SYMBOL) and not options.wants("requests", f.column) else f for f in program.fields
    )
    return replace(program, fields=fields)


class ScannedRows:
    """Keeps the kernel's tables and buffers across blocks."""

    def __init__(self, program: Program, sink: Sink, options: ReadOptions, finish: Finish = lambda _: None, service: Rename = str) -> None:
        from perfaudit.kernels import hashing, scanner, text

        self.sink, self.options, self._finish = sink, options, finish
        self._scanner, self._hashing, self._pad, self._null = scanner, hashing, text.PAD, text.NULL
        self._rename: dict[str, Rename] = {"route": Patterns(options.route_patterns).apply, "service": service}
        self._state = scanner.new_state(options.client_key, MAX_ROUTES, MAX_ROUTE)
        self._output = scanner.new_output(_ROWS)
        self._zone = Zone(options.zone)
        self._names: dict[str, tuple[list[str], Array]] = {}
        self._zoneless = False
        self.use(program)

    def use(self, program: Program) -> None:
        """Read what follows by ``program`` (a header in the middle of a file)."""
        self.program = skip_unwanted(program, self.options)
        self._operations = self._scanner.operations(self.program)
        self._zoneless |= program.zoneless

    def end(self) -> None:
        """Say what a person should know."""
        if self._hashing.refused(self._state.routes):
            self.sink.note(overflow_note())
        if self._zoneless:
            self.sink.note(self._zone.note)

    # ---------------------------------------------------------------- blocks

    def read(self, block: Block) -> None:
        """Scan one block of whole lines, and write its rows."""
        import numpy as np

        data = np.frombuffer(block.data, np.uint8)
        pad = self._pad
        # The kernel reads ahead, so the last lines are scanned in a padded copy.
        back = max(0, len(data) - pad - MAX_LINE)
        split = back + bytes(block.data[back : max(back, len(data) - pad)]).rfind(b"\n") + 1
        split = split if split > back else 0
        tail = np.zeros(len(data) - split + pad, np.uint8)
        tail[: len(data) - split] = data[split:]
        row = self._scan(data, split, 0, block.offset)
        row = self._scan(tail, len(data) - split, row, block.offset + split)
        self._write(row)

    def _scan(self, data: Array, end: int, row: int, offset: int) -> int:
        position = 0
        while position < end:
            begin = position
            position, row = self._scanner.scan(data, begin, end, *self._operations, self._output, self._state, row)
            self._report(data, end, offset)
            if position < end:
                self._write(row)
                row = 0
        return row

    def _report(self, data: Array, end: int, offset: int) -> None:
        """Tell the sink about rejected lines and clear the counts."""
        state = self._state
        for i, count in enumerate(state.rejected.tolist()):
            if not count:
                continue
            start, length = state.first[i].tolist()
            reason = REASONS[i]
            example = data[start : start + min(length, 1_000)].tobytes()
            if count == 1 and REASONS[i] != "blank line" and start + length == end:
                reason = "truncated last line"
            self.sink.lines(count)
            self.sink.reject(reason, count, example=example, offset=offset + start)
        state.rejected[:] = 0

    def _write(self, rows: int) -> None:
        self.sink.lines(rows)
        self.sink.parsed(rows)
        if rows:
            columns = self._columns(rows)
            self._finish(columns)
            columns.pop("end_time", None)
            self.sink.write("requests", columns, rows)
        self._output.text_ends[:, 0] = 0
        self._output.tries_ends[0] = 0

    # ---------------------------------------------------------------- columns

    def _columns(self, rows: int) -> dict[str, Any]:
        import numpy as np

        null = self._null
        values = {name: self._output.values[i, :rows] for i, name in enumerate(COLUMNS)}
        program = self.program
        time = values["time"].copy()
        columns: dict[str, Any] = {"status": values["status"].copy()}
        if program.zoneless:
            time = self._zone.to_utc(time)
        if program.fills("duration_us"):
            duration = values["duration_us"]
            missing = duration == null
            if program.ends:
                time -= np.where(missing, 0, duration)
            columns["duration_us"] = nullable(duration.copy(), missing)
        columns["time"] = time
        if program.fills("end_time"):
            columns["end_time"] = values["end_time"].copy()
        for name in _PLAIN:
            if program.fills(name) or (name == "tries" and program.fills("upstream_us")):
                column = values[name].copy()
                if name == "response_bytes" and program.dash_is_zero:
                    column[column == null] = 0
                columns[name] = nullable(column, column == null)
        if program.fills("client_key"):
            column = values["client_key"].copy()
            columns["client_key"] = nullable(column.view(np.uint64), column == null)
        self._symbols(columns, values)
        self._texts(columns, rows)
        self._tries(columns, rows)
        return columns

    def _symbols(self, columns: dict[str, Any], values: dict[str, Array]) -> None:
        state = self._state
        request = self.program.fills("route")
        for name, table, overflow in (
            ("route", state.routes, OTHER), ("method", state.methods, "_OTHER"), ("cache_status", state.caches, "OTHER"),
            ("service", state.services, "other"), ("instance", state.instances, "other"),
        ):  # fmt: skip
            given = getattr(self.options, name, None) or None
            labelled = name in self.options.labelled
            if (self.program.fills(name) or (name == "method" and request)) and not labelled:
                columns[name] = self._symbol(name, table, overflow, values[name], given)
            elif given:
                columns[name] = given

    def _symbol(self, name: str, table: Any, overflow: str, codes: Array, given: str | None) -> Any:
        import numpy as np

        if name not in self._names or len(self._names[name][0]) != int(table.counts[0]) + 2:
            texts = [raw.decode("utf-8", "replace") for raw in self._hashing.strings(table)]
            texts = list(map(self._rename.get(name, str), texts))
            texts += [overflow, given or ""]
            distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
            self._names[name] = (texts, np.array([distinct[text] for text in texts], np.int32))
        texts, mapping = self._names[name]
        last = len(texts) - 1
        limit = len(table.hashes)
        missing = codes == self._null
        codes = np.where(missing, last, np.where(codes == limit, last - 1, codes))
        coded = mapping[codes]
        if not given:
            coded[missing] = -1
        return Symbols.column(coded, list(dict.fromkeys(texts)))

    def _texts(self, columns: dict[str, Any], rows: int) -> None:
        import pyarrow as pa

        for i, name in enumerate(TEXTS):
            if any(f.kind == TEXT and f.column == name for f in self.program.fields):
                ends = self._output.text_ends[i, : rows + 1].copy()
                chars = self._output.chars[i, : ends[-1]].copy()
                array = pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(chars))
                empty = ends[1:] == ends[:-1]
                columns[name] = pa.compute.if_else(pa.array(empty), pa.scalar(None, pa.string()), array) if empty.any() else array

    def _tries(self, columns: dict[str, Any], rows: int) -> None:
        import pyarrow as pa

        ends = self._output.tries_ends[: rows + 1].copy()
        if ends[-1]:
            times = self._output.tries[: ends[-1]].copy()
            lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(times, mask=times == self._null), mask=pa.array(ends[1:] == ends[:-1]))
            columns["try_us"] = lists


def best_program(programs: Sequence[Program], lines: list[bytes]) -> tuple[Program, float] | None:
    """The program that reads most of ``lines``, with its share; the first of equals; None where none reads any."""
    scored = [(program.fit(lines), -i, program) for i, program in enumerate(programs) if program.readable]
    best = max(scored, key=lambda item: item[:2], default=None)
    return (best[2], best[0]) if best and best[0] > 0 else None
