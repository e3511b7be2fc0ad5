"""Worker exhaustion: requests wait for a worker while processor and dependencies have room, because other requests occupy all of them.

What it sees
------------
Time between the edge's upstream time and the first span of the application, spans of an admission queue, or gauges of workers (busy, maximum, queued), and what occupies the
workers: busy workers are arrivals × hold of each route, so their growth splits into longer holds, other kinds of requests (long polls, slow uploads, streams) and more arrivals.

Why it hurts
------------
A worker that waits is as occupied as one that computes. When all are, throughput is workers ÷ mean hold whatever the processor could do, and the shortest request waits
as long as the longest.

What it needs
-------------
An access log with upstream times and traces, or spans or metrics of the queue; a calm time to compare with. Metrics of busy workers and of the processor raise confidence.

When it is wrong
----------------
Workers that all wait for one dependency, the database, a pool or a lock are full because of it: then it is a symptom. So it is when everything in the process became slow (a
processor at its limit, pauses, one thread that does all). More traffic of the same kind is a surge. Refused connections are another limit.

What to try
-----------
Take long requests off the common workers (asynchronous handlers, a pool of their own, buffering of slow clients at the proxy); bound how many of them run at once; then
more workers, as far as memory and what lies behind them have room.
"""

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence
from perfaudit.model import Exhibit, Finding, Measurement, Outcome, Status
from perfaudit.paths.account import TimeAccount
from perfaudit.problems._gauges import SAMPLES
from perfaudit.problems._traced import TRACES
from perfaudit.problems.throughput._workers import PRACTICAL, WORKER_METRICS, Cause, Queue, cause, look, rivals, slower, tests

NEEDS = ("requests|spans", "spans|metrics")
HELPS = ("requests", "spans", "metrics")
RIVALS = ("cpu-saturation", "cascading-delay", "connection-limit", "traffic-surge", "tail-under-concurrency")
WANTED = (TRACES, WORKER_METRICS)


def examine(evidence: Evidence, account: TimeAccount) -> Outcome:
    """Do requests wait for a worker, and what occupies the workers?"""
    queue = look(evidence, account)
    if queue is None:
        return Outcome.no_evidence("nothing tells how long requests wait for a worker: neither upstream times with traces, nor spans or metrics of the queue", *WANTED)
    if queue.share < RELEVANT or queue.low <= 0:
        return Outcome.clear(f"waiting for a worker owns {max(0.0, queue.share):.1%} of the time{' more than in the reference' if queue.compared else ''}")
    if queue.compared and not queue.stated and not slower(account):
        return Outcome.clear(f"a request waits {queue.each * 1e3:.1f} ms longer for a worker, but requests are not slower than in the reference")
    if queue.each < PRACTICAL:
        return Outcome.clear(f"a request waits {queue.each * 1e3:.1f} ms {'longer than in the reference ' if queue.compared else ''}for a worker: nobody would feel it")
    if not queue.compared and not queue.metrics[0].full:
        return Outcome.clear("workers are waited for, but nothing shows that all of them are busy, and there is no calm time to compare with")
    if queue.metrics[0].full == 0 and queue.metrics[0].samples >= SAMPLES:
        return Outcome.clear(f"a worker was free in each of {queue.metrics[0].samples} samples: what is waited for is not a worker")
    why = cause(evidence, account, queue)
    if why is None:
        return Outcome.clear(f"requests wait for a worker, but no more workers are busy than in the reference ({queue.busy.now if queue.busy else 0:.2g}), and nothing shows that all are")
    return Outcome(Status.SYMPTOM if why.symptom else Status.PROBLEM, _title(queue, why), (_finding(evidence, account, queue, why),))


def _finding(evidence: Evidence, account: TimeAccount, queue: Queue, why: Cause) -> Finding:
    scope: dict[str, str | list[str]] = {"object": "workers"}
    if queue.services:
        scope["service"] = queue.services[0] if len(queue.services) == 1 else queue.services
    if queue.routes:
        scope["route"] = queue.routes[0] if len(queue.routes) == 1 else queue.routes
    spread = queue.error * 1.96 / account.seconds if account.seconds else 0.0
    share = Measurement(min(1.0, queue.share), "share of request-seconds", (max(0.0, queue.share - spread), min(1.0, queue.share + spread)), n=queue.n, method=queue.method, query=queue.query)
    exhibits = [Exhibit("a request waits for a worker on average", Measurement(queue.each * 1e3, "ms", n=queue.n, method=queue.method, query=queue.query), "spans" if "trace" in queue.method or "span" in queue.method else "metrics")]
    if queue.busy is not None:
        exhibits += [Exhibit(f"workers that requests occupy in the {word}", Measurement(value, "workers", n=queue.n, method="arrivals × hold, by route", query=""), "requests") for word, value in (("affected window", queue.busy.now), ("reference", queue.busy.before))]
    return Finding(
        "worker-exhaustion",
        _title(queue, why),
        scope,
        share,
        queue.added,
        min(1.0, (queue.added + why.seconds) / account.added_seconds) if queue.compared and account.added_seconds > 0 else None,
        _rows(account, queue),
        type="symptom" if why.symptom else "problem",
        parents=why.parents,
        mechanism="all workers are occupied, and requests wait until one is free, whatever they ask for",
        cause=why.text,
        evidence=tuple(exhibits),
        tests=tests(queue, why),
        rejected=rivals(evidence, account, queue, why),
        fixes=why.fixes,
    )


def _rows(account: TimeAccount, queue: Queue) -> tuple[str, ...]:
    """The rows of the account that hold the wait: queues, or the service behind a gateway."""
    if queue.spans is not None:
        return tuple(c.name for c in account.components if c.name in [f"downstream: {s}" for s in queue.services])
    return tuple(c.name for c in account.components if c.name.startswith(("queue for a worker", "edge and queue for a worker")))


def _title(queue: Queue, why: Cause) -> str:
    return f"Requests wait for a worker{f' of {queue.services[0]}' if len(queue.services) == 1 else ''}: {why.short}"
