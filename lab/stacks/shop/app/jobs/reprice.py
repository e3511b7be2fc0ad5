"""Computes prices of old lines anew, in no order: ``python -m app.jobs.reprice BATCH PAUSE``, rows of a transaction, seconds between two."""

from __future__ import annotations

import random
import sys
import time

from app.jobs import connect, sql


def run(batch: int, pause: float) -> None:
    """Works until it is ended."""
    with connect(application_name="reprice") as database:
        ((highest,),) = database.execute(sql("SELECT max(id) FROM {line}")).fetchall()
        while True:
            chosen = [random.randint(1, highest) for _ in range(batch)]
            database.execute(sql("UPDATE {line} SET price_cents = 200 + (price_cents * 7 + {quantity}) % 30000 WHERE id = ANY(%s)").replace(" % 3", " %% 3"), (chosen,))
            time.sleep(pause)


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]))
