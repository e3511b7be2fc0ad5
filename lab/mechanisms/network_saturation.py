"""A line loses packets at random, and each lost one costs a retransmission timeout: to the database, or to the partner."""

from __future__ import annotations

import random
import re
from typing import Any

from lab.mechanism import Mechanism, Sign
from lab.mechanisms._machine import paths, rise
from lab.observed import Observed, Phase
from lab.stack import Stack


def resent(part: Phase) -> float:
    """TCP segments of this machine that were sent again, a second."""
    told = [(b.time, int(m[1])) for b in part.blocks("net.txt", "/proc/net/snmp") if (m := re.search(r"^Tcp: (?:-?\d+ ){11}(\d+)", b.text, re.M))]
    return (told[-1][1] - told[0][1]) / (told[-1][0] - told[0][0]) if len(told) > 1 else 0.0


class _Line(Mechanism):
    problem = "network-saturation"
    seconds = (20, 45, 30)
    needs = ("access-log", "host")
    route = ""

    #: The far end of the line: what is behind the proxy of that name.
    to = ""

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.lost = rng.randint(42, 58)

    def breaks(self, stack: Stack) -> None:
        """Drops packets in both directions, in a table of the packet filter of this run's own."""
        self.table = "lab_" + re.sub(r"\W", "_", stack.run.id)
        port = stack.proxy_ports[self.to]  # type: ignore[attr-defined]
        chain = f"add chain inet {self.table} arriving {{ type filter hook input priority 0; }}"
        rules = [f"add rule inet {self.table} arriving tcp {end} {port} numgen random mod 1000 < {self.lost} drop" for end in ("dport", "sport")]
        stack.run.kernel(["nft", "; ".join([f"add table inet {self.table}", chain, *rules])], ["nft", "delete", "table", "inet", self.table])

    def fixes(self, stack: Stack) -> None:
        """The line is repaired."""
        stack.run.kernel(["nft", "flush", "table", "inet", self.table], ["true"])

    def told(self, stack: Stack, names: tuple[str, ...], service: list[str], rivals: list[str]) -> dict[str, Any]:
        """What is true of both lines."""
        return {
            "route": paths(stack, *names), "object": "tcp retransmissions", "statement_contains": None, "service": service, "trigger": None,
            "accept": ["cascading-delay"], "rivals": rivals,
            "notes": f"{self.lost / 10:g} % of the packets between application and {self.to} are lost, each way; a lost one costs a retransmission timeout of at least 200 ms. "
            f"The {self.to} itself is as fast as before.",
            "fix": f"repair or replace the line between application and {self.to}",
        }  # fmt: skip

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        return [
            rise("segments sent again", "/s", [resent(p) for p in parts], 4, least=1.0),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 2.2, least=150),
        ]


class OnShop(_Line):
    """The line to the database."""

    stack = "shop"
    to = "database"
    route = "purchases"

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return self.told(stack, (), [stack.words["database"], stack.service], ["row-lock-contention", "pool-exhaustion", "missing-index", "cpu-saturation"])


class OnMarket(_Line):
    """The line to the partner."""

    stack = "market"
    to = "partner"
    route = "watchlist"

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return self.told(stack, ("watchlist", "place"), [stack.words["partner"], stack.service], ["retry-storm", "pool-exhaustion", "worker-exhaustion", "cpu-saturation"])
