"""What the marketplace deals in: names of tables, columns, path segments and services, one set for each seed to choose from."""

from __future__ import annotations

import random

_COMMON = ("item", "account", "trade", "holding", "watch", "code", "title", "sector", "price", "quantity", "balance", "placed_at", "item_id", "account_id")

_SETS: tuple[tuple[str, ...], ...] = (
    ("instruments", "accounts", "orders", "holdings", "watched", "symbol", "name", "sector", "last_price", "units", "balance", "placed_at", "instrument_id", "account_id"),
    ("parts", "depots", "tenders", "stock_lines", "shortlisted", "part_no", "label", "category", "rate", "pieces", "budget", "issued_at", "part_id", "depot_id"),
    ("lots", "bidders", "bids", "collected", "followed", "catalogue_no", "heading", "department", "estimate", "pieces", "credit", "made_at", "lot_id", "bidder_id"),
)
_PATHS: tuple[dict[str, str], ...] = (
    {
        "item_path": "v1/instruments", "account_path": "v1/accounts", "trade_path": "orders", "watch_path": "watchlist", "portfolio_path": "portfolio",
        "statement_path": "statement", "service": "trading-api", "partner": "quote-feed", "database": "brokerage", "user": "trading", "prefix": "brk",
    },
    {
        "item_path": "parts", "account_path": "depots", "trade_path": "tenders", "watch_path": "shortlist", "portfolio_path": "inventory",
        "statement_path": "summary", "service": "procurement", "partner": "tariffs", "database": "purchasing", "user": "procure", "prefix": "pur:2",
    },
    {
        "item_path": "api/lots", "account_path": "api/bidders", "trade_path": "bids", "watch_path": "followed", "portfolio_path": "collection",
        "statement_path": "settlement", "service": "saleroom", "partner": "valuation", "database": "auctions", "user": "sales", "prefix": "sr",
    },
)  # fmt: skip


def count() -> int:
    """How many sets there are."""
    return len(_SETS)


def of(number: int) -> dict[str, str]:
    """A set by its number."""
    return {**dict(zip(_COMMON, _SETS[number], strict=True)), **_PATHS[number]}


def choose(rng: random.Random) -> dict[str, str]:
    """The set of a seed."""
    return of(rng.randrange(count()))
