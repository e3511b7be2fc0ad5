"""Every statement of the application by name. Words in braces are names of tables and columns (see settings.WORDS)."""

from __future__ import annotations

from app import settings

SQL: dict[str, str] = {
    "catalogue": "SELECT id, sku, {title}, price_cents FROM {product} WHERE {category} = %s AND id > %s ORDER BY id LIMIT 20",
    "product": "SELECT p.id, p.sku, p.{title}, p.{category}, p.price_cents, p.about, s.on_hand FROM {product} p JOIN {stock} s ON s.{product_id} = p.id WHERE p.id = %s",
    "bought": "SELECT {purchase_id}, {quantity}, price_cents FROM {line} WHERE {product_id} = %s ORDER BY id DESC LIMIT 10",
    "search": "SELECT id, sku, {title}, price_cents FROM {product} WHERE {title} LIKE %s ORDER BY {title} LIMIT 20",
    "customer": "SELECT id, email, name, region, credit_cents FROM {customer} WHERE id = %s",
    "purchases": (
        "SELECT o.id, o.state, o.total_cents, o.placed_at, l.{product_id}, l.{quantity}, l.price_cents, p.{title} "
        "FROM (SELECT * FROM {purchase} WHERE {customer_id} = %s ORDER BY id DESC LIMIT 15) o "
        "JOIN {line} l ON l.{purchase_id} = o.id JOIN {product} p ON p.id = l.{product_id} ORDER BY o.id DESC, l.id"
    ),
    "prices": "SELECT id, price_cents FROM {product} WHERE id = ANY(%s)",
    "take": "UPDATE {stock} SET on_hand = on_hand - %s, updated_at = now() WHERE {product_id} = %s AND on_hand >= %s",
    "place": "INSERT INTO {purchase} ({customer_id}, state, total_cents, placed_at) VALUES (%s, 'open', %s, now()) RETURNING id",
    "add": "INSERT INTO {line} ({purchase_id}, {product_id}, {quantity}, price_cents) VALUES (%s, %s, %s, %s)",
    "paid": "UPDATE {purchase} SET state = 'paid', reference = %s WHERE id = %s",
    "report": (
        "SELECT p.{category}, count(*) AS lines, sum(l.{quantity}) AS sold, sum(l.{quantity} * l.price_cents) AS cents "
        "FROM (SELECT * FROM {line} ORDER BY id DESC LIMIT 1500) l JOIN {product} p ON p.id = l.{product_id} GROUP BY 1 ORDER BY cents DESC"
    ),
}


def text(name: str) -> str:
    """The statement of that name with the names of this installation."""
    return SQL[name].format_map(settings.WORDS)
