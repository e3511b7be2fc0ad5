"""Cohorts of customers from one consistent look at the purchases: ``python -m app.jobs.cohorts SIZE``, purchases of a look, one look after another."""

from __future__ import annotations

import sys

from app.jobs import connect, sql


def run(size: int) -> None:
    """Looks until it is ended."""
    with connect(application_name="cohorts") as database:
        while True:
            with database.transaction():
                seen: dict[str, int] = {}
                for customer, total in database.execute(sql("SELECT {customer_id}, total_cents FROM {purchase} ORDER BY random() LIMIT %s"), (size,)).fetchall():
                    for (region,) in database.execute(sql("SELECT region FROM {customer} WHERE id = %s"), (customer,)):
                        seen[region] = seen.get(region, 0) + total


if __name__ == "__main__":
    run(int(sys.argv[1]))
