"""Sources: what lies between two marks is cut out whole, and stock formats stay stock formats."""

import json
import shutil
import socket
import time
import urllib.request
from pathlib import Path
from unittest import mock

import pytest

from lab import processes
from lab.errors import LabError
from lab.processes import Run
from lab.sources import FileSource, Sampler, host, memcached, redis
from lab.sources.collector import Array
from lab.sources.prometheus import openmetrics


class Counting(Sampler):
    """A view whose every snapshot is one row with the next number."""

    count = 0

    def sample(self) -> str:
        self.count += 1
        if self.count == 2:
            raise OSError("the server is restarted")
        return f"now,value\n{time.time():.3f},{self.count}\n"


def test_a_cut_holds_whole_lines_between_two_marks(tmp_path: Path) -> None:
    log = tmp_path / "grow.log"
    source = FileSource("access.log", "access-log", log)
    empty = source.mark()
    log.write_text("before\nha")
    a = source.mark()
    with log.open("a") as out:
        out.write("lf a line\nsecond\nthi")
    b = source.mark()
    source.cut(a, b, tmp_path)
    assert (tmp_path / "access.log").read_text() == "half a line\nsecond\n"
    source.cut(empty, a, tmp_path)
    assert (tmp_path / "access.log").read_text() == "before\n"


def test_a_header_is_repeated_and_an_empty_cut_writes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "view"
    log.write_text("one,two\nunits,units\n1,2\n")
    source = FileSource("view.csv", "host", log, header=2)
    a = source.mark()
    source.cut(a, a, tmp_path)
    assert not (tmp_path / "view.csv").exists()
    with log.open("a") as out:
        out.write("3,4\n")
    source.cut(a, source.mark(), tmp_path)
    assert (tmp_path / "view.csv").read_text() == "one,two\nunits,units\n3,4\n"


