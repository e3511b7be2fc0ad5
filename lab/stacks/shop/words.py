"""What the shop sells: names of tables, columns, path segments and services, one set for each seed to choose from."""

from __future__ import annotations

_SETS: tuple[dict[str, str], ...] = (
    {
        "product": "products", "stock": "stock", "customer": "customers", "purchase": "orders", "line": "order_items", "counter": "counters",
        "product_id": "product_id", "customer_id": "customer_id", "purchase_id": "order_id", "category": "category", "title": "name", "quantity": "quantity",
        "product_path": "products", "customer_path": "customers", "purchase_path": "orders", "report_path": "reports", "service": "storefront",
        "partner": "payments", "database": "shop", "user": "storefront", "prefix": "sf",
    },
    {
        "product": "book", "stock": "copies", "customer": "reader", "purchase": "loan", "line": "loan_line", "counter": "sequence_no",
        "product_id": "book_id", "customer_id": "reader_id", "purchase_id": "loan_id", "category": "genre", "title": "title", "quantity": "copies_taken",
        "product_path": "api/books", "customer_path": "api/readers", "purchase_path": "api/loans", "report_path": "api/statistics", "service": "library-web",
        "partner": "fees", "database": "library", "user": "webapp", "prefix": "lib:v2",
    },
    {
        "product": "event_seats", "stock": "seat_supply", "customer": "guests", "purchase": "bookings", "line": "booking_lines", "counter": "tally",
        "product_id": "seat_type_id", "customer_id": "guest_id", "purchase_id": "booking_id", "category": "venue", "title": "label", "quantity": "seats",
        "product_path": "v2/seats", "customer_path": "v2/guests", "purchase_path": "v2/bookings", "report_path": "v2/occupancy", "service": "ticketing",
        "partner": "card-gateway", "database": "tickets", "user": "ticketing", "prefix": "tk",
    },
)  # fmt: skip


def count() -> int:
    """How many sets there are."""
    return len(_SETS)


def of(number: int) -> dict[str, str]:
    """A set by its number."""
    chosen = _SETS[number]
    return {**chosen, "purchase_segment": chosen["purchase_path"].rpartition("/")[2]}
