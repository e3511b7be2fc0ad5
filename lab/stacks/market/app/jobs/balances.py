"""Compares each account's balance with its orders and writes it anew: ``python -m app.jobs.balances BATCH``.

`BATCH` accounts share a transaction, and every row of it stays locked until its end.
"""

from __future__ import annotations

import sys

from app.jobs import connect, sql

SPENT = "SELECT COUNT(*), COALESCE(SUM(IF(side = 'buy', 1, -1) * {quantity} * {price} + fee), 0) FROM {trade} WHERE {account_id} = %s"


def run(batch: int) -> None:
    """Goes through all accounts again and again until it is ended."""
    with connect() as database, database.cursor() as cursor:
        cursor.execute(sql("SELECT id FROM {account} WHERE id > 1 ORDER BY id"))
        accounts = [row[0] for row in cursor.fetchall()]
        while True:
            for begin in range(0, len(accounts), batch):
                database.begin()
                for account in accounts[begin : begin + batch]:
                    cursor.execute(sql("SELECT {balance} FROM {account} WHERE id = %s FOR UPDATE"), (account,))
                    ((balance,),) = cursor.fetchall()
                    cursor.execute(sql(SPENT), (account,))
                    cursor.execute(sql("UPDATE {account} SET {balance} = %s WHERE id = %s"), (balance, account))
                database.commit()


if __name__ == "__main__":
    run(int(sys.argv[1]))
