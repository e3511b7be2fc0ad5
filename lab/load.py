"""The clients: k6 with open, random arrivals.

k6 spaces a constant arrival rate evenly, and evenly spaced requests hardly ever wait for each other. So every iteration begins
with a random delay of up to one second: the sum is close to a Poisson stream (superposition of jittered arrivals). Requests
that k6 could not start are counted as ``dropped_iterations``; a recording with any of them in its healthy part is refused.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.processes import Component, Run

#: A client gives up after this many seconds.
PATIENCE_S = 20
#: Virtual users for each request a second: one second of jitter, and slow answers up to about ten seconds.
USERS = 12


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request and its share of the mix.

    `path` names it with ``{id}`` for variable parts; `url` is a JavaScript expression for the address (``int(a, b)`` is a
    random whole number, ``zipf(n)`` a skewed one from 1 to n, ``pick([…])`` one of a list); `body` one for a JSON body or "".
    """

    name: str
    method: str
    path: str
    weight: float
    url: str
    body: str = ""


class Request(NamedTuple):
    """A finished request as the client saw it: end (epoch seconds), duration (ms), route name, status (0: no answer)."""

    time: float
    ms: float
    route: str
    status: int


class Bursts(NamedTuple):
    """Arrivals in waves: one every so many seconds, how long it lasts, and the requests a second between them."""

    every_s: float
    lasting_s: float
    between: float


_SCRIPT = """import http from 'k6/http';
import { sleep } from 'k6';
import exec from 'k6/execution';
const routes = [
%(routes)s
];
const total = routes.reduce((sum, r) => sum + r.weight, 0);
let state = 0;
function random() {
  state = (state + 0x6D2B79F5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const int = (a, b) => a + Math.floor(random() * (b - a + 1));
const zipf = (n) => Math.max(1, Math.min(n, Math.floor(Math.exp(random() * Math.log(n + 1)))));
const pick = (list) => list[Math.floor(random() * list.length)];
export const options = {
  scenarios: { clients: { %(arrivals)s, timeUnit: '1m',
    preAllocatedVUs: %(users)d, maxVUs: %(max_users)d, gracefulStop: '2s' } },
  systemTags: ['name', 'method', 'status', 'error_code'], summaryTrendStats: ['med', 'p(95)'], discardResponseBodies: true,
  noConnectionReuse: %(fresh)s,
};
export default function () {
  state = (%(seed)d + exec.scenario.iterationInTest * 2654435761) | 0;
  sleep(random());
  let at = random() * total, i = 0;
  while (i < routes.length - 1 && (at -= routes[i].weight) >= 0) i += 1;
  const r = routes[i];
  http.request(r.method, '%(base)s' + r.url(), r.body ? JSON.stringify(r.body()) : null,
    { tags: { name: r.name }, timeout: '%(patience)ds', headers: r.body ? { 'Content-Type': 'application/json' } : {} });
}
"""


