"""A small marketplace: search, pages, orders, portfolios and statements, served by one event loop a replica."""
