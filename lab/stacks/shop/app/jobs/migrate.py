"""A migration in steps, each adds a column: ``python -m app.jobs.migrate STEPS PAUSE TIMEOUT``.

`PAUSE` seconds between two; `TIMEOUT` is for how long a step waits for the table, in ms, until it steps back and tries again (0: for ever).
"""

from __future__ import annotations

import sys
import time

import psycopg
from app.jobs import connect, sql


def run(steps: int, pause: float, timeout: int) -> None:
    """All steps."""
    with connect(application_name="migrate") as database:
        database.execute(f"SET lock_timeout = {timeout}")
        done = 0
        while done < steps:
            try:
                database.execute(sql("ALTER TABLE {purchase} ADD COLUMN IF NOT EXISTS extra_" + f"{timeout}_{done} text"))
                done += 1
            except psycopg.errors.LockNotAvailable:
                pass
            time.sleep(pause)


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
