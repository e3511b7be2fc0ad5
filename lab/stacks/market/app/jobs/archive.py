"""Moves the oldest orders to an archive: ``python -m app.jobs.archive PAGE PAUSE WHOLE``.

`PAGE` orders at a time with `PAUSE` seconds between; with `WHOLE` = 1 nobody may touch the table meanwhile, so that the report of
the archive is consistent, with 0 each order is moved in a transaction of its own.
"""

from __future__ import annotations

import sys
import time

from app.jobs import connect, sql


def run(page: int, pause: float, whole: bool) -> None:
    """Archives until it is ended."""
    with connect() as database, database.cursor() as cursor:
        cursor.execute(sql("CREATE TABLE IF NOT EXISTS {trade}_archive LIKE {trade}"))
        database.autocommit(False)
        while True:
            if whole:
                cursor.execute(sql("LOCK TABLES {trade} WRITE, {trade}_archive WRITE"))
            cursor.execute(sql("SELECT id FROM {trade} ORDER BY id LIMIT %s"), (page,))
            for (order,) in cursor.fetchall():
                cursor.execute(sql("INSERT IGNORE INTO {trade}_archive SELECT * FROM {trade} WHERE id = %s"), (order,))
                cursor.execute(sql("DELETE FROM {trade} WHERE id = %s"), (order,))
                if not whole:
                    database.commit()
            database.commit()
            if whole:
                cursor.execute("UNLOCK TABLES")
            time.sleep(pause)


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "1")
