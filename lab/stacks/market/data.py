"""The tables, and what is in them before the first request. All rows follow from one number, so that a template can be kept."""

from __future__ import annotations

import re
from collections.abc import Mapping

TABLES = (
    """CREATE TABLE {item} (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, {code} VARCHAR(16) NOT NULL, {title} VARCHAR(80) NOT NULL,
    {sector} VARCHAR(24) NOT NULL, {price} DECIMAL(12,2) NOT NULL, about TEXT NOT NULL, KEY by_{title} ({title}), KEY by_{sector} ({sector}))""",
    """CREATE TABLE {account} (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, region VARCHAR(12) NOT NULL,
    {balance} DECIMAL(16,2) NOT NULL, KEY by_region (region))""",
    """CREATE TABLE {trade} (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, {account_id} INT UNSIGNED NOT NULL, {item_id} INT UNSIGNED NOT NULL,
    side VARCHAR(4) NOT NULL, {quantity} INT NOT NULL, {price} DECIMAL(12,2) NOT NULL, fee DECIMAL(12,2) NOT NULL, state VARCHAR(12) NOT NULL,
    reference VARCHAR(40), note VARCHAR(120), {placed_at} DATETIME(3) NOT NULL, KEY by_{account} ({account_id}), KEY by_{item} ({item_id}))""",
    """CREATE TABLE {holding} (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, {account_id} INT UNSIGNED NOT NULL, {item_id} INT UNSIGNED NOT NULL,
    {quantity} INT NOT NULL, cost DECIMAL(16,2) NOT NULL, UNIQUE KEY one_each ({account_id}, {item_id}))""",
    """CREATE TABLE {watch} (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, {account_id} INT UNSIGNED NOT NULL, {item_id} INT UNSIGNED NOT NULL,
    position INT NOT NULL, UNIQUE KEY one_each ({account_id}, {item_id}))""",
)

#: `h(seq, k)` stands for the k-th hash of a row's number, a fraction: the same rows each time, on every version of the server.
ROWS = (
    """INSERT INTO {item} ({code}, {title}, {sector}, {price}, about) SELECT UPPER(SUBSTR(MD5(seq * 7 + {salt}), 1, 8)),
    CONCAT(ELT(1 + FLOOR(h(seq, 1) * 24), {heads}), ' ', ELT(1 + FLOOR(h(seq, 2) * 12), {tails}), ' ', seq), ELT(1 + FLOOR(h(seq, 3) * 9), {sectors}),
    5 + h(seq, 4) * 400, REPEAT(CONCAT(MD5(seq), ' ', SHA1(seq), ' '), 4 + h(seq, 5) * 8) FROM seq_1_to_{items}""",
    """INSERT INTO {account} (name, region, {balance}) SELECT CONCAT(ELT(1 + FLOOR(h(seq, 6) * 24), {heads}), ' & ', ELT(1 + FLOOR(h(seq, 7) * 12), {tails})),
    ELT(1 + FLOOR(h(seq, 8) * 6), 'north', 'east', 'south', 'west', 'isles', 'abroad'), 10000 + h(seq, 9) * 900000 FROM seq_1_to_{accounts}""",
    """INSERT INTO {trade} ({account_id}, {item_id}, side, {quantity}, {price}, fee, state, reference, note, {placed_at})
    SELECT 1 + FLOOR(POW(h(seq, 10), 1.6) * {accounts}), 1 + FLOOR(h(seq, 11) * {items}), IF(h(seq, 12) < 0.6, 'buy', 'sell'),
    1 + h(seq, 13) * 200, 5 + h(seq, 14) * 400, h(seq, 15) * 20, IF(h(seq, 16) < 0.97, 'confirmed', 'placed'), SUBSTR(SHA1(seq + {salt}), 1, 24),
    IF(h(seq, 17) < 0.3, REPEAT('as agreed by telephone ', 1 + h(seq, 18) * 4), NULL),
    '2026-11-01' - INTERVAL FLOOR(({trades} - seq) * 400 / {trades} * 86400) SECOND FROM seq_1_to_{trades}""",
    """INSERT IGNORE INTO {holding} ({account_id}, {item_id}, {quantity}, cost) SELECT 1 + FLOOR(POW(h(seq, 20), 1.2) * {accounts}),
    1 + FLOOR(h(seq, 21) * {items}), 1 + h(seq, 22) * 500, h(seq, 23) * 90000 FROM seq_1_to_{holdings}""",
    """INSERT IGNORE INTO {watch} ({account_id}, {item_id}, position) SELECT 1 + FLOOR(h(seq, 24) * {accounts}),
    1 + FLOOR(POW(h(seq, 25), 2) * {items}), seq FROM seq_1_to_{watched}""",
)
HEADS = (
    "Amber", "Birch", "Cobalt", "Dover", "Elm", "Flint", "Garnet", "Hazel", "Iris", "Juniper", "Kestrel", "Larch", "Maple", "Nimbus", "Onyx",
    "Pearl", "Quartz", "Rowan", "Slate", "Teal", "Umber", "Violet", "Willow", "Yarrow",
)  # fmt: skip
TAILS = ("Bay", "Bridge", "Cross", "Dale", "Field", "Ford", "Gate", "Hill", "Mill", "Moor", "Vale", "Works")
SECTORS = ("energy", "transport", "food", "building", "health", "textiles", "machines", "paper", "glass")

_HASH = re.compile(r"\bh\((\w+), (\d+)\)")

#: Rows of the tables that were not asked for otherwise.
COUNTS = {"items": 6000, "accounts": 4000, "trades": 220_000, "holdings": 60_000, "watched": 40_000}


def script(words: Mapping[str, str], counts: Mapping[str, int], salt: int) -> str:
    """The SQL that makes and fills the database."""

    def listed(texts: tuple[str, ...]) -> str:
        return ", ".join(f"'{text}'" for text in texts)

    values = {**words, **counts, "salt": salt, "heads": listed(HEADS), "tails": listed(TAILS), "sectors": listed(SECTORS)}
    last = "ANALYZE TABLE " + ", ".join(words[t] for t in ("item", "account", "trade", "holding", "watch"))
    begin = [f"CREATE DATABASE {words['database']} CHARACTER SET utf8mb4", f"USE {words['database']}"]
    rows = [_HASH.sub(rf"(CONV(SUBSTR(MD5(CONCAT(\1, ':\2:{salt}')), 1, 8), 16, 10) / 4294967296)", r.format_map(values)) for r in ROWS]
    return ";\n".join([*begin, *(t.format_map(values) for t in TABLES), *rows, last]) + ";\n"
