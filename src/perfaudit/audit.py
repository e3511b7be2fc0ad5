"""One audit, from evidence to result: the phases in their order, each handing on what the next one needs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfaudit.baseline import cube as cubes
from perfaudit.baseline import dashboards, limits, load_test, validity, windows
from perfaudit.baseline import shape as shapes
from perfaudit.baseline import tiers as tiering
from perfaudit.baseline.cube import Cube
from perfaudit.baseline.requests import Requests
from perfaudit.baseline.stream import Stream
from perfaudit.config import Config, Objective
from perfaudit.errors import UsageError
from perfaudit.evidence import intake
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.readers import ReadOptions
from perfaudit.evidence.store import Evidence, within
from perfaudit.model import Window, Windows, iso
from perfaudit.paths import account as accounts
from perfaudit.paths import configuration, overview
from perfaudit.paths import tracing as tracings
from perfaudit.problems import discover
from perfaudit.report import result as results
from perfaudit.slo.objectives import judge_all
from perfaudit.verdict.decide import judge

QUESTION = "What constraint limits this system now, and what decision should be made next?"


@dataclass(frozen=True)
class Request:
    """What is asked of an audit."""

    since: int | None = None
    until: int | None = None
    only_window: bool = False
    where: str = ""
    objectives: tuple[Objective, ...] = ()
    name: str = "ad hoc"
    config: Config = field(default_factory=Config)
    correct_skew: bool = False


Step = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What stands before the first check is asked; ``requests`` and ``cube`` are None where no requests were read."""

    tiers: tiering.Tiers
    windows: Windows
    cube: Cube | None
    requests: Requests | None
    account: accounts.TimeAccount
    assumptions: list[str]
    stream: Stream | None = None


