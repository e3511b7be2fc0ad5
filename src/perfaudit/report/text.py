"""How numbers, instants and evidence texts become words for people. No markup here: every renderer escapes for its own format."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

#: Controls (C0, DEL, C1), line and paragraph separators, bidirectional overrides and isolates, invisible marks, lone
#: surrogates and non-characters: they could act on a terminal or reorder a line, and XML forbids many of them.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\ufffe\uffff]")
_UNSAFE_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))


def plain(value: object, *, lines: bool = False) -> str:
    """``value`` as text in which nothing can act: dangerous characters become visible escapes (``\\x1b``, ``\\u202e``).

    Line breaks and tabs become spaces; with ``lines`` line breaks stay.
    """
    text = "" if value is None else str(value)
    text = text.replace("\r\n", "\n").replace("\t", " ")
    if lines:
        return no_commands(_UNSAFE_LINES.sub(_visible, text))
    return _UNSAFE.sub(_visible, text.replace("\n", " "))


def _visible(character: re.Match[str]) -> str:
    return ascii(character.group())[1:-1]


def no_commands(text: str) -> str:
    """``text`` without a line that begins with ``::``, which the log of a CI job could take for a workflow command."""
    return re.sub(r"(?m)^([^\S\n]*)::", r"\1: :", text)


def cut(value: object, limit: int) -> str:
    """:func:`plain` text of at most ``limit`` characters; ``…`` marks the cut."""
    text = plain(value)
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def words(name: object) -> str:
    """``row-lock-contention`` → ``row lock contention``."""
    return plain(name).replace("-", " ").replace("_", " ")


def listed(value: object) -> list[str]:
    """A text or a list of texts (a scope's value) as a list."""
    if not value and not isinstance(value, int | float):
        return []
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]


def plural(n: int | float, noun: str) -> str:
    """``1 source``, ``2 sources``, ``3 classes``."""
    many = noun[:-1] + "ies" if noun.endswith("y") else noun + ("es" if noun.endswith("s") else "s")
    return f"{n:,} {noun if n == 1 else many}"


def value_of(quantity: Any) -> float | None:
    """The number of a measurement or of a plain number; None where there is none."""
    number = quantity.get("value") if isinstance(quantity, Mapping) else quantity
    usable = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    return number if usable else None


def significant(number: float, digits: int = 3) -> str:
    """``number`` rounded to ``digits`` significant digits, integers in full, thousands separated."""
    if number == 0 or not math.isfinite(number):
        return "0" if number == 0 else str(number)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{min(decimals, 9)}f}"
    return text.rstrip("0").rstrip(".") if decimals and float(number).is_integer() else text


