"""Reconciliation: lines by key, sums by product, a signature over every page; as much rest between pages as it was told."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path

from app.jobs import connect, sql

#: Rounds of the key derivation: a signature is expensive on purpose.
ROUNDS = 11_000


def run(seconds: float, page: int, busy: float) -> None:
    """Reconciles for at most `seconds`, in pages of `page` rows; works for the share `busy` of the time."""
    statement = sql("SELECT id, {product_id}, {quantity}, price_cents FROM {line} WHERE id > %s ORDER BY id LIMIT %s")
    until, last, sums = time.monotonic() + seconds, 0, Counter[int]()
    with connect(application_name="reconcile") as database, Path("reconciled.jsonl").open("w") as out:
        while time.monotonic() < until:
            began = time.monotonic()
            rows = database.execute(statement, (last, page)).fetchall()  # type: ignore[arg-type]
            for _, product, quantity, cents in rows:
                sums[product] += quantity * cents
            signature = hashlib.pbkdf2_hmac("sha256", repr(rows).encode(), b"reconcile", ROUNDS).hex()
            out.write(json.dumps({"after": last, "rows": len(rows), "products": len(sums), "signature": signature}) + "\n")
            last = rows[-1][0] if len(rows) == page else 0
            time.sleep((time.monotonic() - began) * (1 - busy) / busy)


if __name__ == "__main__":
    run(float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
