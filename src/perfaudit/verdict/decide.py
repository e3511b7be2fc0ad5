"""From outcomes to one answer: the dominant constraint, or healthy, or insufficient evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perfaudit.baseline.trigger import candidates
from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Finding, Measurement, Outcome, Status, Test, Verdict, Wanted, iso
from perfaudit.paths.account import TimeAccount
from perfaudit.verdict import confidence
from perfaudit.verdict.prediction import predicted

#: A two-sided 95 % interval of p95 needs 72 requests; with fewer nothing can be called healthy.
LEAST_REQUESTS = 72
#: A departure could have been seen in this share of the requests, at least, before their absence is called health.
SEARCHED = 0.5
#: Below this a suspicion is a finding, not a verdict (until confidence is calibrated: between the wrong ones at 0.37 and the right ones at 0.45 seen so far).
LEAST_CONFIDENCE = 0.4
#: A mechanism that owns at least this share of the added time is the cause; classes that only say "when" stand behind it.
EXPLAINS = 0.5
#: Without a departure, a reference or a broken objective, a problem must own this much of the time of the requests it touches to be called the constraint: less is where time goes by design.
OWNS = 0.10
#: Findings whose benefit is worked out: a replay each, and nobody fixes more than the first few.
BENEFITS = 3
#: Classes that say when or under which load it became slow, not by which mechanism; in the order in which they yield.
CIRCUMSTANCE = ("deploy-regression", "tail-under-concurrency", "traffic-surge")


@dataclass(frozen=True)
class Judged:
    """The verdict and the findings in order: the verdict's first, then problems by added time, then symptoms."""

    verdict: Verdict
    findings: tuple[Finding, ...]


def judge(evidence: Evidence, account: TimeAccount, outcomes: dict[str, Outcome], objective: str = "") -> Judged:
    """Weigh the findings. ``objective`` is ``kept``, ``broken`` or "" (none given)."""
    findings = [f.with_(confidence=confidence.of(f, _explained(f, account))) for o in outcomes.values() for f in o.findings]
    findings = _with_parents(findings, account)
    leads = {p for f in findings for p in f.parents}
    causes = sorted((f for f in findings if f.type == "problem"), key=lambda f: (f.problem not in leads, -_weight(f, account), f.problem))
    symptoms = sorted((f for f in findings if f.type == "symptom"), key=lambda f: (-_weight(f, account), f.problem))
    causes = [f.with_(benefit=predicted(account, f, _row(account, f))) for f in causes[:BENEFITS]] + causes[BENEFITS:]
    wanted = _would_change(outcomes, evidence)
    departed = account.windows.reference is not None and account.requests is not None and _departed(account)
    speaks = departed or objective == "broken" or any(_owns(f) for f in causes)
    if causes and speaks and causes[0].confidence >= LEAST_CONFIDENCE:
        verdict = _constraint(evidence, account, causes[0], tuple(causes[1:]), wanted, objective)
    elif departed or objective == "broken" or (causes and speaks):
        verdict = _unexplained(account, wanted, objective, symptoms)
    elif account.requests is None or account.requests.total.affected.durations.n < LEAST_REQUESTS or account.windows.searched < SEARCHED:
        verdict = _too_little(account, wanted)
    else:
        verdict = _healthy(account, outcomes, wanted, objective)
    return Judged(verdict, (*causes, *symptoms))


def _owns(finding: Finding) -> bool:
    return isinstance(finding.share.value, (int, float)) and finding.share.value >= OWNS


def _departed(account: TimeAccount) -> bool:
    """Whether the affected window is worse than the reference by more than the least share that matters."""
    total = account.requests.total if account.requests else None
    if total is None or not total.affected.count:
        return False
    return account.added_seconds >= RELEVANT * max(account.seconds, 1e-9) or account.failed_beyond >= RELEVANT * total.affected.count


def _explained(finding: Finding, account: TimeAccount) -> float | None:
    if finding.explains is not None:
        return finding.explains
    if finding.problem in CIRCUMSTANCE:  # it claims everything by construction
        return None
    return None if account.added_seconds <= 0 else finding.added_seconds / account.added_seconds


def _weight(finding: Finding, account: TimeAccount) -> float:
    value = finding.share.value
    return float(value) if isinstance(value, (int, float)) else 0.0


