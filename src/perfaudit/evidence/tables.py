"""The schema of a bundle: every table and column, declared once, with unit and meaning.

``docs/reference/tables.md`` is generated from here; the bundle writes and the store reads by it. Names follow
OpenTelemetry's semantic conventions where one exists. Instants end in ``time`` (UTC, microseconds), durations in ``_us``
(integer microseconds), sizes in ``_bytes``, shares are 0–1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: type name → DuckDB type. ``symbol`` is a string with few distinct values (stored by dictionary).
SQL_TYPES = {
    "time": "TIMESTAMP",
    "int": "BIGINT",
    "key": "UBIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
    "symbol": "VARCHAR",
    "ints": "BIGINT[]",
    "strings": "VARCHAR[]",
    "labels": "MAP(VARCHAR, VARCHAR)",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, type (a key of :data:`SQL_TYPES`), unit ("" for none) and meaning."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what one row is, what it is read from, and its columns in order."""

    name: str
    row: str
    read_from: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(c.name for c in self.columns)


def _table(name: str, row: str, read_from: str, *columns: str) -> Table:
    parsed = []
    for column in columns:
        head, meaning = column.split(": ", 1)
        words = head.split()
        parsed.append(Column(words[0], words[1], words[2] if len(words) > 2 else "", meaning))
    return Table(name, row, read_from, tuple(parsed))


