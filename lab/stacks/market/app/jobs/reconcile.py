"""Reconciliation: pages of orders by key, sums by account, a signature over every page; as much rest between pages as it was told."""

from __future__ import annotations

import csv
import hashlib
import sys
import time
from decimal import Decimal

from app import settings
from app.jobs import connect, sql

#: Rounds of the key derivation: a signature is expensive on purpose.
ROUNDS = 9000


def run(seconds: float, page: int, busy: float) -> None:
    """Reconciles for at most `seconds`, in pages of `page` rows; works for the share `busy` of the time."""
    w = settings.WORDS
    account, price, quantity = w["account_id"], w["price"], w["quantity"]
    statement = sql("SELECT id, {account_id}, {quantity}, {price}, fee FROM {trade} WHERE id > %s ORDER BY id LIMIT %s")
    until, last, sums = time.monotonic() + seconds, 0, dict[int, Decimal]()
    with connect() as database, database.cursor() as cursor, open("reconciled.csv", "w", newline="") as out:
        columns, lines = ("id", account, quantity, price, "fee"), csv.writer(out)
        while time.monotonic() < until:
            began = time.monotonic()
            cursor.execute(statement, (last, page))
            rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            for row in rows:
                sums[row[account]] = sums.get(row[account], Decimal(0)) + row[price] * row[quantity] + row["fee"]
            last = rows[-1]["id"] if len(rows) == page else 0
            signature = hashlib.pbkdf2_hmac("sha256", repr(rows).encode(), b"reconcile", ROUNDS).hex()
            lines.writerow([last, len(sums), signature])
            time.sleep((time.monotonic() - began) * (1 - busy) / busy)


if __name__ == "__main__":
    run(float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