def test_a_file_that_never_came_is_an_empty_one(tmp_path: Path) -> None:
    source = FileSource("slow.log", "database-log", tmp_path / "nowhere")
    source.cut(source.mark(), source.mark(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="access-log"):
        FileSource("x", "accesslog", tmp_path)


def test_marks_take_a_snapshot_and_a_failing_one_is_left_out(tmp_path: Path) -> None:
    source = Counting("view.csv", "statements", tmp_path / "view", interval=60, header=1)
    a = source.mark()
    failed = source.mark()
    b = source.mark()
    after = source.mark()
    source.end()
    assert (source.failed, source.error) == (1, "OSError: the server is restarted")
    assert failed.before == failed.after == a.after
    for first, last, expected in ((a, b, ["1", "3"]), (b, after, ["3", "4"])):
        source.cut(first, last, tmp_path)
        header, *rows = (tmp_path / "view.csv").read_text().splitlines()
        assert (header, [row.split(",")[1] for row in rows]) == ("now,value", expected)


def test_a_sampler_samples_until_it_is_ended(tmp_path: Path) -> None:
    source = Counting("view.csv", "statements", tmp_path / "view", interval=0.02, header=1)
    source.begin()
    time.sleep(0.3)
    source.end()
    seen = source.count
    assert 4 <= seen <= 16
    assert source.mark().after == source.size()
    time.sleep(0.1)
    assert source.count == seen


def test_spans_of_zipkin_become_one_array(tmp_path: Path) -> None:
    (tmp_path / "spans").write_text('{"id":"a"}\n{"id":"b"}\n')
    source = Array("zipkin.json", "traces", tmp_path / "spans")
    source.cut(source.mark()._replace(before=0), source.mark(), tmp_path)
    assert json.loads((tmp_path / "zipkin.json").read_text()) == [{"id": "a"}, {"id": "b"}]


def test_a_dump_of_an_old_prometheus_becomes_openmetrics() -> None:
    dump = '{__name__="b", path="/a, b", q="c=\\"d\\""} 2 1795471876621\n{__name__="up"} 1 1795471878000\nnonsense\n{__name__="b", path="/a, b", q="c=\\"d\\""} 3.5 1795471878621\n'
    assert openmetrics(dump).splitlines() == [
        'b{path="/a, b",q="c=\\"d\\""} 2 1795471876.621', 'b{path="/a, b",q="c=\\"d\\""} 3.5 1795471878.621', "up{} 1 1795471878.000", "# EOF",
    ]  # fmt: skip


def test_the_receiver_writes_what_the_collector_would(tmp_path: Path) -> None:
    trace = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    from lab.sources.receiver import otlp_line

    request = trace.ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name, span.kind = bytes(range(16)), bytes(range(8)), "GET /", 2
    span.start_time_unix_nano, span.end_time_unix_nano = 1, 1 << 62
    [resource] = json.loads(otlp_line(request))["resourceSpans"]
    assert resource["scopeSpans"][0]["spans"] == [{
        "traceId": bytes(range(16)).hex(), "spanId": bytes(range(8)).hex(), "parentSpanId": "", "name": "GET /", "kind": 2,
        "startTimeUnixNano": "1", "endTimeUnixNano": str(1 << 62), "status": {},
    }]  # fmt: skip


def test_the_receiver_takes_zipkin_and_refuses_nonsense(machine: None, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.proto")
    from lab.sources.collector import Collector

    with _run() as run:
        collector = Collector(run, zipkin=True)
        collector.start()
        [source] = [s for s in collector.sources() if s.name.startswith("zipkin")]
        a = source.mark()
        _post(collector.zipkin_url, b'[{"id":"a","kind":null}]')
        with pytest.raises(urllib.error.HTTPError, match="400"):
            _post(collector.zipkin_url, b"{")
        source.cut(a, source.mark(), tmp_path)
    assert json.loads((tmp_path / "zipkin-spans.json").read_text()) == [{"id": "a"}]


@pytest.mark.skipif(not (shutil.which("redis-server") and shutil.which("memcached") and shutil.which("ss")), reason="redis, memcached or ss is not installed")
def test_stores_and_hosts_are_told_block_by_block(machine: None, tmp_path: Path) -> None:
    with _run() as run:
        ports = run.port(), run.port()
        run.start("redis", ["redis-server", "--port", ports[0], "--save", "", "--slowlog-log-slower-than", "0"], ready=ports[0])
        run.start("memcached", ["memcached", "-l", "127.0.0.1", "-p", ports[1], "-U", "0"], ready=ports[1])
        sources = [*redis.everything(run, ports[0]), *memcached.everything(run, ports[1], watch=True), host.Groups(run), host.Listeners(run)]
        for source in sources:
            source.begin()
        marks = {s.name: s.mark() for s in sources}
        with socket.create_connection(("127.0.0.1", ports[1])) as client:
            client.sendall(b"get nothing\r\n")
            assert client.recv(10) == b"END\r\n"
        time.sleep(0.4)
        ends = {s.name: s.mark() for s in sources}
        for source in sources:
            source.end()
            source.cut(marks[source.name], ends[source.name], tmp_path)
    said = {p.name: p.read_text() for p in tmp_path.iterdir() if p.is_file()}
    assert said["redis-info.txt"].count("used_memory:") >= 2
    assert "/" + "redis-server" not in said["redis-info.txt"]
    assert "STAT get_misses 1" in said["memcached-stats.txt"]
    assert "type=item_get key=nothing status=not_found" in said["memcached-watch.txt"]
    assert f":{ports[0]}" in said["ss-listeners.txt"]
    assert all(line.startswith("# time 20") for line in said["redis-info.txt"].splitlines() if line.startswith("# time"))


def _run() -> Run:
    python = Path(__file__).parents[2] / ".venv-lab" / "bin" / "python"
    if not python.exists():
        pytest.skip("the lab's environment is not set up; make test does it")
    try:
        with mock.patch.object(processes, "_python", return_value=str(python)):
            return Run("test-sources")
    except LabError as error:
        pytest.skip(str(error))


def _post(url: str, body: bytes) -> None:
    urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=5).close()
