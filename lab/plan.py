"""Which recordings make up the set, and how each one differs: stack, seed, onset, what is withheld, what distracts.

Everything follows from the case's name, its set and its seed, so that a set can be recorded in any order, resumed, and recorded
again. Each name has one recording for development and one for validation, on the other stack where there are two.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lab.mechanism import Mechanism, discover

SETS = ("dev", "validation")
SEEDS = {"dev": 17, "validation": 59}
#: Onset inside the recording; a separate healthy recording and the fault from begin to end; both.
STYLES = ("inside", "baseline", "both")
#: What some teams do not have. One case in five lacks one of these on purpose.
GAPS: tuple[tuple[str, ...], ...] = (
    ("traces",),
    ("database-log", "statements", "sessions", "plans", "db-objects"),
    ("app-log", "database-log", "sessions", "statements", "db-objects", "plans", "traces", "metrics", "runtime", "host", "cache", "events"),
)
#: Harmless things that happen in one case in three.
DISTRACTIONS = ("deploy", "job", "neighbour")


@dataclass(frozen=True, slots=True)
class Planned:
    """One recording to make."""

    mechanism: type[Mechanism]
    seed: int
    set: str
    style: str
    withheld: tuple[str, ...]
    distraction: str | None

    @property
    def name(self) -> str:
        """The case's name."""
        return self.mechanism.name()

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.mechanism.stack

    def rng(self) -> random.Random:
        """The source of all constants of this recording."""
        return random.Random(f"{self.name}/{self.stack}/{self.seed}")

    def key(self) -> dict[str, Any]:
        """What makes it this recording and no other."""
        return {"name": self.name, "stack": self.stack, "seed": self.seed, "set": self.set}


def one(name: str, stack: str, seed: int, of: str = "dev") -> Planned:
    """The recording of a case on a stack with a seed. Raises KeyError where there is no such case."""
    mechanism = discover()[name, stack]
    rng = random.Random(f"{name}/{stack}/{seed}/evidence")
    # Thirds by name and set, not by chance: with two recordings a name, chance would leave whole classes without a baseline.
    style = STYLES[(zlib.crc32(name.encode()) + seed) % len(STYLES)]
    withheld = rng.choice(GAPS) if rng.random() < 0.2 and mechanism.kind == "class" else ()
    distraction = rng.choice(DISTRACTIONS) if rng.random() < 0.33 and mechanism.kind != "trap" else None
    if style == "baseline" and distraction == "deploy":
        distraction = "job"
    return Planned(mechanism, seed, of, style, withheld, distraction)


def stack_of(name: str, of: str) -> str:
    """On which stack a set records a case: the other one for validation than for development."""
    stacks = sorted(stack for known, stack in discover() if known == name)
    if not stacks:
        raise KeyError(name)
    first = zlib.crc32(name.encode()) >> 8
    return stacks[(first + SETS.index(of)) % len(stacks)]


def everything(sets: tuple[str, ...] = SETS) -> Iterator[Planned]:
    """The whole set, those that need the machine alone last."""
    names = sorted({name for name, _ in discover()})
    planned = [one(name, stack_of(name, of), SEEDS[of], of) for of in sets for name in names]
    yield from sorted(planned, key=lambda p: p.mechanism.alone)
