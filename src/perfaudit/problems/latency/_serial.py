"""Does only one request at a time pass a place? Two tests on intervals that need no complete traces: passages that never overlap, and a queue that nobody overtakes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: Passages of independent requests that would overlap by chance: with 3 expected and none seen, chance is under 5 % (Poisson: e⁻³).
EXPECTED = 3.0
#: Overlaps that are seen, over those expected by chance: a lock gives 0; clocks and ends of spans that lie after the release give a few.
OVERLAPS = 0.15
#: Requests that wait at once and leave in the order in which they came; and how unlikely that must be for independent waits.
ORDERED, CHANCE = 0.9, 0.01
#: Two passages overlap when they share more than this part of the shorter one: a span ends a little after the lock is given back.
SHARED = 0.1
#: Pairs that are compared of one instance: neighbours in time this far apart in rank.
NEAR = 20
PERMUTATIONS, _SEED = 200, 31_415


class Passages(NamedTuple):
    """Pairs of one instance that overlap, and those that would by chance."""

    seen: int
    expected: float

    @property
    def alone(self) -> bool | None:
        """Whether one at a time passes; None where too few would meet by chance."""
        return None if self.expected < EXPECTED else self.seen <= OVERLAPS * self.expected


class Order(NamedTuple):
    """Pairs that waited at once, the share that left in order of coming, and how likely independent waits give that."""

    pairs: int
    share: float
    chance: float

    @property
    def kept(self) -> bool | None:
        """Whether it is a queue; None where too few waited at once, or waits vary so little that they cannot overtake."""
        return None if self.pairs < 10 or (self.share >= ORDERED and self.chance > CHANCE) else self.share >= ORDERED


def passages(since: Any, until: Any, instance: Any) -> Passages:
    """Intervals (µs) by instance. Chance: the same lengths placed anywhere between the first and the last."""
    seen, expected = 0, 0.0
    for one in np.unique(instance).tolist():
        at = instance == one
        order = np.argsort(since[at], kind="stable")
        low, high = since[at][order], until[at][order]
        n = len(low)
        if n < 2:
            continue
        for step in range(1, min(NEAR, n - 1) + 1):
            common = np.minimum(high[step:], high[:-step]) - low[step:]
            seen += int(np.count_nonzero(common > SHARED * np.maximum(1, np.minimum(high[step:] - low[step:], high[:-step] - low[:-step]))))
        whole = max(1.0, float(high.max() - low[0]))
        expected += (n - 1) * float((high - low).sum()) / whole * (1 - SHARED)
    return Passages(seen, expected)


def order(since: Any, until: Any, instance: Any) -> Order:
    """Waits (µs) by instance; chance: the same arrivals with their waits dealt out anew."""
    rng = np.random.default_rng(_SEED)
    pairs, kept = 0, 0
    dealt = np.zeros((PERMUTATIONS, 2))
    for one in np.unique(instance).tolist():
        at = instance == one
        come = np.argsort(since[at], kind="stable")
        low = since[at][come]
        wait = (until[at] - since[at])[come]
        n, k = _in_order(low, low + wait)
        pairs, kept = pairs + n, kept + k
        for i in range(PERMUTATIONS):
            dealt[i] += _in_order(low, low + rng.permutation(wait))
    share = kept / pairs if pairs else 0.0
    by_chance = dealt[:, 1] / np.maximum(dealt[:, 0], 1)
    return Order(pairs, share, float(np.mean(by_chance >= share)))


def _in_order(low: Any, high: Any) -> tuple[int, int]:
    """Pairs that overlap, and those of them whose second ends last."""
    pairs, kept = 0, 0
    for step in range(1, min(NEAR, len(low) - 1) + 1):
        together = low[step:] < high[:-step]
        pairs += int(np.count_nonzero(together))
        kept += int(np.count_nonzero(together & (high[step:] >= high[:-step])))
    return pairs, kept
