"""Output of wrk and wrk2, and percentile distributions of HdrHistogram (``.hgrm``): text with percentiles, no single requests, no times.

Sources: wrk2's README (``--latency``: "Detailed Percentile spectrum"), HdrHistogram's ``outputPercentileDistribution``. The spectrum's running
count gives how many requests lie between two of its lines, so it is read as a histogram. wrk2 measures from the planned start and is open;
wrk sends when it was answered and is closed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._load import Load, number

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "wrk, wrk2 or HdrHistogram text"
VERSION = 1
TABLES = ("load_stages", "load_points")
TOOL = "wrk or HdrHistogram"
TIER = LOAD_GENERATOR

_SPECTRUM = re.compile(r"\s*Value[\s,]+Percentile[\s,]+TotalCount[\s,]+1/\(1-Percentile\)\s*|\"Value\",\"Percentile\",\"TotalCount\",\"1/\(1-Percentile\)\"")
_POINT = re.compile(r"\s*(\d+(?:\.\d+)?)[\s,]+([01]?\.\d+|[01])[\s,]+(\d{1,18})(?:[\s,]+(?:\d+(?:\.\d+)?(?:e[+]?\d+)?|inf|Infinity))?\s*", re.I)
_RUN = re.compile(r"Running (\d+(?:\.\d+)?)(ms|s|m|h) test @ ")
_TOTAL = re.compile(r"\s*(\d+) requests in (\d+(?:\.\d+)?)(us|ms|s|m|h), ")
_USERS = re.compile(r"\s*\d+ threads? and (\d+) connections?")
_SHARE = re.compile(r"\s*(\d{1,3}(?:\.\d{1,4})?)%\s+(\d+(?:\.\d+)?)(us|ms|s|m|h)\s*")
_SOCKET = re.compile(r"\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_STATUS = re.compile(r"\s*Non-2xx or 3xx responses: (\d+)")
_MOMENTS = re.compile(r"\s*#\[(?:Mean|Max|Buckets)\s*=")
_ELSE = re.compile(r"\s*(?:Thread (?:Stats|calibration)|Latency|Req/Sec|Requests/sec|Transfer/sec|Detailed Percentile|Uncorrected|Initialised|-{5,}|#)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_WRK2 = ("Thread calibration", "Recorded Latency")
_UNIT = "its values are read as milliseconds, as wrk2 writes them and HdrHistogram's examples scale them"


def sniff(sample: Sample) -> Recognised | None:
    """By wrk's first line, or the heading of a percentile distribution."""
    for raw in sample.lines[:60]:
        line = raw.decode("utf-8", "replace")
        if _RUN.match(line):
            return Recognised(0.95, "wrk", hint="wrk2 -R RATE -d 60s --latency URL")
        if _SPECTRUM.fullmatch(line):
            return Recognised(0.95, "hgrm", hint="wrk2 -R RATE -d 60s --latency URL")
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """Totals, percentiles, and the spectrum as buckets."""
    reader = _Reader(Load(sink, options, source.name))
    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        line = raw.decode("utf-8", "replace")
        if not line.strip() or reader.take(line):
            sink.parsed()
        else:
            sink.reject("not a line of wrk or of a percentile distribution", example=raw, offset=offset)
    reader.finish(recognised.detail)
    if reader.buckets and recognised.detail == "hgrm":
        sink.note(_UNIT)
    if reader.spectra > 1:
        sink.note(f"{reader.spectra} percentile distributions: only the first is read")


class _Reader:
    def __init__(self, load: Load) -> None:
        self.load = load
        self.tool = ""
        self.spectra = self.requests = self.failures = self.users = self.before = self.timeouts = 0
        self.seconds = 0.0
        self.shares: dict[str, float] = {}
        self.buckets: list[tuple[float, int]] = []

    def take(self, line: str) -> bool:
        """One line; False where it is none of the format."""
        if any(word in line for word in _WRK2):
            self.tool = "wrk2"
        if _SPECTRUM.fullmatch(line):
            self.spectra += 1
        elif self.spectra and (point := _POINT.fullmatch(line)):
            self._point(number(point[1]) or 0.0, int(point[3]))
        elif total := _TOTAL.match(line):
            self.requests, self.seconds = int(total[1]), float(total[2]) * _SECONDS[total[3]]
        elif users := _USERS.match(line):
            self.users = int(users[1])
        elif share := _SHARE.fullmatch(line):
            stat = "max" if float(share[1]) == 100 else f"p{share[1].rstrip('0').rstrip('.').replace('.', '') if '.' in share[1] else share[1]}"
            self.shares.setdefault(stat, float(share[2]) * _SECONDS[share[3]] * 1e6)
        elif errors := _SOCKET.match(line):
            self.failures += sum(map(int, errors.groups()))
            self.timeouts += int(errors[4])
        elif status := _STATUS.match(line):
            self.failures += int(status[1])
        else:
            return bool(_RUN.match(line) or _MOMENTS.match(line) or _ELSE.match(line))
        return True

    def _point(self, value: float, count: int) -> None:
        """The running count of requests up to ``value``: what is new since the last line lies there."""
        if self.spectra == 1 and count > self.before:
            self.buckets.append((value * 1e3, count - self.before))
            self.before = count

    def finish(self, form: str) -> None:
        """Hand over."""
        load, tool = self.load, self.tool or ("wrk" if form == "wrk" else "HdrHistogram")
        load.total("arrival_model", 1.0, tool=tool, model={"wrk2": "open", "wrk": "closed"}.get(tool, ""))
        for value, n in self.buckets:
            load.total("duration_bucket", n, value_us=f"{value:.3f}")
        if not self.buckets:
            for stat, value in self.shares.items():
                load.total("duration_us", value, stat=stat)
        if self.requests:
            load.total("requests", self.requests)
            load.total("failures", self.failures)
            load.total("timeouts", self.timeouts)
        if self.seconds > 0:
            load.stage(None, self.seconds, achieved=self.requests / self.seconds, users=self.users or None)
        load.finish()
