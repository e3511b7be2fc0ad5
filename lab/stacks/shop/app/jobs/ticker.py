"""Writes ticks and keeps only the last: ``python -m app.jobs.ticker BATCH PAUSE KEPT``, ticks at once, seconds between, ticks kept."""

from __future__ import annotations

import random
import sys
import time

from app.jobs import connect, sql


def run(batch: int, pause: float, kept: int) -> None:
    """Ticks until it is ended."""
    with connect(application_name="ticker") as database:
        ((items,),) = database.execute(sql("SELECT count(*) FROM {product}")).fetchall()
        write = sql("INSERT INTO {product}_ticks ({product_id}, price_cents, referrer) SELECT *, 'search/' || md5(random()::text) FROM unnest(%s::int[], %s::int[]) RETURNING id")
        while True:
            seen, prices = zip(*((random.randint(1, max(1, items // 100)), random.randint(200, 30000)) for _ in range(batch)), strict=True)
            last = max(row[0] for row in database.execute(write, (list(seen), list(prices))).fetchall())
            database.execute(sql("DELETE FROM {product}_ticks WHERE id <= %s"), (last - kept,))
            time.sleep(pause)


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