def _with_parents(findings: list[Finding], account: TimeAccount) -> list[Finding]:
    """A class that only says when stands behind a mechanism that explains the time, and behind one that says more."""
    mechanisms = [f for f in findings if f.problem not in CIRCUMSTANCE and f.type == "problem"]
    main = max(mechanisms, key=lambda f: (_explained(f, account) or 0.0, _weight(f, account)), default=None)
    explains = main is not None and ((_explained(main, account) or 0.0) >= EXPLAINS or (account.added_seconds <= 0 and _owns(main)))
    circumstances = sorted((f for f in findings if f.problem in CIRCUMSTANCE and f.type == "problem"), key=lambda f: CIRCUMSTANCE.index(f.problem))
    leader = main if explains else (circumstances[-1] if circumstances else None)
    findings = [_inside(f, findings) for f in findings]
    present = {f.problem for f in findings if f.type == "problem"}
    out = []
    for finding in findings:
        if leader is not None and finding is not leader and finding.problem in CIRCUMSTANCE:
            out.append(finding.with_(type="symptom", parents=(leader.problem,)))
        else:
            out.append(finding.with_(parents=tuple(p for p in finding.parents if p in present)))
    return out


def _inside(finding: Finding, all_: list[Finding]) -> Finding:
    """A slow dependency is a symptom where the mechanism inside it was found: another problem of that very service that owns half of the time, at least."""
    services = finding.scope.get("service")
    named = services if isinstance(services, str) else services[0] if services else ""
    if finding.problem != "cascading-delay" or finding.type != "problem" or not named:
        return finding
    for other in sorted(all_, key=lambda f: (-f.added_seconds, f.problem)):
        theirs = other.scope.get("service")
        there = named == (theirs if isinstance(theirs, str) else theirs[0] if theirs else "")
        if other.type == "problem" and other.problem not in (*CIRCUMSTANCE, finding.problem) and there and other.added_seconds >= EXPLAINS * finding.added_seconds:
            return finding.with_(type="symptom", parents=(other.problem,))
    return finding


# -------------------------------------------------------------------- the four answers


def _constraint(evidence: Evidence, account: TimeAccount, main: Finding, others: tuple[Finding, ...], wanted: tuple[Wanted, ...], objective: str) -> Verdict:
    windows = account.windows
    since = None
    if windows.onset:
        at, low, high = windows.onset
        since = {"time": iso(at), "interval": [iso(low), iso(high)]}
    events = [e for e in candidates(evidence, windows) if e.kind not in ("incident", "alert", "note")]
    trigger = events[-1].to_json() if events else None
    rejected = [t for t in main.rejected if t.passed is not False]
    rejected += [Test("share owned", round(_weight(f, account), 4), f"< {_weight(main, account):.3f}, the constraint's", True, f.problem) for f in others]
    symptom = _symptom(account, main)
    return Verdict(
        "constraint",
        main.fixes[0].action if main.fixes else f"Confirm {main.problem} with a controlled test, then fix it",
        main.confidence,
        finding=main,
        since=since,
        trigger=trigger,
        impact=impact(evidence, account, main, objective),
        chain=tuple(p for p in (symptom, main.mechanism, main.cause) if p),
        rejected=tuple(rejected),
        predicted=main.benefit,
        would_change=wanted,
    )


def _symptom(account: TimeAccount, main: Finding) -> str:
    row = _row(account, main)
    if row is None:
        return main.title
    a, r = row.affected.quantile(0.95), row.reference.quantile(0.95)
    if row.affected.error_ratio > row.reference.error_ratio + 0.01 and row.reference.count:
        return f"{row.method} {row.route}: {row.affected.error_ratio:.1%} of requests fail, {row.reference.error_ratio:.1%} in the reference".strip()
    if a and r:
        return f"{row.method} {row.route}: p95 {a / 1e3:,.0f} ms, {r / 1e3:,.0f} ms in the reference".strip()
    return f"{row.method} {row.route}: p95 {a / 1e3:,.0f} ms".strip() if a else main.title


def _unexplained(account: TimeAccount, wanted: tuple[Wanted, ...], objective: str, symptoms: list[Finding]) -> Verdict:
    return Verdict(
        "insufficient-evidence",
        "Do not change or scale anything yet: collect the evidence below while it is slow, then run the audit again",
        0.5,
        impact={"objective": objective} if objective else {},
        chain=(*((_slowest(account),) if account.routes else ()), *(f"{f.title}: a symptom, its cause was not found" for f in symptoms[:1])),
        would_change=wanted,
    )


