"""Prometheus and OpenMetrics text with timestamps: one exposition, or several scrapes appended.

Formats: Prometheus "Exposition formats" (timestamps in ms), OpenMetrics 1.0 (timestamps in s, ``# UNIT``, exemplars,
``# EOF``). A series' text is parsed once and known again by its bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from perfaudit.evidence.clock import epoch
from perfaudit.evidence.readers import Recognised
from perfaudit.redact import value as redact_value

if TYPE_CHECKING:
    import pyarrow as pa

    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "Prometheus text"
VERSION = 1
TABLES = ("metrics",)

HINT = "samples need a timestamp: curl -s URL/metrics | awk -v t=$(date +%s%3N) '/^[^#]/ {print $0, t; next} {print}' >> metrics.prom"
#: Series that are remembered; beyond, the memory is emptied (a file with more series repeats few of them).
_REMEMBERED = 500_000
#: ms since the epoch have 13 digits from 2001 to 2286.
_MS_DIGITS = 13

_SAMPLE = re.compile(rb'\s*([A-Za-z_:][\w:]*|(?=\{))\s*(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?\s+([^\s#]+)(?:\s+([^\s#]+))?\s*(?:#.*)?')
_COMMENT = re.compile(rb"#\s*(TYPE|HELP|UNIT|EOF)\b\s*(\S+)?\s*(\S+)?")
_LABEL = re.compile(r'\s*(?:([A-Za-z_][\w.]*)|"((?:[^"\\]|\\.)*)")\s*(?:=\s*"((?:[^"\\]|\\.)*)")?\s*(,|$)')
_ESCAPED = re.compile(r'\\([\\"n])')
_SUFFIX = re.compile(r"_(?:total|bucket|sum|count|created|info|gsum|gcount)$")
_KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "summary": "summary", "gaugehistogram": "histogram",
          "info": "gauge", "stateset": "gauge"}  # fmt: skip
_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds", "bytes", "kilobytes", "megabytes", "bits", "ratio", "percent", "celsius", "joules",
          "volts", "amperes", "watts", "hertz", "meters", "grams")  # fmt: skip


class Series(NamedTuple):
    """A series: its name as exposed, and its labels."""

    name: str
    labels: tuple[tuple[str, str], ...]


def sniff(sample: Sample) -> Recognised | None:
    """Sure when ``# TYPE`` or ``# HELP`` stand among samples; plausible when every line is a sample."""
    lines = sample.lines
    comments = sum(line.startswith(b"#") for line in lines)
    declared = sum(_COMMENT.match(line) is not None for line in lines)
    samples = [line for line in lines if not line.startswith(b"#")]
    fitting = sum(_is_sample(line) for line in samples)
    if not samples:
        return Recognised(0.6, hint=HINT) if declared and declared == comments else None
    if fitting * 2 < len(samples):
        return None
    if declared:
        return Recognised(0.95, hint=HINT)
    return Recognised(0.6, hint=HINT) if fitting == len(samples) and not comments and b"{" in samples[0] else None


