"""Log levels of all tongues → the eight of the table ``logs`` (syslog's names, RFC 5424 section 6.2.1)."""

from __future__ import annotations

from typing import Any

#: By severity number of syslog.
SYSLOG = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
_NAMES = {
    "debug": ("trace", "debug", "fine", "finer", "finest", "verbose", "dbg", "d", "v", "trc", *(f"trace{n}" for n in range(1, 9))),
    "info": ("info", "information", "informational", "config", "inf", "i", "log", "default", "success", "ok"),
    "notice": ("notice", "note", "system"),
    "warning": ("warn", "warning", "wrn", "w"),
    "error": ("error", "err", "severe", "e", "failure", "exception"),
    "critical": ("critical", "crit", "fatal", "f", "c", "ftl", "dpanic", "unknown"),
    "alert": ("alert", "panic"),
    "emergency": ("emerg", "emergency"),
}
LEVELS = {name: level for level, names in _NAMES.items() for name in names}
#: Numbers of pino and bunyan.
_NODE = {10: "debug", 20: "debug", 30: "info", 40: "warning", 50: "error", 60: "critical"}


def level(value: Any) -> str | None:
    """A level by name, by syslog's severity (0–7), or by pino's number (10–60); None for what is none."""
    if isinstance(value, str):
        if value.isdigit() and len(value) < 3:
            return level(int(value))
        return LEVELS.get(value.strip().lower())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return SYSLOG[int(value)] if 0 <= value <= 7 else _NODE.get(int(value) // 10 * 10)
    return None
