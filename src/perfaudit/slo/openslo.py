"""OpenSLO v1: definitions in YAML become objectives.

Source: the OpenSLO specification, apiVersion ``openslo/v1`` (kinds DataSource, SLO, SLI, AlertPolicy, AlertCondition,
AlertNotificationTarget, Service). What is wrong is an error with its line; what is right but not evaluated here is a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from perfaudit.errors import ConfigError
from perfaudit.slo._yaml import Document, read
from perfaudit.slo.model import PERIOD, Alert, Indicator, Query, Slo, duration

KINDS = ("DataSource", "SLO", "SLI", "AlertPolicy", "AlertCondition", "AlertNotificationTarget", "Service")
METHODS = {"Occurrences": "occurrences", "Timeslices": "timeslices", "RatioTimeslices": "ratio-timeslices"}
OPERATORS = ("lt", "lte", "gt", "gte")
#: Where data sources hold their query, by the examples of the specification and of tools that read it.
QUERY_KEYS = ("query", "promql", "expr", "metric")
LONGEST_NAME = 255
COMPOSITE = "it is a part of a composite objective (compositeWeight), and a weighted budget of several indicators is not counted here"


@dataclass
class Definitions:
    """What a set of files defines: the objectives, and what stands there without being used."""

    slos: list[Slo] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    """A mapping inside a document, and the way to it, for messages with a line."""

    document: Document
    value: Mapping[str, Any]
    path: tuple[str | int, ...] = ()

    def where(self, *keys: str | int) -> str:
        return self.document.where(*self.path, *keys)

    def wrong(self, what: str, *keys: str | int, todo: str = "see openslo.com for the fields of openslo/v1") -> ConfigError:
        return ConfigError(what, where=self.where(*keys), todo=todo)

    def at(self, key: str | int, inside: Any = None) -> _Part:
        """The mapping under ``key`` (``inside``: its value, where ``key`` is an index)."""
        value = self.value.get(str(key)) if inside is None else inside
        if not isinstance(value, Mapping):
            raise self.wrong(f"“{key}” must be a mapping" if value is not None else f"“{key}” is missing", key)
        return _Part(self.document, value, (*self.path, key))

    def items(self, key: str) -> list[_Part]:
        """The mappings in the list under ``key``; none where it is absent."""
        value = self.value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(f"“{key}” must be a list", key)
        here = _Part(self.document, {}, (*self.path, key))
        return [here.at(i, v if v is not None else "") for i, v in enumerate(value)]

    def text(self, key: str, default: str | None = None) -> str:
        value = self.value.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str | int | float | date) or isinstance(value, bool) or not str(value).strip():
            raise self.wrong(f"“{key}” must be a text" if value is not None else f"“{key}” is missing", key)
        return str(value).strip()

    def number(self, key: str) -> float:
        value = self.value.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.wrong(f"“{key}” must be a number, not {str(value)[:40]}" if value is not None else f"“{key}” is missing", key, todo="write a plain number, without quotes or %")
        return float(value)

    def seconds(self, key: str) -> float:
        try:
            return duration(self.text(key))
        except ValueError:
            raise self.wrong(f"“{key}” is no duration: {self.text(key)[:40]}", key, todo="a whole number and one of m, h, d, w, M, Q, Y, such as 30d") from None


def load(paths: Iterable[str]) -> Definitions:
    """The objectives that the files define. Raises :class:`ConfigError` with file and line, also where they define none."""
    given = list(paths)
    found, out = _objects(d for path in given for d in read(path)), Definitions()
    out.notes += found.pop("notes")
    for part in found["SLO"].values():
        reader = _Reader(found, part)
        out.slos += reader.slos()
        out.notes += reader.left_out
    if not out.slos:
        raise ConfigError("no SLO is defined", where=", ".join(given), todo="give a file that holds kind: SLO with apiVersion: openslo/v1")
    used = {slo.service for slo in out.slos}
    out.notes += [f"Service {name} has no SLO" for name in found["Service"] if name not in used]
    return out


def _objects(documents: Iterable[Document]) -> dict[str, Any]:
    found: dict[str, Any] = {kind: {} for kind in KINDS} | {"notes": []}
    for document in documents:
        if not isinstance(document.value, Mapping):
            raise ConfigError("a document is no mapping", where=document.where(), todo="begin with apiVersion: openslo/v1 and kind: SLO")
        part = _Part(document, document.value)
        version, kind = str(part.value.get("apiVersion", ""))[:60], str(part.value.get("kind", ""))[:60]
        if not version.startswith("openslo"):
            found["notes"].append(f"{part.where()}: not OpenSLO ({version or 'no apiVersion'}, {kind or 'no kind'}): not read")
        elif version != "openslo/v1":
            raise part.wrong(f"{version} is not read", "apiVersion", todo="convert it to openslo/v1")
        elif kind not in KINDS:
            found["notes"].append(f"{part.where('kind')}: kind {kind or '(none)'} is not known: not read")
        else:
            name = part.at("metadata").text("name")
            if len(name) > LONGEST_NAME or not name.isprintable():
                raise part.wrong(f"the name is longer than {LONGEST_NAME} characters, or holds control characters", "metadata", "name", todo="lower-case letters, digits and dashes")
            if name in found[kind]:
                raise part.wrong(f"{kind} {name[:60]} is defined twice; first at {found[kind][name].where()}", "metadata", "name", todo="give each its own name")
            found[kind][name] = part
    return found


class _Reader:
    """One SLO document and what it refers to."""

    def __init__(self, objects: Mapping[str, Any], part: _Part) -> None:
        self.objects, self.part, self.spec = objects, part, part.at("spec")
        self.notes: list[str] = []
        self.left_out: list[str] = []

    def slos(self) -> list[Slo]:
        """One for each objective. One that is wrong is left out with a note, beside others that are right; else it is the error."""
        spec, name = self.spec, self.part.at("metadata").text("name")
        method = spec.text("budgetingMethod", "Occurrences")
        if method not in METHODS:
            raise spec.wrong(f"budgetingMethod {method[:40]} is not known", "budgetingMethod", todo=f"one of {', '.join(METHODS)}")
        if "budgetingMethod" not in spec.value:
            self.notes.append("no budgetingMethod is given: Occurrences is assumed")
        objectives = spec.items("objectives")
        own = bool(objectives) and all(part.value.keys() & {"indicator", "indicatorRef"} for part in objectives)
        indicator = Indicator("ratio") if own and not spec.value.keys() & {"indicator", "indicatorRef"} else self._indicator(spec)
        period_s, calendar = self._window()
        base = Slo(
            name, name, indicator, 0.5, period_s, METHODS[method], service=spec.text("service", ""), description=spec.text("description", ""), calendar=calendar, alerts=tuple(self._alerts())
        )  # fmt: skip
        if not objectives:
            raise spec.wrong("an SLO needs objectives", "objectives", todo="add objectives: [{target: 0.99}]")
        out, wrong, common = [], [], self.notes
        for i, part in enumerate(objectives):
            self.notes = list(common)
            try:
                out.append(self._objective(base, part, i if len(objectives) > 1 else None))
            except ConfigError as error:
                wrong.append(error)
        if wrong and not out:
            raise wrong[0]
        self.left_out = [f"{error.where}: {error.what}: this objective is left out" for error in wrong]
        if len({slo.name for slo in out}) < len(out):
            raise spec.wrong("two objectives have the same displayName", "objectives", todo="give each its own name")
        return out

    def _objective(self, base: Slo, part: _Part, number: int | None) -> Slo:
        target = _target(part)
        name = base.name if number is None else f"{base.name}/{part.text('displayName', str(number + 1))}"
        indicator = self._indicator(part) if part.value.keys() & {"indicator", "indicatorRef"} else base.indicator
        if indicator.kind == "threshold":
            op = part.text("op", "")
            if op not in OPERATORS:
                raise part.wrong(f"op must be one of {', '.join(OPERATORS)}", "op")
            indicator = replace(indicator, op=op, bound=part.number("value"))
        slo = replace(base, name=name, text=f"{name} ≥ {target * 100:.10g} %", target=target, indicator=indicator, origin=part.where(), not_evaluated=COMPOSITE if "compositeWeight" in part.value else "", notes=tuple(self.notes))
        if base.method == "occurrences":
            return slo
        window = part.value.get("timeSliceWindow", 1 if base.method == "ratio-timeslices" else None)
        slice_s = float(window) * 60 if isinstance(window, int | float) and not isinstance(window, bool) and 0 < window < 1e6 else part.seconds("timeSliceWindow")
        if slice_s > base.period_s / 10:
            raise part.wrong("the time slice is longer than a tenth of the period", "timeSliceWindow", todo="a slice is minutes, such as 1m")
        if base.method == "ratio-timeslices":
            return replace(slo, slice_s=slice_s)
        slice_target = part.number("timeSliceTarget")
        if not 0 < slice_target <= 1:
            raise part.wrong(f"timeSliceTarget must lie in (0, 1], not {slice_target:g}", "timeSliceTarget", todo="a share: 0.99 for 99 %")
        return replace(slo, slice_s=slice_s, slice_target=slice_target)

    def _window(self) -> tuple[float, str]:
        windows = self.spec.items("timeWindow")
        if not windows:
            self.notes.append("no timeWindow is given: 30 days, rolling, are assumed")
            return PERIOD, ""
        if len(windows) > 1:
            raise self.spec.wrong("timeWindow holds more than one window", "timeWindow", todo="keep one")
        (window,) = windows
        calendar = window.value.get("calendar")
        rolling = window.value.get("isRolling", calendar is None)
        if not isinstance(rolling, bool):
            raise window.wrong("isRolling must be true or false", "isRolling")
        seconds = window.seconds("duration")
        if rolling:
            return seconds, ""
        part = window.at("calendar")
        self.notes.append("a calendar period is judged as a rolling one of the same length: evidence of a part of it does not tell what was spent before")
        return seconds, f"from {part.text('startTime', '?')} {part.text('timeZone', '')}".strip()

    def _indicator(self, holder: _Part) -> Indicator:
        """The indicator of an SLO, or of one of its objectives."""
        inline, reference = holder.value.get("indicator"), holder.value.get("indicatorRef")
        if (inline is None) == (reference is None):
            raise holder.wrong("an SLO needs one of indicator and indicatorRef", *(["indicator"] if inline is not None else []))
        part = holder.at("indicator").at("spec") if inline is not None else self._referred("SLI", holder, "indicatorRef").at("spec")
        ratio, threshold = part.value.get("ratioMetric"), part.value.get("thresholdMetric")
        if (ratio is None) == (threshold is None):
            raise part.wrong("an SLI needs one of ratioMetric and thresholdMetric", *(["ratioMetric"] if ratio is not None else []))
        if threshold is not None:
            return Indicator("threshold", value=self._query(part.at("thresholdMetric")))
        metric = part.at("ratioMetric")
        counter = metric.value.get("counter", True)
        if not isinstance(counter, bool):
            raise metric.wrong("counter must be true or false", "counter")
        if "raw" in metric.value:
            kind = metric.text("rawType", "")
            if kind not in ("success", "failure"):
                raise metric.wrong("rawType must be success or failure", "rawType")
            raw = self._query(metric.at("raw"))
            return Indicator("raw", good=raw if kind == "success" else None, bad=raw if kind == "failure" else None)
        if ("good" in metric.value) == ("bad" in metric.value):
            raise metric.wrong("ratioMetric needs one of good and bad, and total", *(["good"] if "good" in metric.value else []))
        sides = {side: self._query(metric.at(side)) for side in ("good", "bad", "total") if side in metric.value or side == "total"}
        return Indicator("ratio", good=sides.get("good"), bad=sides.get("bad"), total=sides["total"], counter=counter)

    def _query(self, part: _Part) -> Query:
        source = part.at("metricSource")
        system = source.text("type", "")
        if not system and "metricSourceRef" in source.value:
            name = source.text("metricSourceRef")
            known = self.objects["DataSource"].get(name)
            if known is not None:
                system = known.at("spec").text("type", "")
            else:
                self.notes.append(f"DataSource {name} is not defined in these files")
        spec = source.at("spec") if source.value.get("spec") is not None else source
        text = next((spec.text(key) for key in QUERY_KEYS if isinstance(spec.value.get(key), str)), "")
        if not text:
            self.notes.append(f"{spec.where()}: no query is given under {', '.join(QUERY_KEYS)}")
        return Query(text, system.lower())

    def _alerts(self) -> Iterable[Alert]:
        for item in self.spec.items("alertPolicies"):
            policy = self._referred("AlertPolicy", item, "alertPolicyRef") if "alertPolicyRef" in item.value else item
            spec = policy.at("spec")
            if not spec.value.get("alertWhenBreaching", True):
                self.notes.append("an alert policy does not alert when breaching: no rule is made for it")
                continue
            for condition in spec.items("conditions"):
                whole = self._referred("AlertCondition", condition, "conditionRef") if "conditionRef" in condition.value else condition
                yield self._alert(whole)

    def _alert(self, whole: _Part) -> Alert:
        name, spec = whole.at("metadata").text("name") if "metadata" in whole.value else "alert", whole.at("spec")
        condition = spec.at("condition")
        if condition.text("kind", "burnrate") != "burnrate":
            raise condition.wrong("the only kind of condition is burnrate", "kind")
        threshold = condition.number("threshold")
        if threshold <= 0:
            raise condition.wrong("threshold must be above 0", "threshold")
        after = condition.value.get("alertAfter", "0m")
        after_s = 0.0 if str(after) in ("0", "0m", "0s") else condition.seconds("alertAfter")
        return Alert(name, spec.text("severity", "page"), threshold, condition.seconds("lookbackWindow"), after_s)

    def _referred(self, kind: str, part: _Part, key: str) -> _Part:
        name = part.text(key)
        found = self.objects[kind].get(name)
        if not isinstance(found, _Part):
            raise part.wrong(f"there is no {kind} {name[:60]}", key, todo="give the file that defines it with --openslo too")
        return found


def _target(part: _Part) -> float:
    if ("target" in part.value) == ("targetPercent" in part.value):
        raise part.wrong("an objective needs one of target and targetPercent", *(["target"] if "target" in part.value else []))
    if "target" in part.value:
        target = part.number("target")
        if target > 1:
            raise part.wrong(f"target is a share below 1, not {target:g}", "target", todo=f"if {target:g} % is meant, write targetPercent: {target:g}")
    else:
        percent = part.number("targetPercent")
        if 0 < percent < 1:
            raise part.wrong(f"targetPercent: {percent:g} promises less than 1 %", "targetPercent", todo=f"if {percent:.6%} is meant, write target: {percent:g}")
        target = round(percent / 100, 12)
    if not 0 < target < 1:
        said = "leaves no budget for errors, so nothing can be measured against it" if target == 1 else "promises nothing" if target == 0 else "is no share"
        raise part.wrong(f"a target of {target:.6g} {said}", "target" if "target" in part.value else "targetPercent", todo="give a share between 0 and 1, such as target: 0.999")
    return target