class Audit:
    """An audit over a bundle, with a separate baseline where there is one. ``run()`` gives the result as a dict."""

    def __init__(self, bundle: Bundle, request: Request | None = None, *, baseline: Bundle | None = None, step: Step | None = None) -> None:
        self.request = request or Request()
        self.own, self._other = bundle, baseline
        self.bundle = bundle.beside(baseline, "baseline") if baseline else bundle
        self.load = load_test.find(self.own)
        self._loads = [found for found in (self.load, load_test.find(baseline) if baseline else None) if found]
        self.evidence = Evidence(self.bundle, where=load_test.narrowed(self.request.where, self._loads))
        self._step = step or (lambda _text: None)

    def prepare(self) -> Prepared:
        """Tiers, windows, baseline and account of time: everything that the checks are handed."""
        assumptions = [note for found in self._loads for note in found.notes()]
        tiers = tiering.find(self.evidence)
        found, cube, stream = self._windows(tiers, assumptions)
        requests = None
        if stream is not None and cube is not None:
            self._step("baseline")
            requests = Requests(stream, tiers.condition, found, cube)
        if self.bundle.rows("spans"):
            self._step("traces")
        traces = tracings.of_bundle(self.bundle, found, correct_skew=self.request.correct_skew)
        if traces is not None and traces.biased:
            assumptions.append(f"{traces.biased}; {'each stands for the requests of its duration in the log' if self.bundle.rows('requests') else 'shares are those of the kept traces, not of the requests'}")
        account = accounts.build(self.evidence, tiers, found, requests, cube, traces)
        return Prepared(tiers, found, cube, requests, account, [*assumptions, *found.notes, *self._assumed(tiers)], stream)

    def run(self) -> dict[str, Any]:
        """All phases. Raises :class:`perfaudit.errors.AuditError`; never for what the evidence lacks."""
        ready = self.prepare()
        account, found = ready.account, ready.windows
        self._step("problems")
        outcomes = {name: check.run(self.evidence, account) for name, check in discover().items()}
        objective, objectives = judge_all(self.request.objectives, ready.requests, self.evidence)
        judged = judge(self.evidence, account, outcomes, objective)
        verdict = self.load.instead(judged.verdict) if self.load and ready.requests is None else judged.verdict
        out = self.opening(ready) | {
            "events": self._events(found),
            "verdict": verdict.to_json(),
            "findings": results.findings_part(judged),
            "checks": results.checks_part(outcomes),
        }
        if baseline := self.baseline(ready):
            out["baseline"] = baseline
        if account.components:
            out["time_account"] = results.account_part(account, judged.findings)
        if account.tracing is not None:
            self._step("paths")
            out["paths"] = overview.overview(account)
        if self.bundle.rows("settings"):
            out["configuration"] = configuration.of_evidence(Evidence(self.own))
        if self.load:
            out["load_test"] = self.load.to_json()
        if objectives:
            out["slo"] = {"objectives": objectives}
        return out

    def baseline(self, ready: Prepared, *, proves: bool = False) -> dict[str, Any]:
        """``baseline`` of the result, {} where no requests were read. ``proves``: with what it can and cannot prove, per route."""
        if ready.requests is None or ready.cube is None or ready.stream is None:
            return {}
        found = ready.windows
        shape = shapes.build(ready.cube, [found.whole, *([found.reference] if found.source == "baseline" and found.reference else [])])
        traces = ready.account.tracing.traces if ready.account.tracing else None
        out = results.baseline_part(ready.requests, shape, validity.check(self.evidence, ready.tiers, ready.requests, ready.cube, ready.stream, shape, traces))
        if hidden := dashboards.hidden(self.evidence, ready.tiers, ready.requests, ready.cube):
            out["hidden"] = hidden
        if proves:
            out["limits"] = limits.limits(ready.requests, ready.cube)
        return out

    def opening(self, ready: Prepared, question: str = QUESTION) -> dict[str, Any]:
        """What every result begins with: audit, windows, services, inventory."""
        definition, found = self.request.config.definition, ready.windows
        return {
            "schema_version": results.SCHEMA_VERSION,
            "audit": results.audit_part(definition.get("name", self.request.name), definition.get("question", question), ready.assumptions, definition),
            "window": {"start": iso(found.whole.start), "end": iso(found.whole.end)},
            "windows": results.windows_part(found),
            "services": results.services_part(ready.tiers),
            "inventory": results.inventory(self.bundle),
            "not_read": list(self.own.manifest["not_read"]),
        }

    # ---------------------------------------------------------------- windows

    def _windows(self, tiers: tiering.Tiers, assumptions: list[str]) -> tuple[Windows, Cube | None, Stream | None]:
        own, base = self._span("own", tiers), self._span("baseline", tiers)
        if own is None:
            return Windows(Window(0, 0), Window(0, 0)), None, None
        given = self._given(own)
        if base and base.overlap(own) > 0.5 * min(base.end - base.start, own.end - own.start):
            raise UsageError("the baseline lies in the same time as the evidence", where=f"evidence {own}, baseline {base}", todo="give a baseline that was recorded at another time")
        if base and base.overlap(own):
            base = Window(base.start, own.start) if base.start < own.start else Window(own.end, base.end)
        whole = given if given and self.request.only_window else own
        if not tiers.all or not self._requests_in(tiers.condition, whole):
            return Windows(whole, given or whole, base, "baseline" if base else "none"), None, None
        self._step("windows")
        spans = f"({within(whole)}" + (f" OR {within(base)})" if base else ")")
        stream = Stream(self.evidence, f"({tiers.condition}) AND {spans}", tiers.outer_totals)
        cube = cubes.build(stream, whole, base)
        found = windows.find(cube, whole, baseline=base, given=None if self.request.only_window else given)
        if self.request.only_window and given:
            found = replace(found, affected=given, reference=base, source="baseline" if base else "none", onset=None)
        if not given and found.source == "found":
            assumptions.append(f"affected window found in the recording: {found.affected}; reference: {found.reference}. Say --since and --until for others")
        if found.reference is None:
            assumptions.append("no reference: nothing departs in the recording and no baseline was given, so only tests that need none could speak")
        return found, cube, stream

    def _requests_in(self, condition: str, span: Window) -> bool:
        return bool(self.evidence.one(f"SELECT count(*) FROM requests WHERE {condition} AND {within(span)}")[0])

    def _given(self, own: Window) -> Window | None:
        since, until = self.request.since, self.request.until
        if since is None and until is None:
            return None
        window = Window(since if since is not None else own.start, until if until is not None else own.end)
        if since is not None and until is not None and until <= since:
            raise UsageError("--until is not after --since", where=f"{iso(since)}, {iso(until)}", todo="swap them; times without a zone are UTC")
        if window.end <= window.start or not window.overlap(own):
            raise UsageError("the window holds no evidence", where=f"asked for {window}; recorded {own}", todo="say --since and --until within the recording; times without a zone are UTC")
        return window

    def _span(self, role: str, tiers: tiering.Tiers) -> Window | None:
        """The time of the outermost tier's requests (else of everything but events) that carry ``role``."""
        sources = [s for s in self.bundle.sources if (s.get("role") == "baseline") == (role == "baseline") and s["first"] is not None]
        if role == "baseline":  # of a load test that is not trusted nothing is left to compare with
            sources = [s for s in sources if not any(s["name"] in found.doubted for found in self._loads)]
        if sources and not self.bundle.rows("requests") and self.bundle.rows("spans"):
            return self._traced(self._other if role == "baseline" and self._other else self.own)
        served = [s for s in sources if "requests" in s["tables"]]
        outer = [s for s in served if s["service"] in tiers.outermost] or served
        spans = [(s["first"], s["last"]) for s in outer or sources if outer or "events" not in s["tables"]]
        return Window(min(a for a, _ in spans), max(b for _, b in spans) + 1) if spans else None

    def _traced(self, bundle: Bundle) -> Window | None:
        """The time of the roots that stand for requests: a single clock that is decades off is not in it."""
        first, last = Evidence(bundle).one("SELECT epoch_us(min(time)), epoch_us(max(time)) FROM requests")
        return None if first is None else Window(int(first), int(last) + 1)

    def _shown(self, found: Windows) -> Window:
        """What charts show: the recording, with its reference where that lies near enough to keep the recording readable."""
        reference = found.reference or found.whole
        span = max(found.whole.end, reference.end) - min(found.whole.start, reference.start)
        if span > 4 * (found.whole.end - found.whole.start):
            return found.whole
        return Window(min(found.whole.start, reference.start), max(found.whole.end, reference.end))

    # ---------------------------------------------------------------- words

    def _events(self, found: Windows) -> list[dict[str, Any]]:
        shown = self._shown(found)
        rows = self.evidence.rows(f"SELECT epoch_us(time), kind, service, name, version, commit, detail FROM events WHERE {within(shown)} ORDER BY ALL LIMIT 200")
        names = ("kind", "service", "name", "version", "commit", "detail")
        return [{"time": iso(t)} | {k: str(v) for k, v in zip(names, rest, strict=True) if v} for t, *rest in rows]

    def _assumed(self, tiers: tiering.Tiers) -> list[str]:
        out = ["no access log was read: the roots of the traces stand for the requests, and rates are those of the traces"] if tiers.all and not self.bundle.rows("requests") else []
        out += [f"{t.service or 'unnamed'} is an inner tier of {t.inside}: listed, not pooled" for t in tiers.all if t.inside]
        return out + [f"{s['name']}: {n}" for s in self.bundle.sources for n in s["notes"] if not n.startswith("damaged")][:20]


