"""Brings orders to the data warehouse with many workers: ``python -m app.jobs.sync WORKERS``.

Each opens a connection of its own, reads some pages of its share, closes it and begins anew; one that is refused tries again soon.
"""

from __future__ import annotations

import random
import sys
import threading
import time

import pymysql
from app.jobs import connect, sql

PAGES = 12
PAUSE_S = 0.4


def work(number: int, workers: int) -> None:
    """Pages of this worker's share, again and again."""
    last = 0
    time.sleep(random.random())
    while True:
        try:
            with connect() as database, database.cursor() as cursor:
                for _ in range(PAGES):
                    cursor.execute(sql("SELECT * FROM {trade} WHERE id > %s AND id %% %s = %s ORDER BY id LIMIT 20"), (last, workers, number))
                    rows = cursor.fetchall()
                    last = rows[-1][0] if rows else 0
                    time.sleep(PAUSE_S * random.uniform(0.6, 1.4))
        except pymysql.OperationalError:
            time.sleep(PAUSE_S * random.uniform(0.5, 1.5))


if __name__ == "__main__":
    count = int(sys.argv[1])
    threads = [threading.Thread(target=work, args=(i, count)) for i in range(count)]
    for thread in threads:
        thread.start()
