"""The way between the application and its database loses packets: a bad line, or a line that a backup fills to its limit."""

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

    def filter(self, stack: Stack, rules: tuple[str, ...]) -> None:
        """Rules of the packet filter on what comes in, in a table of this run's own."""
        self.table = "lab_" + re.sub(r"\W", "_", stack.run.id)
        chain = f"add chain inet {self.table} arriving {{ type filter hook input priority 0; }}"
        text = "; ".join([f"add table inet {self.table}", chain, *(f"add rule inet {self.table} arriving {rule}" for rule in rules)])
        stack.run.kernel(["nft", text], ["nft", "delete", "table", "inet", self.table])

    def signature(self, seen: Observed) -> list[Sign]:
        """How it shows."""
        parts = (seen.healthy, seen.fault, seen.fixed)
        return [
            rise("segments sent again", "/s", [resent(p) for p in parts], 4, least=1.0),
            rise(f"p95 of {self.route}", "ms", [p.route(self.route).p95 for p in parts], 3, least=100),
        ]


class OnShop(_Line):
    """Packets are lost at random in both directions."""

    stack = "shop"
    route = "purchases"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.lost = rng.randint(14, 24)

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        port = stack.proxy_ports["database"]  # type: ignore[attr-defined]
        self.filter(stack, tuple(f"tcp {end} {port} numgen random mod 1000 < {self.lost} drop" for end in ("dport", "sport")))

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        stack.run.kernel(["nft", "flush", "table", "inet", self.table], ["true"])

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": "tcp retransmissions", "statement_contains": None, "service": [stack.words["database"], stack.service], "trigger": None,
            "accept": ["cascading-delay"], "rivals": ["row-lock-contention", "pool-exhaustion", "missing-index", "cpu-saturation"],
            "notes": f"{self.lost / 10:g} % of the packets between application and database are lost, each way; a lost one costs a retransmission timeout of at least 200 ms. "
            "The database itself is as fast as before.",
            "fix": "repair or replace the line between application and database",
        }  # fmt: skip


class OnMarket(_Line):
    """A backup goes over the line of the application's queries, whose provider drops what is too much."""

    stack = "market"
    route = "portfolio"

    def choose(self, rng: random.Random) -> None:
        """Constants of this seed."""
        self.kbytes, self.copies = rng.randint(900, 1400), rng.randint(3, 5)

    def ready(self, stack: Stack) -> None:
        """What holds in the healthy part too."""
        port = stack.proxy_ports["database"]  # type: ignore[attr-defined]
        self.filter(stack, (f"tcp sport {port} limit rate over {self.kbytes} kbytes/second burst 512 kbytes drop",))

    def breaks(self, stack: Stack) -> None:
        """The fault."""
        stack.event("job", service="backup", detail="copy of the database started")
        self.job = stack.job("network_saturation", self.copies, 300)

    def fixes(self, stack: Stack) -> None:
        """What takes it away."""
        self.job.stop()

    def truth(self, stack: Stack) -> dict[str, Any]:
        """What is true."""
        return {
            "route": paths(stack), "object": "tcp retransmissions", "statement_contains": None, "service": [stack.words["database"], stack.service, "backup"], "trigger": "job",
            "accept": ["cascading-delay"], "rivals": ["row-lock-contention", "pool-exhaustion", "missing-index", "disk-saturation", "cpu-saturation"],
            "notes": f"The line from the database to the application carries {self.kbytes} kB/s and drops what is more. A backup in {self.copies} connections fills it, "
            "and answers of the database are lost and sent again.",
            "fix": "send the backup over another line or limit its rate",
        }  # fmt: skip
