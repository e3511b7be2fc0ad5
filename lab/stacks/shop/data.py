"""The tables, and what is in them before the first request. All rows follow from one seed, so that a template can be kept."""

from __future__ import annotations

from collections.abc import Mapping

CATEGORIES = ("garden", "kitchen", "music", "travel", "sport", "paper", "light", "wool", "games", "tools", "glass", "tea")
WORDS = (
    "Alder", "Basil", "Cedar", "Dune", "Ember", "Fern", "Grove", "Heath", "Inlet", "Jade", "Knoll", "Linden", "Meadow", "Nook", "Opal", "Pine",
    "Quill", "Reed", "Sage", "Thorn", "Vale", "Wren",
)  # fmt: skip

#: Rows of the tables that were not asked for otherwise.
COUNTS = {"products": 8000, "customers": 10_000, "purchases": 60_000, "lines": 180_000}

_SQL = """
CREATE TABLE {product} (id serial PRIMARY KEY, sku text NOT NULL, {title} text NOT NULL, {category} text NOT NULL, price_cents int NOT NULL, about text NOT NULL);
CREATE TABLE {stock} ({product_id} int PRIMARY KEY, on_hand int NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE {customer} (id serial PRIMARY KEY, email text NOT NULL, name text NOT NULL, region text NOT NULL, credit_cents bigint NOT NULL DEFAULT 0);
CREATE TABLE {purchase} (id bigserial PRIMARY KEY, {customer_id} int NOT NULL, state text NOT NULL, total_cents bigint NOT NULL, reference text, placed_at timestamptz NOT NULL);
CREATE TABLE {line} (id bigserial PRIMARY KEY, {purchase_id} bigint NOT NULL, {product_id} int NOT NULL, {quantity} int NOT NULL, price_cents int NOT NULL);
CREATE TABLE {counter} (name text PRIMARY KEY, value bigint NOT NULL);
INSERT INTO {product} (sku, {title}, {category}, price_cents, about)
  SELECT upper(substr(md5(i::text || '{salt}'), 1, 8)), ({words})[1 + (random() * {words_n})::int] || ' ' || ({words})[1 + (random() * {words_n})::int] || ' ' || i,
  ({categories})[1 + (random() * {categories_n})::int], 200 + (random() * 30000)::int, repeat(md5(i::text) || ' ', 6 + (random() * 14)::int) FROM generate_series(1, {products}) i;
INSERT INTO {stock} ({product_id}, on_hand) SELECT i, 100000 + (random() * 900000)::int FROM generate_series(1, {products}) i;
INSERT INTO {customer} (email, name, region) SELECT substr(md5(i::text || '{salt}'), 1, 10) || '@example.org', ({words})[1 + (random() * {words_n})::int] || ' ' || i,
  (array['north', 'east', 'south', 'west', 'isles'])[1 + (random() * 4)::int] FROM generate_series(1, {customers}) i;
INSERT INTO {purchase} ({customer_id}, state, total_cents, reference, placed_at) SELECT 1 + (power(random(), 1.4) * ({customers} - 1))::int,
  CASE WHEN random() < 0.97 THEN 'paid' ELSE 'open' END, 500 + (random() * 60000)::int, substr(md5(random()::text), 1, 20),
  timestamptz '2026-11-01' - (({purchases} - i) * 300.0 / {purchases}) * interval '1 day' FROM generate_series(1, {purchases}) i;
INSERT INTO {line} ({purchase_id}, {product_id}, {quantity}, price_cents) SELECT 1 + ((i - 1) * {purchases}::bigint / {lines}), 1 + (power(random(), 2) * ({products} - 1))::int,
  1 + (random() * 4)::int, 200 + (random() * 30000)::int FROM generate_series(1, {lines}) i;
INSERT INTO {counter} SELECT 'day-' || i, 0 FROM generate_series(1, 40) i;
CREATE INDEX {product}_by_{category} ON {product} ({category}, id);
CREATE INDEX {product}_by_{title} ON {product} ({title} text_pattern_ops);
CREATE INDEX {purchase}_by_{customer_id} ON {purchase} ({customer_id}, id);
CREATE INDEX {line}_by_{purchase_id} ON {line} ({purchase_id});
CREATE INDEX {line}_by_{product_id} ON {line} ({product_id}, id);
GRANT ALL ON ALL TABLES IN SCHEMA public TO {user};
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user};
GRANT ALL ON SCHEMA public TO {user};
"""


def script(words: Mapping[str, str], counts: Mapping[str, int], salt: int) -> str:
    """The SQL that makes and fills the database."""

    def array(texts: tuple[str, ...]) -> str:
        return "array[" + ", ".join(f"'{text}'" for text in texts) + "]"

    values = {**words, **counts, "salt": salt, "words": array(WORDS), "words_n": len(WORDS) - 1, "categories": array(CATEGORIES), "categories_n": len(CATEGORIES) - 1}
    return "SELECT setseed(0.42);\n" + _SQL.format_map(values)
