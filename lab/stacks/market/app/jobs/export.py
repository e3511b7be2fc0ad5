"""A nightly export, gentle by design: pages of orders by key into a file, a few pages a second, for so many seconds at most."""

from __future__ import annotations

import csv
import sys
import time

from app.jobs import connect, sql

PAGE = 200
PAUSE_S = 0.1


def run(seconds: float) -> None:
    """Exports for at most `seconds`."""
    until, last = time.monotonic() + seconds, 0
    with connect() as database, database.cursor() as cursor, open("export.csv", "w", newline="") as out:
        rows = csv.writer(out)
        while time.monotonic() < until:
            cursor.execute(sql("SELECT * FROM {trade} WHERE id > %s ORDER BY id LIMIT %s"), (last, PAGE))
            page = cursor.fetchall()
            if not page:
                break
            rows.writerows(page)
            last = page[-1][0]
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    run(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
