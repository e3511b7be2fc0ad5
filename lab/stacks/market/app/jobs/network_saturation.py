"""A backup that copies tables over the application's link, several at the same time: ``COPIES SECONDS``."""

from __future__ import annotations

import sys
import threading
import time

from app.jobs import connect, sql
from pymysql.cursors import SSCursor


def copy(until: float, first: int) -> None:
    """Copies the orders row by row into a file, again from the begin when it came to the end, until the time is up."""
    with connect(cursorclass=SSCursor, read_timeout=60) as database, open(f"copy-{first}.tsv", "w") as out:
        while time.monotonic() < until:
            with database.cursor() as cursor:
                cursor.execute(sql("SELECT t.*, i.about FROM {trade} t JOIN {item} i ON i.id = t.{item_id} WHERE t.id > %s ORDER BY t.id LIMIT 2000"), (first,))
                for row in cursor:
                    print(*row, sep="\t", file=out)
                    first = row[0]
            out.seek(0)


def run(copies: int, seconds: float) -> None:
    """Runs for at most `seconds`."""
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=copy, args=(until, n * 20_000)) for n in range(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]))