def _slowest(account: TimeAccount) -> str:
    row = max(account.routes, key=lambda r: (account.added(r), account.added_errors(r)))
    a, r = row.affected.quantile(0.95), row.reference.quantile(0.95)
    if a and r and a > r:
        return f"{row.method} {row.route}: p95 {a / 1e3:,.0f} ms, {r / 1e3:,.0f} ms in the reference; no examined class explains it".strip()
    return f"{row.method} {row.route} departs from the reference; no examined class explains it".strip()


def _too_little(account: TimeAccount, wanted: tuple[Wanted, ...]) -> Verdict:
    timed = account.requests.total.affected.durations.n if account.requests else 0
    lacks = f"{timed} requests with a duration, {LEAST_REQUESTS} are the least for an interval of p95"
    if timed >= LEAST_REQUESTS:
        lacks = f"only {account.windows.searched:.0%} of the requests lie on routes and at times dense enough to see a departure; record longer, or name the time with --since and --until"
    return Verdict("insufficient-evidence", f"Collect more: {lacks}", 0.5, would_change=wanted)


def _healthy(account: TimeAccount, outcomes: dict[str, Outcome], wanted: tuple[Wanted, ...], objective: str) -> Verdict:
    examined = sum(o.status in (Status.CLEAR, Status.PROBLEM, Status.SYMPTOM, Status.NOT_APPLICABLE) for o in outcomes.values())
    unknown = sum(o.status in (Status.NO_EVIDENCE, Status.ERROR) for o in outcomes.values())
    decision = "Leave it alone: nothing departs from its calm level, and no examined class owns a share that matters. Keep this recording as the baseline"
    cleared = tuple(Test(o.reason, None, "not found", True, name) for name, o in outcomes.items() if o.status == Status.CLEAR)
    return Verdict("healthy", decision, confidence.healthy(account.count, examined, unknown), impact={"objective": objective} if objective else {}, rejected=cleared, would_change=wanted)


# -------------------------------------------------------------------- what it means


def _row(account: TimeAccount, finding: Finding) -> Any:
    wanted = finding.scope.get("route")
    routes = [wanted] if isinstance(wanted, str) else list(wanted or ())
    rows = [r for r in account.routes if r.route in routes] or (account.routes if not routes else [])
    return max(rows, key=lambda r: (account.added(r), account.added_errors(r), r.affected.seconds), default=None)


def impact(evidence: Evidence, account: TimeAccount, main: Finding, objective: str) -> dict[str, Any]:
    """What users felt: requests beyond the reference's p95 on the touched routes, their share, clients, seconds lost."""
    out: dict[str, Any] = {"objective": objective} if objective else {}
    lost = account.added_seconds or main.added_seconds
    out["seconds_lost"] = Measurement(lost, "s", n=account.count, method="above the reference's mean per route" if account.added_seconds else "owned by the constraint").to_json()
    row = _row(account, main)
    bar = row.reference.quantile(0.95) if row is not None else None
    if row is None or bar is None or not row.affected.durations.n:
        return out
    slow = max(0.0, row.affected.durations.share_above(bar) - 0.05) * row.affected.count
    where = f"{account.tiers.condition} AND {within(account.windows.affected)} AND route = {quote(row.route)}"
    query = f"SELECT count(*) AS requests, count(DISTINCT client_key) AS clients FROM requests WHERE {where} AND duration_us > {int(bar)}"
    clients = int(evidence.one(query)[1] or 0)
    out["requests"] = Measurement(round(slow), "requests", n=row.affected.count, method="beyond the reference's p95, less the 5 % that are always", query=query).to_json()
    out["share_of_requests"] = Measurement(slow / max(1, account.count), "share of requests", n=account.count, method="of all requests in the affected window", query=query).to_json()
    if clients:
        out["clients"] = Measurement(clients, "clients", n=row.affected.count, method="distinct keyed hashes of client addresses", query=query).to_json()
    return out


def _would_change(outcomes: dict[str, Outcome], evidence: Evidence) -> tuple[Wanted, ...]:
    seen: dict[str, Wanted] = {}
    for outcome in outcomes.values():
        for wanted in outcome.wanted:
            if not (wanted.evidence.endswith("(spans)") and evidence.has("spans")):  # there already
                seen.setdefault(wanted.evidence, wanted)
    return tuple(seen.values())
