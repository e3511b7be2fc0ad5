"""One recording from the start of the stack to the case on disk.

The stack is started and warmed, recorded healthy, broken, recorded, fixed, recorded again, and stopped. Evidence is cut at the
marks between these parts. A recording whose healthy part is not healthy, or whose fault did not bite, is refused.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab import case
from lab.errors import Refused
from lab.load import mix
from lab.mechanism import Mechanism, Sign
from lab.observed import Observed, write_clients
from lab.plan import Planned
from lab.processes import Run, lane
from lab.sources import FileSource, Source
from lab.stack import Stack, iso

#: Seconds of load before the healthy part begins: connections, caches and interpreters get warm.
WARM_S = 5.0
#: The module of a worse version, as a path or a dotted name in a stack trace.
_VERSION = re.compile(rb"app([/.])versions[/.]\w+")
#: A quick trial of a mechanism: seconds of the three parts. Its signature is shown, not judged, and no case is written.
QUICK = (8.0, 12.0, 8.0)
#: A part that takes so many seconds longer than planned tells of a machine that stood still.
LATE_S = 8.0
#: A healthy part with more failed requests than this is not healthy.
ERRORS = 0.01


def stack_class(name: str) -> type[Stack]:
    """The stack of that name."""
    module = importlib.import_module(f"lab.stacks.{name}")
    return next(c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Stack) and c.__module__ == module.__name__ and c.name == name)


class Recording:
    """One recording: what was marked, seen and true."""

    def __init__(self, planned: Planned, tell: Callable[[str], None], *, quick: bool = False) -> None:
        self.planned, self.tell, self.quick = planned, tell, quick
        self.mechanism: Mechanism = planned.mechanism()
        self.seconds = QUICK if quick else self.mechanism.seconds
        self.marks: dict[str, tuple[float, dict[str, Any]]] = {}
        self.distractions: list[dict[str, str]] = []

    def make(self, run: Run, folder: Callable[[], Path]) -> tuple[Path | None, list[Sign]]:
        """Records, and writes the case to what `folder` gives. Returns where (None for a quick trial) and the signature."""
        begun = time.monotonic()
        rng = self.planned.rng()
        self.mechanism.choose(rng)
        stack = stack_class(self.planned.stack)(run, rng, {**self.mechanism.settings})
        stack.start()
        self.mechanism.ready(stack)
        started = time.monotonic() - begun
        self.tell(f"{stack.name} ready after {started:.1f} s, {stack.rate:.0f} requests/s")
        self.sources = [*stack.sources(), FileSource("events.jsonl", "events", stack.events)]
        with _begun(self.sources):
            self._phases(stack, rng)
        stack.load.stop()
        seen = self._seen(stack)
        signs = self.mechanism.signature(seen)
        self.tell("cut; " + "; ".join(told(s) for s in signs))
        if self.quick:
            return None, signs
        self._accept(stack, seen, signs)
        overhead = time.monotonic() - begun - sum(self.seconds)
        truth = self._truth(stack, seen, signs, {"ready_s": round(started, 1), "overhead_s": round(overhead, 1)})
        return case.write(folder, self._parts(), truth), signs

    def _phases(self, stack: Stack, rng: random.Random) -> None:
        healthy, fault, fixed = self.seconds
        total = WARM_S + sum(self.seconds) + 60
        stack.load.start(stack.url, mix(stack.routes, rng), stack.rate, total)
        time.sleep(WARM_S)
        distraction = _Distraction(self.planned.distraction, self.planned.style, rng)
        self._mark("healthy")
        self._wait(healthy / 2 if self.planned.style != "both" else healthy * 0.6, "healthy")
        self._mark("half")
        self._wait(healthy * 0.15, "healthy")
        distraction.early(stack, self.distractions)
        self._wait(self.marks["healthy"][0] + healthy - time.time(), "healthy")
        self._mark("fault")
        self.mechanism.breaks(stack)
        self._mark("broken")
        self._wait(fault * 0.4, "fault")
        distraction.late(stack, self.distractions)
        self._wait(self.marks["broken"][0] + fault - time.time(), "fault")
        self._mark("fix")
        self.mechanism.fixes(stack)
        time.sleep(self.mechanism.settle)
        self._mark("fixed")
        self._wait(fixed, "fixed")
        self._mark("end")

    def _mark(self, name: str) -> None:
        self.marks[name] = (time.time(), {s.name: s.mark() for s in self.sources})

    def _wait(self, seconds: float, what: str) -> None:
        self.tell(f"recording {what} for {max(0, seconds):.0f} s")
        time.sleep(max(0.0, seconds))

    def _seen(self, stack: Stack) -> Observed:
        cuts = stack.run.folder / "cuts"
        requests = list(stack.load.requests())
        for part, a, b in (("healthy", "healthy", "fault"), ("fault", "broken", "fix"), ("fixed", "fixed", "end")):
            self._cut(cuts / part, a, b)
            write_clients(cuts / part, requests, self.marks[a][0], self.marks[b][0])
        return Observed(cuts)

    def _cut(self, folder: Path, a: str, b: str, kinds: tuple[str, ...] = ()) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for source in self.sources:
            if not kinds or source.kind in kinds:
                source.cut(self.marks[a][1][source.name], self.marks[b][1][source.name], folder)
        _rename(folder, {str(self.run_folder): "/srv", sys.prefix: "/opt/venv"})
        return folder

    def _parts(self) -> dict[str, Path]:
        """The folders of the case by its style of onset, without what is withheld."""
        home = self.run_folder / "case"
        kept = tuple({s.kind for s in self.sources} - set(self.planned.withheld))
        begin = {"inside": "healthy", "baseline": "broken", "both": "half"}[self.planned.style]
        parts = {"evidence": self._cut(home / "evidence", begin, "fix", kept)}
        if self.planned.style == "baseline":
            parts["baseline"] = self._cut(home / "baseline", "healthy", "fault", kept)
            if "events" in kept:
                # What broke it fell between the two recordings; a list of events has no such gap.
                self._cut(home / "evidence", "fault", "fix", ("events",))
        if self.planned.style == "both":
            parts["baseline"] = self._cut(home / "baseline", "healthy", "half", kept)
        parts["fixed"] = self._cut(home / "fixed", "fixed", "end", ("access-log",))
        return parts

    def _accept(self, stack: Stack, seen: Observed, signs: list[Sign]) -> None:
        planned = zip((("healthy", "fault"), ("broken", "fix"), ("fixed", "end")), self.seconds, strict=True)
        late = max(self.marks[b][0] - self.marks[a][0] - seconds for (a, b), seconds in planned)
        if late > LATE_S:
            raise Refused(f"a part of the recording took {late:.0f} s longer than planned\nthis machine is too busy")
        silent = [name for name, part in (("healthy", seen.healthy), ("fault", seen.fault), ("fixed", seen.fixed)) if part.everything.count < part.seconds]
        if silent:
            raise Refused(f"hardly any request in the {silent[0]} part\nthe load had ended, or the machine stood still")
        dropped = sum(n for at, n in stack.load.dropped() if at < self.marks["fault"][0])
        if dropped:
            raise Refused(f"the generator could not start {dropped:.0f} requests in the healthy part\nrecord with fewer requests a second, or on a quieter machine")
        errors = seen.healthy.everything.errors / max(1, seen.healthy.everything.count)
        if errors > ERRORS:
            raise Refused(f"{errors:.1%} of the healthy requests failed\nlook at the application's log (--keep)")
        missing = [told(s) for s in signs if not s.ok]
        if missing or not signs:
            raise Refused("the mechanism did not show: " + ("; ".join(missing) or "no signature") + "\na fault that does not bite is no evidence; record with another seed")

    def _truth(self, stack: Stack, seen: Observed, signs: list[Sign], cost: dict[str, float]) -> dict[str, Any]:
        mechanism, planned = self.mechanism, self.planned
        said = {"accept": [], "rivals": [], "trigger": None, "notes": "", **mechanism.truth(stack)}
        if set(planned.withheld) & set(mechanism.needs):
            said["accept"] = sorted({*said["accept"], "insufficient-evidence"})
        paths = {r.name: f"{r.method} {r.path}" for r in stack.routes}
        measured = {
            part: {"rate": round(phase.everything.rate, 2), "routes": {paths.get(n, n): t.told() for n, t in sorted(phase.routes.items())}}
            for part, phase in (("healthy", seen.healthy), ("fault", seen.fault), ("fixed", seen.fixed))
        }
        onset = None if planned.style == "baseline" or planned.mechanism.problem == "healthy" else iso(self.marks["fault"][0])
        return {
            **planned.key(), "kind": mechanism.kind, "problem": mechanism.problem, **said,
            "onset": onset, "fault_start": iso(self.marks["fault"][0]), "fault_end": iso(self.marks["fix"][0]),
            "fixed_start": iso(self.marks["fixed"][0]), "fixed_end": iso(self.marks["end"][0]),
            "style": planned.style, "baseline": planned.style != "inside", "withheld": list(planned.withheld), "red_herrings": self.distractions,
            "measured": measured, "after": _after(said.get("route"), measured), "signature": [asdict(s) for s in signs],
            "generator": {"dropped": sum(n for _, n in stack.load.dropped()), "cpu_s": round(stack.load.cpu_s(), 1)}, **cost,
        }  # fmt: skip

    run_folder: Path


def told(sign: Sign) -> str:
    """A sign in words: healthy → fault → fixed."""
    values = " → ".join("–" if v is None else f"{v:.4g}" for v in (sign.healthy, sign.fault, sign.fixed))
    return f"{sign.what}: {values} {sign.unit}".rstrip() + ("" if sign.ok else f" (wanted {sign.bar})")


def record(planned: Planned, folder: Callable[[], Path], tell: Callable[[str], None], *, quick: bool = False, keep: bool = False, lanes: int | None = None) -> tuple[Path | None, list[Sign]]:
    """Makes one recording, whatever happens leaving nothing behind but the case."""
    with lane(planned.mechanism.alone and not quick, lanes), Run(f"{planned.name}-{planned.stack}"[:40], keep=keep) as run:
        recording = Recording(planned, tell, quick=quick)
        recording.run_folder = run.folder
        try:
            return recording.make(run, folder)
        except BaseException:
            if keep:
                tell(f"kept: {run.folder}")
            raise


@contextlib.contextmanager
def _begun(sources: list[Source]) -> Iterator[None]:
    begun: list[Source] = []
    try:
        for source in sources:
            source.begin()
            begun.append(source)
        yield
    finally:
        for source in reversed(begun):
            source.end()


def _rename(folder: Path, paths: dict[str, str]) -> None:
    """Paths in stack traces and configurations as they would be on a server: the names of our folders tell the case."""
    for file in folder.rglob("*"):
        if file.is_file():
            told = file.read_bytes()
            for ours, theirs in paths.items():
                told = told.replace(ours.encode(), theirs.encode())
            file.write_bytes(_VERSION.sub(rb"app\1handlers", told))


def _after(route: Any, measured: dict[str, Any]) -> dict[str, Any] | None:
    """The victim's route before, under and after the fault: what a prediction of the fix is held against."""
    wanted = [route] if isinstance(route, str) else list(route or [])
    for name, fixed in measured["fixed"]["routes"].items():
        if wanted and name.partition(" ")[2] == wanted[0]:
            broken = measured["fault"]["routes"].get(name, {})
            return {"route": wanted[0], "p50_ms": fixed["p50"], "p95_ms": fixed["p95"], "fault_p95_ms": broken.get("p95")}
    return None


