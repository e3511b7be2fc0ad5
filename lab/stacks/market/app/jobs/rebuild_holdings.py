"""Rebuilds the table of holdings without gaps: a copy is filled page by page, looked over, and takes the place of the old one.

``python -m app.jobs.rebuild_holdings FIRST PAGE``: rows of the first page, after which the copy is looked over, and of each other.
"""

from __future__ import annotations

import sys

from app.jobs import connect, sql

COPY = "INSERT IGNORE INTO {holding}_new SELECT * FROM {holding} WHERE id > %s ORDER BY id LIMIT %s"


def run(first: int, page: int) -> None:
    """Copies, swaps, and drops the old table."""
    with connect() as database, database.cursor() as cursor:
        cursor.execute(sql("CREATE TABLE {holding}_new LIKE {holding}"))
        last, size = 0, first
        while cursor.execute(sql(COPY), (last, size)):
            cursor.execute(sql("SELECT MAX(id) FROM {holding}_new"))
            ((last,),) = cursor.fetchall()
            if size == first:
                # A look at whether the first page came over well, and statistics while we are at it.
                cursor.execute(sql("ANALYZE TABLE {holding}_new PERSISTENT FOR ALL"))
                cursor.fetchall()
            size = page
        cursor.execute(sql("RENAME TABLE {holding} TO {holding}_old, {holding}_new TO {holding}"))
        cursor.execute(sql("DROP TABLE {holding}_old"))


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
