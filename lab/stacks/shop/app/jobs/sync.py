"""Brings purchases to the data warehouse with many workers, each with a connection of its own: ``python -m app.jobs.sync WORKERS``."""

from __future__ import annotations

import random
import sys
import threading
import time

import psycopg
from app.jobs import connect, sql

PAUSE_S = 2.0


def work(number: int, workers: int) -> None:
    """Pages of this worker's share, again and again; a refused connection is asked for again a little later."""
    time.sleep(random.random())
    while True:
        try:
            with connect(application_name="sync") as database:
                last = 0
                while True:
                    rows = database.execute(sql("SELECT * FROM {purchase} WHERE id > %s AND id % %s = %s ORDER BY id LIMIT 20").replace(" % %s", " %% %s"), (last, workers, number)).fetchall()
                    last = rows[-1][0] if rows else 0
                    time.sleep(PAUSE_S)
        except psycopg.OperationalError:
            time.sleep(PAUSE_S / 2)


if __name__ == "__main__":
    count = int(sys.argv[1])
    threads = [threading.Thread(target=work, args=(i, count)) for i in range(count)]
    for thread in threads:
        thread.start()
