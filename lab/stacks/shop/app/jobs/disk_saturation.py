"""Writes an audit trail of all lines into a table of its own, batch after batch: ``ROWS SECONDS`` (rows of a batch)."""

from __future__ import annotations

import sys
import time

from app.jobs import connect, sql

MAKE = "CREATE TABLE IF NOT EXISTS audit_trail (id bigserial, at timestamptz NOT NULL DEFAULT now(), source bigint NOT NULL, body text NOT NULL)"
COPY = (
    "INSERT INTO audit_trail (source, body) SELECT id, repeat(md5(id::text || {quantity}::text) || sku_hash, 12) "
    "FROM (SELECT id, {quantity}, md5({product_id}::text) AS sku_hash FROM {line} WHERE id > %s ORDER BY id LIMIT %s) part"
)


def run(rows: int, seconds: float) -> None:
    """Runs for at most `seconds`."""
    until, last = time.monotonic() + seconds, 0
    with connect() as database:
        database.execute(MAKE)
        while time.monotonic() < until:
            done = database.execute(sql(COPY), (last, rows)).rowcount
            last = last + rows if done else 0


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]))
