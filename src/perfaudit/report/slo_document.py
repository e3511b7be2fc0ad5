"""The definition of objectives as Markdown: ``templates/slo-template.md`` filled in. What people must decide stays open in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perfaudit.report import text
from perfaudit.report.pages.slo import STATES, good
from perfaudit.report.renderers import markdown
from perfaudit.slo.model import shorthand

#: Units in words, the longest first.
_WORDS = ((365 * 86_400, "year"), (30 * 86_400, "month"), (7 * 86_400, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def render(result: Mapping[str, Any]) -> str:
    """The document of a result that ``perfaudit slo`` made; the same result gives the same bytes."""
    rows = result["slo"]["objectives"]

    def cited(quantity: Any) -> str:
        between = text.interval(quantity)
        return text.measured(quantity) + (f" ({between})" if between else "")

    page = markdown.template("slo-template.md").render(
        objectives=rows, states=STATES, service=text.joined(sorted({row["service"] for row in rows if row.get("service")})), tool=result["audit"].get("tool"),
        share=_share, good=good, span=_span, stretch=text.stretch, percent=text.percent, trimmed=text.trimmed, number=lambda n: text.number(float(n)), cited=cited,
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", page)).strip() + "\n"


def _share(share: float) -> str:
    """``99.9 %``: a share with all the digits that a promise has."""
    return f"{share * 100:.10g} %"


def _span(seconds: float) -> str:
    """``30 days``, ``1 hour``: a window of a definition in words."""
    for size, word in _WORDS:
        if seconds >= size and seconds % size == 0 and not (word == "month" and seconds < 60 * 86_400):
            n = round(seconds / size)
            return f"{n} {word}{'s' * (n != 1)}"
    return shorthand(seconds)
