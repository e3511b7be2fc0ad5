"""Computes the fees of all orders anew, in no order: ``python -m app.jobs.refee BATCH PAUSE``, rows of a transaction, seconds between two."""

from __future__ import annotations

import random
import sys
import time

from app.jobs import connect, sql


def run(batch: int, pause: float) -> None:
    """Works until it is ended."""
    with connect() as database, database.cursor() as cursor:
        cursor.execute(sql("SELECT MAX(id) FROM {trade}"))
        ((highest,),) = cursor.fetchall()
        while True:
            chosen = ", ".join(str(random.randint(1, highest)) for _ in range(batch))
            note = f"fee checked at {time.time():.3f}, as of the price list in force since {time.strftime('%d %B %Y')}"
            cursor.execute(sql("UPDATE {trade} SET fee = ROUND({quantity} * {price} * 0.0025, 2), note = %s WHERE id IN (") + chosen + ")", (note,))
            time.sleep(pause)


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]))
