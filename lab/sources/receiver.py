"""The receiver of telemetry: OTLP over HTTP and Zipkin v2, written down as the OpenTelemetry Collector and Zipkin's API would.

OTLP traces and metrics become one request a line, as the Collector's file exporter writes them: OTLP JSON with lowerCamelCase
keys, ids in hexadecimal, 64-bit integers as strings, enumerations as numbers (OpenTelemetry specification, "JSON Protobuf
Encoding"; opentelemetry-collector-contrib, exporter/fileexporter). Zipkin spans are kept one a line.

``python receiver.py --port P [--traces FILE] [--metrics FILE] [--zipkin FILE]`` is run as a file of its own: nothing of the lab
is imported.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS = {"traceId", "spanId", "parentSpanId"}


def otlp_line(message: Any) -> str:
    """An OTLP protobuf request as the JSON of one line."""
    return json.dumps(_hex(MessageToDict(message, use_integers_for_enums=True)), separators=(",", ":"), ensure_ascii=False)


def _zipkin_line(span: dict[str, Any]) -> str:
    """A Zipkin span as the JSON of one line; fields without a value are left out, as Zipkin does."""
    return json.dumps({k: v for k, v in span.items() if v is not None}, separators=(",", ":"), ensure_ascii=False)


def _hex(value: Any) -> Any:
    """Ids of base64 become hexadecimal; what the Collector writes even where it is empty is added."""
    if isinstance(value, list):
        return [_hex(item) for item in value]
    if not isinstance(value, dict):
        return value
    done = {k: base64.b64decode(v).hex() if k in _IDS and isinstance(v, str) else _hex(v) for k, v in value.items()}
    if "spanId" in done and "startTimeUnixNano" in done:
        done = {"traceId": done.pop("traceId"), "spanId": done.pop("spanId"), "parentSpanId": done.pop("parentSpanId", ""), **done}
        done.setdefault("status", {})
    return done


class _Files:
    """Appends whole lines; one writer at a time."""

    def __init__(self, paths: dict[str, str | None]) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, BinaryIO] = {key: open(path, "ab") for key, path in paths.items() if path}  # noqa: SIM115

    def append(self, key: str, lines: list[str]) -> None:
        out = self._open.get(key)
        if out and lines:
            with self._lock:
                out.write(("\n".join(lines) + "\n").encode())
                out.flush()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: _Files

    def do_POST(self) -> None:
        body = self._body()
        kind = "application/x-protobuf"
        try:
            if self.path == "/v1/traces":
                self.files.append("traces", [otlp_line(ExportTraceServiceRequest.FromString(body))])
                self._answer(200, kind)
            elif self.path == "/v1/metrics":
                self.files.append("metrics", [otlp_line(ExportMetricsServiceRequest.FromString(body))])
                self._answer(200, kind)
            elif self.path == "/api/v2/spans":
                self.files.append("zipkin", [_zipkin_line(span) for span in json.loads(body)])
                self._answer(202, "application/json")
            else:
                self._answer(404, kind)
        except (ValueError, DecodeError) as error:
            self._answer(400, "text/plain", str(error).encode())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, status: int, kind: str, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    """Receives for ever."""
    parser = argparse.ArgumentParser(description="Receives OTLP over HTTP and Zipkin v2 spans and appends them to files.")
    parser.add_argument("--port", type=int, required=True)
    for name in ("traces", "metrics", "zipkin"):
        parser.add_argument(f"--{name}")
    asked = parser.parse_args()
    _Handler.files = _Files({"traces": asked.traces, "metrics": asked.metrics, "zipkin": asked.zipkin})
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(("127.0.0.1", asked.port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
