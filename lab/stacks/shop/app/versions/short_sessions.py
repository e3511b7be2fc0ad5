"""What concerns a person is read in a session that is opened for the request and closed after it, so that nothing of it stays in a pooled one."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Takes no parameters."""

    def session() -> Any:
        return psycopg.connect(app.db.where(), row_factory=dict_row, autocommit=True)

    def customer(number: int) -> Any:
        with session() as on:
            found = app.db.row("customer", number, on=on)
        return app.handlers.abort(404) if found is None else found

    def purchases(number: int) -> Any:
        with session() as on:
            return app.handlers.grouped(app.db.rows("purchases", number, on=on))

    app.handlers.customer, app.handlers.purchases = customer, purchases
