"""Which key of a JSON access log is which column: by the names that servers and loggers use, and their units."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from perfaudit.evidence.readers._units import best_unit, unit_of_name

Path = tuple[str, ...]

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

#: column → key names in snake case with dots for nesting, best first. Sources: nginx variables; Traefik access-log fields;
#: Caddy's http.log.access; Envoy's default JSON keys and Istio's; Elastic Common Schema; OpenTelemetry semantic conventions;
#: pino-http, bunyan, morgan, zap, logrus, Serilog/ASP.NET Core, structlog, Cloud Logging's httpRequest.
NAMES: dict[str, tuple[str, ...]] = {
    "start": ("start_utc", "start_time", "start_local", "started_at", "event.start", "request_start", "time_start", "start"),
    "end": (
        "msec", "time_msec", "@timestamp", "time_iso8601", "timestamp", "time", "ts", "@t", "t", "time_local", "datetime", "date",
        "end_time", "event.end", "asctime", "logged_at", "event_time",
    ),
    "status": (
        "status", "downstream_status", "response_code", "status_code", "res.status_code", "http.response.status_code", "http.status_code",
        "http_status", "http_status_code", "response.status", "response.status_code", "response_status", "response_status_code", "resp_status",
        "http_request.status", "sc_status", "http.status", "resp.status", "res.status",
    ),
    "method": (
        "request_method", "method", "req.method", "http.request.method", "http.method", "request.method", "http_method", "verb",
        "http_request.request_method", "cs_method",
    ),
    "route": (
        "http.route", "route", "path_template", "route_pattern", "request.route", "request_uri", "uri", "path", "req.url", "request_path",
        "request.uri", "request.path", "url.path", "http.target", "http.path", "http.request.path", "url.original", "request_url", "request.url",
        "http.url", "url", "target", "endpoint", "req.path", "x_envoy_original_path", "http_request.request_url", "cs_uri_stem",
    ),
    "line": ("request", "request_line", "http_request"),
    "duration": (
        "request_time", "duration", "request_duration", "latency", "elapsed", "elapsed_time", "response_time", "time_taken", "took",
        "event.duration", "http.server.request.duration", "http_request.latency", "processing_time", "total_time", "req_time", "resp_time",
        "http.duration", "process_time", "runtime", "response.time",
    ),
    "upstream": ("upstream_response_time", "origin_duration", "upstream_service_time", "x_envoy_upstream_service_time", "upstream_time"),
    "upstream_connect": ("upstream_connect_time",),
    "upstream_header": ("upstream_header_time",),
    "retries": ("retry_attempts",),
    "tries": ("upstream_request_attempt_count",),
    "response_bytes": (
        "body_bytes_sent", "bytes_sent", "size", "downstream_content_size", "response_size", "response_bytes", "bytes", "bytes_out",
        "http.response.body.bytes", "http.response.body.size", "http.response.bytes", "res.content_length", "content_length", "response_length", "resp_size",
        "http_request.response_size",
    ),
    "request_bytes": (
        "request_length", "bytes_received", "bytes_read", "bytes_in", "request_content_size", "request_size", "http.request.body.bytes",
        "http.request.body.size", "http.request.bytes", "http_request.request_size",
    ),
    "cache_status": ("upstream_cache_status", "cache_status", "cache"),
    "client": (
        "http_x_forwarded_for", "x_forwarded_for", "request.client_ip", "client_ip", "client_host", "remote_addr", "remote_address", "request.remote_ip", "remote_ip",
        "client.ip", "client.address", "source.ip", "client_addr", "client_address", "downstream_remote_address", "req.remote_address", "http_request.remote_ip",
        "remote_host", "ip", "client",
    ),
    "trace_id": (
        "trace_id", "trace.id", "otel_trace_id", "opentelemetry_trace_id", "http_traceparent", "traceparent", "dd.trace_id", "request.headers.traceparent",
        "traceid", "trace",
    ),
    "request_id": ("request_id", "x_request_id", "req.id", "req_id", "http.request.id", "http_x_request_id", "correlation_id", "rid"),
    "service": ("service.name", "service", "service_name", "application", "app"),
    "instance": ("hostname", "host.name", "instance", "pod_name", "pod", "kubernetes.pod.name"),
}
#: Columns that take the first key with a value of a line, not one key for the whole log.
_CHAINED = frozenset({"status", "method", "route", "client", "trace_id", "request_id", "service"})
#: key → unit where the product defines it.
UNITS = {
    "request_time": "s", "upstream_response_time": "s", "upstream_connect_time": "s", "upstream_header_time": "s",  # nginx
    "upstream_service_time": "ms", "x_envoy_upstream_service_time": "ms",  # Envoy
    "event.duration": "ns",  # ECS
    "http.server.request.duration": "s",  # OpenTelemetry
    "origin_duration": "ns",  # Traefik
}  # fmt: skip
#: A key that only this product has → unit of its plain ``duration``/``response_time``.
_PRODUCT_UNITS: tuple[tuple[str, str, str, str], ...] = (
    ("Traefik", "downstream_status", "duration", "ns"),
    ("Caddy", "request.remote_ip", "duration", "s"),
    ("Caddy", "request.client_ip", "duration", "s"),
    ("Envoy", "response_code", "duration", "ms"),
    ("pino", "req.method", "response_time", "ms"),
)
_DURATIONS = ("duration", "upstream", "upstream_connect", "upstream_header")


@dataclass
class JsonMapping:
    """A mapping found in a sample: column → key paths (best first), column → unit, and what was assumed.

    ``starts``: its instants are arrivals. ``lists``: upstream times are nginx's, one for each try.
    """

    keys: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    product: str = "JSON access log"
    starts: bool = False
    lists: bool = False
    note: str = ""


def snake(path: Path) -> str:
    """``("res", "statusCode")`` → ``res.status_code``."""
    return ".".join(_CAMEL.sub("_", key).replace("-", "_").replace(" ", "_").lower() for key in path)


def flatten(value: Mapping[str, Any], prefix: Path = (), depth: int = 4) -> Iterator[tuple[Path, Any]]:
    """Leaves of a JSON object with their paths."""
    for key, item in value.items():
        if isinstance(item, dict) and depth > 1:
            yield from flatten(item, (*prefix, key), depth - 1)
        else:
            yield (*prefix, key), item


def map_fields(records: Sequence[Mapping[str, Any]], declared: Mapping[str, str] | None = None) -> JsonMapping | None:
    """The mapping for a sample of decoded lines, or None where no key is a status beside a target or method.

    ``declared`` maps keys to nginx variables, from an ``escape=json`` directive.
    """
    leaves = [dict(flatten(record)) for record in records]
    counts: Counter[Path] = Counter(path for leaf in leaves for path, value in leaf.items() if value is not None)
    names: dict[str, list[Path]] = {}
    for path in counts:
        names.setdefault(_name(path, declared), []).append(path)
    found = JsonMapping()
    for column, candidates in NAMES.items():
        keys = _keys(candidates, names, counts, with_unit=column in _DURATIONS, loose=column == "trace_id")
        if keys:
            found.keys[column] = tuple(keys if column in _CHAINED else keys[:1])
    if "status" not in found.keys or not ({"route", "line"} & found.keys.keys()):
        return None
    _times(found, counts, set(names))
    if "start" not in found.keys and "end" not in found.keys:
        return None
    _units(found, set(names), leaves, declared)
    return found


def _name(path: Path, declared: Mapping[str, str] | None) -> str:
    return (declared or {}).get(path[0], snake(path)) if len(path) == 1 else snake(path)


def _keys(candidates: Sequence[str], names: Mapping[str, list[Path]], counts: Counter[Path], *, with_unit: bool, loose: bool) -> list[Path]:
    keys: list[Path] = []
    for candidate in candidates:
        keys += names.get(candidate, [])
        if with_unit:
            keys += [path for name, paths in names.items() if name != candidate and name.startswith(candidate) and unit_of_name(name) and _stem(name) == candidate for path in paths]
    if loose and not keys:
        keys = [path for name, paths in names.items() if "trace_id" in name or "traceid" in name for path in paths if "parent" not in name]
    if with_unit:
        keys.sort(key=lambda path: -counts[path])
    return keys


def _stem(name: str) -> str:
    return name.rpartition("_")[0] or name


def _times(found: JsonMapping, counts: Counter[Path], names: set[str]) -> None:
    start, end = found.keys.get("start"), found.keys.get("end")
    if start and end and counts[start[0]] * 2 >= counts[end[0]]:
        del found.keys["end"]
    elif start:
        found.keys.pop("start" if end else "", None)
    if "http_request.request_url" in names and "end" in found.keys:  # Cloud Load Balancing: timestamp is when the request arrived
        found.keys["start"] = found.keys.pop("end")
    found.starts = "start" in found.keys


_THREE_DECIMALS = re.compile(r"\d+\.\d{3}")


def _plain_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _units(found: JsonMapping, names: set[str], leaves: Sequence[Mapping[Path, Any]], declared: Mapping[str, str] | None) -> None:
    found.product = next((product for product, mark, *_ in _PRODUCT_UNITS if mark in names), found.product)
    upstream = found.keys.get("upstream")
    found.lists = upstream is not None and _name(upstream[0], declared) == "upstream_response_time"
    for column in _DURATIONS:
        if column not in found.keys:
            continue
        path = found.keys[column][0]
        name = _name(path, declared)
        known = next((unit for _, mark, base, unit in _PRODUCT_UNITS if mark in names and name == base), None)
        unit = unit_of_name(name) or known or UNITS.get(name)
        if unit is None:
            logged = [leaf.get(path) for leaf in leaves]
            values = [number for value in logged if (number := _plain_number(value)) is not None]
            # nginx writes its times as seconds with three decimals ($request_time, ngx_http_core_module).
            nginx = bool(values) and all(isinstance(v, str) and _THREE_DECIMALS.fullmatch(v) for v in logged if v not in (None, "", "-"))
            unit = "s" if nginx else best_unit(values)
            if values:
                found.note = f"'{'.'.join(path)}' has no unit: read as {unit}, which makes its median most like a web request; a key such as {snake(path)}_ms says so"
        found.units[column] = unit