class _Distraction:
    """Something harmless that happens beside the fault: a deploy without effect, a small job, a busy neighbour."""

    def __init__(self, kind: str | None, style: str, rng: random.Random) -> None:
        self.kind, self.seconds, self.share = kind, rng.uniform(5, 9), rng.uniform(0.1, 0.25)
        self.agent = rng.choice(("log-shipper", "backup-agent", "inventory-agent"))
        self.is_early = kind == "deploy" or (style != "baseline" and rng.random() < 0.5)

    def early(self, stack: Stack, done: list[dict[str, str]]) -> None:
        if self.kind and self.is_early:
            self._do(stack, done)

    def late(self, stack: Stack, done: list[dict[str, str]]) -> None:
        if self.kind and not self.is_early:
            self._do(stack, done)

    def _do(self, stack: Stack, done: list[dict[str, str]]) -> None:
        if self.kind == "deploy":
            release = stack.release
            assert release
            stack.deploy(release.version, **release.parameters)
        elif self.kind == "job":
            stack.event("job", service="housekeeping", detail="nightly export started")
            stack.job("export", round(self.seconds, 1))
        else:
            burn = "import sys,time\nend=time.time()+float(sys.argv[1])\nwhile time.time()<end:\n t=time.time()+0.02*float(sys.argv[2])\n while time.time()<t: pass\n time.sleep(0.02*(1-float(sys.argv[2])))"
            stack.run.start(self.agent, [stack.run.python, "-c", burn, f"{self.seconds:.1f}", f"{self.share:.2f}"])
        done.append({"kind": str(self.kind), "time": iso()})
