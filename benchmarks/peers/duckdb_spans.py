"""DuckDB doing the core of the job: Jaeger or OTLP JSON to a Parquet file of spans, ``python duckdb_spans.py KIND FILE OUT``. No redaction, attributes as one text."""

import sys

import duckdb

kind, path, out = sys.argv[1:]
source = f"read_json('{path}', maximum_object_size = 2000000000)"
jaeger = f"""SELECT s.traceID, s.spanID, s.references[1].spanID, s.startTime, s.duration, t.processes::JSON ->> ('$.' || s.processID || '.serviceName'),
    s.operationName, s.tags::VARCHAR FROM (SELECT t, unnest(t.spans) AS s FROM (SELECT unnest(data) AS t FROM {source}))"""
otlp = f"""SELECT s.traceId, s.spanId, s.parentSpanId, s.startTimeUnixNano::BIGINT // 1000, (s.endTimeUnixNano::BIGINT - s.startTimeUnixNano::BIGINT) // 1000,
    list_filter(r.resource.attributes, lambda a : a.key = 'service.name')[1].value.stringValue, s.name, s.attributes::VARCHAR
    FROM (SELECT r, unnest(c.spans) AS s FROM (SELECT r, unnest(r.scopeSpans) AS c FROM (SELECT unnest(resourceSpans) AS r FROM {source})))"""
connection = duckdb.connect(config={"threads": "2"})
print(connection.execute(f"COPY ({jaeger if kind == 'jaeger' else otlp}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)").fetchall()[0][0], "spans")
