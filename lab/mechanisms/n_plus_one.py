"""A list is fetched with one query, and then each of its entries with another one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._database import more, slower
from lab.mechanisms._machine import paths

if TYPE_CHECKING:
    from lab.observed import Observed, Phase
    from lab.stack import Stack


class _OneByOne(Mechanism):
    problem = "n-plus-one"
    seconds = (18, 36, 20)
    needs = ("access-log", "traces", "statements")
    #: The victim, and a regular expression for the repeated statement.
    route: ClassVar[str] = ""
    repeated: ClassVar[str] = ""

    def fixes(self, stack: Stack) -> None:
        """Deploys the join again."""
        stack.deploy()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """The repeated statement."""
        return {
            "route": paths(stack, self.route), "service": stack.service, "trigger": "deploy", "accept": [],
            "rivals": ["missing-index", "pool-exhaustion", "synchronous-dependency", "cpu-saturation"], "fix": "one joined query, or one for all ids", **self.asked(stack),
        }  # fmt: skip

    def asked(self, stack: Stack) -> dict[str, Any]:
        """What is asked for again and again."""
        raise NotImplementedError

    def signature(self, seen: Observed) -> list[Sign]:
        """Statements by key for each request, and the route's tail."""

        def each(phase: Phase) -> float:
            calls = sum(s.calls for s in phase.statements(self.repeated).values())
            return calls / max(1, phase.route(self.route).count)

        return [more(seen, f"selects by key for each {self.route}", each, "", least=8, by=4), slower(seen, self.route, 2.5)]


class OnMarket(_OneByOne):
    """The portfolio's join is taken apart: the holdings first, and then the thing of each holding."""

    stack = "market"
    route = "portfolio"
    repeated = r"where `?id`? = \?$"

    def choose(self, rng: random.Random) -> None:
        """How many holdings there are."""
        self.settings = {"counts": {"holdings": rng.randrange(88_000, 124_000)}, "weights": {"portfolio": rng.randint(13, 18)}, "sampling": round(rng.uniform(0.07, 0.1), 3)}

    def breaks(self, stack: Stack) -> None:
        """Deploys the version without the join."""
        stack.deploy("nplus1")

    def asked(self, stack: Stack) -> dict[str, Any]:
        """A thing by its key."""
        w, many = stack.words, self.settings["counts"]["holdings"] / stack.counts["accounts"]  # type: ignore[attr-defined]
        return {
            "object": w["item"], "statement_contains": [f"from {w['item']} where id =", f"from `{w['item']}` where `id` ="],
            "notes": f"a release asks for the thing of each holding by itself, about {many:.0f} more queries a request",
        }  # fmt: skip


class OnShop(_OneByOne):
    """The list of purchases asks for the lines of each, and perhaps for the title of each line."""

    stack = "shop"
    route = "purchases"
    repeated = r"^SELECT \w+ FROM \w+ WHERE id = \$1$|FROM \w+ WHERE \w+ = \$1 ORDER BY id$"

    def choose(self, rng: random.Random) -> None:
        """How many purchases a customer has."""
        self.settings = {"counts": {"customers": rng.randrange(5200, 7400)}, "weights": {"purchases": rng.randint(12, 17)}, "sampling": round(rng.uniform(0.08, 0.11), 3)}

    def breaks(self, stack: Stack) -> None:
        """Deploys the version that asks one by one."""
        stack.deploy("nplus1", titles=True)

    def asked(self, stack: Stack) -> dict[str, Any]:
        """A title by its key, and the lines of a purchase."""
        w = stack.words
        return {
            "object": [w["product"], w["line"]], "statement_contains": [f"from {w['product']} where id =", f"from {w['line']} where {w['purchase_id']} ="],
            "notes": "a release asks for the lines of each purchase, and then for the title of each line, instead of joining them",
        }  # fmt: skip
