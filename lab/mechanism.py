"""The contract of a case: how a system is broken, what is then true, and how it shows that the fault really bit.

A file in ``mechanisms/`` is one case name; each :class:`Mechanism` in it is that case on one stack. Nothing is registered.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack


@dataclass(frozen=True, slots=True)
class Sign:
    """One value by which the mechanism shows: in the healthy part, under the fault, after the fix, and the bar it had to pass."""

    what: str
    healthy: float | None
    fault: float | None
    fixed: float | None
    unit: str
    bar: str
    ok: bool


class Mechanism(ABC):
    """One case on one stack. A new object for each recording."""

    stack: ClassVar[str]
    problem: ClassVar[str]
    kind: ClassVar[str] = "class"
    #: Seconds of the healthy, the faulty and the fixed part.
    seconds: ClassVar[tuple[float, float, float]] = (20, 40, 30)
    #: True where the fault is of the whole machine, so that no other recording may run beside it.
    alone: ClassVar[bool] = False
    #: Seconds between the fix and the begin of the fixed part (queues empty, caches fill).
    settle: ClassVar[float] = 4
    #: Kinds of evidence that the honest answer cannot do without: the plan never withholds them (see plan.py).
    needs: ClassVar[tuple[str, ...]] = ("access-log",)

    def __init__(self) -> None:
        #: What the stack is asked for before it starts (pool sizes, threads, row counts; see the stack's README).
        self.settings: dict[str, Any] = {}

    @classmethod
    def name(cls) -> str:
        """The case's name: the file's, with hyphens."""
        return cls.__module__.rpartition(".")[2].replace("_", "-")

    def choose(self, rng: random.Random) -> None:  # noqa: B027
        """The constants of this seed."""

    def ready(self, stack: Stack) -> None:  # noqa: B027
        """What must be there in the healthy part too, after the start and before the load."""

    @abstractmethod
    def breaks(self, stack: Stack) -> None:
        """Applies the fault, for real."""

    @abstractmethod
    def fixes(self, stack: Stack) -> None:
        """Applies what a team would do about it."""

    @abstractmethod
    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true: see lab/README.md for the keys."""

    @abstractmethod
    def signature(self, seen: Observed) -> list[Sign]:
        """Did the mechanism show, and did the fix remove it? From the raw recording only."""


@cache
def discover() -> dict[tuple[str, str], type[Mechanism]]:
    """Every case: (name, stack) → class."""
    from lab import mechanisms

    found: dict[tuple[str, str], type[Mechanism]] = {}
    for module in pkgutil.iter_modules(mechanisms.__path__):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"lab.mechanisms.{module.name}")
        for item in vars(loaded).values():
            if isinstance(item, type) and issubclass(item, Mechanism) and item.__module__ == loaded.__name__ and hasattr(item, "stack"):
                found[(item.name(), item.stack)] = item
    return found
