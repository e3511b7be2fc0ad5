"""What each root span waited for, piece by piece, until it answered (the response horizon).

The sections of a root are disjoint, contiguous and sum exactly to it. Work that nobody waits for (a consumer of a producer, what only follows) is not in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from perfaudit.evidence.bundle import Bundle

READS = ("spans",)
COLUMNS = {
    "trace_id": ("VARCHAR", "the trace"),
    "span_id": ("VARCHAR", "the span that the root waited for"),
    "start_time": ("TIMESTAMP", "from when"),
    "end_time": ("TIMESTAMP", "to when; later than start_time"),
    "root_span_id": ("VARCHAR", "the root: a trace with missing spans has several"),
    "root_time": ("TIMESTAMP", "when the root began"),
    "root_service": ("VARCHAR", "the root's service"),
    "root_operation": ("VARCHAR", "the root's name"),
    "fragment": ("BOOLEAN", "the root's parent is missing and the trace has a proper root as well: do not add up"),
    "service": ("VARCHAR", "the span's service"),
    "operation": ("VARCHAR", "the span's name"),
    "kind": ("VARCHAR", "the span's kind"),
    "component": ("VARCHAR", "what the time is: self, downstream, database, cache, queue, pool wait, connection set-up, application wait or queue for a worker"),
}


def write(bundle: Bundle, path: Path, completion: bool = False) -> None:
    """Write the sections of all traces to a Parquet file, ordered by trace (as recorded), root and time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from perfaudit.evidence import components, traces

    types = {"VARCHAR": pa.string(), "TIMESTAMP": pa.timestamp("us"), "BOOLEAN": pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, (kind, _) in COLUMNS.items()])
    read = traces.read(bundle, symbols=components.NEEDED, ids=True)
    fragments, names = read.fragments(), pa.array(components.COMPONENTS)
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as file:
        for found in components.pieces(read, completion):
            for at in range(0, len(found.span), traces.BATCH):
                span, root, start, end, component = (column[at : at + traces.BATCH] for column in found)

                columns = [
                    read.trace_ids.take(read.trace_of(span)).combine_chunks(), read.span_ids.take(read.row[span]).combine_chunks(), pa.array(start, pa.timestamp("us")),
                    pa.array(end, pa.timestamp("us")), read.span_ids.take(read.row[root]).combine_chunks(), pa.array(read.start[root], pa.timestamp("us")), read.texts("service", root), read.texts("operation", root),
                    pa.array(fragments[root]), *(read.texts(name, span) for name in traces.SYMBOLS),
                    names.take(pa.array(component)),
                ]  # fmt: skip
                file.write_table(pa.Table.from_arrays(columns, schema=schema))