_ALL = (
    _table(
        "requests", "an HTTP request at an edge or server",
        "access logs of nginx, Apache, HAProxy, AWS ALB, IIS; JSON access logs",
        "time time: arrival of the request (end of the request minus its duration where the log gives the end)",
        "duration_us int µs: from arrival to the last byte of the response; null where the log does not say",
        "status int: HTTP status code; 499 and other client aborts as logged; 0 where none was sent",
        "method symbol: request method, upper case; null when the request line was unreadable",
        "route symbol: path without query; variable segments are {id}; null when the request line was unreadable",
        "service symbol: the tier that wrote the log: a label, a field, or from the file's name",
        "instance symbol: the instance that wrote the log, where known",
        "response_bytes int bytes: bytes of the response (body where the log says body)",
        "request_bytes int bytes: bytes of the request, where logged",
        "upstream_connect_us int µs: establishing the upstream connection, all tries",
        "upstream_header_us int µs: until the upstream's response header, all tries",
        "upstream_us int µs: until the upstream's whole response, all tries; null when no upstream was asked",
        "tries int: upstream attempts; 0 when none was made, null when the log does not say",
        "try_us ints µs: upstream time of each try, in order; null unless there was more than one",
        "cache_status symbol: HIT, MISS, EXPIRED, … of the serving cache",
        "client_key key: keyed hash of the client address (the key stays with the bundle); null where unknown",
        "trace_id string: trace identifier, lower case, as logged",
        "request_id string: request identifier, as logged",
    ),
    _table(
        "logs", "a log event (a template and how often it occurred in one second)",
        "nginx and Apache error logs, database error logs, JSON and text application logs",
        "time time: when it was logged",
        "service symbol: the service that logged it",
        "instance symbol: the instance, where known",
        "level symbol: debug, info, notice, warning, error, critical, alert or emergency",
        "template symbol: the message with literals removed",
        "count int: how many events this row stands for",
        "trace_id string: trace identifier, where logged",
    ),
    _table(
        "spans", "a span of a distributed trace",
        "OTLP JSON and protobuf, Jaeger JSON, Zipkin v2 JSON",
        "trace_id string: trace identifier, lower-case hex where it is hex",
        "span_id string: span identifier",
        "parent_span_id string: parent's identifier; null for a root",
        "time time: start",
        "duration_us int µs: end minus start, negative where the end is before the start; null for a span that has not ended",
        "service symbol: service.name",
        "instance symbol: service.instance.id, else pod or host",
        "operation symbol: span name; SQL without literals, variable segments of a path are {id}",
        "kind symbol: internal, server, client, producer or consumer",
        "status symbol: unset, ok or error",
        "error symbol: error.type, else the shape of the error's message",
        "peer symbol: what a client or producer span calls: peer service, database system and name, or host; null for other kinds",
        "system symbol: database, messaging or RPC system that is called, e.g. postgresql, redis, kafka, grpc",
        "method symbol: HTTP request method, upper case",
        "route symbol: http.route, else the path of the URL, normalised as in requests",
        "http_status int: HTTP status code, where set",
        "resend_count int: http.request.resend_count",
        "request_bytes int bytes: body of the request",
        "response_bytes int bytes: body of the response",
        "rows int: rows that the statement returned",
        "queue_us int µs: wait in the queue before this span began, where the span says",
        "fingerprint symbol: fingerprint of the SQL statement, where there is one",
        "statement symbol: statement without literals; of other stores the command",
        "links strings: trace:span of linked spans; the parent too where it does not wait (follows-from)",
        "exceptions strings: types of the exceptions that it recorded, the first 8",
        "sampler symbol: how its trace was chosen, where the span says: const, probabilistic, ratelimiting, tail, …",
        "weight float: spans that this one stands for (1 / probability of being kept), where the span says",
        "shared bool: server half of a Zipkin span that has the same span_id as its client half",
        "attributes labels: other attributes of few values, of the span and what runs it (at most 16, without people, secrets and addresses)",
    ),
    _table(
        "metrics", "a point of a time series",
        "Prometheus text with timestamps, OpenMetrics",
        "time time: when the value was sampled",
        "name symbol: series name as exposed, with suffix (_total, _bucket, _sum, _count)",
        "kind symbol: counter, gauge, histogram, summary or unknown",
        "unit symbol: unit, where declared or implied by the name",
        "labels labels: label names and values",
        "value float: the value, in its unit",
    ),
    _table(
        "statements", "cumulative counters of a normalised statement at a snapshot",
        "pg_stat_statements, performance_schema digests",
        "time time: snapshot",
        "fingerprint symbol: fingerprint of the statement",
        "statement symbol: normalised text without literals",
        "database symbol: database name",
        "calls int: executions since reset",
        "duration_us int µs: total execution time since reset",
        "rows int: rows returned or affected since reset",
        "blocks_hit int: shared blocks found in cache",
        "blocks_read int: shared blocks read",
        "wal_bytes int bytes: write-ahead log generated",
    ),
    _table(
        "statement_events", "one executed statement with its duration",
        "PostgreSQL log (jsonlog, csvlog, stderr)",
        "time time: when the statement ended (as logged)",
        "duration_us int µs: duration as logged",
        "fingerprint symbol: fingerprint of the statement",
        "statement symbol: normalised text without literals",
        "database symbol: database name",
        "application symbol: application_name",
        "pid int: server process of the session",
        "rows int: rows, where logged",
        "service symbol: the database service",
    ),
    _table(
        "sessions", "a database session as sampled at one instant",
        "pg_stat_activity with pg_blocking_pids",
        "time time: snapshot",
        "pid int: server process of the session",
        "database symbol: database name",
        "application symbol: application_name",
        "state symbol: active, idle, idle in transaction, …",
        "wait_type symbol: wait_event_type; null when running on CPU",
        "wait_event symbol: wait_event",
        "fingerprint symbol: fingerprint of the current (or last) statement",
        "statement symbol: normalised text without literals",
        "query_age_us int µs: since the current statement began; null when unknown",
        "xact_age_us int µs: since the transaction began; null outside a transaction",
        "state_age_us int µs: since the state last changed",
        "blocked_by ints: pids that block this session; empty when none or unknown",
        "backend_type symbol: client backend, autovacuum worker, …",
        "service symbol: the database service",
    ),
    _table(
        "lock_events", "a lock wait, deadlock, temporary file, checkpoint or connection event",
        "PostgreSQL log (jsonlog, csvlog, stderr)",
        "time time: when the wait began (lock-wait), else when it was logged",
        "kind symbol: lock-wait, deadlock, lock-timeout, temp-file, checkpoint, connection-refused",
        "duration_us int µs: how long was waited, as far as known; checkpoint: total time",
        "acquired bool: true when the lock was got, false when the log ends or the wait was cancelled first",
        "pid int: server process that waited (or logged)",
        "lock_mode symbol: ShareLock, AccessExclusiveLock, …",
        "lock_target symbol: transaction, tuple, relation, extend, page, advisory, virtualxid, object, …",
        "object symbol: relation, where the log names it",
        "holders ints: pids that held the lock when the wait was logged",
        "queue ints: pids waiting for it then, in order",
        "fingerprint symbol: fingerprint of the waiting statement",
        "statement symbol: normalised text of the waiting statement",
        "holder_statement symbol: normalised text of a blocker's statement, where the log tells it",
        "database symbol: database name",
        "application symbol: application_name",
        "bytes int bytes: size (temp-file), WAL distance (checkpoint)",
        "detail symbol: checkpoint cause, deadlock shape: what else is known, without literals",
        "service symbol: the database service",
    ),
    _table(
        "plans", "an execution plan",
        "auto_explain in the PostgreSQL log",
        "time time: when it was logged",
        "duration_us int µs: duration as logged",
        "fingerprint symbol: fingerprint of the statement",
        "statement symbol: normalised text",
        "shape symbol: hash of the tree of node types, relations and indexes",
        "plan string: the plan as JSON without literals",
        "pid int: server process of the session",
    ),
    _table(
        "db_objects", "a table or index with size, use and maintenance counters at a snapshot",
        "pg_stat_user_tables, pg_stat_user_indexes, information_schema",
        "time time: snapshot",
        "kind symbol: table or index",
        "name symbol: schema-qualified name",
        "parent symbol: an index's table",
        "size_bytes int bytes: size on disk",
        "rows int: live rows (estimate)",
        "dead_rows int: dead rows (estimate)",
        "scans int: sequential scans (table) or index scans since reset",
        "rows_read int: rows read by them since reset",
    ),
    _table(
        "cache_stats", "server counters of a cache at a snapshot", "Redis INFO, memcached stats",
        "time time: snapshot", "service symbol: the cache", "name symbol: counter or gauge", "value float: its value",
    ),
    _table(
        "cache_commands", "one command at a cache", "Redis MONITOR, SLOWLOG",
        "time time: when it ran", "duration_us int µs: duration at the server, where known", "command symbol: command name",
        "key_pattern symbol: key with variable segments as {id}", "value_bytes int bytes: size of the value, where known",
        "hit bool: found or not, where known", "service symbol: the cache",
    ),
    _table(
        "profiles", "a stack and its samples", "collapsed stacks, speedscope, pprof, perf script",
        "time time: start of the profile, where known", "service symbol: profiled service",
        "kind symbol: cpu, off-cpu, lock or alloc", "thread symbol: thread", "stack strings: frames, outermost first",
        "samples int: samples with this stack",
    ),
    _table(
        "events", "something that happened: a deploy, a change of configuration, a restart, a commit, …",
        "JSON lines, CSV, git log",
        "time time: when it happened",
        "kind symbol: deploy, config, flag, restart, commit, campaign, incident, or as given",
        "service symbol: the service it concerns",
        "name symbol: short name",
        "version symbol: version, where given",
        "commit symbol: commit, where given",
        "detail string: further text, keys that were not known, files of a commit",
    ),
    _table(
        "load_stages", "a stage of a load test, or an interval of one where the tool does not tell stages",
        "k6, Locust, JMeter, Gatling, Vegeta, wrk, wrk2, HdrHistogram logs",
        "time time: start; null where the tool tells only totals", "duration_us int µs: length", "target_per_s float 1/s: planned arrivals, where known",
        "achieved_per_s float 1/s: arrivals (iterations, where a script makes several requests)", "dropped int: iterations that were due and not started, where known",
        "virtual_users int: largest number of virtual users", "test symbol: the test: name of its result file",
    ),
    _table(
        "load_points", "a metric of a load test in a second (single requests are rows of requests, service load-generator)",
        "k6, Locust, JMeter, Gatling, Vegeta, wrk, wrk2, HdrHistogram text and logs",
        "time time: start of the second; null where the tool tells only totals", "name symbol: metric: virtual_users, duration_us (stat p50 … max, as the tool tells), duration_bucket, threshold, …",
        "labels labels: stat, route, method, value_us, metric, …", "value float: value: a sum, or the mean of a rate, or the largest of a gauge", "test symbol: the test: name of its result file",
    ),
    _table(
        "costs", "what a service was charged for a period, all its lines together", "FOCUS CSV, plain CSV",
        "time time: start of the period", "duration_us int µs: length of the period", "service symbol: what was bought, e.g. FOCUS ServiceName",
        "kind symbol: usage, purchase, tax, credit or adjustment (FOCUS ChargeCategory); credit where a plain table has a negative charge",
        "amount float: charge, negative for credits and refunds (FOCUS EffectiveCost, else BilledCost)", "currency symbol: ISO 4217 code",
        "requests int: requests of the period, where the table says", "lines int: lines that this row sums",
    ),
    _table(
        "settings", "a setting of a product (a configuration has no time)",
        "nginx and HAProxy configuration, postgresql.conf, pg_settings, my.cnf, SHOW VARIABLES, Java properties, Spring YAML, environment files, gunicorn.conf.py, Kubernetes manifests",
        "service symbol: whose it is: a label, the workload, or from the file's name; null where nothing tells",
        "instance symbol: the instance, where known", "component symbol: product: nginx, postgresql, mysql, hikari, gunicorn, kubernetes, environment, …",
        "scope symbol: where in the file it holds: upstream, location, section, container", "name symbol: name as the product spells it",
        "role symbol: what it means across products: pool, workers, max connections, …; null for others", "value string: value as written; … for what may be a secret",
        "number float: value in the unit, where it is a number", "unit symbol: s, B, cores; null for counts", "source symbol: name of the file", "line int: line in the file",
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of ``table`` as the bundle writes it. Raises ``KeyError`` for an unknown table."""
    import pyarrow as pa

    types = {
        "time": pa.timestamp("us"),
        "int": pa.int64(),
        "key": pa.uint64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "string": pa.string(),
        "symbol": pa.dictionary(pa.int32(), pa.string()),
        "ints": pa.list_(pa.int64()),
        "strings": pa.list_(pa.string()),
        "labels": pa.map_(pa.string(), pa.string()),
    }
    return pa.schema([pa.field(c.name, types[c.type]) for c in TABLES[table].columns])
