"""Configuration: flag > ``PERFAUDIT_*`` > file > default, and for each value where it came from.

``audit.toml`` at the top of an audit's folder is phase 1, the problem definition: symptom, affected flow, scope, window, success
criteria, objectives, costs. ``perfaudit.toml`` in a parent folder holds a team's defaults with the same keys.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perfaudit.errors import ConfigError, UsageError

#: section → key → type: everything that a file may hold.
KEYS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "problem": {"name": str, "question": str, "symptom": str, "flow": str, "scope": list, "since": str, "until": str, "success": list},
    "objectives": {"objectives": list, "period": str},
    "reading": {"log_format": str, "route_patterns": list, "timezone": (str, dict), "service": str, "keep_addresses": bool},
    "costs": {"currency": str, "per_hour": (int, float, dict)},
}


_TYPE_NAMES: dict[type, str] = {str: "a text", list: "a list of texts", dict: "a table", bool: "true or false", int: "a number", float: "a number"}


@dataclass(frozen=True)
class Config:
    """Values by ``section.key`` and where each came from (``origin``)."""

    values: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``section.key``."""
        return self.values.get(key, default)

    @property
    def definition(self) -> dict[str, Any]:
        """The problem definition, as it goes into the result."""
        return {k.split(".", 1)[1]: v for k, v in sorted(self.values.items()) if k.startswith("problem.") and v not in ("", [])}


def load(folder: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read ``audit.toml`` of ``folder`` (default: the current one), ``perfaudit.toml`` from there upwards, and ``PERFAUDIT_*``.

    The nearer file wins, the environment wins over files. Raises :class:`ConfigError`.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    start = (folder or Path.cwd()).resolve()
    for path in [*(above / "perfaudit.toml" for above in reversed([start, *start.parents])), start / "audit.toml"]:
        if path.is_file():
            for key, value in _read(path).items():
                values[key], origin[key] = value, path.name
    for section, keys in KEYS.items():
        for key, kind in keys.items():
            variable = f"PERFAUDIT_{key.upper()}"
            if variable in environ:
                values[f"{section}.{key}"], origin[f"{section}.{key}"] = _typed(environ[variable], kind, variable), variable
    return Config(values, origin)


def _typed(text: str, kind: type | tuple[type, ...], variable: str) -> Any:
    """The value of a variable: lists are separated by ``;``. Raises :class:`ConfigError`."""
    if kind is list:
        return [part.strip() for part in text.split(";") if part.strip()]
    if kind is bool:
        if text.strip().lower() in ("1", "true", "yes", "on", "0", "false", "no", "off", ""):
            return text.strip().lower() in ("1", "true", "yes", "on")
        raise ConfigError(f"{variable} is neither true nor false: “{text}”", where=variable, todo="set it to true or false")
    if isinstance(kind, tuple) and float in kind:
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{variable} is no number: “{text}”", where=variable, todo="set it to a number such as 12.5") from None
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"cannot read the configuration: {error}", where=str(path), todo="mend the line it names; perfaudit init writes a commented example") from error
    if isinstance(data.get("objectives"), list):
        data["objectives"] = {"objectives": data["objectives"]}
    out = {}
    for section, content in data.items():
        if section not in KEYS or not isinstance(content, dict):
            raise ConfigError(f"unknown section [{section}]", where=str(path), todo=f"known sections: {', '.join(KEYS)}")
        for key, value in content.items():
            kind = KEYS[section].get(key)
            if kind is None:
                raise ConfigError(f"unknown key {key!r} in [{section}]", where=str(path), todo=f"known keys: {', '.join(KEYS[section])}")
            out[f"{section}.{key}"] = _checked(value, kind, f"{path}: [{section}] {key}")
    return out


def _checked(value: Any, kind: type | tuple[type, ...], where: str) -> Any:
    """``value`` if it has the type; TOML's own instants become text. Raises :class:`ConfigError`."""
    if isinstance(value, datetime) and kind is str:
        return value.isoformat()
    wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    if wrong or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
        wanted = " or ".join(_TYPE_NAMES[k] for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise ConfigError(f"a value has the wrong type: {value!r}", where=where, todo=f"give {wanted}, as in the commented example that perfaudit init writes")
    return value


# -------------------------------------------------------------------- small languages


@dataclass(frozen=True)
class Objective:
    """``[ROUTE ]pNN<DUR``, ``errors<P%`` or ``metric:NAME{…}<V``: ``kind`` is ``latency``, ``errors`` or ``metric``.

    ``bound`` is in µs (latency), a share (errors) or the metric's unit.
    """

    text: str
    kind: str
    bound: float
    quantile: float = 0.0
    route: str = ""
    metric: str = ""


_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_UNITS = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7, "min": 6e7}


def objective(text: str) -> Objective:
    """Parse an objective. Raises :class:`UsageError` with examples."""
    trimmed = text.strip()
    if m := re.fullmatch(rf"(?:([^\s<]+)\s+)?p(\d{{1,2}}(?:\.\d+)?|999)\s*<=?\s*({_NUMBER})\s*(us|µs|ms|s|m|min)", trimmed):
        digits = m[2].replace(".", "")
        quantile = float(f"0.{digits}") if len(digits) >= 2 else float(m[2]) / 100
        return Objective(trimmed, "latency", float(m[3]) * _UNITS[m[4]], quantile, m[1] or "")
    if m := re.fullmatch(rf"(?:([^\s<]+)\s+)?errors?\s*<=?\s*({_NUMBER})\s*(%?)", trimmed):
        return Objective(trimmed, "errors", float(m[2]) / (100 if m[3] else 1), 0.0, m[1] or "")
    if m := re.fullmatch(rf"metric:([a-zA-Z_:][\w:]*(?:\{{[^}}]*\}})?)\s*<=?\s*([+-]?{_NUMBER}(?:[eE][+-]?\d+)?)", trimmed):
        return Objective(trimmed, "metric", float(m[2]), 0.0, "", m[1])
    raise UsageError(f"cannot understand the objective “{text}”", todo="examples: 'p95<800ms', '/checkout p99<1.5s', 'errors<0.1%', 'metric:queue_length<100'")


def instant(text: str) -> int:
    """Microseconds for RFC 3339 (UTC where no zone is given) or the epoch in seconds or milliseconds. Raises :class:`UsageError`."""
    trimmed = text.strip()
    if m := re.fullmatch(r"(\d{9,10}|(\d{12,13}))(\.\d+)?", trimmed):
        return round(float(trimmed) * (1e3 if m[2] else 1e6))
    try:
        moment = datetime.fromisoformat(trimmed.replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"cannot understand the time “{text}”", todo="examples: 2026-11-23T08:00:00Z, 2026-11-23 08:00, 1795420943") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
