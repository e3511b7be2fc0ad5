"""Random traces with everything odd that is met in real ones, and their critical paths by a slow reference.

The reference is written from the rules, span by span and recursively, and shares no code with the package.
"""

from __future__ import annotations

import random
from typing import Any

Row = dict[str, Any]
Section = tuple[int, int, int]
KINDS = ("internal", "server", "client", "producer", "consumer", None)


def odd_trace(rng: random.Random, name: str) -> list[Row]:
    """Up to 14 spans in any order: duplicates, halves, missing and own parents, cycles, negative and zero durations, shifts, followers."""
    size = rng.choice((1, 2, 3, 5, 8, 14))
    scale = rng.choice((4, 12, 1000))
    base = rng.choice((0, -7, 1_795_420_800_000_000))
    rows: list[Row] = []
    for i in range(size):
        chance = rng.random()
        parent = None if i == 0 else f"s{rng.randrange(i)}"
        if chance < 0.06:
            parent = rng.choice(("gone", f"s{i}", f"s{rng.randrange(size)}", None))
        start = rng.randrange(-2, scale)
        rows.append({
            "trace_id": name, "span_id": f"s{i}", "parent_span_id": parent, "time": base + start, "duration_us": rng.choice((0, -3, scale, rng.randrange(scale), rng.randrange(scale))),
            "links": rng.choices((None, ["other:s0"], ["other:s1", f"{name}:{parent}"]), (90, 4, 6))[0], "kind": rng.choice(KINDS), "service": rng.choice("abc"), "operation": "op",
        })  # fmt: skip
        if rng.random() < 0.1:
            twin = rng.choice(("client", "server", "internal"))
            rows.append({**rows[-1], "kind": twin, "time": base + rng.randrange(scale), "duration_us": rng.randrange(scale)})
    if rng.random() < 0.5:
        rng.shuffle(rows)
    return rows


def trees(rows: list[Row]) -> tuple[list[int], dict[int, int], dict[str, int]]:
    """Rows that count, the parent of each that has one, and what was odd. ``rows`` are those of one trace."""
    counts = dict.fromkeys(("duplicates", "shared", "orphans", "self-parents", "cycles", "negative durations"), 0)
    by_id: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        here = by_id.setdefault(row["span_id"], [])
        if not here or (len(here) == 1 and {row["kind"], rows[here[0]]["kind"]} == {"client", "server"}):
            here.append(i)
        else:
            counts["duplicates"] += 1
    parent: dict[int, int] = {}
    for here in by_id.values():
        for i in here:
            counts["negative durations"] += rows[i]["duration_us"] < 0
            if len(here) == 2 and rows[i]["kind"] == "server":
                parent[i] = here[0] + here[1] - i
                counts["shared"] += 1
                continue
            wanted = rows[i]["parent_span_id"]
            if wanted is None:
                continue
            if wanted == rows[i]["span_id"]:
                counts["self-parents"] += 1
            elif wanted not in by_id:
                counts["orphans"] += 1
            else:
                parent[i] = next((j for j in by_id[wanted] if rows[j]["kind"] == "server"), by_id[wanted][0])
    kept = sorted(i for here in by_id.values() for i in here)
    for i in kept:
        seen, j = [i], i
        while j in parent and parent[j] != i:
            j = parent[j]
            if j in seen:
                break
            seen.append(j)
        if parent.get(j) == i:
            del parent[i]  # the first of its cycle, because later ones are only reached after it
            counts["cycles"] += 1
    return kept, parent, counts


def reference(rows: list[Row], completion: bool = False) -> dict[int, list[Section]]:
    """Root → sections ``(row, start, end)`` in the order of time, for the rows of one trace."""
    kept, parent, _ = trees(rows)

    def late(i: int) -> bool:
        above = rows[parent[i]]
        followed = above["span_id"] != rows[i]["span_id"] and f"{above['trace_id']}:{above['span_id']}" in (rows[i]["links"] or ())
        return followed or (rows[i]["kind"] == "consumer" and above["kind"] == "producer")

    children: dict[int, list[int]] = {i: [] for i in kept}
    for i in kept:
        if i in parent and (completion or not late(i)):
            children[parent[i]].append(i)
    interval: dict[int, tuple[int, int]] = {}

    def clamp(i: int, within: tuple[int, int] | None) -> int:
        start, end = rows[i]["time"], rows[i]["time"] + max(0, rows[i]["duration_us"])
        if within:
            low, high = within
            start, end = max(low, start), max(low, end)
            if not late(i):
                start, end = min(high, start), min(high, end)
        last = max([end, *(clamp(c, (start, end)) for c in children[i])])
        interval[i] = start, last
        return last

    def path(i: int) -> list[Section]:
        start, t = interval[i]
        left, found = list(children[i]), []
        while True:
            ended = [c for c in left if interval[c][1] <= t]
            if not ended:
                break
            c = max(ended, key=lambda c: (interval[c][1], -c))
            left.remove(c)
            found.append((i, interval[c][1], t))
            found += path(c)
            t = interval[c][0]
        found.append((i, start, t))
        return found

    roots = [i for i in kept if i not in parent]
    for i in roots:
        clamp(i, None)
    return {i: sorted((s for s in path(i) if s[1] < s[2]), key=lambda s: s[1]) for i in roots}