class Load:
    """Streams of requests against one front door; each is a k6 process of its own."""

    def __init__(self, run: Run, seed: int) -> None:
        self.run, self.seed = run, seed
        self.streams: list[tuple[Component, Path]] = []
        #: The routes of the first stream, with the shares of this recording.
        self.mix: list[Route] = []

    def start(self, base: str, routes: Sequence[Route], rate: float, seconds: float, *, fresh: bool = False, swell: float = 0, bursts: Bursts | None = None) -> Component:
        """Begins a stream: `rate` requests a second over the routes' mix for at most `seconds`; `fresh` opens a connection each.

        With `swell` the rate rises from nothing to `rate` and falls again, each within so many seconds; with `bursts` it is `rate`
        in the bursts only.
        """
        self.mix = self.mix or list(routes)
        name = f"load-{len(self.streams) + 1}"
        home = self.run.home(name)
        script, out = home / "script.js", home / "requests.csv"
        script.write_text(self._script(base, routes, rate, seconds, fresh, _arrivals(rate, seconds, swell, bursts)))
        k6 = Path(sys.prefix) / "bin" / "k6"
        if not k6.exists() and not shutil.which("k6"):
            raise LabError("k6 is not installed\nmake lab installs it")
        env = {"K6_CSV_TIME_FORMAT": "unix_micro", "K6_CSV_SAVE_INTERVAL": "500ms", "K6_NO_USAGE_REPORT": "true", "GOMAXPROCS": "1" if (os.cpu_count() or 1) < 4 else "2"}
        stream = self.run.start(
            name, [k6 if k6.exists() else "k6", "run", "--quiet", "--no-summary", "--address", "", "--out", f"csv={out}", script], env=env,
            ready=lambda: out.is_file() and out.stat().st_size > 200, timeout=20,
        )  # fmt: skip
        self.streams.append((stream, out))
        return stream

    def more(self, base: str, routes: Sequence[Route], rate: float, seconds: float = 600, only: Sequence[str] = ()) -> Component:
        """Traffic really grows: another stream beside the first, over all routes or only some by name."""
        chosen = [r for r in routes if not only or r.name in only]
        return self.start(base, chosen, rate, seconds)

    def stop(self) -> None:
        """Ends all streams."""
        for stream, _ in self.streams:
            stream.stop()

    def requests(self) -> Iterator[Request]:
        """What the clients saw, of all streams."""
        for _, path in self.streams:
            yield from read(path)

    def dropped(self) -> list[tuple[float, float]]:
        """Requests that k6 could not start: (epoch seconds, how many)."""
        return [(float(row["timestamp"]) / 1e6, float(row["metric_value"])) for _, path in self.streams for row in _rows(path) if row["metric_name"] == "dropped_iterations"]

    def cpu_s(self) -> float:
        """CPU seconds that the generators used so far."""
        total = 0.0
        for stream, _ in self.streams:
            usage = stream.cgroup.files().get("cpuacct.usage")
            if usage:
                total += int(usage.read_text()) / 1e9
            elif "cpu.stat" in stream.cgroup.files():
                stat = dict(line.split() for line in stream.cgroup.files()["cpu.stat"].read_text().splitlines())
                total += int(stat.get("usage_usec", 0)) / 1e6
        return total

    def _script(self, base: str, routes: Sequence[Route], rate: float, seconds: float, fresh: bool, arrivals: str) -> str:
        lines = ",\n".join(
            f"  {{ name: {json.dumps(r.name)}, method: '{r.method}', weight: {r.weight}, url: () => {r.url}, body: {f'() => ({r.body})' if r.body else 'null'} }}" for r in routes
        )
        values = {
            "routes": lines, "base": base, "arrivals": arrivals, "seed": self.seed + 7919 * len(self.streams),
            "users": max(4, int(rate * 3)), "max_users": max(20, int(rate * USERS)), "patience": PATIENCE_S, "fresh": "true" if fresh else "false",
        }  # fmt: skip
        return _SCRIPT % values


def _arrivals(rate: float, seconds: float, swell: float, bursts: Bursts | None) -> str:
    """The options of k6 that say when requests begin."""
    per_minute, half = max(1, round(rate * 60)), max(1, round(swell))
    if bursts:
        quiet, steps = round(bursts.between * 60), max(1, round(seconds / bursts.every_s))
        wave = ((quiet, bursts.every_s - bursts.lasting_s), (per_minute, bursts.lasting_s))
        stages = "".join(f"{{ target: {target}, duration: '0s' }}, {{ target: {target}, duration: '{length * 1000:.0f}ms' }}, " for target, length in wave * steps)
        return f"executor: 'ramping-arrival-rate', startRate: {quiet}, stages: [{stages}]"
    if swell:
        return f"executor: 'ramping-arrival-rate', startRate: 0, stages: [{{ target: {per_minute}, duration: '{half}s' }}, {{ target: 0, duration: '{half}s' }}]"
    return f"executor: 'constant-arrival-rate', rate: {per_minute}, duration: '{int(seconds)}s'"


def mix(routes: Sequence[Route], rng: random.Random) -> list[Route]:
    """The same routes with shares that differ from seed to seed (each by up to a third)."""
    return [replace(r, weight=round(r.weight * rng.uniform(0.75, 1.33), 3)) for r in routes]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row.get("metric_value") and row.get("timestamp"):
                yield row


def read(path: Path) -> Iterator[Request]:
    """The requests of one result file (k6 CSV with ``unix_micro`` times)."""
    for row in _rows(path):
        if row["metric_name"] == "http_req_duration":
            yield Request(float(row["timestamp"]) / 1e6, float(row["metric_value"]), row["name"], int(row.get("status") or 0))
