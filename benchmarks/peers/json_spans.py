"""Jaeger or OTLP JSON to a Parquet file of spans as people write it: ``python json_spans.py LIBRARY KIND FILE OUT``; LIBRARY is json or orjson.

Less than perfaudit does: no redaction, no routes, no fingerprints, attributes as one text, the whole file in memory.
"""

import importlib
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

library, kind, path, out = sys.argv[1:]
NAMES = ("trace_id", "span_id", "parent", "start", "duration", "service", "operation", "attributes")
module = importlib.import_module(library)
dumps, loads = module.dumps, module.loads


def rows(document: Any) -> Any:
    if kind == "jaeger":
        for trace in document["data"]:
            services = {key: process["serviceName"] for key, process in trace["processes"].items()}
            for s in trace["spans"]:
                above = s["references"][0]["spanID"] if s["references"] else None
                yield s["traceID"], s["spanID"], above, s["startTime"], s["duration"], services[s["processID"]], s["operationName"], dumps({t["key"]: t["value"] for t in s["tags"]})
        return
    for group in document["resourceSpans"]:
        service = next((a["value"]["stringValue"] for a in group["resource"]["attributes"] if a["key"] == "service.name"), None)
        for scope in group["scopeSpans"]:
            for s in scope["spans"]:
                start, end = int(s["startTimeUnixNano"]) // 1000, int(s["endTimeUnixNano"]) // 1000
                yield s["traceId"], s["spanId"], s.get("parentSpanId"), start, end - start, service, s["name"], dumps({a["key"]: next(iter(a["value"].values())) for a in s["attributes"]})


with open(path, "rb") as file:
    documents = [file.read()] if kind == "jaeger" else file.readlines()
columns = list(zip(*(row for text in documents for row in rows(loads(text))), strict=True))
pq.write_table(pa.table(dict(zip(NAMES, map(list, columns), strict=True))), out, compression="zstd")
print(len(columns[0]), "spans")
