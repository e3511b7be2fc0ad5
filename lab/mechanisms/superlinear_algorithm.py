"""Work that grows with the square of what a request asks for."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import slower
from lab.mechanisms._machine import paths
from lab.observed.spans import own_ms

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _Square(Mechanism):
    problem = "superlinear-algorithm"
    seconds = (18, 36, 20)
    route: ClassVar[str] = ""
    #: A span of work, by its name, whose time is told; the server's where there is none.
    work: ClassVar[str] = ""
    rivals = ("cpu-saturation", "worker-exhaustion", "n-plus-one", "runtime-pause", "single-threaded-section")
    notes = ""
    fix = ""

    def truth(self, stack: Stack) -> dict[str, Any]:
        """No query and no other service: the route's own time."""
        return {
            "route": paths(stack, self.route), "object": None, "statement_contains": None, "service": stack.service, "trigger": "deploy", "accept": [],
            "rivals": list(self.rivals), "notes": self.notes, "fix": self.fix,
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How the time grows with the size, and the route's tail."""
        values = [_ratio(p, self.work) for p in (seen.healthy, seen.fault, seen.fixed)]
        ok = values[1] >= 6 and values[1] >= 1.5 * max(values[0], values[2])
        return [
            Sign("mean own time of the longest third over the shortest", *values, "times", "≥ 6 and ≥ 1.5 × the other parts (the longest third is 4 × as long)", ok),
            slower(seen, self.route, 2.5),
        ]


class OnMarket(_Square):
    """A statement counts what was held after each order anew from all orders before."""

    stack = "market"
    route = "statement"
    work = "^statement.write$"
    notes = "a release sums all earlier orders for every line of a statement; `last` of the query is the size, up to about 600 orders, most accounts have as many"
    fix = "carry the running sum from line to line"

    def choose(self, rng: random.Random) -> None:
        """How many orders an account has, and the lengths of statements that are asked for."""
        self.settings = {"counts": {"accounts": rng.randrange(215, 240), "trades": 230_000}, "weights": {"statement": rng.randint(8, 10)}, "rate": rng.uniform(18, 22)}
        self.digits, self.least, self.most = rng.randint(2, 4), rng.randint(25, 45), rng.randint(580, 660)

    def ready(self, stack: Stack) -> None:
        """Statements are longer here."""
        asked = f"int({self.least}, {self.most})"
        stack.routes = [replace(r, url=r.url.replace("int(30, 300)", asked)) if r.name == self.route else r for r in stack.routes]

    def breaks(self, stack: Stack) -> None:
        """Deploys it."""
        stack.deploy("superlinear_algorithm", digits=self.digits)

    def fixes(self, stack: Stack) -> None:
        """Deploys what it was before."""
        stack.deploy()


class OnShop(_Square):
    """The list of purchases tells of each line how much was bought before, by looking through all lines."""

    stack = "shop"
    route = "purchases"
    notes = "a release looks through all lines of the list for each line; `last` of the query is the size in purchases of about three lines, nearly all customers have more"
    fix = "carry the sum for each thing from line to line"

    def choose(self, rng: random.Random) -> None:
        """How many purchases a customer has, and how many are asked for."""
        self.settings = {"counts": {"customers": rng.randrange(105, 125), "purchases": 60_000, "lines": 180_000}, "weights": {"purchases": rng.randint(10, 13)}, "rate": rng.uniform(19, 23)}
        self.least, self.most = rng.randint(12, 25), rng.randint(310, 360)

    def ready(self, stack: Stack) -> None:
        """The list takes its length from the client, from the begin."""
        stack.routes = [replace(r, url=r.url[:-1] + f"?last=${{int({self.least}, {self.most})}}`") if r.name == self.route else r for r in stack.routes]
        stack.deploy("superlinear_algorithm", quiet=True, most=self.most)

    def breaks(self, stack: Stack) -> None:
        """Deploys what looks through all."""
        stack.deploy("superlinear_algorithm", most=self.most, looking=True)

    def fixes(self, stack: Stack) -> None:
        """Deploys what carries the sums."""
        stack.deploy("superlinear_algorithm", most=self.most)


def _ratio(phase: Phase, work: str) -> float:
    """Mean time of the longest third of what was asked for over that of the shortest: of spans with such a name, or of the server's own time."""
    sizes = {s.trace: (int(m[1]), s) for s in phase.spans(kind="server") if (m := re.search(r"last=(\d+)", str(s.attributes)))}
    if work:
        told = sorted((sizes[s.trace][0], s.ms) for s in phase.spans(name=work) if s.trace in sizes)
    else:
        own = own_ms(phase.all_spans, [s for _, s in sizes.values()])
        told = sorted((size, ms) for (size, _), ms in zip(sizes.values(), own, strict=True))
    third = len(told) // 3
    return sum(ms for _, ms in told[-third:]) / sum(ms for _, ms in told[:third]) if third else 0.0
