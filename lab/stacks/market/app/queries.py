"""Every statement of the application by name. Words in braces are names of tables and columns (see settings.WORDS)."""

from __future__ import annotations

from app import settings

SQL: dict[str, str] = {
    "watchlist": (
        "SELECT i.id, i.{code}, i.{title}, i.{price} FROM {watch} w JOIN {item} i ON i.id = w.{item_id} "
        "WHERE w.{account_id} = %s ORDER BY w.position LIMIT 20"
    ),
    "page": "SELECT id, {code}, {title}, {sector}, {price}, about FROM {item} WHERE id = %s",
    "recent": "SELECT id, side, {quantity}, {price}, {placed_at} FROM {trade} WHERE {item_id} = %s ORDER BY id DESC LIMIT 20",
    "search": "SELECT id, {code}, {title}, {price} FROM {item} WHERE {title} LIKE %s ORDER BY {title} LIMIT 20",
    "portfolio": (
        "SELECT h.id, h.{item_id}, h.{quantity}, h.cost, i.{code}, i.{title}, i.{sector}, i.{price} "
        "FROM {holding} h JOIN {item} i ON i.id = h.{item_id} WHERE h.{account_id} = %s ORDER BY h.id"
    ),
    "history": (
        "SELECT id, {item_id}, side, {quantity}, {price}, fee, state, {placed_at} FROM {trade} "
        "WHERE {account_id} = %s AND id < %s ORDER BY id DESC LIMIT %s"
    ),
    "account": "SELECT id, name, region, {balance} FROM {account} WHERE id = %s",
    "lock_account": "SELECT {balance} FROM {account} WHERE id = %s FOR UPDATE",
    "charge": "UPDATE {account} SET {balance} = {balance} - %s WHERE id = %s",
    "place": (
        "INSERT INTO {trade} ({account_id}, {item_id}, side, {quantity}, {price}, fee, state, {placed_at}) "
        "VALUES (%s, %s, %s, %s, %s, %s, 'placed', NOW(3))"
    ),
    "hold": (
        "INSERT INTO {holding} ({account_id}, {item_id}, {quantity}, cost) VALUES (%s, %s, %s, %s) "
        "ON DUPLICATE KEY UPDATE {quantity} = {quantity} + VALUES({quantity}), cost = cost + VALUES(cost)"
    ),
    "confirm": "UPDATE {trade} SET state = 'confirmed', reference = %s WHERE id = %s",
}


def text(name: str) -> str:
    """The statement of that name with the names of this installation."""
    return SQL[name].format_map(settings.WORDS)
