"""Recalculates the fees of all orders, account by account, in a few connections at the same time: ``WORKERS SECONDS``."""

from __future__ import annotations

import random
import sys
import threading
import time

from app.jobs import connect, sql

FEES = "SELECT {account_id}, COUNT(*), SUM({quantity} * {price} * 0.0025), SUM(fee), MAX(note) FROM {trade} FORCE INDEX (by_{account}) WHERE {account_id} BETWEEN %s AND %s GROUP BY {account_id}"


def work(until: float, seed: int) -> None:
    """Goes over the accounts in steps until the time is up."""
    order = random.Random(seed)
    with connect() as database, database.cursor() as cursor:
        cursor.execute(sql("SELECT MAX(id) FROM {account}"))
        last = cursor.fetchone()[0]
        while time.monotonic() < until:
            first = order.randint(1, last)
            cursor.execute(sql(FEES), (first, first + 20))
            cursor.fetchall()


def run(workers: int, seconds: float) -> None:
    """Runs for at most `seconds`."""
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(until, n)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]))
