"""Writes price ticks and keeps only the last: ``python -m app.jobs.ticker BATCH PAUSE KEPT``, ticks at once, seconds between, ticks kept."""

from __future__ import annotations

import random
import sys
import time

from app.jobs import connect, sql


def run(batch: int, pause: float, kept: int) -> None:
    """Ticks until it is ended."""
    with connect() as database, database.cursor() as cursor:
        cursor.execute(sql("SELECT COUNT(*) FROM {item}"))
        ((items,),) = cursor.fetchall()
        while True:
            rows = [(random.randint(1, max(1, items // 100)), round(random.uniform(5, 400), 2)) for _ in range(batch)]
            cursor.executemany(sql("INSERT INTO {item}_ticks ({item_id}, {price}) VALUES (%s, %s)"), rows)
            cursor.execute(sql("DELETE FROM {item}_ticks WHERE id <= %s"), (cursor.lastrowid + batch - kept,))
            time.sleep(pause)


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
