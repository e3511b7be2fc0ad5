"""A session of an analyst: numbers for a presentation, all as of one moment, and the session is left open."""

from __future__ import annotations

import signal

from app.jobs import connect, sql

if __name__ == "__main__":
    with connect() as database, database.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute(sql("SELECT region, COUNT(*), SUM({balance}) FROM {account} GROUP BY region"))
        cursor.fetchall()
        signal.pause()
