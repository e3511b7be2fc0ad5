"""A session of an analyst: numbers for a presentation, all as of one moment, and the session is left open."""

from __future__ import annotations

import signal

from app.jobs import connect, sql

if __name__ == "__main__":
    with connect(application_name="notebook") as database:
        database.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        database.execute(sql("SELECT region, count(*), sum(credit_cents) FROM {customer} GROUP BY region")).fetchall()
        signal.pause()
