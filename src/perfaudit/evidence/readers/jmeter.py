"""JMeter's result files (JTL) as CSV, with a header or the default columns, or as XML.

Source: Apache JMeter user's manual, "Listeners" (CSV Log format, XML Log format) and ``jmeter.properties``: times are starts in ms, ``elapsed``
is until the last byte. Rows of transaction controllers stand for the samples inside them and are not counted again; where a file holds nothing
else ("Generate parent sample"), they are what there is. A response that an assertion refused is told with status 0, as one that never came: a
page that says "sorry" with 200 is no answer, and whoever counts errors must see it. One that was only too slow (Duration Assertion) stays.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._delimited import records, split
from perfaudit.evidence.readers._load import Load, number

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "JMeter results (JTL)"
VERSION = 1
TABLES = ("requests", "load_stages", "load_points")
TOOL = "JMeter"
TIER = LOAD_GENERATOR

_HINT = "jmeter -n -t plan.jmx -l result.jtl -Jjmeter.save.saveservice.output_format=csv -Jjmeter.save.saveservice.print_field_names=true"
_SHORT = ("timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName", "dataType", "success", "failureMessage", "bytes", "sentBytes", "grpThreads", "allThreads")
#: Columns that files without a header have by default, by their number: JMeter 5, 3 and 4, and 2.12 to 2.13.
_DEFAULT = {17: (*_SHORT, "URL", "Latency", "IdleTime", "Connect"), 16: (*_SHORT, "Latency", "IdleTime", "Connect"), 10: (*_SHORT[:8], "bytes", "Latency")}
_BARE = re.compile(r"\d{13}[,;\t|]\d+[,;\t|]")
_BEGINS = re.compile(rb"\d{13}[,;\t|]|\d{4}/\d\d/\d\d \d\d:")
_TRANSACTION = "Number of samples in transaction"
_TOO_SLOW = "The operation lasted too long"
#: Transactions in a row before the first sample from which on a file holds nothing else: a transaction stands behind its samples.
_ONLY_TRANSACTIONS = 1000
_SAMPLE = re.compile(r"<(/?)(httpSample|sample)\b([^<>]*?)(/?)>")
_ATTRIBUTE = re.compile(r"(\w+)=\"([^\"]*)\"")
_URL = re.compile(r"<java\.net\.URL>([^<]*)</java\.net\.URL>")
_FAILURE = re.compile(r"<failureMessage>([^<]*)")
_METHOD = re.compile(r"<method class=\"java\.lang\.String\">([A-Z]+)</method>")
_PATH = re.compile(r"(?:[A-Z]{3,7} )?/")
#: Open samples of an XML file; controllers nest a few deep.
_DEEPEST = 100


def sniff(sample: Sample) -> Recognised | None:
    """By the header, the root element, or default columns that begin with a time in ms."""
    head = sample.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:4000].decode("utf-8", "replace")
    if "<testResults" in head and head.startswith("<"):
        return Recognised(0.97, "xml", hint=_HINT)
    first = head.split("\n", 1)[0].rstrip("\r")
    for delimiter in ",;\t|":
        names = [name.strip('"') for name in first.split(delimiter)]
        if "timeStamp" in names and "elapsed" in names:
            return Recognised(0.97, (delimiter, tuple(names)), hint=_HINT)
    if _BARE.match(first):
        delimiter = next(d for d in ",;\t|" if d in first)
        cells = split(first, delimiter)
        if len(cells) in _DEFAULT and cells[7] in ("true", "false"):
            return Recognised(0.9, (delimiter, _DEFAULT[len(cells)]), hint=_HINT)
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One request per sample; running threads by the second."""
    clock = Clock(options.zone)
    samples = _Samples(Load(sink, options, source.name))
    if recognised.detail == "xml":
        _read_xml(source, sink, samples, clock)
    else:
        _read_table(source, sink, samples, clock, *recognised.detail)
    for text in (*samples.finish(), clock.note()):
        if text:
            sink.note(text)


def _read_table(source: Source, sink: Sink, samples: _Samples, clock: Clock, delimiter: str, names: tuple[str, ...]) -> None:
    for n, offset, raw in records(source, sink, lambda line: _BEGINS.match(line) is not None):
        cells = split(raw.decode("utf-8", "replace").removeprefix("\ufeff"), delimiter)
        if not raw.strip() or "timeStamp" in cells:
            sink.parsed(n)
            continue
        if len(cells) != len(names):
            reason = f"{len(cells)} columns where the header has {len(names)}"
        else:
            row = dict(zip(names, cells, strict=True))
            time = clock.read(row["timeStamp"])
            row |= {"t": row["elapsed"], "lb": row.get("label", ""), "rc": row.get("responseCode", ""), "rm": row.get("responseMessage", ""), "s": row.get("success", ""),
                    "na": row.get("allThreads", ""), "by": row.get("bytes", ""), "sby": row.get("sentBytes", ""), "failure": row.get("failureMessage", "")}  # fmt: skip
            reason = samples.take(time, row, row.get("URL", ""), "")
        if reason:
            sink.reject(reason, n, example=raw, offset=offset)
        else:
            sink.parsed(n)


