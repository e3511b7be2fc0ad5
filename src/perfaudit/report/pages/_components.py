"""The colour of a component of the account of time, the same in every picture of the page, and its legend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perfaudit.report import charts

#: First words of a component → CSS class of its colour.
_CSS = (("self", "k0"), ("downstream", "k3"), ("database", "k1"), ("cache", "k6"), ("pool wait", "k5"), ("application lock", "k4"), ("connection set-up", "k2"), ("retries", "k7"))
OTHER = "k7"
_NAMES = {"k0": "own work", "k3": "another service", "k1": "database", "k6": "cache", "k5": "pool wait", "k4": "lock or wait", "k2": "connection set-up", "k7": "retries, queues"}


def css(component: str) -> str:
    """The class of a component's colour."""
    return next((name for word, name in _CSS if component.startswith(word)), OTHER)


def legend(used: Iterable[str], x: float, y: float) -> Iterator[str]:
    """Swatches with names for the classes ``used``, in one line."""
    for name in sorted(set(used)):
        yield f'<rect class="{name}" x="{charts.number(x)}" y="{charts.number(y - 9)}" width="11" height="11"/>' + charts.label(x + 16, y, _NAMES[name], "tick")
        x += 34 + 6.4 * len(_NAMES[name])

