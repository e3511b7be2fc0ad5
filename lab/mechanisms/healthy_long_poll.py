"""A route that waits by design: clients ask for news and get an answer when there is some, or after some seconds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab.mechanism import Sign
from lab.mechanisms._healthy import Healthy, there
from lab.stack import Route

if TYPE_CHECKING:
    from lab.observed import Observed
    from lab.stack import Stack

NAME = "news"


class _LongPoll(Healthy):
    """Few poll at first; then more open their page and poll too. The whole site's p95 becomes that of the waiting."""

    rivals = ("worker-exhaustion", "tail-under-concurrency", "traffic-surge", "synchronous-dependency", "cascading-delay")
    what = "Requests of the polling route wait for news for some seconds, as they should; more clients poll than before, no other route is slower."
    slow_by_design = (NAME,)
    #: Share of the polls among all requests at first, and polls a second that come on top.
    share, more = 0.01, 0.8

    def choose(self, rng: random.Random) -> None:
        """Load, and for how long news are waited for (s)."""
        self.settings = {"rate": rng.uniform(21, 28)}
        self.wait, self.more = round(rng.uniform(4.2, 6.8), 1), self.more * rng.uniform(0.8, 1.2)

    def route(self, stack: Stack) -> tuple[str, str]:
        """Path and URL of the polling route."""
        raise NotImplementedError

    def ready(self, stack: Stack) -> None:
        """The release with the polling route, and clients who use it."""
        stack.deploy("long_poll", quiet=True, wait=self.wait)
        path, url = self.route(stack)
        stack.routes.append(Route(NAME, "GET", path, sum(r.weight for r in stack.routes) * self.share, url))

    def breaks(self, stack: Stack) -> None:
        """More clients."""
        self.stream = stack.load.more(stack.url, stack.routes, self.more, 120, only=(NAME,))

    def fixes(self, stack: Stack) -> None:
        """They leave."""
        self.stream.stop()

    def shows(self, seen: Observed) -> list[Sign]:
        """What polling is like, and what it does to the whole site."""
        p50 = [phase.route(NAME).p50 for phase in (seen.healthy, seen.fault, seen.fixed)]
        rates = [phase.route(NAME).rate for phase in (seen.healthy, seen.fault, seen.fixed)]
        return [
            there("p50 of the polling route", "ms", (p50[0], p50[1], p50[2]), "≥ 2000", p50[1] >= 2000),
            there("polls a second", "/s", (rates[0], rates[1], rates[2]), "≥ 1.5 × healthy", rates[1] >= 1.5 * rates[0]),
        ]


class OnShop(_LongPoll):
    """On threads: each poll holds one."""

    stack = "shop"

    def route(self, stack: Stack) -> tuple[str, str]:
        """News of a customer."""
        path = f"/{stack.words['customer_path']}"
        return f"{path}/{{id}}/news", f"`{path}/${{int(2, {stack.counts['customers']})}}/news`"


class OnMarket(_LongPoll):
    """On event loops."""

    stack = "market"
    more = 1.1

    def route(self, stack: Stack) -> tuple[str, str]:
        """News of an account."""
        path = f"/{stack.words['account_path']}"
        return f"{path}/{{id}}/news", f"`{path}/${{int(2, {stack.counts['accounts']})}}/news`"