class _Samples:
    """Samples on their way to requests, by the names of the XML format; transactions only where there is nothing else."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.seen = self.refused = self.left_out = 0
        self.transactions: list[tuple[int, float, dict[str, str], str, str]] = []
        self.only_transactions = False

    def take(self, time: int | None, row: dict[str, str], url: str, method: str) -> str:
        """One sample. "" or the reason why it is no row."""
        elapsed = number(row.get("t"))
        if time is None or elapsed is None:
            return "time or elapsed cannot be read"
        if (users := number(row.get("na"))) is not None and 0 <= users < 1e7:
            self.load.users(time, users)
        transaction = row.get("rm", "").startswith(_TRANSACTION)
        if transaction and not self.only_transactions:
            if not self.seen:
                self.transactions.append((time, elapsed, row, url, method))
            if len(self.transactions) >= _ONLY_TRANSACTIONS:
                self._use_transactions()
            return ""
        if self.only_transactions and not transaction:
            self.left_out += 1
            return ""
        self.seen += 1
        self.transactions.clear()
        return self._request(time, elapsed, row, url, method)

    def _use_transactions(self) -> None:
        self.only_transactions = True
        for held in self.transactions:
            self._request(*held)
        self.transactions.clear()

    def _request(self, time: int, elapsed: float, row: dict[str, str], url: str, method: str) -> str:
        code, label = row.get("rc", ""), row.get("lb", "")
        status = int(code) if code.isascii() and code.isdigit() and len(code) == 3 else None if row.get("s") == "true" and not code.startswith("Non HTTP") else 0
        if status is not None and 0 < status < 400 and row.get("s") == "false" and not row.get("failure", "").startswith(_TOO_SLOW):
            status = 0
            self.refused += 1
        name = label if _PATH.match(label) or "://" in label else url if "://" in url[:12] else label
        received, sent = number(row.get("by")), number(row.get("sby"))
        return self.load.request(time, elapsed * 1e3, status, name, method, None if received is None or received < 0 else int(received), None if sent is None or sent < 0 else int(sent))

    def finish(self) -> list[str]:
        """Hands over; what a person should know."""
        if self.transactions:
            self._use_transactions()
        self.load.finish()
        notes = []
        if self.only_transactions:
            notes.append("it holds transactions only: each is taken for one request, though several may stand behind it" + (f"; {self.left_out:,} single samples among them are left out" if self.left_out else ""))
        if self.refused:
            notes.append(f"{self.refused:,} samples failed in JMeter with a status below 400 (assertions): told with status 0, as without a good answer")
        return notes


def _read_xml(source: Source, sink: Sink, samples: _Samples, clock: Clock) -> None:
    """Line by line, as JMeter writes it: a sample is complete at its end; one with samples inside is a controller or a redirect."""
    held: list[tuple[dict[str, str], list[str], bool]] = []  # attributes, [url, method], whether it is to be counted

    def close(offset: int, raw: bytes) -> str:
        attributes, (url, method), counted = held.pop()
        return samples.take(clock.read(attributes.get("ts", "")), attributes, url, method) if counted else ""

    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        line, reason = raw.decode("utf-8", "replace"), ""
        for ends, _, text, empty in _SAMPLE.findall(line):
            if ends:
                reason = (close(offset, raw) if held else "an end without a beginning") or reason
                continue
            if len(held) >= _DEEPEST:
                reason = "samples nested too deep"
                break
            attributes = {name: unescape(value) for name, value in _ATTRIBUTE.findall(text)}
            # Inside a request stand its redirects and embedded resources, inside a transaction the requests themselves.
            inside = bool(held) and not held[-1][0].get("rm", "").startswith(_TRANSACTION)
            held.append((attributes, ["", ""], not inside))
            if empty:
                reason = close(offset, raw) or reason
        if held and (url := _URL.search(line)):
            held[-1][1][0] = unescape(url[1])
        if held and (method := _METHOD.search(line)):
            held[-1][1][1] = method[1]
        if held and (failure := _FAILURE.search(line)):
            held[-1][0].setdefault("failure", unescape(failure[1]))
        if not held and not reason and line.strip() and not line.lstrip().startswith("<"):
            reason = "outside of any sample"
        if reason:
            sink.reject(reason, example=raw, offset=offset)
        else:
            sink.parsed()
    if held:
        sink.note(f"the file ends inside of {len(held)} samples: they are left out")