def trimmed(number: float, digits: int = 3) -> str:
    """:func:`significant` without zeros at the end of a fraction: ``0.1``, ``1.002``, ``40``."""
    text = significant(number, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(ms: float) -> str:
    """Milliseconds as people read them: ``420 µs``, ``3.1 ms``, ``313 ms``, ``2.80 s``, ``2.4 min``."""
    size = abs(ms)
    if size >= 120_000:
        return f"{ms / 60_000:,.1f} min"
    if size >= 999.5:
        return f"{ms / 1000:,.2f} s" if size < 9_995 else f"{ms / 1000:,.1f} s"
    if size >= 9.95:
        return f"{ms:.0f} ms"
    return f"{ms:.1f} ms" if size >= 0.95 or ms == 0 else f"{ms * 1000:.0f} µs"


def seconds(value: float) -> str:
    """A sum of seconds: ``518 s``, ``2,425 s``, ``0.42 s``."""
    return f"{value:,.0f} s" if abs(value) >= 10 else f"{significant(value, 2)} s"


def stretch(value: float) -> str:
    """A stretch of time in seconds as people say it: ``80 s``, ``45 min``, ``7.5 h``, ``3 days``."""
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if value >= 2 * unit:
            return f"{value / unit:,.1f}".removesuffix(".0") + f" {name}"
    return seconds(value)


def percent(share: float) -> str:
    """A share 0–1: ``63 %``, ``4.1 %``, ``0.05 %``; never rounds something to nothing or almost all to all."""
    p = share * 100
    if 0 < abs(p) < 0.01:
        return "< 0.01 %"
    if 99.5 <= p < 100:
        return f"{min(p, 99.99):.2f} %" if p >= 99.95 else f"{p:.1f} %"
    return f"{p:.0f} %" if p == 0 or abs(p) >= 9.95 else f"{p:.1f} %" if abs(p) >= 0.95 else f"{p:.2f} %"


def size(n: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(n) < 1024:
            return f"{n:,.0f} B" if unit == "B" else f"{n:,.1f} {unit}"
        n /= 1024
    return f"{n:,.1f} TiB"


def _is_share(unit: str) -> bool:
    return unit in ("share", "ratio") or unit.startswith(("share of", "ratio of"))


def number(value: float | None, unit: str = "") -> str:
    """A number in ``unit`` (``ms``, ``s``, ``µs``, ``bytes``, ``share …``, ``1/s``, anything else is written out); ``–`` for none."""
    if value is None or not math.isfinite(value):
        return "–"
    if unit == "ms":
        return duration(value)
    if unit in ("us", "µs"):
        return duration(value / 1000)
    if unit == "s":
        return seconds(value)
    if unit == "bytes":
        return size(value)
    if _is_share(unit):
        return percent(value)
    text = f"{value:,}" if isinstance(value, int) else significant(value)
    return f"{text}/s" if unit == "1/s" else f"{text} {plain(unit)}".rstrip() if unit != "1" else text


def measured(quantity: Any, unit: str = "") -> str:
    """The value of a measurement (or of a plain number in ``unit``), with what a share is of: ``63 % of added request-seconds``."""
    own = quantity.get("unit", unit) if isinstance(quantity, Mapping) else unit
    text = number(value_of(quantity), own)
    return f"{text} {plain(own).split(' ', 1)[1]}" if own.startswith(("share of ", "ratio of ")) and text != "–" else text


def interval(quantity: Any) -> str:
    """``58–68 %`` for a measurement with a confidence interval, else ""."""
    if not isinstance(quantity, Mapping) or not quantity.get("ci"):
        return ""
    low, high = quantity["ci"]
    unit = quantity["unit"] if not str(quantity["unit"]).startswith(("share", "ratio")) else "share"
    left = number(low, unit) if low is not None else "?"
    right = number(high, unit) if high is not None else "?"
    tail = right.removeprefix("< ").partition(" ")[2]
    shared = tail and left.endswith(" " + tail)
    return f"{left.removesuffix(tail).rstrip()}–{right}" if shared else f"{left}–{right}"


def provenance(quantity: Any) -> str:
    """What is behind a number, for a tooltip or a footnote: interval with level, n, method."""
    if not isinstance(quantity, Mapping):
        return ""
    between = interval(quantity)
    parts = [
        between and f"{percent(quantity.get('level', 0.95))} interval {between}",
        f"n = {quantity['n']:,}" if quantity.get("n") else "",
        plain(quantity.get("method")),
    ]
    return "; ".join(part for part in parts if part)


def bound_value(test: Mapping[str, Any]) -> str:
    """The value of a test, which may be a number, a text or nothing."""
    value = test.get("value")
    if value is None:
        return "not measured" if test.get("passed") is None else "–"
    if isinstance(value, str):
        return plain(value)
    return trimmed(float(value), 4)


def instant(text: str) -> datetime | None:
    """An RFC 3339 instant of a result; None where it is not one."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def clock(text: str, *, day: bool = False) -> str:
    """``08:02:23`` of an RFC 3339 instant, with ``day`` also the date; the text itself where it is no instant."""
    moment = instant(text)
    if moment is None:
        return plain(text)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S")


def span(window: Mapping[str, str] | None) -> str:
    """A window as ``2026-11-23 07:50:00 – 08:11:00 UTC``; "" where there is none or it holds no time."""
    if not window or not window.get("start") or not window.get("end") or window["start"] == window["end"]:
        return ""
    start, end = window["start"], window["end"]
    return f"{clock(start, day=True)} – {clock(end, day=start[:10] != end[:10])} UTC"


def length(window: Mapping[str, str] | None) -> float:
    """Seconds of a window; 0 where there is none."""
    first, last = instant((window or {}).get("start", "")), instant((window or {}).get("end", ""))
    return (last - first).total_seconds() if first and last else 0.0


def joined(parts: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""