def _is_sample(line: bytes) -> bool:
    match = _SAMPLE.fullmatch(line)
    return match is not None and _float(match[3]) is not None and (match[4] is None or _time(match[4]) is not None)


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per sample with a timestamp."""
    reader = _Reader(sink)
    for block in source.blocks(sink.too_long):
        reader.block(bytes(block.data), block.offset)
    if reader.untimed:
        sink.note(f"{reader.untimed:,} samples have no timestamp. {HINT}")


class _Reader:
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.untimed = 0
        self.types: dict[str, str] = {}
        self.units: dict[str, str] = {}
        self.known: dict[bytes, int] = {}
        self.series: list[Series] = []
        self.indices: list[int] = []
        self.times: list[int] = []
        self.values: list[float] = []

    def block(self, data: bytes, offset: int) -> None:
        lines = data.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        self.sink.lines(len(lines))
        parsed = 0
        known, indices, times, values = self.known, self.indices, self.times, self.values
        for line in lines:
            parts = line.rsplit(b" ", 2)
            if len(parts) == 3 and (index := known.get(parts[0])) is not None and len(parts[2]) == _MS_DIGITS and parts[2].isdigit():
                try:  # the hot path: a series that is known, a value, milliseconds
                    number, stamp = float(parts[1]), int(parts[2])
                except ValueError:
                    reason = self._line(line)
                else:
                    indices.append(index)
                    values.append(number)
                    times.append(stamp * 1000)
                    parsed += 1
                    offset += len(line) + 1
                    continue
            else:
                reason = self._line(line)
            if reason:
                self.sink.reject(reason, example=line, offset=offset)
            else:
                parsed += 1
            offset += len(line) + 1
        self.sink.parsed(parsed)
        self._flush()

    def _line(self, line: bytes) -> str:
        """Any line; "" or the reason why it is rejected."""
        line = line.strip()
        if not line or line.startswith(b"#"):
            self._comment(line)
            return ""
        match = _SAMPLE.fullmatch(line)
        number = _float(match[3]) if match else None
        if match is None or number is None:
            return "not a sample"
        if match[4] is None:
            self.untimed += 1
            return "no timestamp"
        time = _time(match[4])
        if time is None:
            return "timestamp cannot be read"
        text = line[: match.end(2) if match[2] is not None else match.end(1)]
        index = self.known.get(text)
        if index is None:
            parsed = _series(match[1].decode(), (match[2] or b"").decode("utf-8", "replace"))
            if parsed is None:
                return "labels cannot be read"
            index = self.known[text] = len(self.series)
            self.series.append(parsed)
        self.indices.append(index)
        self.values.append(number)
        self.times.append(time)
        return ""

    def _comment(self, line: bytes) -> None:
        match = _COMMENT.match(line)
        if match and match[2] and match[3]:
            family, word = match[2].decode("utf-8", "replace"), match[3].decode("utf-8", "replace").lower()
            if match[1] == b"TYPE":
                self.types[family] = _KINDS.get(word, "unknown")
            elif match[1] == b"UNIT":
                self.units[family] = word

    def _flush(self) -> None:
        if self.indices:
            import numpy as np

            rows, series = np.array(self.indices, np.int64), self.series
            if len(series) > len(rows):  # only those of this block
                used, rows = np.unique(rows, return_inverse=True)
                series = [self.series[i] for i in used]
            names = [s.name for s in series]
            self.sink.write(
                "metrics",
                {
                    "time": np.array(self.times, np.int64), "value": np.array(self.values, np.float64),
                    "name": _symbols(names, rows), "kind": _symbols([self._kind(s) for s in series], rows),
                    "unit": _symbols([self._unit(name) for name in names], rows), "labels": _labels(series, rows),
                },
                len(self.indices),
            )  # fmt: skip
            for column in (self.indices, self.times, self.values):
                column.clear()
        if len(self.series) > _REMEMBERED:
            self.known.clear()
            self.series.clear()

    def _kind(self, series: Series) -> str:
        name = series.name
        family = _SUFFIX.sub("", name)
        declared = self.types.get(name) or self.types.get(family)
        if declared:
            return declared
        labels = {label for label, _ in series.labels}
        if name.endswith("_total"):
            return "counter"
        if name.endswith("_bucket") and "le" in labels:
            return "histogram"
        return "summary" if "quantile" in labels else "unknown"

    def _unit(self, name: str) -> str | None:
        if name.endswith(("_bucket", "_count", "_gcount")):
            return None
        family = _SUFFIX.sub("", name)
        declared = self.units.get(name) or self.units.get(family)
        return declared or next((unit for unit in _UNITS if family == unit or family.endswith(f"_{unit}")), None)


def _float(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _time(text: bytes) -> int | None:
    """Milliseconds (Prometheus) or seconds (OpenMetrics), told by their magnitude."""
    return epoch(text.decode("ascii", "replace"))


def _series(name: str, braces: str) -> Series | None:
    labels: dict[str, str] = {}
    text, position = braces[1:-1], 0
    while position < len(text) and text[position:].strip():
        match = _LABEL.match(text, position)
        if match is None or (match[3] is None and (name or match[2] is None)):
            return None
        if match[3] is None:  # Prometheus 3: {"a.name", label="value"}
            name = _unescape(match[2])
        else:
            label = match[1] or _unescape(match[2])
            labels[label] = redact_value(label, _unescape(match[3]))
        position = match.end()
    return Series(name, tuple(labels.items())) if name else None


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda m: "\n" if m[1] == "n" else m[1], text) if "\\" in text else text


def _symbols(values: list[Any], rows: Any) -> pa.Array:
    """A dictionary-encoded column: ``values`` per series, ``rows`` the series of each row."""
    import pyarrow as pa

    distinct = {v: i for i, v in enumerate(dict.fromkeys(v for v in values if v is not None))}
    codes = pa.array([distinct.get(v) for v in values], pa.int32()).take(pa.array(rows))
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(distinct), pa.string()))


def _labels(series: list[Series], rows: Any) -> pa.Array:
    import pyarrow as pa

    return pa.array([s.labels for s in series], pa.map_(pa.string(), pa.string())).take(pa.array(rows))