#: Columns that no check of an ad-hoc audit reads: left out of its temporary bundle.
UNUSED = {"requests": frozenset({"upstream_header_us", "try_us", "cache_status", "request_id"})}


def ad_hoc_columns() -> Mapping[str, frozenset[str]]:
    """What an ad-hoc bundle stores of each table (absent: everything)."""
    from perfaudit.evidence.tables import TABLES

    return {table: frozenset(TABLES[table].names) - unused for table, unused in UNUSED.items()}


def audit(paths: Iterable[str | Path] | str | Path, *, baseline: str | Path | None = None, request: Request | None = None, options: ReadOptions | None = None) -> dict[str, Any]:
    """Audit files or folders in one call; the bundle is temporary. Gives the result as a dict (``result.json``)."""
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    options = options or ReadOptions(columns=ad_hoc_columns())
    with tempfile.TemporaryDirectory(prefix="perfaudit-") as folder:
        own = opened(given, Path(folder) / "evidence", options)
        other = opened([baseline], Path(folder) / "baseline", options) if baseline else None
        return Audit(own, request, baseline=other).run()


def opened(paths: Iterable[str | Path], beside: Path, options: ReadOptions, *, zones: Mapping[str, str] | None = None, progress: intake.Progress | None = None, durable: bool = False) -> Bundle:
    """A bundle for ``paths``: the one that a single path is (a bundle or an audit folder), else a new one at ``beside``."""
    paths = list(paths)
    if len(paths) == 1:
        for candidate in (Path(paths[0]), Path(paths[0]) / "evidence"):
            if Bundle.is_bundle(candidate):
                return Bundle.open(candidate)
    bundle = Bundle.create(beside, durable=durable, keep_addresses=options.keep_addresses)
    intake.add(bundle, paths, options, zones=zones, progress=progress)
    return bundle
